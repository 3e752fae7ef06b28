import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from divergence_reference import coarse_reference, reference
from tiny_model import QUICK, differences, log_softmax

from fdjax.config.read import ESTIMATOR_ALPHA
from fdjax.models.transformer import to_logits
from fdjax.objectives import divergence as dv
from fdjax.objectives.chunked import chunked_map, chunked_sum

ALPHAS = (0.0, 0.3, 1.0)


def logits(scale=2.0, shape=(3, 4, 7), seed=0):
    rng = np.random.default_rng(seed)
    return scale * rng.normal(size=shape), scale * rng.normal(size=shape)


def gradient(alpha, z, teacher_z, entry_clip=None):
    def total(z):
        return dv.divergence(z, teacher_z, alpha, entry_clip).sum()

    return jax.jit(jax.grad(total), compiler_options=QUICK)(z)


CLIPS = pytest.mark.parametrize("entry_clip", [None, 0.05])


@pytest.mark.parametrize("alpha", ALPHAS)
@CLIPS
def test_value_and_gradient_in_float64(alpha, entry_clip):
    z, teacher_z = logits()
    with jax.enable_x64(True):
        value = dv.divergence(jnp.array(z), jnp.array(teacher_z), alpha, entry_clip)
        slope = gradient(alpha, jnp.array(z), jnp.array(teacher_z), entry_clip)
    np.testing.assert_allclose(value, reference(alpha, z, teacher_z, entry_clip), atol=1e-12)
    expected = differences(lambda z: reference(alpha, z, teacher_z, entry_clip).sum(), z)
    np.testing.assert_allclose(slope, expected, atol=1e-8)
    if entry_clip is not None:
        assert (value < reference(alpha, z, teacher_z)).any()


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("scale", [1.0, 1e4])
@CLIPS
def test_float32_against_float64_up_to_huge_logits(alpha, scale, entry_clip):
    z, teacher_z = logits(scale)
    z32, teacher_z32 = np.float32(z), np.float32(teacher_z)
    slope = gradient(alpha, jnp.array(z32), jnp.array(teacher_z32), entry_clip)
    with jax.enable_x64(True):
        exact = gradient(alpha, jnp.array(z32, float), jnp.array(teacher_z32, float), entry_clip)
    assert np.isfinite(slope).all()
    np.testing.assert_allclose(slope, exact, atol=1e-4 * max(np.abs(exact).max(), 1e-6))


@pytest.mark.parametrize("alpha", ALPHAS)
@CLIPS
def test_one_hot_teacher(alpha, entry_clip):
    z, _ = logits()
    teacher_z = np.where(np.arange(7) == 2, 0.0, -1e9)[None, None] + np.zeros(z.shape)
    value = dv.divergence(jnp.float32(z), jnp.float32(teacher_z), alpha, entry_clip)
    assert np.isfinite(value).all()
    assert np.isfinite(gradient(alpha, jnp.float32(z), jnp.float32(teacher_z), entry_clip)).all()
    if alpha == 0 and entry_clip is None:  # cross-entropy with the label 2
        np.testing.assert_allclose(value, -log_softmax(z)[..., 2], rtol=1e-5)


@pytest.mark.parametrize("alpha", ALPHAS)
@CLIPS
def test_nothing_to_learn_from_an_equal_teacher(alpha, entry_clip):
    z, _ = map(jnp.float32, logits(3.0))
    targets = jnp.zeros(z.shape[:-1], jnp.int32)

    def total(z, teacher_z):
        pairs = [dv.coarsen(z, teacher_z, targets, 2, "union", tail) for tail in (True, False)]
        values = [dv.divergence(*pair, alpha, entry_clip) for pair in [(z, teacher_z), *pairs]]
        return sum(weight * value.sum() for weight, value in zip((1.0, 2.5, 0.7), values))

    value, slope = jax.jit(jax.value_and_grad(total), compiler_options=QUICK)(z, z)
    np.testing.assert_allclose(value, 0, atol=1e-5)
    np.testing.assert_allclose(slope, 0, atol=1e-6)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_top_k(alpha):
    z, teacher_z = logits(shape=(2, 3, 9))
    targets = np.random.default_rng(1).integers(0, 9, (2, 3))
    kinds = list(itertools.product(("union", "student", "teacher"), (True, False)))
    with jax.enable_x64(True):

        def totals(z):
            args = jnp.array(teacher_z), jnp.array(targets), 2
            pairs = [dv.coarsen(z, *args, support, tail) for support, tail in kinds]
            return jnp.array([dv.divergence(*pair, alpha).sum() for pair in pairs])

        both = jax.jit(lambda z: (totals(z), jax.jacrev(totals)(z)), compiler_options=QUICK)
        values, slopes = map(np.array, both(jnp.array(z)))

    for (support, tail), value, slope in zip(kinds, values, slopes):

        def expected(moved, kind=(support, tail)):
            return coarse_reference(alpha, moved, teacher_z, targets, 2, z, *kind)

        np.testing.assert_allclose(value, expected(z), atol=1e-12)
        np.testing.assert_allclose(slope, differences(expected, z), atol=1e-8)
        if tail:  # merging buckets loses information
            assert value < reference(alpha, z, teacher_z).sum()


def test_top_k_of_everything_is_the_full_divergence():
    z, teacher_z = map(jnp.float32, logits())
    pair = dv.coarsen(z, teacher_z, jnp.zeros(z.shape[:-1], jnp.int32), 7)
    for alpha in ALPHAS:
        np.testing.assert_allclose(
            dv.divergence(*pair, alpha), dv.divergence(z, teacher_z, alpha), rtol=1e-4, atol=1e-6
        )


