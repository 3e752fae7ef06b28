"""The protocol of dialogues: how the turns of a model and the answers to them are written."""

from collections.abc import Sequence
from typing import Protocol

from fdjax.environment.protocol import Call, Turn
from fdjax.types import Theorem


class Dialogue(Protocol):
    """An episode's ids are `prompt`, a turn of the model, `answers`, the next turn, and so on. What
    the model sampled is in there as it was sampled: no id is ever made from its text again.
    """

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Any of these ends a turn."""

    @property
    def until(self) -> str:
        """Text that ends a turn where it occurs; empty: none does."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Where ids differ from those of a chat template, and why; for the console."""

    def prompt(self, theorem: Theorem, feedback: str | None = None) -> list[int]:
        """All ids before the model's first. Feedback stands in the same turn as the theorem."""

    def read(self, text: str) -> Turn:
        """The calls in a model's turn. `text` is its tokens' text. Never raises."""

    def answers(
        self,
        answers: Sequence[str],
        calls: Sequence[Call] = (),
        *,
        ended: bool,
        last_ids: Sequence[int] = (),
    ) -> list[int]:
        """All ids between a turn and the next: the turn's end where the model did not write it, the
        answers, and what the next turn begins with.

        Where there are calls, the first answers are theirs, in their order. `ended`: the turn ended
        with one of `stop_ids`. `last_ids`: the turn's ids, or as many of the last as may hold
        `until`.
        """
