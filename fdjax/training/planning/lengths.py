"""Assumed lengths of prompts and answers, and how many steps of decoding such answers take."""

import statistics
from typing import NamedTuple

import numpy as np

from fdjax.rollout.scheduler import Shapes


class Lengths(NamedTuple):
    """Tokens of N attempts, without padding."""

    prompt_N: np.ndarray  # i64
    teacher_N: np.ndarray  # i64: the teacher's prompts
    response_N: np.ndarray  # i64


def lognormal(count: int, mean: float, longest: int, sigma: float, seed: int) -> np.ndarray:
    """i64[count]: quantiles of a lognormal distribution with this spread, cut off at `longest`,
    scaled so that their mean is `mean`, in an order drawn from `seed`.
    """
    normal = statistics.NormalDist()
    z = np.array([normal.inv_cdf((i + 0.5) / count) for i in range(count)])
    low, high = 1e-3 * mean, 1e3 * max(mean, longest)
    if mean < longest:
        for _ in range(100):  # the scale whose cut-off values have this mean
            middle = np.sqrt(low * high)
            short = np.minimum(middle * np.exp(sigma * z), longest).mean() < mean
            low, high = (middle, high) if short else (low, middle)
    lengths = np.clip(np.round(np.minimum(low * np.exp(sigma * z), longest)), 1, longest)
    lengths = lengths if mean < longest else np.full(count, longest)
    return np.random.default_rng(seed).permutation(lengths.astype(np.int64))


class Schedule(NamedTuple):
    """What the engine does for a step's attempts."""

    steps: int  # of decoding, all slots together
    chunks: int
    prefills: int
    inserts: int


def schedule(shapes: Shapes, response_N: np.ndarray, samples_per_prompt: int) -> Schedule:
    """As `rollout/scheduler.py` fills slots: a chunk ends early where enough of them are free."""
    queue, left = list(response_N), np.zeros(0, np.int64)
    steps = chunks = inserts = 0
    prompts = -(-len(queue) // samples_per_prompt)
    while queue or len(left):
        while queue and len(left) < shapes.slots:
            taken = min(shapes.slots - len(left), shapes.starts, len(queue))
            left, queue = np.concatenate([left, queue[:taken]]), queue[taken:]
            inserts += 1
        enough = shapes.starts if queue else shapes.slots
        missing = enough - (shapes.slots - len(left))  # that must end for the chunk to end early
        ended = np.sort(left)[missing - 1]
        run = int(min(shapes.chunk, ended))
        left = left[left > run] - run
        steps, chunks = steps + run, chunks + 1
    return Schedule(steps, chunks, -(-prompts // shapes.prompts), inserts)
