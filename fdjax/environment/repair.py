"""Repair: each turn of the model is a whole proof, answered by Lean's first error and its goal."""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from fdjax.environment.protocol import FindProof, Step, Submission, Turn
from fdjax.lean.extract import NoProof, parse_candidate
from fdjax.lean.farm import Farm
from fdjax.lean.report import cut, error_messages, outcome
from fdjax.types import DECIDED, Theorem, Verdict


class Episode(NamedTuple):
    theorem: Theorem
    turn: int = 0  # of the model's turns, how many have been
    submission: Submission | None = None


@dataclasses.dataclass(frozen=True)
class Repair:
    """An environment (`protocol.Environment`) whose episode ends with a proof or the last turn.

    `turns`: of the model, at most. `find_proof`: reads the proof of a turn, as single answers are
    read. `answer_budget`: the length of an answer, by `measure` (characters, unless it counts the
    tokens of a tokenizer). The last proof is submitted; a turn without one leaves the one before.
    """

    farm: Farm
    find_proof: FindProof
    turns: int = 3
    answer_budget: int = 1000
    measure: Callable[[str], int] = len

    def reset(self, theorem: Theorem) -> Episode:
        return Episode(theorem)

    async def step(self, episode: Episode, turn: Turn) -> Step:
        theorem, number, submission = episode
        last = number + 1 >= self.turns
        try:
            text, places = self.find_proof(turn.text, theorem)
        except NoProof as reason:
            step = Step(None, (self.answer(str(reason)),), submission, done=last)
            return step._replace(episode=self.replay(episode, turn, step))
        step = Step(None, (), Submission(text, number, tuple(places)), done=last)
        if not last:  # the last proof is judged at once, like a single answer
            candidate = parse_candidate(text, theorem, self.farm.allow_helpers)
            verdict = await asyncio.wrap_future(self.farm.inquire(theorem, candidate))
            step = step._replace(
                answers=(self.answer(describe(verdict, candidate.text)),),
                done=verdict.proved,
                seconds=0.0 if verdict.from_cache else verdict.seconds,
            )
        return step._replace(episode=self.replay(episode, turn, step))

    def replay(self, episode: Episode, turn: Turn, step: Step) -> Episode:
        return Episode(episode.theorem, episode.turn + 1, step.submission)

    def answer(self, text: str) -> str:
        """What the model is told of `text`, a refusal or what `describe` says."""
        return cut(text, self.answer_budget, self.measure)


def describe(verdict: Verdict, text: str) -> str:
    """The answer to a proof with this verdict; `text`: the candidate's."""
    errors = error_messages(verdict, text) if verdict.status in DECIDED else ()
    return "\n".join(errors) or outcome(verdict)
