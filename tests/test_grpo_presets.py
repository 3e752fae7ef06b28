"""Recipes of GRPO's variants against their published formulas: from verdicts to gradient."""

import dataclasses
import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import FREE, QUICK, assert_trees_close, differences, log_softmax

from fdjax.config import policy_gradient_part, read
from fdjax.config.flags import read_recipe
from fdjax.training import sources
from fdjax.training.build import make_objective
from fdjax.types import Attempt, Candidate, Segment, Theorem, Verdict

B, G, ROWS, P, R, D, V = 3, 4, 9, 2, 6, 3, 5
PRESETS = ("dr_grpo", "dapo", "gspo", "cispo")
LENGTHS = np.array([[3, 5, 2, 4], [4, 4, 2, 3], [6, 5, 6, 1]])  # a length of R: cut off
REWARDS = np.array([[1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0]])  # the second group has no variance
PROMPTS = SimpleNamespace(
    student=lambda theorem: [1, 2],
    student_buckets=(P,),
    response_length=R,
    tokenizer=SimpleNamespace(pad_id=0),
)


def stage_of(name):
    """Without minibatches: the formulas are over all attempts."""
    stage = read(read_recipe(f"configs/{name}.py")).blocks["grpo"]
    buffer = 2 if stage.variants.overlong_buffer else None
    return dataclasses.replace(
        stage,
        prompts_per_step=B,
        samples_per_prompt=G,
        minibatches=1,
        variants=dataclasses.replace(stage.variants, overlong_buffer=buffer),
    )


@functools.cache
def groups():
    rng = np.random.default_rng(0)
    made = []
    for b in range(B):
        theorem = Theorem(id=str(b), name="t", signature=": True")
        group = []
        for g in range(G):
            length = int(LENGTHS[b, g])
            attempt = Attempt(
                theorem_id=theorem.id,
                sample=g,
                segments=(Segment(tuple(rng.integers(0, V, length).tolist())),),
                logprobs=tuple(rng.uniform(-3, -0.5, length).astype(np.float32).tolist()),
                finished=length < R,
                candidate=Candidate(""),
                offsets=(0,) * length,
            )
            verdict = Verdict("proved" if REWARDS[b, g] else "failed")
            group.append((theorem, attempt, verdict, None))
        made.append(group)
    return made


def made_batch(name):
    stage, generator = stage_of(name), SimpleNamespace(prompts=PROMPTS)
    grpo = policy_gradient_part(stage)
    to_batch = sources.policy_gradient_batches(stage, grpo, generator, score=None)
    batch, _ = to_batch(0, groups(), None)
    return batch


def parameters():
    rng = np.random.default_rng(1)
    return {"hidden": rng.normal(size=(ROWS, P + R, D)), "head": rng.normal(size=(D, V))}


@pytest.fixture(scope="module")
def actual():
    """Name -> (loss, gradient) in float64, of one program for all."""
    objectives = {name: make_objective(stage_of(name)) for name in PRESETS}

    def loss(params, objective, batch):
        total, _ = objective.loss(FREE, params, None, batch)
        return total / objective.denominator(batch)

    @functools.partial(jax.jit, compiler_options=QUICK)
    def all_of_them(params, batches):
        both = {name: (objectives[name], batches[name]) for name in PRESETS}
        return {name: jax.value_and_grad(loss)(params, *x) for name, x in both.items()}

    with jax.enable_x64(True):
        batches = {name: made_batch(name) for name in PRESETS}
        batches = jax.tree.map(
            lambda x: jnp.asarray(x, jnp.float64 if x.dtype == np.float32 else None), batches
        )
        return jax.tree.map(np.asarray, all_of_them(parameters(), batches))


def responses(params, kept, at=None):
    """(b, g, length, log q, the same at `at`, log q_old) of the attempts of the groups `kept`."""
    hidden, row = params["hidden"], 0
    for b in kept:
        for g in range(G):
            attempt = groups()[b][g][1]
            tokens = np.array(attempt.tokens)
            each = []
            for p in (params, params if at is None else at):
                hidden = p["hidden"][row, P - 1 : P - 1 + len(tokens)]
                each.append(log_softmax(hidden @ p["head"])[np.arange(len(tokens)), tokens])
            yield b, g, len(tokens), *each, np.array(attempt.logprobs)
            row += 1


def over_std(rewards):
    """As published; the advantages of a batch are float32."""
    mean, std = rewards.mean(1, keepdims=True), rewards.std(1, ddof=1, keepdims=True)
    return np.float32((rewards - mean) / (std + 1e-4)).astype(float)


INFORMATIVE = (0, 2)


def dr_grpo(params, at):
    """Liu et al. 2025: 1 / (all responses * budget), no std. Zero-variance groups add nothing."""
    advantages = REWARDS - REWARDS.mean(1, keepdims=True)
    total = 0.0
    for b, g, _, logq, _, old in responses(params, INFORMATIVE):
        rho, a = np.exp(logq - old), advantages[b, g]
        total += np.minimum(rho * a, np.clip(rho, 0.8, 1.2) * a).sum()
    return -total / (B * G * R)


def dapo(params, at):
    """Yu et al. 2025, equations 8 and 13, rewards halved; without zero-variance groups."""
    exceeding = (R - 2) - LENGTHS
    penalty = np.where(LENGTHS <= R - 2, 0, exceeding / 2)
    advantages = over_std(REWARDS + 0.5 * penalty)
    total = tokens = 0.0
    for b, g, length, logq, _, old in responses(params, INFORMATIVE):
        rho, a = np.exp(logq - old), advantages[b, g]
        total += np.minimum(rho * a, np.clip(rho, 0.8, 1.28) * a).sum()
        tokens += length
    return -total / tokens


def gspo(params, at):
    """Zheng et al. 2025, equations 5 and 7: a mean over all responses."""
    advantages = over_std(REWARDS)
    total = 0.0
    for b, g, length, logq, _, old in responses(params, INFORMATIVE):
        s, a = np.exp((logq - old).sum() / length), advantages[b, g]
        total += min(s * a, np.clip(s, 1 - 3e-4, 1 + 4e-4) * a)
    return -total / (B * G)


def cispo(params, at):
    """MiniMax-M1 2025, equations 4 and 5, over the groups that have a gradient."""
    advantages = over_std(REWARDS)
    total = tokens = 0.0
    for b, g, length, logq, still, old in responses(params, INFORMATIVE, at):
        total += (np.minimum(np.exp(still - old), 5) * advantages[b, g] * logq).sum()
        tokens += length
    return -total / tokens


@pytest.mark.parametrize("formula", [dr_grpo, dapo, gspo, cispo], ids=lambda f: f.__name__)
def test_presets_are_as_published(actual, formula):
    params = parameters()
    value, slope = actual[formula.__name__]
    np.testing.assert_allclose(value, formula(params, params), rtol=1e-8)
    exact = differences(lambda moved: formula(moved, params), params)
    assert max(np.abs(x).max() for x in exact.values()) > 1e-3
    assert_trees_close(slope, exact, atol=1e-7)
