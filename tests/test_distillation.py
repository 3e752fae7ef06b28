import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from divergence_reference import coarse_reference, reference
from tiny_model import FREE, QUICK, assert_trees_close, differences, log_softmax
from tiny_updates import distillation

from fdjax.objectives.distillation import DistillationBatch

N, P, Q, R, D, V = 4, 2, 3, 5, 3, 6
OBJECTIVES = {  # each option at least once
    "forward": {},
    "jensen shannon, lines": dict(alpha=0.4, temperature=0.7, line_cap=1.2, chunk=3),
    "reverse, trust region": dict(alpha=1.0, is_clip=None, trust_rate=0.3, chunk=3),
    "top k, mean of sequences": dict(top_k=2, aggregation="sequence_mean"),
    "top k, reverse": dict(alpha=1.0, top_k=1, temperature=1.3),
    "top k of the teacher": dict(alpha=0.5, top_k=3, support="teacher", tail=False),
    "k1, ratio of the sequence": dict(
        alpha=1.0, estimator="k1", ratio_mean="sequence", is_clip=1.2
    ),
    "k2": dict(alpha=1.0, estimator="k2", temperature=0.7),
    "k3": dict(estimator="k3", token_clip=1.5),
    "entry clip": dict(entry_clip=0.1),
    "clips of a top k": dict(alpha=0.5, entry_clip=0.05, token_clip=0.1, top_k=2),
    "many": dict(
        alpha=0.5,
        top_k=2,
        support="student",
        token_clip=0.4,
        ratio_mean="sequence",
        line_cap=1.0,
        aggregation="sequence_mean",
        trust_rate=0.3,
        temperature=0.7,
    ),
}
OBJECTIVES = {name: distillation(**{"chunk": 8} | fields) for name, fields in OBJECTIVES.items()}


def example():
    """Free hidden states, and a batch with gaps in its weights and a row of padding."""
    rng = np.random.default_rng(0)
    params = {"hidden": rng.normal(size=(N, P + R, D)), "head": rng.normal(size=(D, V))}
    teacher = {"hidden": rng.normal(size=(N, Q + R, D)), "head": rng.normal(size=(D, V))}
    response = rng.integers(0, V, (N, R))
    tokens, teacher_tokens = np.zeros((N, P + R), int), np.zeros((N, Q + R), int)
    tokens[:, P:] = teacher_tokens[:, Q:] = response
    wrote = rng.random((N, R)) < 0.8
    wrote[:, 0] = True
    wrote[-1] = False
    weights = wrote * rng.uniform(0.5, 2, (N, R))
    weights[0, 3:] = 0
    batch = DistillationBatch(
        student_tokens=tokens,
        student_attention_mask=np.ones((N, P + R), bool),
        teacher_tokens=teacher_tokens,
        teacher_attention_mask=np.ones((N, Q + R), bool),
        response_mask=wrote,
        weights=weights,
        # Nothing may be read where the weight is 0.
        generator_logprobs=np.where(wrote, rng.uniform(-3, -0.5, (N, R)), -np.inf),
        first_error_token=np.array([2, R, 0, R]),
        lines=np.array([[0, 0, 1, 1, 1], [0, 1, 1, 2, 3], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]),
    )
    return params, teacher, batch


def logits(objective, params, columns):
    return params["hidden"][:, columns - 1 : -1] @ params["head"] / objective.temperature


def at(z, y):
    return np.take_along_axis(log_softmax(z), y[..., None], -1)[..., 0]


def divergences(o, z, teacher_z, y, before):
    """f[N, R] from the definitions; `before`: the student's logits that count as constants."""
    if o.estimator != "full":
        gap = at(before, y) - at(teacher_z, y)
        gap = np.clip(gap, -(o.token_clip or np.inf), o.token_clip or np.inf)
        value, factor = {
            "k1": (gap, gap),
            "k2": (gap**2 / 2, gap),
            "k3": (np.exp(-gap) - 1 + gap, 1 - np.exp(-gap)),
        }[o.estimator]
        return value + factor * (at(z, y) - at(before, y))
    if o.top_k is None:
        D = reference(o.alpha, z, teacher_z, o.entry_clip)
    else:
        D = np.zeros(y.shape)
        for i in np.ndindex(y.shape):
            token = z[i][None], teacher_z[i][None], y[i][None], o.top_k, before[i][None]
            D[i] = coarse_reference(o.alpha, *token, o.support, o.tail, o.entry_clip)
    return D if o.token_clip is None else np.minimum(D, o.token_clip)


