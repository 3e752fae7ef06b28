import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import differences, log_softmax

from fdjax.objectives import divergence as dv
from fdjax.objectives.chunked import chunked_sum

ALPHAS = (0.0, 0.3, 1.0)


def reference(alpha, z, teacher_z):
    """D(p, q) in float64, from the definition."""
    logq, logp = log_softmax(z), log_softmax(teacher_z)
    q, p = np.exp(logq), np.exp(logp)

    def kl(a, b):  # 0 log 0 = 0
        return np.sum(np.where(a > 0, a * (np.log(np.where(a > 0, a, 1)) - np.log(b)), 0), -1)

    if alpha == 0:
        return (p * (logp - logq)).sum(-1)
    if alpha == 1:
        return (q * (logq - logp)).sum(-1)
    m = (1 - alpha) * q + alpha * p
    return (1 - alpha) * kl(q, m) + alpha * kl(p, m)


def logits(scale=2.0, shape=(3, 4, 7), seed=0):
    rng = np.random.default_rng(seed)
    return scale * rng.normal(size=shape), scale * rng.normal(size=shape)


def gradient(alpha, z, teacher_z):
    return jax.jit(jax.grad(lambda z: dv.divergence(z, teacher_z, alpha).sum()))(z)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_value_and_gradient_in_float64(alpha):
    z, teacher_z = logits()
    with jax.enable_x64(True):
        value = dv.divergence(jnp.array(z), jnp.array(teacher_z), alpha)
        slope = gradient(alpha, jnp.array(z), jnp.array(teacher_z))
    np.testing.assert_allclose(value, reference(alpha, z, teacher_z), atol=1e-12)
    expected = differences(lambda z: reference(alpha, z, teacher_z).sum(), z)
    np.testing.assert_allclose(slope, expected, atol=1e-8)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_float32_against_float64_up_to_huge_logits(alpha, scale):
    z, teacher_z = logits(scale)
    z32, teacher_z32 = np.float32(z), np.float32(teacher_z)
    slope = gradient(alpha, jnp.array(z32), jnp.array(teacher_z32))
    with jax.enable_x64(True):
        exact = gradient(alpha, jnp.array(z32, float), jnp.array(teacher_z32, float))
    assert np.isfinite(slope).all()
    np.testing.assert_allclose(slope, exact, atol=1e-4 * max(np.abs(exact).max(), 1e-6))


@pytest.mark.parametrize("alpha", ALPHAS)
def test_one_hot_teacher(alpha):
    z, _ = logits()
    teacher_z = np.where(np.arange(7) == 2, 0.0, -1e9)[None, None] + np.zeros(z.shape)
    value = dv.divergence(jnp.float32(z), jnp.float32(teacher_z), alpha)
    assert np.isfinite(value).all()
    assert np.isfinite(gradient(alpha, jnp.float32(z), jnp.float32(teacher_z))).all()
    if alpha == 0:  # cross-entropy with the label 2
        np.testing.assert_allclose(value, -log_softmax(z)[..., 2], rtol=1e-5)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("top_k", [None, 2])
def test_nothing_to_learn_from_an_equal_teacher(alpha, top_k):
    z, _ = map(jnp.float32, logits(3.0))
    targets = jnp.zeros(z.shape[:-1], jnp.int32)

    def total(z, teacher_z):
        if top_k is not None:
            z, teacher_z = dv.coarsen(z, teacher_z, targets, top_k)
        return dv.divergence(z, teacher_z, alpha).sum()

    value, slope = jax.jit(jax.value_and_grad(total))(z, z)
    np.testing.assert_allclose(value, 0, atol=1e-5)
    np.testing.assert_allclose(slope, 0, atol=1e-6)


def coarse_reference(alpha, z, teacher_z, targets, k, support_z):
    """One token at a time: probabilities of the support's tokens and of all others together."""
    total = 0.0
    for index in np.ndindex(targets.shape):
        support = set(np.argsort(support_z[index])[-k:]) | {targets[index]}
        support |= set(np.argsort(teacher_z[index])[-k:])
        kept, rest = sorted(support), [v for v in range(z.shape[-1]) if v not in support]
        buckets = [
            np.log(np.append(np.exp(logs[kept]), np.exp(logs[rest]).sum()))
            for logs in (log_softmax(z[index]), log_softmax(teacher_z[index]))
        ]
        total += reference(alpha, *buckets)
    return total


@pytest.mark.parametrize("alpha", ALPHAS)
def test_top_k_with_tail(alpha):
    z, teacher_z = logits(shape=(2, 3, 9))
    targets = np.random.default_rng(1).integers(0, 9, (2, 3))
    with jax.enable_x64(True):

        def total(z):
            pair = dv.coarsen(z, jnp.array(teacher_z), jnp.array(targets), 2)
            return dv.divergence(*pair, alpha).sum()

        value, slope = jax.jit(jax.value_and_grad(total))(jnp.array(z))
        value = float(value)

    def expected(moved):
        return coarse_reference(alpha, moved, teacher_z, targets, 2, z)

    np.testing.assert_allclose(value, expected(z), atol=1e-12)
    np.testing.assert_allclose(slope, differences(expected, z), atol=1e-8)
    assert value < reference(alpha, z, teacher_z).sum()  # merging buckets loses information


