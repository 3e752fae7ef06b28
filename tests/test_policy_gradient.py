import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import FREE, QUICK, assert_trees_close, differences, log_softmax
from tiny_updates import policy_gradient

from fdjax.objectives.policy_gradient import PolicyGradientBatch

N, P, R, D, V = 5, 2, 5, 3, 6
EACH = dict(temperature=0.8, chunk=8, responses=7)


def example():
    """Ratios on both sides of every bound, advantages of both signs; the last row is padding."""
    rng = np.random.default_rng(0)
    params = {"hidden": rng.normal(size=(N, P + R, D)), "head": rng.normal(size=(D, V))}
    mask = rng.random((N, R)) < 0.8
    mask[:, 0], mask[-1] = True, False

    def some(around=-1.7):
        return np.where(mask, around + rng.uniform(-1.2, 1.2, (N, R)), -np.inf)

    batch = PolicyGradientBatch(
        student_tokens=rng.integers(0, V, (N, P + R)),
        student_attention_mask=np.ones((N, P + R), bool),
        loss_mask=mask,
        generator_logprobs=some(),
        old_logprobs=None,
        advantages=np.array([1.0, -0.7, 0.3, -1.1, 5.0]),
        reference_logprobs=some(),
    )
    responses_ratio = np.exp([[0.6], [0.8], [-0.3], [-0.5], [0.0]])
    old = some(logprobs(params, batch, EACH["temperature"]) - np.log(responses_ratio))
    return params, batch._replace(old_logprobs=old)


def logprobs(params, batch, temperature):
    logs = log_softmax(params["hidden"][:, P - 1 : -1] @ params["head"] / temperature)
    return np.take_along_axis(logs, batch.student_tokens[:, P:, None], -1)[..., 0]


def expected_loss(o, params, batch, at=None):
    """One token at a time, from the definitions; what has no gradient is taken at `at`."""
    logq = logprobs(params, batch, o.temperature)
    still = logprobs(params if at is None else at, batch, o.temperature)
    total = 0.0
    for i in range(N):
        own = np.flatnonzero(batch.loss_mask[i])
        a, old = batch.advantages[i], batch.old_logprobs[i]
        for t in own:
            rho, still_rho = np.exp(logq[i, t] - old[t]), np.exp(still[i, t] - old[t])
            if o.surrogate == "cispo":
                bounded = min(max(still_rho, 1 - o.clip_low), 1 + o.clip_high)
                gain = bounded * a * logq[i, t]
            else:
                s = np.exp(np.mean(logq[i, own] - old[own])) if o.surrogate == "gspo" else rho
                gain = min(s * a, min(max(s, 1 - o.clip_low), 1 + o.clip_high) * a)
                if a < 0 and o.dual_clip is not None:
                    gain = max(gain, o.dual_clip * a)
            if o.is_clip is not None:
                gain *= min(np.exp(old[t] - batch.generator_logprobs[i, t]), o.is_clip)
            loss = -gain
            if batch.reference_logprobs is not None:
                gap = logq[i, t] - batch.reference_logprobs[i, t]
                loss += (o.kl_coefficient or 0) * {
                    "k1": 0.0,
                    "k2": still_rho * gap**2 / 2,
                    "k3": rho * (np.exp(-gap) + gap - 1),
                }[o.kl]
            total += loss / (len(own) if o.aggregation == "sequence_mean" else 1)
    return total


SETTINGS = [
    {},
    {"aggregation": "sequence_mean", "dual_clip": 1.6, "is_clip": 1.2},
    {"aggregation": "constant", "kl": "k2", "kl_coefficient": 0.3},
    {"kl": "k3", "kl_coefficient": 0.3, "is_clip": 1.2},
    {"surrogate": "gspo", "aggregation": "sequence_mean"},
    {"surrogate": "gspo", "dual_clip": 1.4, "is_clip": 1.2, "kl_coefficient": 0.3},
    {"surrogate": "cispo"},
    {"surrogate": "cispo", "is_clip": 1.2, "kl": "k2", "kl_coefficient": 0.3},
]
OBJECTIVES = [policy_gradient(**EACH | settings) for settings in SETTINGS]
PPO, CAPPED, GSPO, CISPO = (OBJECTIVES[i] for i in (0, 3, 4, 6))
each_setting = pytest.mark.parametrize("objective", OBJECTIVES, ids=[str(s) for s in SETTINGS])


