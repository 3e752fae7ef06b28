"""A weighted sum of objectives, each with a denominator of its own; and objectives in turns."""

import functools

import jax
import numpy as np
import optax
import pytest
from tiny_model import bag_of_words, log_softmax
from tiny_updates import (
    OBJECTIVES,
    distillation,
    make_batch,
    policy_gradient,
    relative_distance,
    whole_update,
)

from fdjax.objectives.combined import Combined, Part
from fdjax.runtime import sharding
from fdjax.training import state

WEIGHTS = {part.name: part.weight for part in OBJECTIVES["combined"].parts}
ALONE = {part.name: part.objective for part in OBJECTIVES["combined"].parts}
INIT, MODEL = bag_of_words()
MESH = sharding.make_mesh()
OPTIMIZER = optax.sgd(1e3)  # large, so that float32 does not round the movement away


@functools.cache
def update(name):
    return whole_update(
        ALONE.get(name, OBJECTIVES["combined"]),
        OPTIMIZER,
        MODEL,
        microbatches=1 if name in ALONE else 4,
        shardings=state.shardings(start(), MESH),
    )


def start():
    """A state whose student differs from its teacher."""
    made = state.create(INIT, jax.random.key(0), OPTIMIZER, MESH, with_teacher=True)
    moved = made._replace(params=jax.tree.map(lambda x: 1.1 * x, made.params))
    return jax.device_put(moved, state.shardings(made, MESH))


def step_of(name, batch):
    """(movement of the parameters under gradient descent, metrics)"""
    made, metrics = update(name)(start(), batch)
    return jax.tree.map(lambda a, b: np.array(a) - b, made.params, start().params), metrics


def both():
    """The parts need not have the same number of rows."""
    batch = make_batch("combined")
    return batch | {"policy_gradient": jax.tree.map(lambda x: x[:4], batch["policy_gradient"])}


def test_the_gradient_is_the_weighted_sum_of_those_of_the_parts():
    batch = both()
    alone = {name: step_of(name, batch[name]) for name in ALONE}
    moved, metrics = step_of("combined", batch)
    expected = jax.tree.map(
        lambda *moves: sum(w * m for w, m in zip(WEIGHTS.values(), moves)),
        *(alone[name][0] for name in WEIGHTS),
    )
    assert relative_distance(moved, expected) < 1e-5
    total = 0
    for name, weight in WEIGHTS.items():
        loss = weight * alone[name][1]["loss"]
        np.testing.assert_allclose(metrics[f"loss/{name}"], loss, rtol=1e-5)
        denominator = alone[name][1]["denominator"]
        np.testing.assert_allclose(metrics[f"denominator/{name}"], denominator)
        total += loss
    np.testing.assert_allclose(metrics["loss"], total, rtol=1e-5)
    # A metric of one part is as it is alone; one of both is a mean over the tokens of both.
    assert metrics["divergence"] == pytest.approx(float(alone["distillation"][1]["divergence"]))
    tokens = {
        "distillation": batch["distillation"].response_mask.sum(),
        "policy_gradient": batch["policy_gradient"].loss_mask.sum(),
    }
    entropy = sum(n * float(alone[name][1]["entropy"]) for name, n in tokens.items())
    assert metrics["entropy"] == pytest.approx(entropy / sum(tokens.values()), rel=1e-5)


def test_a_kl_to_the_frozen_teacher_of_a_trust_region():
    """The loss in float64, from the definitions: forward KL from the mixed logits, and k3 to the
    frozen teacher, which is also the policy gradient's reference."""
    beta, trust = 0.2, 0.3
    gradient = policy_gradient(kl_coefficient=beta, chunk=16)
    objective = Combined(
        (
            Part("distillation", 1.0, distillation(is_clip=None, trust_rate=trust, chunk=16)),
            Part("policy_gradient", 0.5, gradient),
        )
    )
    made, batch = start(), both()
    reference = gradient.logprobs(MODEL, made.teacher_params, batch["policy_gradient"])
    batch["policy_gradient"] = batch["policy_gradient"]._replace(reference_logprobs=reference)
    fd, pg = batch.values()
    z = logits(made.params, fd.student_tokens, fd.student_attention_mask)
    own, teacher = (logits(p, fd.teacher_tokens, fd.teacher_attention_mask) for p in made[:2])
    logp, logq = log_softmax(teacher + trust * (own - teacher)), log_softmax(z)
    kl = (np.exp(logp) * (logp - logq)).sum(-1)
    expected = (kl * fd.weights).sum() / (fd.weights > 0).sum()
    log_rho, gap = (
        at(logits(made.params, pg.student_tokens, pg.student_attention_mask), pg) - other
        for other in (pg.old_logprobs, at(logits(made.teacher_params, *pg[:2]), pg))
    )
    rho, a = np.exp(log_rho), pg.advantages[:, None]
    gain = np.minimum(rho * a, np.clip(rho, 1 - gradient.clip_low, 1 + gradient.clip_high) * a)
    loss = beta * rho * (np.exp(-gap) + gap - 1) - gain
    expected += 0.5 * loss[pg.loss_mask].sum() / pg.loss_mask.sum()
    before = jax.tree.map(np.array, made.teacher_params)
    made, metrics = whole_update(objective, OPTIMIZER, MODEL)(made, batch)
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, made.teacher_params, before)


def logits(params, tokens, mask, responses=5):
    """f64[N, R, V] of the responses' tokens, by the bag of words."""
    embedding, head = (np.asarray(params[name], np.float64) for name in ("embedding", "lm_head"))
    seen = np.cumsum(mask[..., None] * embedding[tokens], axis=1)
    hidden = seen / np.maximum(np.cumsum(mask, axis=1), 1)[..., None]
    return hidden[:, -responses - 1 : -1] @ head


def at(z, batch):
    target = batch.student_tokens[:, -z.shape[1] :, None]
    return np.take_along_axis(log_softmax(z), target, -1)[..., 0]


def test_a_part_with_nothing_to_learn_leaves_the_other_alone():
    batch = both()
    no_advantage = batch["policy_gradient"]._replace(advantages=np.zeros(4, np.float32))
    moved, metrics = step_of("combined", batch | {"policy_gradient": no_advantage})
    alone, _ = step_of("combined", {"distillation": batch["distillation"]})
    assert metrics["skipped"] == 0 and relative_distance(moved, alone) < 1e-6
    nothing = batch["distillation"]._replace(weights=np.zeros((8, 5), np.float32))
    moved, metrics = step_of("combined", {"distillation": nothing, "policy_gradient": no_advantage})
    assert metrics["skipped"] == 1 and not any(x.any() for x in jax.tree.leaves(moved))


def test_parts_in_turns_compile_once_each():
    made, batch, compiled = start(), both(), []
    for turn in ("distillation", "policy_gradient") * 2:
        made, metrics = update("combined")(made, {turn: batch[turn]})
        assert f"loss/{turn}" in metrics and np.isfinite(metrics["loss"])
        compiled.append([part._cache_size() for part in update("combined").parts])
    assert compiled[1:] == [compiled[1]] * 3 and int(made.skipped) == 0
