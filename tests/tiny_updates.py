"""Objectives, optimizers and batches of a few rows, and updates of tiny models by them."""

import dataclasses
import functools

import jax
import numpy as np
from tiny_model import tiny_transformer

from fdjax.batches.arrays import minibatches
from fdjax.config import DistillationConfig, OptimizerConfig, PolicyGradientConfig
from fdjax.objectives.combined import Combined, Part
from fdjax.objectives.distillation import Distillation, DistillationBatch
from fdjax.objectives.policy_gradient import PolicyGradient, PolicyGradientBatch
from fdjax.objectives.supervised import Supervised, SupervisedBatch
from fdjax.runtime import sharding
from fdjax.training import state
from fdjax.training.step import figures, learn, make_update


def distillation(**changes):
    """With the config's defaults."""
    fields = _defaults(Distillation, DistillationConfig())
    return Distillation(**fields | {"temperature": 1.0, "trust_rate": None} | changes)


def policy_gradient(**changes):
    """With the config's defaults."""
    fields = _defaults(PolicyGradient, PolicyGradientConfig())
    return PolicyGradient(**fields | {"temperature": 1.0, "responses": 7} | changes)


def _defaults(objective, config):
    names = [field.name for field in dataclasses.fields(objective)]
    blocks = (config, config.variants)
    return {n: getattr(block, n) for block in blocks for n in names if hasattr(block, n)}


def adamw(total_updates=1, **changes):
    """At a constant rate, unless `changes` says otherwise."""
    config = OptimizerConfig(**{"warmup": 0, "decay_fraction": 0.0} | changes)
    return state.make_optimizer(config, total_updates)


N, P, Q, R = 8, 4, 6, 5
OBJECTIVES = {
    "distillation": distillation(chunk=16, alpha=0.5),
    "policy_gradient": policy_gradient(chunk=16),
    "supervised": Supervised(chunk=16),
    "combined": Combined(
        (
            Part("distillation", 0.5, distillation(chunk=16, alpha=0.5)),
            Part("policy_gradient", 2.0, policy_gradient(surrogate="gspo", chunk=16)),
        )
    ),
}


def make_batch(kind, N=N, P=P, Q=Q, R=R, vocab_size=64):
    if kind == "combined":
        parts = ("distillation", "policy_gradient")
        return {part: make_batch(part, N, P, Q, R, vocab_size) for part in parts}
    rng = np.random.default_rng(0)
    response = rng.integers(0, vocab_size, (N, R))
    wrote = np.arange(R)[None] < rng.integers(1, R + 1, (N, 1))
    wrote[-1] = False  # a row of padding
    weights = wrote.astype(np.float32)

    def tokens_and_mask(prompt):
        tokens = np.hstack([rng.integers(0, vocab_size, (N, prompt)), response]).astype(np.int32)
        padded = np.arange(prompt)[None] < rng.integers(0, prompt, (N, 1))  # on the left
        return tokens, np.hstack([~padded, wrote])

    tokens, mask = tokens_and_mask(P)
    logprobs = -rng.uniform(3, 5, (N, R)).astype(np.float32) * weights
    if kind == "supervised":
        return SupervisedBatch(tokens, mask, weights)
    if kind == "policy_gradient":
        advantages = rng.normal(size=N).astype(np.float32)
        return PolicyGradientBatch(tokens, mask, wrote, logprobs, logprobs, advantages, logprobs)
    teacher_tokens, teacher_mask = tokens_and_mask(Q)
    first_error_token = np.full(N, 2, np.int32)
    lines = np.sort(rng.integers(0, R, (N, R))).astype(np.int32)
    return DistillationBatch(
        tokens,
        mask,
        teacher_tokens,
        teacher_mask,
        wrote,
        weights,
        logprobs,
        first_error_token,
        lines,
    )


def whole_update(objective, optimizer, model, mesh=None, microbatches=1, **settings):
    """(state, batch) -> (state, metrics), by microbatches of every so many-th row. Its `parts` are
    the jitted functions.
    """
    parts = make_update(objective, optimizer, model, **settings)
    mesh = mesh or sharding.make_mesh()

    def update(made, batch):
        denominator = objective.denominator(sharding.fetch(batch))
        cuts = minibatches(sharding.fetch(batch), microbatches)
        made, learned = learn(parts, made, sharding.put(cuts, mesh), denominator)
        return made, figures(sharding.fetch(learned))

    update.parts = parts
    return update


def setup(
    kind,
    mesh=(1, 1, 1),
    tiny=tiny_transformer,
    optimizer=None,
    teacher=True,
    teacher_dtype="float32",
    **settings,
):
    """(update, state, batch), all on the mesh."""
    mesh = sharding.make_mesh(*mesh)
    init, model = tiny()
    optimizer = optimizer or adamw(learning_rate=1e-2)
    with_teacher = teacher and kind in ("distillation", "combined")
    made = state.create(
        init,
        jax.random.key(0),
        optimizer,
        mesh,
        with_teacher=with_teacher,
        teacher_dtype=teacher_dtype,
    )
    placed = state.shardings(made, mesh)
    update = whole_update(OBJECTIVES[kind], optimizer, model, mesh, shardings=placed, **settings)
    return update, made, sharding.put(make_batch(kind), mesh)


def relative_distance(a, b):
    """Largest norm of a difference of two leaves over the leaf's norm."""

    def distance(a, b):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        return np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-30)

    return max(jax.tree.leaves(jax.tree.map(distance, a, b)))


@functools.cache
def one_device(kind):
    """What two steps of one device, without microbatches, leave."""
    update, made, batch = setup(kind, ema_rate=0.1)
    history = []
    for _ in range(2):
        made, metrics = update(made, batch)
        history.append(sharding.fetch(metrics))
    return sharding.fetch(made), history
