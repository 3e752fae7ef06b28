"""One update: microbatches, gradient, optimizer, teacher. Pure and jitted."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from fdjax.models import lora
from fdjax.objectives.protocol import Batch, Model, Objective, Sums
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

    Of a model with adapters only these are trained and averaged (fdjax/models/lora.py). The
    gradient is that of the loss over the whole batch, whatever `microbatches` (which must
    divide the rows). teacher += ema_rate * (student - teacher) after each update whose
    number is a multiple of `ema_every`, unless it is skipped; rate 0 keeps the teacher frozen.

    An update is skipped, and counted in `state.skipped`, if nothing in the batch has a gradient or
    the gradient is not finite: optimizer and teacher keep their state. Call under
    `jax.set_mesh(mesh)` on a mesh of several devices and pass the state's `shardings`, so that
    they stay as they are.

    Metrics: the objective's means (NaN over nothing), `loss`, `grad_norm` (before clipping),
    `denominator` and `skipped` (0 or 1). A loss of several parts has `loss/NAME` and
    `denominator/NAME` of each, in place of `denominator`.
    """

    def loss_and_metrics(trained, frozen, teacher_params, denominator, batch):
        params = lora.join(trained, frozen)
        total, metrics = objective.loss(model, params, teacher_params, batch)
        losses = jax.tree.map(lambda t, d: t / jnp.maximum(d, 1), total, denominator)
        return functools.reduce(jnp.add, jax.tree.leaves(losses)), (losses, metrics)

    def gradient(trained, frozen, teacher_params, batch):
        denominator = objective.denominator(batch)
        grad = functools.partial(
            jax.value_and_grad(loss_and_metrics, has_aux=True),
            *(trained, frozen, teacher_params, denominator),
        )
        if microbatches == 1:
            return *grad(batch), denominator

        def accumulate(total, microbatch):
            return jax.tree.map(jnp.add, total, grad(microbatch)), None

        parts = jax.tree.map(lambda x: _split_rows(x, microbatches), batch)
        shapes = jax.eval_shape(grad, jax.tree.map(lambda x: x[0], parts))
        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        total, _ = jax.lax.scan(accumulate, zeros, parts)
        return *total, denominator

    def update(state, batch):
        trained, frozen = lora.split(state.params)
        (loss, (losses, metrics)), grads, denominator = gradient(
            trained, frozen, state.teacher, batch
        )
        grad_norm = optax.tree.norm(grads)
        has_gradient = functools.reduce(jnp.maximum, jax.tree.leaves(denominator)) > 0
        learns = has_gradient & jnp.isfinite(grad_norm) & jnp.isfinite(loss)

        def learn():
            updates, opt_state = optimizer.update(grads, state.opt_state, trained)
            student, rate = optax.apply_updates(trained, updates), ema_rate
            if state.teacher_params is None or not ema_rate:
                return student, state.teacher_params, opt_state
            if ema_every > 1:
                rate = jnp.where((state.step + 1) % ema_every == 0, ema_rate, 0.0)
            return student, move_teacher(state.teacher_params, student, rate), opt_state

        def skip():
            return trained, state.teacher_params, state.opt_state

        student, teacher_params, opt_state = jax.lax.cond(learns, learn, skip)
        skipped = (~learns).astype(jnp.int32)
        metrics = {name: mean.total / mean.count for name, mean in metrics.items()} | {
            "loss": loss,
            "grad_norm": grad_norm,
            "skipped": skipped.astype(jnp.float32),
            **_by_part("denominator", denominator),
            **(_by_part("loss", losses) if isinstance(losses, dict) else {}),
        }
        params = lora.join(student, frozen)
        state = TrainState(
            params, teacher_params, opt_state, state.step + 1, state.skipped + skipped
        )
        return state, metrics

    out = {} if shardings is None else {"out_shardings": (shardings, None)}
    return jax.jit(update, donate_argnums=0, **out)


def move_teacher(teacher, student, rate: float | jax.Array):
    """Exponential moving average in the teacher's precision."""
    return jax.tree.map(lambda t, s: t + rate * (s.astype(t.dtype) - t), teacher, student)


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
