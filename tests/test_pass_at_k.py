"""Against enumeration of all subsets, exact fractions and the normal approximation."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdjax.reporting.pass_at_k import bootstrap, estimate, paired_difference, pass_at_k


def test_estimate_equals_enumeration():
    for n in range(1, 8):
        for c in range(n + 1):
            attempts = [True] * c + [False] * (n - c)
            for k in range(1, n + 1):
                subsets = list(itertools.combinations(attempts, k))
                expected = sum(any(s) for s in subsets) / len(subsets)
                value = estimate(np.array([n]), np.array([c]), k)[0]
                assert value == pytest.approx(expected, abs=1e-14)


@given(st.integers(1, 3000), st.data())
def test_estimate_equals_exact_fractions(n, data):
    c = data.draw(st.integers(0, n))
    k = data.draw(st.integers(1, n))
    expected = 1 - Fraction(math.comb(n - c, k), math.comb(n, k))
    assert estimate(np.array([n]), np.array([c]), k)[0] == pytest.approx(float(expected), abs=1e-11)


def test_unbiased():
    """Its expectation over binomial counts is 1 - (1 - p)^k; that of 1 - (1 - c/n)^k is not."""
    n, p = 12, 0.2
    counts = np.arange(n + 1)
    chances = np.array([math.comb(n, c) * p**c * (1 - p) ** (n - c) for c in counts])
    for k in (1, 4, 12):
        assert chances @ estimate(np.full(n + 1, n), counts, k) == pytest.approx(1 - (1 - p) ** k)
    assert chances @ (1 - (1 - counts / n) ** 4) != pytest.approx(1 - (1 - p) ** 4, abs=1e-3)


def test_mean_over_theorems_and_its_interval():
    rng = np.random.default_rng(1)
    solved = rng.binomial(64, rng.beta(1, 2, size=400))
    figures = pass_at_k(np.full(400, 64), solved)
    assert list(figures) == ["1", "4", "16", "64"]
    assert figures["1"]["mean"] == pytest.approx(np.mean(solved / 64))
    assert figures["64"]["mean"] == np.mean(solved > 0)
    # With 400 theorems the bootstrap is close to mean +- 1.96 standard errors over theorems.
    error = 1.96 * np.std(solved / 64) / np.sqrt(400)
    assert figures["1"]["low"] == pytest.approx(figures["1"]["mean"] - error, abs=0.003)
    assert figures["1"]["high"] == pytest.approx(figures["1"]["mean"] + error, abs=0.003)


def test_bootstrap_equals_enumeration():
    """Three theorems have 27 resamples; the interval's ends are quantiles of their means."""
    values = np.array([[0.0], [0.3], [1.0]])
    low, high = bootstrap(values, resamples=200_000, level=0.8)
    means = np.sort([np.mean(s) for s in itertools.product(values[:, 0], repeat=3)])
    expected = np.quantile(means, [0.1, 0.9], method="inverted_cdf")
    np.testing.assert_allclose([low[0], high[0]], expected)


def test_paired_intervals_are_narrower():
    rng = np.random.default_rng(2)
    n = np.full(200, 32)
    chance = rng.beta(1, 2, size=200)
    before, after = rng.binomial(32, chance), rng.binomial(32, np.minimum(chance + 0.05, 1))
    difference = paired_difference(n, after, n, before)["1"]
    assert difference["mean"] == pytest.approx(np.mean(after - before) / 32)
    assert 0 < difference["low"] < difference["mean"] < difference["high"]
    one, two = pass_at_k(n, after)["1"], pass_at_k(n, before)["1"]
    assert one["low"] < two["high"]  # the two intervals alone would decide nothing
    same = paired_difference(n, after, n, after)["16"]
    assert same == {"mean": 0, "low": 0, "high": 0}


def test_differences_need_no_equal_samples():
    figures = paired_difference([8, 8], [8, 0], [4, 4], [0, 0])
    assert list(figures) == ["1", "4"] and figures["1"]["mean"] == 0.5


def test_deterministic():
    counts = [8] * 9, range(9)
    assert pass_at_k(*counts) == pass_at_k(*counts)
    values = np.arange(9.0)[:, None]
    assert bootstrap(values) == bootstrap(values) != bootstrap(values, seed=1, resamples=50)


def test_bad_counts_are_named():
    with pytest.raises(ValueError, match="theorem 1: 5 of 4"):
        pass_at_k([4, 4], [0, 5])
    with pytest.raises(ValueError, match="at least one theorem"):
        pass_at_k([], [])
    with pytest.raises(ValueError, match="2 and 1 theorems"):
        paired_difference([4, 4], [0, 1], [4], [0])
