"""The training state, its optimizer, and how it is created on a mesh."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from fdjax.config import OptimizerConfig
from fdjax.models import lora
from fdjax.runtime.sharding import tree_shardings

Params = Any  # a pytree of arrays

B1, B2, EPS = 0.9, 0.95, 1e-8  # of AdamW


class TrainState(NamedTuple):
    params: Params  # fp32
    # fp32 or bf16, of what is trained (lora.split); None: the student is its own teacher, or there
    # is none
    teacher_params: Params | None
    opt_state: optax.OptState
    step: jax.Array  # i32[], updates called, skipped ones included
    skipped: jax.Array  # i32[], updates without a gradient or with one that was not finite

    @property
    def teacher(self) -> Params | None:
        """All parameters of the teacher; None where `teacher_params` is."""
        if self.teacher_params is None:
            return None
        return lora.join(self.teacher_params, lora.split(self.params)[1])


# --- Optimizer -----------------------------------------------------------------------------------


def make_schedule(config: OptimizerConfig, total_updates: int) -> optax.Schedule:
    """Optimizer steps taken -> learning rate. The rate of the first step is 1/warmup of the full
    one; over the last `decay_fraction` of `total_updates` it falls linearly to 0.
    """
    decay_steps = round(config.decay_fraction * total_updates)

    def schedule(count):
        warm = jnp.minimum(1.0, (count + 1) / max(config.warmup, 1))
        left = 1.0
        if decay_steps:
            left = jnp.clip((total_updates - count) / decay_steps, 0.0, 1.0)
        return config.learning_rate * jnp.minimum(warm, left)

    return schedule


def make_optimizer(config: OptimizerConfig, total_updates: int) -> optax.GradientTransformation:
    """AdamW, whose moments are kept in `config.moments`, behind a clip of the gradient's norm."""
    clip = [] if config.clip_norm is None else [optax.clip_by_global_norm(config.clip_norm)]
    adamw = optax.adamw(
        make_schedule(config, total_updates),
        b1=B1,
        b2=B2,
        eps=EPS,
        weight_decay=config.weight_decay,
        mask=_decayed,
    )
    return optax.chain(*clip, _kept_as(config.moments, adamw))


def _decayed(params):
    """Weight decay is for matrices, not for norms and biases."""

    def is_matrix(path, _):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        return not re.search(r"(norm/scale|bias)$", name)

    return jax.tree_util.tree_map_with_path(is_matrix, params)


def _kept_as(dtype: str, optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """Computes in fp32 and keeps the floats of its state in `dtype`. The resolution of bf16, 1/256,
    is well below 1 - b2 = 1/20, the relative change of the second moment in a step.
    """

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


# --- State ---------------------------------------------------------------------------------------


def create(
    init: Callable[[jax.Array], Params],
    key: jax.Array,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    *,
    with_teacher: bool = False,
    teacher_dtype: str = "float32",
) -> TrainState:
    """A fresh state, each array created on its shards: no host or device holds a whole one."""

    def make(key):
        return from_params(init(key), optimizer, with_teacher, teacher_dtype)

    placed = tree_shardings(jax.eval_shape(make, key), mesh)
    return jax.jit(make, out_shardings=placed)(key)


def restart(
    params: Params,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    *,
    with_teacher: bool = False,
    teacher_dtype: str = "float32",
) -> TrainState:
    """A state for the next stage: these parameters (global or host arrays), all else fresh.

    A teacher starts as a copy of the student. `params` are donated.
    """

    def make(params):
        return from_params(params, optimizer, with_teacher, teacher_dtype)

    params = jax.device_put(params, tree_shardings(params, mesh))
    placed = tree_shardings(jax.eval_shape(make, params), mesh)
    return jax.jit(make, out_shardings=placed, donate_argnums=0)(params)


def from_params(
    params: Params,
    optimizer: optax.GradientTransformation,
    with_teacher: bool,
    teacher_dtype: str = "float32",
) -> TrainState:
    """A fresh state without shardings; also under `jax.eval_shape`."""
    trained, _ = lora.split(params)
    return TrainState(
        params=params,
        teacher_params=_copies(trained, teacher_dtype) if with_teacher else None,
        opt_state=optimizer.init(trained),
        step=jnp.zeros((), jnp.int32),
        skipped=jnp.zeros((), jnp.int32),
    )


def _copies(params, dtype):
    # Buffers of their own: the state is donated.
    def copy(x):
        kept = jnp.promote_types(x.dtype, dtype) if dtype == "float32" else dtype
        return jnp.array(x, kept, copy=True)

    return jax.tree.map(copy, params)


def shapes(state: TrainState) -> TrainState:
    """A ShapeDtypeStruct with its sharding per leaf: the target when a checkpoint is restored."""
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state
    )


def shardings(state: TrainState, mesh: Mesh) -> TrainState:
    """A NamedSharding per leaf, for jit's out_shardings."""
    return tree_shardings(state, mesh)