def expected_weights(o, logq, logp, batch):
    """f[N, R], row by row."""
    weights = np.zeros((N, R))
    for i in range(N):
        learned = np.flatnonzero(batch.weights[i] > 0)
        if not learned.size:
            continue
        ratio = np.exp(logq[i, learned] - batch.generator_logprobs[i, learned])
        ratio = 1 if o.is_clip is None else np.minimum(ratio, o.is_clip)
        if o.ratio_mean == "sequence":
            ratio = np.mean(ratio)
        weights[i, learned] = batch.weights[i, learned] * ratio
        if o.aggregation == "sequence_mean":
            weights[i, learned] /= len(learned)
        if o.line_cap is not None:  # SOD as published: a product over the steps before
            lines = sorted(set(batch.lines[i, learned]))
            steps = [[t for t in learned if batch.lines[i, t] == line] for line in lines]
            d = [np.abs(logq - logp)[i, step].mean() for step in steps]
            for k, step in enumerate(steps):
                product = np.prod([(d[u] + 1e-6) / (d[u + 1] + 1e-6) for u in range(k)])
                weights[i, step] *= min(product, o.line_cap)
    return weights


def terms(o, params, teacher, batch):
    """(student's logits, teacher's logits, sampled tokens)"""
    z, teacher_z = logits(o, params, P), logits(o, teacher, Q)
    # With FREE hidden states the student does not depend on its prompt.
    rate = o.trust_rate or 0
    teacher_z = (1 - rate) * teacher_z + rate * z
    return z, teacher_z, batch.student_tokens[:, P:]


def expected_loss(objective, params, teacher, batch):
    """A function of params in float64, whose derivative is the objective's gradient."""
    before, teacher_z, y = terms(objective, params, teacher, batch)
    weights = expected_weights(objective, at(before, y), at(teacher_z, y), batch)

    def loss(moved):
        z = logits(objective, moved, P)
        return (weights * divergences(objective, z, teacher_z, y, before)).sum()

    return loss


@functools.cache
def compiled(objective):
    def loss(params, teacher, batch):
        return objective.loss(FREE, params, teacher, batch)

    return jax.jit(jax.value_and_grad(loss, has_aux=True), compiler_options=QUICK)


def value_and_gradient(objective, params, teacher, batch, dtype):
    def cast(tree):
        return jax.tree.map(lambda x: jnp.asarray(x, None if x.dtype != float else dtype), tree)

    (value, metrics), slope = compiled(objective)(cast(params), cast(teacher), cast(batch))
    return float(value), metrics, jax.tree.map(np.asarray, slope)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_loss_and_gradient(name):
    objective = OBJECTIVES[name]
    params, teacher, batch = example()
    with jax.enable_x64(True):
        value, _, slope = value_and_gradient(objective, params, teacher, batch, jnp.float64)
    expected = expected_loss(objective, params, teacher, batch)
    np.testing.assert_allclose(value, expected(params), rtol=1e-8)
    exact = differences(expected, params)
    assert_trees_close(slope, exact, atol=1e-7)
    assert not slope["hidden"][-1].any()  # padding
    _, _, slope32 = value_and_gradient(objective, params, teacher, batch, jnp.float32)
    largest = max(np.abs(x).max() for x in exact.values())
    assert_trees_close(slope32, slope, atol=1e-4 * largest)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_teachers_without_doubt_or_difference(name):
    """p = q, and p next to one-hot: finite, and in float32 what it is in float64."""
    objective = OBJECTIVES[name]
    params, teacher, batch = example()
    equal = {"hidden": params["hidden"][:, [0, *range(P + R)]], "head": params["head"]}
    _, _, slope = value_and_gradient(objective, params, equal, batch, jnp.float32)
    assert_trees_close(slope, jax.tree.map(np.zeros_like, params), atol=1e-5)

    sure = teacher | {"hidden": 30 * teacher["hidden"]}
    value, _, slope = value_and_gradient(objective, params, sure, batch, jnp.float32)
    with jax.enable_x64(True):
        exact_value, _, exact = value_and_gradient(objective, params, sure, batch, jnp.float64)
    largest = max(np.abs(x).max() for x in exact.values())
    np.testing.assert_allclose(value, exact_value, rtol=1e-4)
    assert_trees_close(slope, exact, atol=1e-4 * largest)
    for scale in (1e4, -1e4):
        one_hot = teacher | {"hidden": scale * teacher["hidden"]}
        value, metrics, slope = value_and_gradient(objective, params, one_hot, batch, jnp.float32)
        for x in jax.tree.leaves((value, slope, metrics["divergence"])):
            assert np.isfinite(x).all()


