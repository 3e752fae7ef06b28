"""Rewards of attempts: the verdict's 1 or 0, discounted by turns, or a function of one's own."""

import math
from collections.abc import Callable

import numpy as np

from fdjax.config import ConfigError, PolicyGradientConfig
from fdjax.config.functions import load_function, source_digest
from fdjax.types import DECIDED, Attempt, Group, Theorem, Verdict

Reward = Callable[[Theorem, Attempt, Verdict], float]
_ARGUMENTS = "theorem, attempt, verdict"


def rewards(config: PolicyGradientConfig, groups: list[Group]) -> np.ndarray:
    """f64[B, G] of B groups of G attempts, before penalties; 0 where Lean came to no decision.

    1 for a proof, with `turn_discount` d that to the power of turns - 1; or what `config.reward`
    returns. Raises ConfigError where that is not a finite number.
    """
    shape = (len(groups), len(groups[0]) if groups else 0)
    reward = load_reward(config.reward) if config.reward else _of_verdict(config)
    values = [
        _checked(config.reward, reward(theorem, attempt, verdict), theorem)
        if verdict.status in DECIDED
        else 0.0
        for group in groups
        for theorem, attempt, verdict, _ in group
    ]
    return np.array(values, np.float64).reshape(shape)


def _of_verdict(config: PolicyGradientConfig) -> Reward:
    discount = config.variants.turn_discount or 1.0
    return lambda _, attempt, verdict: verdict.proved * discount ** (attempt.turns - 1)


def _checked(path: str | None, value: float, theorem: Theorem) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(
            f"reward={path!r} gave {value!r} for an attempt at theorem {theorem.id}, must be a "
            "finite number"
        )
    return number


def load_reward(path: str) -> Reward:
    """The function at `package.module:function`. Raises ConfigError that names `path`."""
    return load_function(path, _ARGUMENTS)


def reward_digest(path: str) -> str:
    """Of its source file (`source_digest`). Raises ConfigError that names `path`."""
    return source_digest(path, _ARGUMENTS)