@functools.partial(jax.jit, compiler_options=QUICK)
def all_of_them(params, batch):
    """One program for all settings, which XLA compiles in a third of the time of as many."""

    def value_and_gradient(objective):
        loss = lambda params: objective.loss(FREE, params, None, batch)  # noqa: E731
        return jax.value_and_grad(loss, has_aux=True)(params)

    return [value_and_gradient(objective) for objective in OBJECTIVES]


def value_and_gradient(objective, params, batch, dtype):
    """(loss, {name: mean}, gradient) in `dtype`."""

    def cast(tree):
        return jax.tree.map(lambda x: jnp.asarray(x, None if x.dtype != float else dtype), tree)

    with jax.enable_x64(dtype == jnp.float64):
        results = all_of_them(cast(params), cast(batch))
        (value, metrics), slope = results[OBJECTIVES.index(objective)]
        means = {name: float(m.total / m.count) for name, m in metrics.items()}
    return float(value), means, jax.tree.map(np.asarray, slope)


@each_setting
def test_loss_and_gradient(objective):
    params, batch = example()
    value, _, slope = value_and_gradient(objective, params, batch, jnp.float64)
    np.testing.assert_allclose(value, expected_loss(objective, params, batch), rtol=1e-8)
    exact = differences(lambda p: expected_loss(objective, p, batch, at=params), params)
    assert_trees_close(slope, exact, atol=1e-7)
    _, _, slope32 = value_and_gradient(objective, params, batch, jnp.float32)
    assert_trees_close(slope32, slope, atol=1e-4 * max(np.abs(x).max() for x in exact.values()))


@each_setting
def test_the_example_meets_every_bound(objective):
    params, batch = example()
    bounds = [
        field for field in ("dual_clip", "is_clip", "kl_coefficient") if getattr(objective, field)
    ]
    for field in ("clip_low", "clip_high", *bounds):
        looser = dataclasses.replace(objective, **{field: getattr(objective, field) + 0.1})
        assert expected_loss(looser, params, batch) != expected_loss(objective, params, batch)


@each_setting
def test_extreme_ratios_stay_finite(objective):
    """Also where nothing is learned and the columns hold what is no number at all."""
    params, batch = example()
    rng = np.random.default_rng(2)

    def some():
        values = rng.choice([-1e4, -40.0, -1e-6, 0.0], (N, R))
        return np.where(batch.loss_mask, values, np.nan)

    batch = batch._replace(
        generator_logprobs=some(), old_logprobs=some(), reference_logprobs=some()
    )
    for scale in (1.0, 300.0):
        large = {name: scale * x for name, x in params.items()}
        value, _, slope = value_and_gradient(objective, large, batch, jnp.float32)
        assert np.isfinite(value)
        for gradient in slope.values():
            assert np.isfinite(gradient).all()
        assert not slope["hidden"][-1].any()  # padding


@pytest.mark.parametrize("objective", [PPO, CAPPED, GSPO, CISPO])
def test_metrics(objective):
    params, batch = example()
    _, metrics, _ = value_and_gradient(objective, params, batch, jnp.float64)
    mask = batch.loss_mask
    logq = logprobs(params, batch, 0.8)

    def gap(other):
        return np.where(mask, logq - np.where(mask, other, 0), 0)

    log_rho, to_reference = gap(batch.old_logprobs), gap(batch.reference_logprobs)
    if objective.surrogate == "gspo":
        log_rho = log_rho.sum(1, keepdims=True) / np.maximum(mask.sum(1, keepdims=True), 1)
    rho = np.broadcast_to(np.exp(log_rho), mask.shape)
    clipped = np.where(batch.advantages[:, None] > 0, rho > 1.28, rho < 0.8)
    if objective.surrogate == "cispo":
        clipped = (rho > 1.28) | (rho < 0.8)
    assert 0 < clipped[mask].mean() < 1
    expected = {
        "ratio": rho,
        "ratio_square": rho**2,
        "clip_fraction": clipped,
        "approx_kl": rho - 1 - np.log(rho),
        "generator_gap": np.abs(gap(batch.generator_logprobs)),
        "reference_kl": np.exp(-to_reference) + to_reference - 1,
    }
    if objective.is_clip is not None:
        expected["generator_ratio"] = np.exp(
            gap(batch.generator_logprobs) - gap(batch.old_logprobs)
        )
    assert 0 < metrics["entropy"] < np.log(V) and metrics.keys() == expected.keys() | {"entropy"}
    for name, token in expected.items():
        np.testing.assert_allclose(metrics[name], token[mask].mean(), rtol=1e-8, err_msg=name)