def test_the_denominator_counts_tokens_or_sequences():
    *_, batch = example()
    batch = batch._replace(weights=jnp.array(batch.weights))
    assert distillation().denominator(batch) == (batch.weights > 0).sum()
    sequences = distillation(aggregation="sequence_mean").denominator(batch)
    assert sequences == (batch.weights > 0).any(axis=1).sum() == N - 1


def test_live_teacher_is_the_student_as_a_constant():
    params, _, batch = example()
    hidden = np.concatenate([params["hidden"][:, :1], params["hidden"]], axis=1)
    constant = {"hidden": hidden, "head": params["head"]}  # Q + R columns
    live = FREE._replace(
        hidden_states=lambda params, tokens, mask: (
            params["hidden"]
            if tokens.shape[1] == P + R
            else jnp.concatenate([params["hidden"][:, :1], params["hidden"]], axis=1)
        )
    )
    objective = distillation(chunk=8, temperature=0.5)
    batch = jax.tree.map(jnp.asarray, batch)
    batch = batch._replace(generator_logprobs=jnp.float32(batch.generator_logprobs))

    def slope(model, teacher):
        grad = jax.jit(jax.grad(lambda p: objective.loss(model, p, teacher, batch)[0]))
        return grad(jax.tree.map(jnp.float32, params))

    # p = q: teacher and student see the same hidden states, and nothing is left to learn.
    assert_trees_close(slope(live, None), jax.tree.map(np.zeros_like, params), atol=1e-5)
    assert_trees_close(
        slope(FREE, jax.tree.map(jnp.float32, constant)), slope(live, None), atol=1e-6
    )


def test_metrics():
    params, teacher, batch = example()
    objective = OBJECTIVES["forward"]
    with jax.enable_x64(True):
        _, metrics, _ = value_and_gradient(objective, params, teacher, batch, jnp.float64)
        actual = {name: float(m.total / m.count) for name, m in metrics.items()}
        assert float(objective.denominator(batch)) == (batch.weights > 0).sum()
    z, teacher_z, y = terms(objective, params, teacher, batch)
    logq, logp, D = at(z, y), at(teacher_z, y), reference(0.0, z, teacher_z)
    wrote, learned = batch.response_mask, batch.weights > 0
    after = np.arange(R)[None] - batch.first_error_token[:, None]
    logs = log_softmax(params["hidden"][:, P - 1 : -1] @ params["head"])
    ratio = np.exp(logq - batch.generator_logprobs)
    expected = {
        "divergence": D[learned].mean(),
        "divergence_before": D[wrote & (after < 0)].mean(),
        "divergence_at": D[wrote & (after == 0)].mean(),
        "divergence_after": D[wrote & (after > 0)].mean(),
        "entropy": -(np.exp(logs) * logs).sum(-1)[wrote].mean(),
        "teacher_prob": np.exp(logp)[wrote].mean(),
        "ratio": ratio[learned].mean(),
        "ratio_square": (ratio[learned] ** 2).mean(),
        "ratio_capped": (ratio[learned] > 2).mean(),
        "generator_gap": np.abs(logq - batch.generator_logprobs)[wrote].mean(),
    }
    assert 0 < expected["ratio_capped"] < 1
    assert set(actual) == set(expected) | {"teacher_entropy"}
    for name in expected:
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-8, err_msg=name)
