"""One update: gradients of microbatches, optimizer, teacher. Pure and jitted."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fdjax.models import lora
from fdjax.objectives.protocol import Batch, Metrics, Model, Objective, Params, Sums
from fdjax.training.state import TrainState


class Gradient(NamedTuple):
    """Summed over microbatches so far."""

    of_trained: Params  # f32, as the parameters that are trained
    loss: jax.Array  # f32[]


class Update(NamedTuple):
    """The jitted parts of an update. `learn` calls them.

    zeros: state -> a gradient of nothing.
    accumulate: (state, gradient, microbatch, denominator) -> (gradient, (loss or {part: loss},
    metrics)); the gradient passed in is donated.
    apply: (state, gradient, has_gradient bool[]) -> (state, metrics); the state is donated.
    """

    zeros: Callable[[TrainState], Gradient]
    accumulate: Callable[[TrainState, Gradient, Batch, Sums], tuple[Gradient, tuple[Sums, Metrics]]]
    apply: Callable[[TrainState, Gradient, jax.Array], tuple[TrainState, dict[str, jax.Array]]]


def make_update(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    model: Model,
    *,
    ema_rate: float = 0.0,
    ema_every: int = 1,
    shardings: TrainState | None = None,
) -> Update:
    """Of a model with adapters only these are trained and averaged (fdjax/models/lora.py).

    teacher += ema_rate * (student - teacher) after each update whose number is a multiple of
    `ema_every`, unless it is skipped; rate 0 keeps the teacher frozen. An update is skipped, and
    counted in `state.skipped`, if nothing in the batch has a gradient or the gradient is not
    finite: optimizer and teacher keep their state. Call under `jax.set_mesh(mesh)` on a mesh of
    several devices and pass the state's `shardings`, so that they stay as they are.
    """

    def loss_and_metrics(trained, frozen, teacher_params, denominator, batch):
        params = lora.join(trained, frozen)
        total, metrics = objective.loss(model, params, teacher_params, batch)
        losses = jax.tree.map(lambda t, d: t / jnp.maximum(d, 1), total, denominator)
        return functools.reduce(jnp.add, jax.tree.leaves(losses)), (losses, metrics)

    def zeros(state):
        trained, _ = lora.split(state.params)
        return Gradient(jax.tree.map(jnp.zeros_like, trained), jnp.zeros(()))

    def accumulate(state, gradient, microbatch, denominator):
        trained, frozen = lora.split(state.params)
        (loss, found), of_trained = jax.value_and_grad(loss_and_metrics, has_aux=True)(
            trained, frozen, state.teacher, denominator, microbatch
        )
        return jax.tree.map(jnp.add, gradient, Gradient(of_trained, loss)), found

    def apply(state, gradient, has_gradient):
        trained, frozen = lora.split(state.params)
        grads, loss = gradient
        grad_norm = optax.tree.norm(grads)
        learns = has_gradient & jnp.isfinite(grad_norm) & jnp.isfinite(loss)

        def learn():
            updates, opt_state = optimizer.update(grads, state.opt_state, trained)
            student, rate = optax.apply_updates(trained, updates), ema_rate
            if state.teacher_params is None or not ema_rate:
                return student, state.teacher_params, opt_state
            if ema_every > 1:
                rate = jnp.where((state.step + 1) % ema_every == 0, ema_rate, 0.0)
            teacher_params = move_teacher(state.teacher_params, student, rate, state.step)
            return student, teacher_params, opt_state

        def skip():
            return trained, state.teacher_params, state.opt_state

        student, teacher_params, opt_state = jax.lax.cond(learns, learn, skip)
        skipped = (~learns).astype(jnp.int32)
        params = lora.join(student, frozen)
        state = TrainState(
            params, teacher_params, opt_state, state.step + 1, state.skipped + skipped
        )
        metrics = {"loss": loss, "grad_norm": grad_norm, "skipped": skipped.astype(jnp.float32)}
        return state, metrics

    out: tuple[dict, ...] = ({}, {}, {})
    if shardings is not None:
        placed = Gradient(lora.split(shardings.params)[0], shardings.step)
        out = tuple({"out_shardings": x} for x in (placed, (placed, None), (shardings, None)))
    return Update(
        jax.jit(zeros, **out[0]),
        jax.jit(accumulate, donate_argnums=1, **out[1]),
        jax.jit(apply, donate_argnums=0, **out[2]),
    )


def has_gradient(denominator: Sums) -> bool:
    return any(d > 0 for d in jax.tree.leaves(denominator))


def learn(
    update: Update, state: TrainState, microbatches: Sequence[Batch], denominator: Sums
) -> tuple[TrainState, "Learned"]:
    """One update from a batch in `microbatches`, whose loss has the whole batch's `denominator`.
    The state passed in is donated.
    """
    gradient, found = update.zeros(state), []
    denominator = jax.tree.map(np.float32, denominator)
    for microbatch in microbatches:
        own = denominator
        if isinstance(denominator, dict):  # a microbatch may have some of the parts
            own = {part: denominator[part] for part in microbatch}
        gradient, sums = update.accumulate(state, gradient, microbatch, own)
        found.append(sums)
    state, metrics = update.apply(state, gradient, np.bool_(has_gradient(denominator)))
    return state, Learned(metrics, found, denominator)


class Learned(NamedTuple):
    """What `learn` leaves on the device; `figures` makes metrics of it on the host."""

    metrics: dict[str, jax.Array]
    microbatches: list[tuple[Sums, Metrics]]
    denominator: Sums


def figures(learned: Learned) -> dict[str, float]:
    """Of host arrays: the objective's means (NaN over nothing), `loss`, `grad_norm` (before
    clipping), `denominator` and `skipped` (0 or 1). A loss of several parts has `loss/NAME` and
    `denominator/NAME` of each, in place of `denominator`.
    """
    sums: dict[str, list] = {}
    for _, metrics in learned.microbatches:
        for name, mean in metrics.items():
            total = sums.setdefault(name, [0.0, 0.0])
            total[0] += float(mean.total)
            total[1] += float(mean.count)
    values = {name: total / count if count else math.nan for name, (total, count) in sums.items()}
    values |= {name: float(value) for name, value in learned.metrics.items()}
    if not isinstance(learned.denominator, dict):
        return values | {"denominator": float(learned.denominator)}
    for part, denominator in learned.denominator.items():
        losses = [float(loss[part]) for loss, _ in learned.microbatches if part in loss]
        values |= {f"loss/{part}": sum(losses), f"denominator/{part}": float(denominator)}
    return values


# --- Teacher -------------------------------------------------------------------------------------


def move_teacher(
    teacher: Params, student: Params, rate: float | jax.Array, step: jax.Array
) -> Params:
    """Exponential moving average in the teacher's dtypes.

    Most of its movements are less than bf16 resolves. There it is computed in fp32 and rounded up
    or down by chance, right in the mean: by random bits that depend on `step` i32[], on the place
    of the parameter in the tree and on that of the element in it, but on no mesh.
    """
    key = jax.random.fold_in(jax.random.key(0, impl="threefry2x32"), step)

    def move(number, t, s):
        if t.dtype != jnp.bfloat16:
            return t + rate * (s.astype(t.dtype) - t)
        t = t.astype(jnp.float32)
        return round_by_chance(t + rate * (s - t), jax.random.fold_in(key, number))

    leaves, structure = jax.tree.flatten(teacher)
    moved = map(move, range(len(leaves)), leaves, jax.tree.leaves(student))
    return jax.tree.unflatten(structure, moved)


def round_by_chance(x: jax.Array, key: jax.Array) -> jax.Array:
    """f32 -> bf16, finite: to one of the two nearest values, whose mean is x (stochastic rounding).
    What bf16 has stays as it is.
    """
    # bf16 is the upper half of fp32: with 16 random bits added, the lower half carries into it as
    # often as it is large.
    bits = jax.lax.bitcast_convert_type(x, jnp.uint32)
    bits += jax.random.bits(key, x.shape, jnp.uint16).astype(jnp.uint32)
    return jax.lax.bitcast_convert_type((bits >> 16).astype(jnp.uint16), jnp.bfloat16)
