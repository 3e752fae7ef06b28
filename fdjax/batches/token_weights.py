"""Which attempts are distilled, and the weights of their tokens that the host can compute.

Weights that depend on log-probabilities are part of the objective (objectives/distillation.py).
"""

import itertools
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from fdjax.config import DistillationConfig
from fdjax.types import DECIDED, REFUSED, Attempt, Feedback, Group, Theorem, Verdict

# Each function below is named by a choice of the config.

STATUSES = {"all": DECIDED, "failed": REFUSED}  # of the attempts that are distilled

# By the solve rate of the attempt's group. The spread of its verdicts, sqrt(p(1-p)), is also the
# weight of a group by GRPO's advantages (SC-SDPO, Liu et al. 2026).
GROUP_WEIGHTS: dict[str, Callable[[float], float]] = {
    "equal": lambda rate: 1.0,
    "spread": lambda rate: float(np.sqrt(rate * (1 - rate))),
}

# Is token `index` learned, where `first` is the index of the first wrong token, or None? Behind
# that token the teacher continues proofs unlike any that it was trained on; before it there may be
# nothing to correct (ROSD, Zhao et al. 2026).
LEARN_TOKENS: dict[str, Callable[[int, int | None], bool]] = {
    "up_to_error": lambda index, first: first is None or index <= first,
    "from_error": lambda index, first: first is not None and index >= first,
    "all": lambda index, first: True,
}


class WeightedAttempt(NamedTuple):
    """An attempt to distil."""

    theorem: Theorem
    attempt: Attempt
    feedback: Feedback
    first_error_token: int | None  # index in the response; None: no token is known to be wrong
    weights: list[float]  # per token of the response


def token_weights(config: DistillationConfig, groups: Iterable[Group]) -> list[WeightedAttempt]:
    """The attempts to distil, in order: those that ended by themselves, have a verdict that
    `distill_attempts` admits, feedback, and a token of positive weight.

    Weights of groups are divided by their mean over these attempts, so that a batch learns as much
    as with equal ones.
    """
    variants, found = config.variants, []
    for group in groups:
        rate = solve_rate(group)
        group_weight = GROUP_WEIGHTS[variants.group_weights](rate)
        if not group_weight or (
            variants.solved_below is not None and rate >= variants.solved_below
        ):
            continue
        for theorem, attempt, verdict, feedback in group:
            admitted = attempt.finished and verdict.status in STATUSES[config.distill_attempts]
            if not admitted or feedback is None or not feedback.messages:
                continue
            first = first_error_token(attempt, verdict, feedback)
            weight = config.success_weight if verdict.proved else 1.0
            learned = LEARN_TOKENS[config.learn_tokens]
            written = itertools.accumulate(attempt.trained)  # by the model, up to each token
            weights = [
                weight * float(by_model and count > variants.skip_tokens and learned(i, first))
                for i, (by_model, count) in enumerate(zip(attempt.trained, written))
            ]
            if any(weights):
                weighted = WeightedAttempt(theorem, attempt, feedback, first, weights)
                found.append((group_weight, weighted))
    mean = float(np.mean([group_weight for group_weight, _ in found] or [1.0]))
    return [
        weighted._replace(weights=[group_weight / mean * w for w in weighted.weights])
        for group_weight, weighted in found
    ]


def solve_rate(group: Group) -> float:
    """The share of proved ones of the attempts with a decided verdict; 0 if there are none."""
    proved = [verdict.proved for _, _, verdict, _ in group if verdict.status in DECIDED]
    return float(np.mean(proved or [0.0]))


def first_error_token(attempt: Attempt, verdict: Verdict, feedback: Feedback) -> int | None:
    """Index of the first wrong token: at the place that feedback names, else at that of Lean's
    first error. None where there is no such place, or no proof could be read from the response."""
    place = verdict.first_error if feedback.first_error is None else feedback.first_error
    if place is None or attempt.refusal is not None:
        return None
    return first_token_at(attempt, place)


def first_token_at(attempt: Attempt, position: int) -> int | None:
    """Index of the token whose text holds the character at `position` of `candidate.text`, in the
    turn that is judged, whichever that is; None where no token wrote that text.
    """
    starts, judged = attempt.offsets, judged_tokens(attempt)
    if not judged:
        return None
    at = max([starts[i] for i in judged if starts[i] <= position], default=starts[judged[0]])
    return next(i for i in judged if starts[i] == at)  # the first of byte tokens of a character


def judged_tokens(attempt: Attempt) -> range:
    """Indices of the tokens of the turn whose proof is judged: the model's first segment with a
    token that starts in `candidate.text` or behind it. Empty where no token wrote that text.
    """
    begin = 0
    for segment in attempt.segments:
        tokens = range(begin, begin + len(segment.tokens))
        if segment.origin == "model" and any(attempt.offsets[i] >= 0 for i in tokens):
            return tokens
        begin = tokens.stop
    return range(0)


def token_lines(attempt: Attempt) -> list[int]:
    """The line that each token begins in, counting from 0 the lines with tokens: lines of the proof
    in the turn that is judged; each other segment counts as a line.

    A chat's text before the proof counts as the proof's first line, text behind it as the last.
    """
    text, places = attempt.candidate.text, iter(attempt.offsets)
    lines = [
        (number, text.count("\n", 0, max(offset, 0)))
        for number, segment in enumerate(attempt.segments)
        for offset in itertools.islice(places, len(segment.tokens))
    ]
    numbers = {line: number for number, line in enumerate(sorted(set(lines)))}
    return [numbers[line] for line in lines]