def estimates(estimator, z, teacher_z, clip=None):
    """(values f[V], gradients f[V, V]) by the token y that was sampled."""

    def one(z, y):
        logprobs = dv.log_prob(z, y), dv.log_prob(teacher_z, y)
        return dv.sampled_divergence(estimator, *logprobs, clip)

    of_each = jax.vmap(jax.value_and_grad(one), (None, 0))
    return jax.jit(of_each, compiler_options=QUICK)(z, jnp.arange(z.size))


@pytest.mark.parametrize("estimator, alpha", [("k1", 1.0), ("k2", 1.0), ("k3", 0.0)])
def test_estimators_on_average(estimator, alpha):
    """Over y ~ q: the gradient is that of `alpha`, the value reverse KL."""
    assert ESTIMATOR_ALPHA[estimator] == alpha
    z, teacher_z = logits(shape=(7,))
    gap = log_softmax(z) - log_softmax(teacher_z)
    q = np.exp(log_softmax(z))
    with jax.enable_x64(True):
        z, teacher_z = jnp.array(z), jnp.array(teacher_z)
        values, slopes = map(np.asarray, estimates(estimator, z, teacher_z))
        expected = gradient(alpha, z, teacher_z)
    np.testing.assert_allclose(q @ slopes, expected, atol=1e-12)
    value = (q * gap**2).sum() / 2 if estimator == "k2" else reference(1.0, z, teacher_z)
    np.testing.assert_allclose(q @ values, value, atol=1e-12)


@pytest.mark.parametrize("estimator", dv.ESTIMATORS)
def test_a_bounded_gap_keeps_its_slope(estimator):
    z, teacher_z = logits(10.0, shape=(7,))
    gap = np.clip(log_softmax(z) - log_softmax(teacher_z), -3, 3)
    value, factor = {
        "k1": (gap, gap),
        "k2": (gap**2 / 2, gap),
        "k3": (np.exp(-gap) - 1 + gap, 1 - np.exp(-gap)),
    }[estimator]
    with jax.enable_x64(True):
        values, slopes = estimates(estimator, jnp.array(z), jnp.array(teacher_z), 3.0)
    assert (np.abs(gap) == 3).sum() > 2
    np.testing.assert_allclose(values, value, atol=1e-12)
    expected = factor[:, None] * (np.eye(7) - np.exp(log_softmax(z)))
    np.testing.assert_allclose(slopes, expected, atol=1e-12)


@pytest.mark.parametrize("estimator", dv.ESTIMATORS)
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_estimators_are_finite(estimator, scale):
    z, teacher_z = map(jnp.float32, logits(scale, shape=(7,)))
    for x in estimates(estimator, z, teacher_z):
        assert np.isfinite(x).all()
    values, slopes = estimates(estimator, z, z)
    assert not values.any() and not slopes.any()


@pytest.mark.parametrize("chunk", [5, 1000])
def test_log_prob_and_entropy_in_chunks_and_their_gradients(chunk):
    rng = np.random.default_rng(0)
    hidden, head = rng.normal(size=(3, 5, 4)), rng.normal(size=(4, 6))
    targets, a, b = rng.integers(0, 6, (3, 5)), rng.normal(size=(3, 5)), rng.normal(size=(3, 5))

    def expected(hidden_and_head):
        logq = log_softmax(hidden_and_head[0] @ hidden_and_head[1] / 0.7)
        logprob = np.take_along_axis(logq, targets[..., None], -1)[..., 0]
        return logprob, -(np.exp(logq) * logq).sum(-1)

    def of_chunk(hidden, head, targets):
        logits = to_logits(hidden, head, 0.7)
        return dv.log_prob(logits, targets), dv.entropy(logits)

    with jax.enable_x64(True):

        def values(hidden_and_head):
            return chunked_map(of_chunk, *hidden_and_head, jnp.array(targets), chunk=chunk)

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
    """Uneven chunks, a scaled cotangent, the same value with and without a gradient, and tokens
    that do not count.
    """
    rng = np.random.default_rng(0)
    hidden, head = rng.normal(size=(2, 5, 3)), rng.normal(size=(3, 4))
    where = np.array([[0, 1, 0, 0, 1], [0, 0, 1, 0, 0]], bool)
    weight = rng.normal(size=(2, 5)) * where

    def loss(hidden, head, weight, constant):
        square = (to_logits(hidden, head) ** 2).sum(-1)
        return constant * (weight * square).sum(), square

    with jax.enable_x64(True):
        hidden, head, weight = map(jnp.array, (hidden, head, weight))

        def chunked(hidden, head):
            total, square = chunked_sum(
                loss, hidden, head, weight, 3.0, where_NR=where, chunk=chunk
            )
            return -2 * total, square

        value, square = jax.jit(chunked)(hidden, head)
        slope = jax.jit(jax.value_and_grad(chunked, (0, 1), has_aux=True))
        (again, _), slopes = slope(hidden, head)
        whole = jax.grad(lambda *x: -2 * loss(*x, weight, 3.0)[0], (0, 1))(hidden, head)
    hidden, head, weight, square = map(np.asarray, (hidden, head, weight, square))
    np.testing.assert_allclose(value, again, rtol=1e-12)
    expected_square = ((hidden @ head) ** 2).sum(-1)
    np.testing.assert_allclose(square[where], expected_square[where], rtol=1e-12)
    assert (square == 0).sum() == (6 if chunk == 4 else 5)  # of chunks that are skipped
    np.testing.assert_allclose(value, -6 * (weight * square).sum(), rtol=1e-12)
    for actual, expected in zip(slopes, whole):
        np.testing.assert_allclose(actual, expected, atol=1e-12)
