import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_divergence import coarse_reference, reference
from tiny_model import FREE, assert_trees_close, differences, log_softmax

from fdjax.objectives.distillation import Distillation, DistillationBatch

N, P, Q, R, D, V = 4, 2, 3, 5, 3, 6
OBJECTIVES = [
    Distillation(chunk=8, alpha=0.0),
    Distillation(chunk=8, alpha=0.4, temperature=0.7),
    Distillation(chunk=3, alpha=1.0, ratio_cap=None),
    Distillation(chunk=8, alpha=0.0, top_k=2),
    Distillation(chunk=8, alpha=1.0, top_k=1, temperature=1.3),
    Distillation(chunk=8, alpha=1.0, sampled_token=True),
]


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
        student_mask=np.ones((N, P + R), bool),
        teacher_tokens=teacher_tokens,
        teacher_mask=np.ones((N, Q + R), bool),
        response_mask=wrote,
        weights=weights,
        # Nothing may be read where the weight is 0.
        sampler_logprobs=np.where(wrote, rng.uniform(-3, -0.5, (N, R)), -np.inf),
        departs=np.array([2, R, 0, R]),
    )
    return params, teacher, batch


def terms(objective, params, teacher, batch):
    """Per token: (log q(y), log p(y), D), from the definitions."""
    y = batch.student_tokens[:, P:]
    z = params["hidden"][:, P - 1 : -1] @ params["head"] / objective.temperature
    teacher_z = teacher["hidden"][:, Q - 1 : -1] @ teacher["head"] / objective.temperature
    at = [np.take_along_axis(log_softmax(x), y[..., None], -1)[..., 0] for x in (z, teacher_z)]
    if objective.top_k is None:
        return *at, reference(objective.alpha, z, teacher_z)
    D = np.array([
        [
            coarse_reference(objective.alpha, *(x[i, t][None] for x in (z, teacher_z)),
                             y[i, t][None], objective.top_k, z[i, t][None])
            for t in range(R)
        ]
        for i in range(N)
    ])  # fmt: skip
    return *at, D


def expected_loss(objective, params, teacher, batch):
    """A function of params in float64, whose derivative is the objective's gradient."""
    logq, logp, _ = terms(objective, params, teacher, batch)
    ratio = np.exp(np.where(batch.weights > 0, logq - batch.sampler_logprobs, 0))
    weight = batch.weights
    if objective.ratio_cap is not None:
        weight = weight * np.minimum(ratio, objective.ratio_cap)

    def loss(moved):
        moved_logq, _, D = terms(objective, moved, teacher, batch)
        if objective.sampled_token:
            D = (logq - logp) * (1 + moved_logq - logq)
        return (weight * D).sum()

    return loss


def value_and_gradient(objective, params, teacher, batch, dtype):
    def cast(tree):
        return jax.tree.map(lambda x: jnp.asarray(x, None if x.dtype != float else dtype), tree)

    params, teacher, batch = cast(params), cast(teacher), cast(batch)
    loss = jax.value_and_grad(
        lambda params: objective.loss(FREE, params, teacher, batch), has_aux=True
    )
    (value, metrics), slope = jax.jit(loss)(params)
    return float(value), metrics, jax.tree.map(np.asarray, slope)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=range(len(OBJECTIVES)))
def test_loss_and_gradient(objective):
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
    objective = dataclasses.replace(OBJECTIVES[0], temperature=0.5)
    batch = jax.tree.map(jnp.asarray, batch)
    batch = batch._replace(sampler_logprobs=jnp.float32(batch.sampler_logprobs))

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
    objective = OBJECTIVES[0]
    with jax.enable_x64(True):
        _, metrics, _ = value_and_gradient(objective, params, teacher, batch, jnp.float64)
        actual = {name: float(m.total / m.count) for name, m in metrics.items()}
        assert float(objective.denominator(batch)) == (batch.weights > 0).sum()
    logq, logp, D = terms(objective, params, teacher, batch)
    wrote, learned = batch.response_mask, batch.weights > 0
    after = np.arange(R)[None] - batch.departs[:, None]
    logs = log_softmax(params["hidden"][:, P - 1 : -1] @ params["head"])
    ratio = np.exp(logq - batch.sampler_logprobs)
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
        "sampler_gap": np.abs(logq - batch.sampler_logprobs)[wrote].mean(),
    }
    assert 0 < expected["ratio_capped"] < 1
    assert set(actual) == set(expected) | {"teacher_entropy"}
    for name in expected:
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-8, err_msg=name)


def test_settings_that_contradict_each_other():
    with pytest.raises(ValueError, match="alpha=1"):
        Distillation(sampled_token=True)
    with pytest.raises(ValueError, match=r"alpha is 1\.5"):
        Distillation(alpha=1.5)
