"""What training carries from step to step, its optimizer, and how it comes to life on a mesh."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from fdjax.models import lora
from fdjax.runtime.sharding import RULES, Rules, tree_shardings

Params = Any  # a pytree of arrays


class TrainState(NamedTuple):
    params: Params  # fp32
    # fp32, of what is trained (lora.split); None where no teacher of its own is needed
    teacher_params: Params | None
    opt_state: optax.OptState
    step: jax.Array  # i32[], updates called, skipped ones included
    skipped: jax.Array  # i32[], updates that taught nothing or were not finite

    @property
    def teacher(self) -> Params | None:
        """All of the teacher's parameters; None where it has none of its own."""
        if self.teacher_params is None:
            return None
        return lora.join(self.teacher_params, lora.split(self.params)[1])


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """AdamW; linear warm-up, then constant, then linear decay to 0 over the last part."""

    learning_rate: float = 3e-4
    total_steps: int = 0  # only needed for decay
    warmup_steps: int = 0
    decay_fraction: float = 0.0  # of total_steps, 0 = no decay
    b1: float = 0.9
    b2: float = 0.95
    eps: float = 1e-8
    weight_decay: float = 0.0  # on matrices, not on norms and biases
    clip_norm: float | None = 1.0  # of the global gradient
    moments: str = "float32"  # as which Adam's two are kept, or bfloat16

    def __post_init__(self):
        if not 0 <= self.decay_fraction <= 1:
            raise ValueError(f"optimizer: decay_fraction is {self.decay_fraction}, not in [0, 1]")
        if self.decay_fraction and self.total_steps <= 0:
            raise ValueError("optimizer: decay_fraction needs total_steps, the number of updates")
        if self.moments not in ("float32", "bfloat16"):
            known = "known are float32, bfloat16"
            raise ValueError(f"optimizer: moments is {self.moments!r}; {known}")


def make_schedule(config: OptimizerConfig) -> optax.Schedule:
    """Optimizer steps taken -> learning rate. The first step is at 1/warmup_steps of it."""
    decay_steps = round(config.decay_fraction * config.total_steps)

    def schedule(count):
        warm = jnp.minimum(1.0, (count + 1) / max(config.warmup_steps, 1))
        left = 1.0
        if decay_steps:
            left = jnp.clip((config.total_steps - count) / decay_steps, 0.0, 1.0)
        return config.learning_rate * jnp.minimum(warm, left)

    return schedule


def make_optimizer(config: OptimizerConfig) -> optax.GradientTransformation:
    clip = [] if config.clip_norm is None else [optax.clip_by_global_norm(config.clip_norm)]
    adamw = optax.adamw(
        make_schedule(config),
        b1=config.b1,
        b2=config.b2,
        eps=config.eps,
        weight_decay=config.weight_decay,
        mask=_decayed,
    )
    return optax.chain(*clip, _kept_as(config.moments, adamw))


def _kept_as(dtype: str, optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """Computes in fp32 and keeps the floats of its state in `dtype`. bf16 shows changes by 1/256,
    well below the 1 - b2 = 1/20 by which a step moves the second moment."""

    def cast(state, dtype):
        def one(x):
            return x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x

        return jax.tree.map(one, state)

    def init(params):
        return cast(optimizer.init(params), dtype)

    def update(gradients, state, params=None):
        updates, state = optimizer.update(gradients, cast(state, jnp.float32), params)
        return updates, cast(state, dtype)

    return optax.GradientTransformation(init, update)


def create(
    init: Callable[[jax.Array], Params],
    key: jax.Array,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    *,
    with_teacher: bool = False,
    rules: Rules = RULES,
) -> TrainState:
    """A fresh state, each array born where it lies: no host or device holds the whole."""

    def make(key):
        return from_params(init(key), optimizer, with_teacher=with_teacher)

    return _born_sharded(make, key, mesh, rules)


def restart(
    params: Params,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    *,
    with_teacher: bool = False,
    rules: Rules = RULES,
) -> TrainState:
    """A state for the next stage: these parameters (global or host arrays), all else fresh.

    The teacher, if there is one, starts as the student. `params` are donated.
    """

    def make(params):
        return from_params(params, optimizer, with_teacher=with_teacher)

    params = jax.device_put(params, tree_shardings(params, mesh, rules))
    return _born_sharded(make, params, mesh, rules, donate=True)


def shapes(state: TrainState) -> TrainState:
    """A ShapeDtypeStruct per leaf, with its sharding: what a checkpoint is restored as."""
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state
    )


def shardings(state: TrainState, mesh: Mesh, rules: Rules = RULES) -> TrainState:
    """A NamedSharding per leaf; for jit's out_shardings and as a checkpoint's target."""
    return tree_shardings(state, mesh, rules)


def from_params(
    params: Params, optimizer: optax.GradientTransformation, *, with_teacher: bool
) -> TrainState:
    """Not placed anywhere: also for `jax.eval_shape`."""
    trained, _ = lora.split(params)
    return TrainState(
        params=params,
        teacher_params=jax.tree.map(_copy, trained) if with_teacher else None,
        opt_state=optimizer.init(trained),
        step=jnp.zeros((), jnp.int32),
        skipped=jnp.zeros((), jnp.int32),
    )


def _born_sharded(make, argument, mesh, rules, donate=False):
    placed = tree_shardings(jax.eval_shape(make, argument), mesh, rules)
    return jax.jit(make, out_shardings=placed, donate_argnums=0 if donate else ())(argument)


def _copy(x):
    # fp32: an average moves by less than bf16 can show. A buffer of its own: states are donated.
    return jnp.array(x, jnp.promote_types(x.dtype, jnp.float32), copy=True)


def _decayed(params):
    def matrix(path, _):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        return not re.search(r"(norm/scale|bias)$", name)

    return jax.tree_util.tree_map_with_path(matrix, params)
