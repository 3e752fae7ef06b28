"""Unbiased pass@k with intervals over theorems.

An attempt that could not be verified (timeout, crash) counts as an attempt without success.
Intervals are bootstrap percentile intervals over theorems, and deterministic.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

KS = (1, 4, 16, 64)
Figures = dict[str, dict[str, float]]  # k -> {"mean", "low", "high"}


def pass_at_k(samples_T, solved_T) -> Figures:
    """The mean over theorems of the probability that at least one of k attempts is verified.

    samples_T, solved_T: int[T], attempts and verified attempts of each theorem. Of KS those are
    left out that are above the smallest number of attempts. Returns {"1": {"mean", "low", "high"},
    ...}. Raises ValueError for impossible counts.
    """
    samples_T, solved_T = _counts(samples_T, solved_T)
    return mean_figures({k: estimate(samples_T, solved_T, k) for k in KS if k <= samples_T.min()})


def paired_difference(samples_T, solved_T, samples_before_T, solved_before_T) -> Figures:
    """pass@k minus pass@k before, of the same theorems in the same order: int[T] each.

    A theorem's difficulty is in both terms and cancels, so the interval is narrower than those of
    the two figures suggest.
    """
    after = _counts(samples_T, solved_T)
    before = _counts(samples_before_T, solved_before_T)
    if len(after[0]) != len(before[0]):
        raise ValueError(f"{len(after[0])} and {len(before[0])} theorems cannot be paired")
    ks = [k for k in KS if k <= min(after[0].min(), before[0].min())]
    return mean_figures({k: estimate(*after, k) - estimate(*before, k) for k in ks})


def estimate(samples_T: np.ndarray, solved_T: np.ndarray, k: int) -> np.ndarray:
    """f64[T]: 1 - C(n-c, k) / C(n, k), the unbiased estimator of Chen et al. 2021, for k <= n.

    C(n-c, k) / C(n, k) = prod_{j < k} (1 - c / (n - j)): no term is large.
    """
    j_K = np.arange(k)
    factors_TK = 1 - solved_T[:, None] / (samples_T[:, None] - j_K)
    # If fewer than k attempts failed, one factor is 0 and those after it are negative.
    return 1 - np.prod(np.maximum(factors_TK, 0.0), axis=1)


def bootstrap(
    values_TK: np.ndarray, *, seed: int = 0, resamples: int = 10_000, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of the mean over T: (low f64[K], high f64[K])."""
    count = len(values_TK)
    rng = np.random.default_rng(seed)
    weights_RT = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
    means_RK = weights_RT @ values_TK / count
    tail = (1 - level) / 2
    return tuple(np.quantile(means_RK, [tail, 1 - tail], axis=0))


def bootstrap_seeds(
    values_STK: np.ndarray, *, seed: int = 0, resamples: int = 10_000, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of the mean over S seeds and T theorems: (low f64[K], high f64[K]).

    Each resample draws seeds and, independently, theorems with replacement: all seeds have the same
    theorems. Of seeds it draws one fewer than there are, so that the variance of their mean comes
    out right (Rao & Wu 1988); as many would give (S - 1) / S of it.
    """
    seeds, theorems, ks = values_STK.shape
    rng = np.random.default_rng(seed)
    drawn = max(1, seeds - 1)
    weights_RS = rng.multinomial(drawn, np.full(seeds, 1 / seeds), size=resamples) / drawn
    weights_RT = rng.multinomial(theorems, np.full(theorems, 1 / theorems), size=resamples)
    means_RTK = (weights_RS @ values_STK.reshape(seeds, -1)).reshape(-1, theorems, ks)
    means_RK = np.einsum("rt,rtk->rk", weights_RT, means_RTK) / theorems
    tail = (1 - level) / 2
    return tuple(np.quantile(means_RK, [tail, 1 - tail], axis=0))


def format_rate(value: Mapping[str, float]) -> str:
    """`0.312 [0.250, 0.375]`."""
    return "{mean:.3f} [{low:.3f}, {high:.3f}]".format(**value)


def format_difference(value: Mapping[str, float]) -> str:
    """`+0.062 [+0.010, +0.115]`; without the interval where it is unbounded."""
    text = "{mean:+.3f}" if np.isinf(value["low"]) else "{mean:+.3f} [{low:+.3f}, {high:+.3f}]"
    return text.format(**value)


def bold_difference(value: Mapping[str, float]) -> str:
    """As `format_difference`, between ** where the interval excludes 0."""
    text = format_difference(value)
    return f"**{text}**" if excludes_zero(value) else text


def excludes_zero(value: Mapping[str, float]) -> bool:
    return value["low"] > 0 or value["high"] < 0


def mean_figures(values: Mapping[Any, np.ndarray]) -> Figures:
    """Name -> {"mean", "low", "high"} of f64[T]: of each theorem."""
    if not values:
        return {}
    values_TK = np.stack([*values.values()], axis=1).astype(np.float64)
    low_K, high_K = bootstrap(values_TK)
    columns = zip(values, values_TK.mean(axis=0), low_K, high_K)
    return {
        str(name): {"mean": float(m), "low": float(a), "high": float(b)}
        for name, m, a, b in columns
    }


def _counts(samples_T, solved_T) -> tuple[np.ndarray, np.ndarray]:
    samples_T, solved_T = np.asarray(samples_T), np.asarray(solved_T)
    if samples_T.ndim != 1 or samples_T.shape != solved_T.shape or not samples_T.size:
        raise ValueError(
            f"pass@k needs the counts of at least one theorem, as two arrays of one "
            f"length, not {samples_T.shape} and {solved_T.shape}"
        )
    impossible_T = (solved_T < 0) | (solved_T > samples_T)
    if impossible_T.any():
        first = int(np.argmax(impossible_T))
        raise ValueError(
            f"theorem {first}: {solved_T[first]} of {samples_T[first]} attempts cannot be verified"
        )
    return samples_T, solved_T
