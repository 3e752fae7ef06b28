"""What a feedback provider takes and gives."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from fdjax.data.theorems import Theorem
from fdjax.lean.verdict import Verdict
from fdjax.rollout.attempts import Attempt


@dataclasses.dataclass(frozen=True)
class Feedback:
    messages: tuple[str, ...]  # the most useful first: over a budget, the last ones are dropped
    provider: str
    tokens: int = 0  # cost: tokens of a language model, 0 for local providers
    seconds: float = 0.0  # cost: wall time
    leak: float = 0.0  # overlap with a reference proof, 0..1
    departs_at: int | None = None  # offset in the proof text where the attempt first goes wrong
    proof: str | None = None  # a proof that does what the text says, where the provider knows one

    @property
    def text(self) -> str:
        return "\n".join(self.messages)


Item = tuple[Theorem, Attempt, Verdict]


class Provider(Protocol):
    """Whole groups in, whole groups out, so that providers may compare attempts or compose."""

    async def __call__(
        self, groups: Sequence[Sequence[Item]]
    ) -> list[list[Feedback | None]]: ...