@pytest.mark.parametrize("objective", [PPO, GSPO, CISPO])
def test_on_policy_gradient_is_reinforce(objective):
    """At q = q_old nothing is bounded: the gradient is sum A d log q, for each surrogate."""
    params, batch = example()
    batch = batch._replace(old_logprobs=logprobs(params, batch, 0.8))
    weight = np.where(batch.loss_mask, batch.advantages[:, None], 0)
    if objective.aggregation == "sequence_mean":
        weight = weight / np.maximum(batch.loss_mask.sum(1, keepdims=True), 1)
    exact = differences(lambda moved: -(weight * logprobs(moved, batch, 0.8)).sum(), params)
    _, _, slope = value_and_gradient(objective, params, batch, jnp.float64)
    assert_trees_close(slope, exact, atol=1e-7)


@pytest.mark.parametrize("kl", ["k2", "k3"])
def test_kl_estimates_have_the_gradient_of_the_divergence(kl):
    """Off policy, in expectation over what was sampled: that of KL(q || reference)."""
    rng = np.random.default_rng(1)
    params = {"hidden": rng.normal(size=(1, 2, D)), "head": rng.normal(size=(D, V))}
    generator, reference = log_softmax(rng.normal(size=V)), log_softmax(rng.normal(size=V))

    def divergence(params):
        logq = log_softmax(params["hidden"][0, 0] @ params["head"])
        return (np.exp(logq) * (logq - reference)).sum()

    each_token = PolicyGradientBatch(
        student_tokens=np.stack([np.zeros(V, int), np.arange(V)], 1)[:, None],
        student_attention_mask=np.ones((V, 1, 2), bool),
        loss_mask=np.ones((V, 1, 1), bool),
        generator_logprobs=generator[:, None, None],
        old_logprobs=generator[:, None, None],
        advantages=np.zeros((V, 1)),
        reference_logprobs=reference[:, None, None],
    )
    objective = policy_gradient(kl=kl, kl_coefficient=1.0, chunk=8)
    with jax.enable_x64(True):
        slope = jax.jit(jax.grad(lambda p, b: objective.loss(FREE, p, None, b)[0]))
        slopes = jax.vmap(slope, (None, 0))(params, each_token)
    mean = jax.tree.map(lambda x: np.tensordot(np.exp(generator), x, 1), slopes)
    assert_trees_close(mean, differences(divergence, params), atol=1e-7)


def test_denominators():
    _, batch = example()
    size = {"token_mean": batch.loss_mask.sum(), "sequence_mean": 7, "constant": 7 * R}
    no_advantage = batch._replace(advantages=np.array([0.0, 0, 0, 0, 5]))  # the last row is padding
    for aggregation, expected in size.items():
        objective = policy_gradient(aggregation=aggregation, responses=7)
        assert objective.denominator(batch) == expected
        assert objective.denominator(no_advantage) == 0
        held = policy_gradient(aggregation=aggregation, responses=7, kl_coefficient=0.1)
        assert held.denominator(no_advantage) == expected


def test_logprobs_are_those_of_the_loss():
    params, batch = example()
    with jax.enable_x64(True):
        actual = jax.jit(policy_gradient(**EACH).logprobs, static_argnums=0)(FREE, params, batch)
    np.testing.assert_allclose(actual, logprobs(params, batch, 0.8), rtol=1e-8)
