"""The protocol of environments: what a model's turn holds, and what an environment answers.

An episode is `reset`, then a `step` for each turn of the model. All of a `Step` but its episode is
plain data that a journal keeps. On resume the kept step stands in for the call, and `replay` gives
the episode after it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from fdjax.types import Theorem


class Call(NamedTuple):
    """A call of a tool, as a call format read it in a model's turn."""

    tool: str
    arguments: Mapping[str, Any]  # JSON data
    # Of a text argument: where each of its characters begins in the turn's text.
    places: Mapping[str, Sequence[int]] = {}


class Turn(NamedTuple):
    """A model's turn."""

    text: str  # without the stop token
    calls: tuple[Call, ...] = ()
    problem: str | None = None  # what is wrong with a malformed call; its answer says so


class Submission(NamedTuple):
    """What Lean judges at the end."""

    # An answer as in a single turn: the proof (after `:=`), or with its statement and helper lemmas
    text: str
    turn: int  # index among the model's turns
    places: Sequence[int] | None  # where each character of `text` begins in that turn's text


class Step(NamedTuple):
    """What an environment does with a model's turn."""

    episode: Any  # the environment's own immutable state
    # To the calls, in their order, of plain text and bounded length. Of too many calls all but the
    # first share one answer. A malformed call's comes last.
    answers: tuple[str, ...] = ()
    submission: Submission | None = None  # the latest; judged if the episode ends now, however
    # The model has no further turn. Without a submission `answers` then say why there is none.
    done: bool = False
    seconds: float = 0.0  # of Lean in this step
    malformed: int = 0  # calls that were not run: malformed, of no tool, with wrong arguments


# (what the turn's text gives as its proof, for `Submission.text`; where each of its characters
# begins in the text). Characters of a prefill come before the text: negative places.
# Raises extract.NoProof.
FindProof = Callable[[str, Theorem], tuple[str, Sequence[int]]]


class Environment(Protocol):
    def reset(self, theorem: Theorem) -> Any:
        """The episode before its first turn."""
        ...

    async def step(self, episode: Any, turn: Turn) -> Step:
        """What follows `turn`: deterministic but for Lean's verdicts. It may wait for the farm, and
        raises only what the farm raises: whatever a model wrote gets an answer."""
        ...

    def replay(self, episode: Any, turn: Turn, step: Step) -> Any:
        """The episode after `turn` was answered by `step`, whose own episode is not read: of the
        same value as the one that `step` returned at the time. Without Lean, and at once."""
        ...