def test_top_k_of_everything_is_the_full_divergence():
    z, teacher_z = map(jnp.float32, logits())
    pair = dv.coarsen(z, teacher_z, jnp.zeros(z.shape[:-1], jnp.int32), 7)
    for alpha in ALPHAS:
        np.testing.assert_allclose(
            dv.divergence(*pair, alpha), dv.divergence(z, teacher_z, alpha), rtol=1e-4, atol=1e-6
        )


def test_sampled_token_estimates_reverse_kl():
    """Averaged over y ~ q, value and gradient are those of KL(q||p)."""
    z, teacher_z = logits(shape=(7,))
    with jax.enable_x64(True):
        z, teacher_z = jnp.array(z), jnp.array(teacher_z)

        def one(z, y):
            return dv.sampled_divergence(dv.log_prob(z, y), dv.log_prob(teacher_z, y))

        values, slopes = jax.vmap(jax.value_and_grad(one), (None, 0))(z, jnp.arange(7))
        q = jax.nn.softmax(z)
        value, slope, expected = q @ values, q @ slopes, gradient(1.0, z, teacher_z)
    np.testing.assert_allclose(value, reference(1.0, z, teacher_z), atol=1e-12)
    np.testing.assert_allclose(slope, expected, atol=1e-12)


@pytest.mark.parametrize("chunk", [5, 1000])
def test_token_logprobs_and_their_gradients(chunk):
    rng = np.random.default_rng(0)
    hidden, head = rng.normal(size=(3, 5, 4)), rng.normal(size=(4, 6))
    targets, a, b = rng.integers(0, 6, (3, 5)), rng.normal(size=(3, 5)), rng.normal(size=(3, 5))

    def expected(hidden_and_head):
        logq = log_softmax(hidden_and_head[0] @ hidden_and_head[1] / 0.7)
        logprob = np.take_along_axis(logq, targets[..., None], -1)[..., 0]
        return logprob, -(np.exp(logq) * logq).sum(-1)

    with jax.enable_x64(True):

        def values(hidden_and_head):
            return dv.token_logprobs(
                *hidden_and_head, jnp.array(targets), temperature=0.7, chunk=chunk
            )

        def total(hidden_and_head):
            logprob, entropy = values(hidden_and_head)
            return (a * logprob + b * entropy).sum()

        args = (jnp.array(hidden), jnp.array(head))
        actual, slope = jax.jit(values)(args), jax.jit(jax.grad(total))(args)
    for x, y in zip(actual, expected((hidden, head))):
        np.testing.assert_allclose(x, y, atol=1e-12)

    def scalar(x):
        logprob, entropy = expected(x)
        return (a * logprob + b * entropy).sum()

    for x, y in zip(slope, differences(scalar, (hidden, head))):
        np.testing.assert_allclose(x, y, atol=1e-8)


@pytest.mark.parametrize("chunk", [4, 1000])
def test_chunked_sum_is_the_sum(chunk):
    """Uneven chunks, a scaled cotangent, and the same value with and without a gradient."""
    rng = np.random.default_rng(0)
    hidden, head = rng.normal(size=(2, 5, 3)), rng.normal(size=(3, 4))
    weight = rng.normal(size=(2, 5))

    def loss(hidden, head, weight, constant):
        square = (dv.to_logits(hidden, head) ** 2).sum(-1)
        return constant * (weight * square).sum(), square

    with jax.enable_x64(True):
        hidden, head, weight = map(jnp.array, (hidden, head, weight))

        def chunked(hidden, head):
            total, square = chunked_sum(loss, hidden, head, weight, 3.0, chunk=chunk)
            return -2 * total, square

        value, square = jax.jit(chunked)(hidden, head)
        slope = jax.jit(jax.value_and_grad(chunked, (0, 1), has_aux=True))
        (again, _), slopes = slope(hidden, head)
        whole = jax.grad(lambda *x: -2 * loss(*x, weight, 3.0)[0], (0, 1))(hidden, head)
    hidden, head, weight, square = map(np.asarray, (hidden, head, weight, square))
    np.testing.assert_allclose(value, again, rtol=1e-12)
    np.testing.assert_allclose(square, ((hidden @ head) ** 2).sum(-1), rtol=1e-12)
    np.testing.assert_allclose(value, -6 * (weight * square).sum(), rtol=1e-12)
    for actual, expected in zip(slopes, whole):
        np.testing.assert_allclose(actual, expected, atol=1e-12)
