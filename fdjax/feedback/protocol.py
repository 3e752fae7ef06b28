"""What a feedback provider takes and gives."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from fdjax.data.theorems import Theorem
from fdjax.lean.verdict import Verdict
from fdjax.rollout.attempts import Attempt


@dataclasses.dataclass(frozen=True)
class Feedback:
    """What is said of an attempt. Without messages: who was asked had nothing (fit) to say, which
    is kept for its costs and troubles.
    """

    messages: tuple[str, ...]  # the most useful first: over a budget, the last ones are dropped
    provider: str
    tokens: int = 0  # cost: tokens that a language model read and wrote
    seconds: float = 0.0  # cost: wall time
    leak: float = 0.0  # overlap with a reference proof, 0..1
    departs_at: int | None = None  # offset in the proof text where the attempt first goes wrong
    proof: str | None = None  # a proof that does what the text says, where the provider knows one
    money: float = 0.0  # cost: in the currency of feedback.llm.price_in
    asked: int = 0  # answers of a language model that were wanted for it, also from a cache
    unanswered: int = 0  # of these, how many did not come or were of no use
    troubles: tuple[str, ...] = ()  # what went wrong on the way, also where a retry mended it
    own_flops: int = 0  # cost: of the policy in training, where it wrote (fdjax/accounting.py)

    @property
    def text(self) -> str:
        return "\n".join(self.messages)


Item = tuple[Theorem, Attempt, Verdict]


class Moment(NamedTuple):
    """Where training stands when feedback is asked for."""

    stream: str  # with `step`: names the random numbers of what the policy writes
    step: int
    params: Any = None  # of the policy; None for providers that do not sample it
    teacher_params: Any = None  # its average, where the stage keeps one
    wanted: Sequence[Sequence[bool]] | None = None  # for which attempts; None: for all

    def wants(self, group: int, index: int) -> bool:
        """What is not wanted and cheap may be said all the same."""
        return self.wanted is None or self.wanted[group][index]


class Provider(Protocol):
    """Whole groups in, whole groups out, so that providers may compare attempts or compose."""

    async def __call__(
        self, groups: Sequence[Sequence[Item]], moment: Moment
    ) -> list[list[Feedback | None]]: ...
