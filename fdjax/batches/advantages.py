"""What attempts earn, and what each is worth beside the others of its group."""

from typing import NamedTuple

import numpy as np

from fdjax.types import DECIDED, Group


class Outcomes(NamedTuple):
    """Of B groups of G attempts."""

    proved: np.ndarray  # f32[B, G], 1 or 0
    judged: np.ndarray  # bool[B, G]: did Lean decide?
    finished: np.ndarray  # bool[B, G]: False where the budget ended the attempt
    lengths: np.ndarray  # i32[B, G], tokens


def outcomes(groups: list[Group]) -> Outcomes:
    def each(figure, dtype) -> np.ndarray:
        figures = [[figure(attempt, verdict) for _, attempt, verdict, _ in g] for g in groups]
        return np.array(figures, dtype).reshape(len(groups), len(groups[0]) if groups else 0)

    return Outcomes(
        proved=each(lambda _, verdict: verdict.proved, np.float32),
        judged=each(lambda _, verdict: verdict.status in DECIDED, bool),
        finished=each(lambda attempt, _: attempt.finished, bool),
        lengths=each(lambda attempt, _: len(attempt.tokens), np.int32),
    )


def mixed(groups: list[Group]) -> list[Group]:
    """Those with a proof and a failure."""
    out = outcomes(groups)
    return [g for g, is_flat in zip(groups, flat(out.proved, out.judged)) if not is_flat]


def overlong(lengths: np.ndarray, budget: int, buffer: int) -> np.ndarray:
    """A soft penalty, f[...] in [-1, 0], on responses that run into the last `buffer` tokens of
    their budget: 0 up to it, -1 at its end (DAPO, equation 13).
    """
    return np.minimum((budget - buffer - lengths) / buffer, 0.0)


def flat(rewards: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """bool[B]: groups that teach nothing, fewer than two different rewards among the valid."""
    low = np.where(valid, rewards, np.inf).min(1, initial=np.inf)
    high = np.where(valid, rewards, -np.inf).max(1, initial=-np.inf)
    return low >= high


def advantages(rewards: np.ndarray, valid: np.ndarray, *, use_std: bool = False) -> np.ndarray:
    """f32[B, G]: r - mean over the group, with `use_std` over (std + 1e-4) (sample std, as TRL).

    rewards f[B, G]; valid bool[B, G] leaves samples (timeouts, crashes) out of mean and std: they
    get 0, as flat groups do, exactly. Without std: Dr.GRPO (Liu et al. 2025).
    """
    rewards = np.asarray(rewards, np.float64)
    count = valid.sum(1, keepdims=True)
    mean = np.where(valid, rewards, 0).sum(1, keepdims=True) / np.maximum(count, 1)
    centred = np.where(valid, rewards - mean, 0)
    if use_std:
        std = np.sqrt((centred**2).sum(1, keepdims=True) / np.maximum(count - 1, 1))
        centred = centred / (std + 1e-4)
    return np.where(flat(rewards, valid)[:, None], 0, centred).astype(np.float32)
