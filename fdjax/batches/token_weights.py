"""Which attempts are distilled, and what each of their tokens weighs, as far as the host can tell.

Weights that depend on what student and teacher say are the objective's (objectives/distillation).
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from fdjax.config import ConfigError
from fdjax.types import DECIDED, REFUSED, Attempt, Feedback, Group, Theorem, Verdict

DISTILL_ATTEMPTS = {"all": DECIDED, "failed": REFUSED}  # the verdicts that each admits

# By the solve rate of the attempt's group. The spread of its verdicts, sqrt(p(1-p)), is what GRPO's
# advantages weigh a group by (SC-SDPO, Liu et al. 2026).
GROUP_WEIGHTS: dict[str, Callable[[float], float]] = {
    "equal": lambda rate: 1.0,
    "spread": lambda rate: float(np.sqrt(rate * (1 - rate))),
}

# Is token `index` within the span, given the first wrong token, or None where none is known?
# Past that one the teacher is asked about proofs unlike any that it has seen; up to it there may be
# nothing to mend (ROSD, Zhao et al. 2026).
SPANS: dict[str, Callable[[int, int | None], bool]] = {
    "up_to_error": lambda index, first_error_token: (
        first_error_token is None or index <= first_error_token
    ),
    "from_error": lambda index, first_error_token: (
        first_error_token is not None and index >= first_error_token
    ),
    "all": lambda index, first_error_token: True,
}


class Credited(NamedTuple):
    """An attempt that something is learned from."""

    theorem: Theorem
    attempt: Attempt
    feedback: Feedback
    first_error_token: int | None  # index of the first wrong token; None: none is known to be wrong
    weights: list[float]  # per token of the attempt


@dataclasses.dataclass(frozen=True)
class Credit:
    """The fields of the same names in fdjax.config. Raises ConfigError naming a bad one."""

    distill_attempts: str = "all"
    solved_below: float = 0.0
    success_weight: float = 1.0
    weights: str = "up_to_error"
    skip_tokens: int = 0
    group_weights: str = "equal"

    def __post_init__(self):
        known = {
            "distill_attempts": DISTILL_ATTEMPTS,
            "weights": SPANS,
            "group_weights": GROUP_WEIGHTS,
        }
        for field, values in known.items():
            if getattr(self, field) not in values:
                raise ConfigError(
                    f"{field} is {getattr(self, field)!r}; known are {', '.join(values)}"
                )
        if not 0 <= self.success_weight <= 1:
            raise ConfigError(f"success_weight is {self.success_weight}, must be in [0, 1]")
        if self.skip_tokens < 0:
            raise ConfigError(f"skip_tokens is {self.skip_tokens}, must not be negative")

    def give(self, groups: Iterable[Group]) -> list[Credited]:
        """Admitted attempts with a token to learn from, in order.

        Weights of groups are divided by their mean over these attempts: a batch learns as much as
        it would with equal ones.
        """
        found = [(self._of_group(group), c) for group in groups for c in self._admitted(group)]
        found = [(share, c) for share, c in found if share and any(c.weights)]
        mean = float(np.mean([share for share, _ in found] or [1.0]))
        return [c._replace(weights=[share / mean * w for w in c.weights]) for share, c in found]

    def _of_group(self, group: Group) -> float:
        return GROUP_WEIGHTS[self.group_weights](solve_rate(group))

    def _admitted(self, group: Group) -> Iterator[Credited]:
        """Attempts that ended by themselves, that Lean could judge, that have feedback."""
        if self.solved_below and solve_rate(group) >= self.solved_below:
            return
        for theorem, attempt, verdict, feedback in group:
            if (
                attempt.finished
                and verdict.status in DISTILL_ATTEMPTS[self.distill_attempts]
                and feedback is not None
            ):
                first_error_token = departure(attempt, verdict, feedback)
                weight = self.success_weight if verdict.proved else 1.0
                weights = [weight * w for w in self._of_tokens(attempt, first_error_token)]
                yield Credited(theorem, attempt, feedback, first_error_token, weights)

    def _of_tokens(self, attempt: Attempt, first_error_token: int | None) -> list[float]:
        """1 for the tokens in the span that the model wrote, less the first ones."""
        inside = SPANS[self.weights]
        return [
            float(own and i >= self.skip_tokens and inside(i, first_error_token))
            for i, own in enumerate(attempt.trained)
        ]


def solve_rate(group: Group) -> float:
    """Of the attempts that Lean could judge; 0 where there is none."""
    judged = [verdict.proved for _, _, verdict, _ in group if verdict.status in DECIDED]
    return float(np.mean(judged or [0.0]))


def departure(attempt: Attempt, verdict: Verdict, feedback: Feedback) -> int | None:
    """The first wrong token: as the feedback says, else where Lean's first error stands. None is
    known of a response without a proof, whatever the feedback takes for one."""
    if attempt.refusal is not None:
        return None
    place = verdict.first_error if feedback.first_error is None else feedback.first_error
    return None if place is None else first_token_at(attempt, place)


def first_token_at(attempt: Attempt, position: int) -> int:
    """Index of the token whose text holds the character at `position` of the proof."""
    starts = attempt.offsets
    at = max([start for start in starts if start <= position], default=starts[0])
    return starts.index(at)  # the first of several byte tokens that make one character


def token_lines(attempt: Attempt) -> list[int]:
    """The line of the proof that each token begins in, counting from 0 those that hold any.

    What a chat says before the proof counts as its first line, what it says behind it as its last.
    """
    lines = [attempt.candidate.text.count("\n", 0, max(offset, 0)) for offset in attempt.offsets]
    held = sorted(set(lines))
    return [held.index(line) for line in lines]
