"""One training step: microbatches, gradient, optimizer, teacher. Pure and jitted."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from fdjax.models import lora
from fdjax.objectives.protocol import Batch, Mean, Model, Objective, Sums
from fdjax.runtime.sharding import shard_rows
from fdjax.training.state import TrainState

Update = Callable[[TrainState, Batch], tuple[TrainState, dict[str, jax.Array]]]


def make_update(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    model: Model,
    *,
    microbatches: int = 1,
    ema_rate: float = 0.0,
    ema_every: int = 1,
    shardings: TrainState | None = None,
) -> Update:
    """-> jitted (state, batch) -> (state, metrics f32[]); the state passed in is donated.

    Of a model with adapters these alone are trained and averaged (fdjax/models/lora.py). The
    gradient is that of the loss over the whole batch, whatever `microbatches` (which must
    divide the rows). teacher += ema_rate * (student - teacher) after every `ema_every`-th update,
    if that one learned: 0 keeps it frozen, and where state.teacher_params is None there is none to
    move (a live teacher).

    Optimizer and teacher stand still, and `state.skipped` counts, where the batch has nothing to
    learn from or its gradient is not finite. Call under `jax.set_mesh(mesh)` on a mesh of several
    devices and pass the state's `shardings`, so that it stays where it is.

    Metrics: the objective's means (NaN over nothing), `loss`, `grad_norm` (before clipping),
    `denominator` and `skipped` (0 or 1, of this step). Where a loss has parts, each also has its
    own `loss/NAME` and `denominator/NAME`, in place of `denominator`.
    """

    def loss_and_metrics(trained, frozen, teacher_params, denominator, batch):
        params = lora.join(trained, frozen)
        total, metrics = objective.loss(model, params, teacher_params, batch)
        losses = jax.tree.map(lambda t, d: t / jnp.maximum(d, 1), total, denominator)
        return functools.reduce(jnp.add, jax.tree.leaves(losses)), (losses, metrics)

    def gradient(trained, frozen, teacher_params, batch):
        denominator = objective.denominator(batch)
        grad = jax.value_and_grad(loss_and_metrics, has_aux=True)
        given = trained, frozen, teacher_params, denominator
        if microbatches == 1:
            (loss, aux), grads = grad(*given, batch)
            return loss, aux, grads, denominator

        def accumulate(total, microbatch):
            new = grad(*given, microbatch)
            return jax.tree.map(jnp.add, total, new), None

        parts = jax.tree.map(lambda x: _split_rows(x, microbatches), batch)
        first = jax.tree.map(lambda x: x[0], parts)
        shapes = jax.eval_shape(grad, *given, first)
        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        ((loss, aux), grads), _ = jax.lax.scan(accumulate, zeros, parts)
        return loss, aux, grads, denominator

    def update(state, batch):
        trained, frozen = lora.split(state.params)
        loss, (losses, metrics), grads, denominator = gradient(
            trained, frozen, state.teacher, batch
        )
        grad_norm = optax.tree.norm(grads)
        some = functools.reduce(jnp.maximum, jax.tree.leaves(denominator)) > 0
        learns = some & jnp.isfinite(grad_norm) & jnp.isfinite(loss)
        trained, teacher_params, opt_state = jax.lax.cond(
            learns,
            lambda: _step(optimizer, ema_rate, ema_every, state, trained, grads),
            lambda: (trained, state.teacher_params, state.opt_state),
        )
        skipped = (~learns).astype(jnp.int32)
        metrics = {name: _value(metric) for name, metric in metrics.items()} | {
            "loss": loss,
            "grad_norm": grad_norm,
            "skipped": skipped.astype(jnp.float32),
            **_by_part("denominator", denominator),
            **(_by_part("loss", losses) if isinstance(losses, dict) else {}),
        }
        params = lora.join(trained, frozen)
        state = TrainState(
            params, teacher_params, opt_state, state.step + 1, state.skipped + skipped
        )
        return state, metrics

    out = {} if shardings is None else {"out_shardings": (shardings, None)}
    return jax.jit(update, donate_argnums=0, **out)


def move_teacher(teacher: Any, student: Any, rate: float) -> Any:
    """Exponential moving average in the teacher's precision."""
    return jax.tree.map(lambda t, s: t + rate * (s.astype(t.dtype) - t), teacher, student)


def _step(optimizer, ema_rate, ema_every, state, trained, grads):
    updates, opt_state = optimizer.update(grads, state.opt_state, trained)
    trained = optax.apply_updates(trained, updates)
    teacher_params = state.teacher_params
    if teacher_params is not None and ema_rate:
        if ema_every > 1:
            ema_rate = jnp.where((state.step + 1) % ema_every == 0, ema_rate, 0.0)
        teacher_params = move_teacher(teacher_params, trained, ema_rate)
    return trained, teacher_params, opt_state


def _split_rows(x, count):
    """[N, ...] -> [count, N / count, ...], each part with rows of every device."""
    if x.shape[0] % count:
        raise ValueError(f"a batch of {x.shape[0]} rows does not split into {count} microbatches")
    parts = x.reshape(x.shape[0] // count, count, *x.shape[1:]).swapaxes(0, 1)
    return shard_rows(parts, axis=1)


def _by_part(name: str, sums: Sums) -> dict[str, jax.Array]:
    if isinstance(sums, dict):
        return {f"{name}/{part}": value.astype(jnp.float32) for part, value in sums.items()}
    return {name: sums.astype(jnp.float32)}


def _value(metric: Mean):
    return metric.total / metric.count
