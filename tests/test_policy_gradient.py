import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import FREE, assert_trees_close, differences, log_softmax

from fdjax.objectives.policy_gradient import PolicyGradient, PolicyGradientBatch, advantages

N, P, R, D, V = 4, 2, 5, 3, 6


def example():
    rng = np.random.default_rng(0)
    params = {"hidden": rng.normal(size=(N, P + R, D)), "head": rng.normal(size=(D, V))}
    mask = rng.random((N, R)) < 0.8
    mask[:, 0], mask[-1] = True, False
    logprobs = np.where(mask, rng.uniform(-3, -0.5, (N, R)), -np.inf)
    return params, PolicyGradientBatch(
        student_tokens=rng.integers(0, V, (N, P + R)),
        student_mask=np.ones((N, P + R), bool),
        loss_mask=mask,
        sampler_logprobs=logprobs,
        old_logprobs=logprobs + 0.1,
        advantages=np.array([1.0, -0.7, 0.3, 5.0]),
    )


def logprobs(params, batch, temperature):
    logs = log_softmax(params["hidden"][:, P - 1 : -1] @ params["head"] / temperature)
    return np.take_along_axis(logs, batch.student_tokens[:, P:, None], -1)[..., 0]


def expected_loss(objective, params, batch):
    """One token at a time, from the definition."""
    logq, total = logprobs(params, batch, objective.temperature), 0.0
    for i, t in zip(*np.nonzero(batch.loss_mask)):
        rho, a = np.exp(logq[i, t] - batch.old_logprobs[i, t]), batch.advantages[i]
        gain = min(rho * a, np.clip(rho, 1 - objective.clip_low, 1 + objective.clip_high) * a)
        length = batch.loss_mask[i].sum() if objective.aggregation == "sequence_mean" else 1
        total -= gain / length
    return total


def value_and_gradient(objective, params, batch, dtype):
    def cast(tree):
        return jax.tree.map(lambda x: jnp.asarray(x, None if x.dtype != float else dtype), tree)

    params, batch = cast(params), cast(batch)
    loss = jax.value_and_grad(lambda p: objective.loss(FREE, p, None, batch), has_aux=True)
    (value, metrics), slope = jax.jit(loss)(params)
    return float(value), metrics, jax.tree.map(np.asarray, slope)


@pytest.mark.parametrize(
    "aggregation, denominator",
    [("token_mean", "tokens"), ("sequence_mean", "rows"), ("constant", "rows * R")],
)
def test_loss_gradient_and_metrics(aggregation, denominator):
    objective = PolicyGradient(aggregation=aggregation, temperature=0.8, chunk=8)
    params, batch = example()
    with jax.enable_x64(True):
        value, metrics, slope = value_and_gradient(objective, params, batch, jnp.float64)
        metrics = {name: float(m.total / m.count) for name, m in metrics.items()}
        divisor = float(objective.denominator(batch))
    np.testing.assert_allclose(value, expected_loss(objective, params, batch), rtol=1e-8)
    exact = differences(lambda p: expected_loss(objective, p, batch), params)
    assert_trees_close(slope, exact, atol=1e-7)
    _, _, slope32 = value_and_gradient(objective, params, batch, jnp.float32)
    assert_trees_close(slope32, slope, atol=1e-4 * max(np.abs(x).max() for x in exact.values()))

    mask = batch.loss_mask
    sizes = {"tokens": mask.sum(), "rows": N - 1, "rows * R": (N - 1) * R}
    assert divisor == sizes[denominator]
    logq = logprobs(params, batch, 0.8)
    rho = np.exp(logq - batch.old_logprobs)
    up = batch.advantages[:, None] > 0
    clipped = np.where(up, rho > 1.28, rho < 0.8)
    assert 0 < clipped[mask].mean() < 1
    for name, token in {
        "ratio": rho,
        "ratio_square": rho**2,
        "clip_fraction": clipped,
        "approx_kl": rho - 1 - np.log(np.where(mask, rho, 1)),
        "sampler_gap": np.abs(logq - batch.sampler_logprobs),
    }.items():
        np.testing.assert_allclose(metrics[name], token[mask].mean(), rtol=1e-8, err_msg=name)
    assert 0 < metrics["entropy"] < np.log(V)


def test_on_policy_gradient_is_reinforce():
    """At q = q_old nothing is clipped: the gradient is sum A d log q."""
    params, batch = example()
    batch = batch._replace(old_logprobs=logprobs(params, batch, 1.0))

    def reinforce(moved):
        weight = np.where(batch.loss_mask, batch.advantages[:, None], 0)
        return -(weight * logprobs(moved, batch, 1.0)).sum()

    with jax.enable_x64(True):
        _, _, slope = value_and_gradient(PolicyGradient(chunk=8), params, batch, jnp.float64)
    assert_trees_close(slope, differences(reinforce, params), atol=1e-7)


def test_denominator_is_zero_when_nothing_is_learned():
    _, batch = example()
    flat = batch._replace(advantages=np.array([0.0, 0, 0, 5]))  # the last row is padding
    for aggregation in ("token_mean", "sequence_mean", "constant"):
        assert PolicyGradient(aggregation=aggregation).denominator(flat) == 0
    with pytest.raises(ValueError, match="token_mean"):
        PolicyGradient(aggregation="mean")


def test_advantages():
    rewards = np.array([[1, 0, 0, 1], [1, 1, 1, 0], [0, 0, 0, 1], [0, 1, 0, 0], [1, 1, 1, 1.0]])
    valid = np.ones((5, 4), bool)
    valid[1, 3] = valid[2, 3] = False  # timeouts: else neither of the two groups were flat
    valid[3] = [False, True, True, True]
    values, solved, unsolved = advantages(rewards, valid)
    np.testing.assert_allclose(
        values,
        [[0.5, -0.5, -0.5, 0.5], [0] * 4, [0] * 4, [0, 2 / 3, -1 / 3, -1 / 3], [0] * 4],
        rtol=1e-6,
    )
    assert solved.tolist() == [False, True, False, False, True]
    assert unsolved.tolist() == [False, False, True, False, False]
    scaled = advantages(rewards, valid, use_std=True).values
    np.testing.assert_allclose(scaled[3, 1:].std(ddof=1), 1, rtol=1e-3)
    np.testing.assert_array_equal(scaled[1], 0)


def test_advantages_of_a_group_without_a_verdict():
    values, solved, unsolved = advantages(np.ones((1, 3)), np.zeros((1, 3), bool), use_std=True)
    np.testing.assert_array_equal(values, 0)
    assert not solved.any() and not unsolved.any()
