"""Statistics of runs at several seeds: intervals over seeds and theorems, and the verdict on each
claim of the paper.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import t

from fdjax.reporting.pass_at_k import KS, bootstrap_seeds, estimate, excludes_zero

Value = dict[str, float]  # {"mean", "low", "high"}


class Method(NamedTuple):
    """One method's runs, by seed."""

    pass_STK: np.ndarray  # f64, of each theorem
    entropy_S: np.ndarray  # f64, nats per token


class Claim(NamedTuple):
    text: str
    statistics: dict[str, Value]  # each is above 0 where the claim is true
    verdict: str
    beside: Mapping[str, Value]  # worth knowing; the verdict does not depend on it


def evaluation(
    by_key: Mapping[str, Mapping], split: str, temperature: float = 1.0
) -> dict[str, Any]:
    """What `method` reads of a policy's evaluations, {key as JSON: figures}: that on `split` at the
    temperature, of most theorems if there are several.
    """
    found = [
        (key, figures)
        for text, figures in by_key.items()
        if (key := json.loads(text))["split"] == split and key["temperature"] == temperature
    ]
    key, figures = max(found, key=lambda pair: len(pair[1]["solved"]))
    return {
        "theorems": key["theorems"],
        "samples": figures["samples"],
        "solved": [figures["solved"][theorem] for theorem in sorted(figures["solved"])],
        "entropy": figures["entropy"],
    }


def method(runs: Collection[Mapping[str, Any]]) -> Method:
    """Of runs of one method, one for each seed: {"samples", "solved": by theorem, "entropy"}."""
    rates = []
    for run in runs:
        solved_T = np.array(run["solved"])
        samples_T = np.full(len(solved_T), run["samples"])
        rates.append(np.stack([estimate(samples_T, solved_T, k) for k in KS], axis=1))
    return Method(np.stack(rates), np.array([run["entropy"] for run in runs]))


def over_both(values_STK: np.ndarray) -> list[Value]:
    """Of each k: the mean, and its interval over seeds and theorems."""
    low_K, high_K = bootstrap_seeds(values_STK)
    columns = zip(values_STK.mean((0, 1)), low_K, high_K)
    return [{"mean": float(m), "low": float(a), "high": float(b)} for m, a, b in columns]


def over_seeds(values_S: np.ndarray) -> Value:
    """The mean, and Student's interval over seeds; without an interval for one seed."""
    mean, count = float(values_S.mean()), len(values_S)
    if count == 1:
        return {"mean": mean, "low": -np.inf, "high": np.inf}
    half = float(t.ppf(0.975, count - 1) * values_S.std(ddof=1)) / count**0.5
    return {"mean": mean, "low": mean - half, "high": mean + half}


def claims(methods: Mapping[str, Method]) -> list[Claim]:
    """The paper's three, as far as the methods that they are about are there."""
    found = []
    fd, grpo, both = (methods.get(name) for name in ("fd", "grpo", "fd_grpo"))
    if fd and grpo:
        seeds = len(fd.entropy_S)
        kept = {"entropy of fd minus grpo's": over_seeds(fd.entropy_S - grpo.entropy_S)}
        found.append(_claim("FD keeps more entropy than GRPO.", kept, seeds))
        gains = _by_k(fd.pass_STK - grpo.pass_STK)
        slope_ST1 = _slope(fd) - _slope(grpo)
        scales = {
            "pass@64 minus pass@1, of fd minus grpo's": over_both(slope_ST1)[0],
            "pass@64 of fd minus grpo's": gains["64"],
        }
        beside = {"pass@1 of fd minus grpo's": gains["1"]}
        found.append(_claim("FD's pass@k scales better with k than GRPO's.", scales, seeds, beside))
    if both and fd and grpo:
        above = {
            f"pass@{k} of fd_grpo minus {name}'s": value
            for name, other in (("grpo", grpo), ("fd", fd))
            for k, value in _by_k(both.pass_STK - other.pass_STK).items()
        }
        found.append(_claim("GRPO from an FD checkpoint beats both alone.", above, seeds))
    return found


def _claim(
    text: str,
    statistics: dict[str, Value],
    seeds: int,
    beside: Mapping[str, Value] | None = None,
) -> Claim:
    """Supported where all intervals are above 0, not supported where one is below; undecided with
    one seed or two, whatever they are."""
    if seeds < 3:
        return Claim(text, statistics, f"undecided (seeds: {seeds})", beside or {})
    if all(value["low"] > 0 for value in statistics.values()):
        verdict = "supported"
    elif any(value["high"] < 0 for value in statistics.values()):
        verdict = "not supported"
    else:
        verdict = "undecided"
    if len(statistics) > 1 and verdict != "supported":
        above = sum(value["low"] > 0 for value in statistics.values())
        below = sum(excludes_zero(value) for value in statistics.values()) - above
        verdict += f" ({above} of {len(statistics)} intervals above 0, {below} below)"
    return Claim(text, statistics, verdict, beside or {})


def _by_k(values_STK: np.ndarray) -> dict[str, Value]:
    return dict(zip(map(str, KS), over_both(values_STK)))


def _slope(one: Method) -> np.ndarray:
    """f64[S, T, 1]: pass@64 minus pass@1."""
    return one.pass_STK[:, :, -1:] - one.pass_STK[:, :, :1]
