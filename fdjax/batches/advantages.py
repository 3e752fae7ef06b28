"""Rewards of attempts, and their advantages over the other attempts of a group."""

from typing import NamedTuple

import numpy as np

from fdjax.types import DECIDED, Group


class Outcomes(NamedTuple):
    """Of B groups of G attempts."""

    proved: np.ndarray  # f32[B, G], 1 or 0
    decided: np.ndarray  # bool[B, G], False where the attempt could not be verified
    finished: np.ndarray  # bool[B, G], False where the budget ended the attempt
    lengths: np.ndarray  # i32[B, G], tokens that the model wrote


def outcomes(groups: list[Group]) -> Outcomes:
    shape = (len(groups), len(groups[0]) if groups else 0)
    pairs = [(attempt, verdict) for group in groups for _, attempt, verdict, _ in group]

    def array(values, dtype) -> np.ndarray:
        return np.array(list(values), dtype).reshape(shape)

    return Outcomes(
        proved=array((verdict.proved for _, verdict in pairs), np.float32),
        decided=array((verdict.status in DECIDED for _, verdict in pairs), bool),
        finished=array((attempt.finished for attempt, _ in pairs), bool),
        lengths=array((sum(attempt.trained) for attempt, _ in pairs), np.int32),
    )


def informative_groups(groups: list[Group], rewards: np.ndarray) -> list[Group]:
    """The groups with two different rewards f[B, G] among the attempts that Lean decided on."""
    skipped = zero_variance(rewards, outcomes(groups).decided)
    return [group for group, skip in zip(groups, skipped) if not skip]


def overlong(lengths: np.ndarray, budget: int, buffer: int) -> np.ndarray:
    """The penalty f[...] in [-1, 0] of responses that reach the last `buffer` tokens of their
    budget: 0 up to them, -1 at the end (DAPO, equation 13).
    """
    return np.minimum((budget - buffer - lengths) / buffer, 0.0)


def zero_variance(rewards: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """bool[B]: groups without two different rewards f[B, G] among the valid bool[B, G]."""
    low = np.where(valid, rewards, np.inf).min(1, initial=np.inf)
    high = np.where(valid, rewards, -np.inf).max(1, initial=-np.inf)
    return low >= high


def advantages(rewards: np.ndarray, valid: np.ndarray, *, use_std: bool = False) -> np.ndarray:
    """f32[B, G]: r - mean over the group, with `use_std` over (std + 1e-4) (sample std, as TRL).

    rewards f[B, G]. Samples that are not valid bool[B, G] (timeouts, crashes) are left out of mean
    and std; they and zero-variance groups get 0. Without std: Dr.GRPO (Liu et al. 2025).
    """
    rewards = np.asarray(rewards, np.float64)
    count = valid.sum(1, keepdims=True)
    mean = np.where(valid, rewards, 0).sum(1, keepdims=True) / np.maximum(count, 1)
    centred = np.where(valid, rewards - mean, 0)
    if use_std:
        std = np.sqrt((centred**2).sum(1, keepdims=True) / np.maximum(count - 1, 1))
        centred = centred / (std + 1e-4)
    return np.where(zero_variance(rewards, valid)[:, None], 0, centred).astype(np.float32)
