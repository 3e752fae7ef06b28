"""Rewards of attempts: the verdict's 1 or 0, discounted by turns, or a function of one's own."""

import functools
import importlib
import inspect
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fdjax.config import ConfigError, PolicyGradientConfig
from fdjax.runtime.files import digest
from fdjax.types import DECIDED, Attempt, Group, Theorem, Verdict

Reward = Callable[[Theorem, Attempt, Verdict], float]


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
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(
            f"reward={path!r} gave {value!r} for an attempt at theorem {theorem.id}, must be a "
            "finite number"
        )
    return number


@functools.cache
def load_reward(path: str) -> Reward:
    """The function at `package.module:function`, found where Python finds modules, or from the
    working folder. Raises ConfigError that names `path` and what is wrong with it.
    """
    module_name, _, name = path.partition(":")
    if not module_name or not name.isidentifier():
        raise ConfigError(f"reward={path!r} must be package.module:function")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # the module's own errors, too
        raise ConfigError(f"reward={path!r}: {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise ConfigError(f"reward={path!r}: {module.__file__} has no function {name}")
    try:
        inspect.signature(function).bind(None, None, None)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"reward={path!r} must take (theorem, attempt, verdict): {error}"
        ) from error
    return function


def reward_digest(path: str) -> str:
    """Of the source file that the function stands in: what else it imports is not in it."""
    source = inspect.getsourcefile(inspect.unwrap(load_reward(path)))
    if source is None:
        raise ConfigError(f"reward={path!r} has no source file")
    return digest(Path(source).read_text(encoding="utf-8"))
