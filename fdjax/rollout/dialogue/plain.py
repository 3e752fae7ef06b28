"""Dialogues of completions in which each turn is a whole proof.

    {goal} := by   <proof> eos   {answer} := by   <proof> eos

A turn ends as a single completion does. The answer then stands where feedback stands in a teacher's
prompt: directly before the words that a proof follows.
"""

import dataclasses
import functools
import re
from collections.abc import Sequence

from fdjax.environment.protocol import Call, Turn
from fdjax.models.tokenizer import Tokenizer
from fdjax.rollout.prompts import Template
from fdjax.types import Theorem


@dataclasses.dataclass(frozen=True)
class Plain:
    """A `Dialogue` without tools, for a template that is no chat."""

    tokenizer: Tokenizer
    template: Template

    notes = ()

    @property
    def stop_ids(self) -> tuple[int, ...]:
        return self.tokenizer.stop_ids

    @property
    def until(self) -> str:
        return self.template.until

    def prompt(self, theorem: Theorem, feedback: str | None = None) -> list[int]:
        return self.template.ids(self.tokenizer, theorem, feedback)

    def read(self, text: str) -> Turn:
        return Turn(text)

    def answers(
        self,
        answers: Sequence[str],
        calls: Sequence[Call] = (),
        *,
        ended: bool,
        last_ids: Sequence[int] = (),
    ) -> list[int]:
        answer = quoted("\n".join(answers), self._frame)
        text = self.retry.replace("{answer}", answer)
        if ended or (self.until and self.until in self.tokenizer.decode(last_ids)):
            return self.tokenizer.encode(text)
        if self.until:  # the turn was cut: its proof is ended as proofs are
            return self.tokenizer.encode(f"\n{self.until}{text}")
        return [self.tokenizer.eos_id, *self.tokenizer.encode(text)]

    @functools.cached_property
    def retry(self) -> str:
        """What stands between two proofs. Of fenced ones only the template can say it."""
        if self.template.retry or self.template.fenced:
            return self.template.retry
        begin = "\n" if self.until else ""
        return f"{begin}{{answer}}\n:={self.template.prefill}"

    @functools.cached_property
    def _frame(self) -> tuple[str, ...]:
        lines = (line.strip() for line in self.retry.split("\n") if "{answer}" not in line)
        return tuple(filter(None, (*lines, self.until.strip())))


def quoted(answer: str, frame: tuple[str, ...]) -> str:
    """`answer` as text that cannot be taken for what stands around it: `> ` is put before each of
    its lines that begins, but for space, as a line of the frame does."""
    lines = re.split("([\n\r])", answer)
    return "".join(f"> {line}" if line.lstrip().startswith(frame) else line for line in lines)
