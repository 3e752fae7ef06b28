"""Each preset against its method's published formula, written out in float64.

Batches come from the stage's source: the choice of attempts, their weights and the normalisation
are part of what is tested.
"""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from presets import preset
from tiny_model import FREE, QUICK, log_softmax

from fdjax.config import read
from fdjax.training.build import make_objective
from fdjax.training.sources import distillation_batches
from fdjax.types import Attempt, Candidate, Feedback, Message, Segment, Theorem, Verdict

N, P, Q, R, D, V = 6, 3, 4, 7, 5, 120
PROMPTS = types.SimpleNamespace(
    tokenizer=types.SimpleNamespace(pad_id=0),
    student_buckets=(P,),
    teacher_buckets=(Q,),
    response_length=R,
    student=lambda theorem: [1, 2],
    teacher=lambda theorem, feedback: ([1, 2, 3], 0),
)


def stage_of(name):
    return read(preset(name)).blocks["fd"]


def groups():
    """Three theorems with two attempts each, of 4 to 7 tokens; some proved, some with errors."""
    rng = np.random.default_rng(0)
    groups = []
    for t in range(3):
        theorem = Theorem(id=str(t), name="t", signature=": True")
        group = []
        for proved in (t == 1, t > 0):
            tokens = rng.integers(3, V, rng.integers(4, R + 1))
            proof = " by\n  " + "a" * len(tokens)
            attempt = Attempt(
                theorem.id,
                len(group),
                (Segment(tuple(map(int, tokens))),),
                tuple(-rng.uniform(3, 6, len(tokens))),
                True,
                Candidate(proof),
                tuple(range(6, 6 + len(tokens))),
            )
            verdict = (
                Verdict("proved")
                if proved
                else Verdict("failed", (Message("error", "no", start=7, end=8),))
            )
            group.append((theorem, attempt, verdict, Feedback(("no",), "test")))
        groups.append(group)
    return groups


# --- The formulas. z: the student's logits; before: the same where they count as constants --------


def kl_terms(logp, logq):
    return np.exp(logp) * (logp - logq)


def jensen_shannon(logq, logp, beta):
    """GKD's equation, with its beta the teacher's share: beta KL(p||m) + (1-beta) KL(q||m)."""
    logm = np.log(beta * np.exp(logp) + (1 - beta) * np.exp(logq))
    return beta * kl_terms(logp, logm) + (1 - beta) * kl_terms(logq, logm)


def sdpo(z, before, teacher_z, attempts):
    total = count = 0
    for i, attempt in enumerate(attempts):
        for t, y in enumerate(attempt.tokens):
            logq, logp, old = map(log_softmax, (z[i, t], teacher_z[i, t], before[i, t]))
            top = np.argsort(before[i, t])[-100:]
            pair = []
            for log in (logq, logp):
                tail = np.log(-np.expm1(np.log(np.exp(log[top]).sum())))
                pair.append(np.append(log[top], tail))
            ratio = min(np.exp(np.clip(old[y] - attempt.logprobs[t], -20, 20)), 2)
            total += ratio * jensen_shannon(*pair, 0.5).sum()
            count += 1
    return total / count


def opsd(z, before, teacher_z, attempts):
    total = count = 0
    for i, attempt in enumerate(attempts):
        for t in range(len(attempt.tokens)):
            logq, logp = log_softmax(z[i, t] / 1.1), log_softmax(teacher_z[i, t] / 1.1)
            total += np.minimum(kl_terms(logp, logq), 0.05).sum()
            count += 1
    return total / count


def sdft(z, before, teacher_z, attempts):
    of_sequences = []
    for i, attempt in enumerate(attempts):
        losses, ratios = [], []
        for t, y in list(enumerate(attempt.tokens))[3:]:
            losses.append(kl_terms(log_softmax(teacher_z[i, t]), log_softmax(z[i, t])).sum())
            ratios.append(min(np.exp(log_softmax(before[i, t])[y] - attempt.logprobs[t]), 2))
        of_sequences.append(np.mean(ratios) * np.mean(losses))
    return np.mean(of_sequences)


def gkd(z, before, teacher_z, attempts):
    total = count = 0
    for i, attempt in enumerate(attempts):
        for t in range(len(attempt.tokens)):
            logq, logp = log_softmax(z[i, t] / 0.9), log_softmax(teacher_z[i, t] / 0.9)
            total += jensen_shannon(logq, logp, 0.5).sum()
            count += 1
    return total / count


@pytest.mark.parametrize("formula", [sdpo, opsd, sdft, gkd])
def test_preset_is_its_published_formula(formula):
    stage = stage_of(formula.__name__)
    rolled_out = groups()
    generator = types.SimpleNamespace(prompts=PROMPTS)
    batch, _ = distillation_batches(stage, generator)(0, rolled_out, None)
    objective = make_objective(stage)
    attempts = [attempt for group in rolled_out for _, attempt, _, _ in group]
    rng = np.random.default_rng(1)

    def free(prompt):
        return {"hidden": rng.normal(size=(N, prompt + R, D)), "head": rng.normal(size=(D, V))}

    params, teacher, direction = free(P), free(Q), free(P)

    def logits(params, prompt):
        return params["hidden"][:, prompt - 1 : -1] @ params["head"]

    before = logits(params, P)

    def expected(step):
        moved = jax.tree.map(lambda x, d: x + step * d, params, direction)
        return formula(logits(moved, P), before, logits(teacher, Q), attempts)

    def loss(params, teacher, batch):
        total, _ = objective.loss(FREE, params, teacher, batch)
        return total / objective.denominator(batch)

    with jax.enable_x64(True):
        batch = batch._replace(generator_logprobs=exact_logprobs(attempts))
        args = jax.tree.map(jnp.asarray, (params, teacher, batch))
        both = jax.jit(jax.value_and_grad(loss), compiler_options=QUICK)(*args)
        value, gradient = jax.tree.map(np.asarray, both)
    np.testing.assert_allclose(value, expected(0.0), rtol=1e-8)
    slope = sum(jax.tree.leaves(jax.tree.map(lambda g, d: (g * d).sum(), gradient, direction)))
    eps = 1e-5
    np.testing.assert_allclose(slope, (expected(eps) - expected(-eps)) / (2 * eps), atol=1e-7)


def exact_logprobs(attempts):
    """The batch holds them in float32."""
    rows = np.zeros((N, R))
    for i, attempt in enumerate(attempts):
        rows[i, : len(attempt.logprobs)] = attempt.logprobs
    return rows


def test_defaults_that_no_formula_shows():
    """Teacher, sampling, batch."""
    sdpo, opsd, sdft, gkd = map(stage_of, ("sdpo", "opsd", "sdft", "gkd"))
    assert (sdpo.teacher, sdpo.ema_rate, sdpo.variants.ema_per) == ("ema", 0.05, "batch")
    assert (sdft.teacher, sdft.ema_rate, sdft.variants.ema_per) == ("ema", 0.01, "update")
    assert opsd.teacher == gkd.teacher == "frozen"
    assert (sdpo.prompts_per_step, sdpo.samples_per_prompt) == (32, 8)
    for stage in (opsd, sdft):
        assert (stage.prompts_per_step, stage.samples_per_prompt) == (32, 1)
    assert [stage.temperature for stage in (sdpo, opsd, sdft, gkd)] == [1.0, 1.1, 1.0, 0.9]
