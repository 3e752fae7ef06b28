"""The environment with tools: an episode ends with a submitted proof, with a turn that calls no
tool, or with its last turn."""

import dataclasses
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fdjax.environment.protocol import Call, FindProof, Step, Submission, Turn
from fdjax.environment.tools import (
    DEFAULT_LIMITS,
    Answer,
    File,
    Limits,
    Scene,
    Tool,
    problem,
    usage,
)
from fdjax.lean.extract import NoProof
from fdjax.lean.report import cut, fit
from fdjax.types import Theorem


class Episode(NamedTuple):
    """Its mappings are never changed in place."""

    theorem: Theorem
    turn: int = 0  # of the model's turns, how many have been
    calls: int = 0
    seconds: float = 0.0  # of Lean
    files: Mapping[str, File] = {}
    answers: Mapping[str, str] = {}  # to calls, while the files are what they were


@dataclasses.dataclass(frozen=True)
class ToolEnvironment:
    """An environment (`protocol.Environment`) of `tools`, in the order in which they are shown.

    `turns`: of the model, at most. `find_proof`: reads the proof of a turn that calls no tool.
    `answer_budget`: of the answers to one turn together, by `measure` (characters, unless it counts
    the tokens of a tokenizer). `lean_seconds`: of Lean for the tools of an episode; None: no limit.
    """

    tools: tuple[Tool, ...]
    find_proof: FindProof
    turns: int = 8
    answer_budget: int = 4000
    measure: Callable[[str], int] = len
    lean_seconds: float | None = None
    limits: Limits = DEFAULT_LIMITS

    @property
    def schemas(self) -> list[dict[str, Any]]:
        """Of the tools, as chat templates take them."""
        return [tool.schema for tool in self.tools]

    def reset(self, theorem: Theorem) -> Episode:
        return Episode(theorem)

    async def step(self, episode: Episode, turn: Turn) -> Step:
        if not turn.calls and turn.problem is None:
            return self._without_calls(episode, turn)
        last = episode.turn + 1 >= self.turns
        calls = turn.calls[: self.limits.calls_per_turn]
        budget = self.answer_budget // max(self._number_of_answers(turn), 1)
        now, texts, seconds, malformed = episode, [], 0.0, int(turn.problem is not None)
        for call in calls:
            wrong = self._problem(now, call)
            known = None if wrong else now.answers.get(_key(call))
            if wrong or known is not None:
                answer = Answer((wrong or known,))
            else:
                answer = await self._run(now, call, episode.seconds + seconds, last)
            if answer.submission:
                return Step(_ended(episode), (), answer.submission, True, seconds, malformed)
            malformed += bool(wrong) and now.calls < self.limits.calls
            seconds += answer.seconds
            texts.append(fit(answer.parts, budget, self.measure))
            now = self._after(now, call, texts[-1], answer.files)
        if last:
            reasons = ["the last turn submitted no proof", *texts, turn.problem]
            reason = fit([*filter(None, reasons)], self.answer_budget, self.measure)
            return Step(_ended(episode), (reason,), None, True, seconds, malformed)
        if more := len(turn.calls) - len(calls):
            text = f"{more:,} of the calls not run: a turn may have {self.limits.calls_per_turn}"
            texts.append(cut(text, budget, self.measure))
        if turn.problem is not None:
            text = f"{turn.problem}. {usage(self._by_name)}"
            texts.append(cut(text, budget, self.measure))
        step = Step(None, tuple(texts), seconds=seconds, malformed=malformed)
        return step._replace(episode=self.replay(episode, turn, step))

    def replay(self, episode: Episode, turn: Turn, step: Step) -> Episode:
        if step.done:
            return _ended(episode)
        now = episode
        for call, text in zip(turn.calls[: self.limits.calls_per_turn], step.answers):
            files = None
            if self._problem(now, call) is None and _key(call) not in now.answers:
                tool = self._by_name[call.tool]
                files = tool.run(_scene(now), call).files if tool.edits else None
            now = self._after(now, call, text, files)
        return now._replace(turn=episode.turn + 1, seconds=episode.seconds + step.seconds)

    def _without_calls(self, episode: Episode, turn: Turn) -> Step:
        try:
            text, places = self.find_proof(turn.text, episode.theorem)
        except NoProof as reason:
            return Step(_ended(episode), (f"no tool was called, and {reason}",), done=True)
        submission = Submission(text, episode.turn, tuple(places))
        return Step(_ended(episode), (), submission, done=True)

    def _problem(self, now: Episode, call: Call) -> str | None:
        """Why a call is not run, whatever its tool."""
        if now.calls >= self.limits.calls:
            return f"not run: {self.limits.calls} calls were made, the limit"
        return problem(call, self._by_name, self.limits)

    async def _run(self, now: Episode, call: Call, seconds: float, last: bool) -> Answer:
        """`seconds`: of Lean so far. In the last turn no answer will be read, and only what may
        lead to a submission is run."""
        tool = self._by_name[call.tool]
        if last and not tool.edits:
            return Answer(())
        if tool.uses_lean and self.lean_seconds is not None and seconds >= self.lean_seconds:
            return Answer((f"not run: the {self.lean_seconds:g} seconds of Lean are used up",))
        answer = tool.run(_scene(now), call)
        answer = await answer if inspect.isawaitable(answer) else answer
        if not tool.edits and (answer.files is not None or answer.submission is not None):
            raise TypeError(f"tool {tool.name!r} changes files or submits: it needs edits=True")
        return answer

    def _after(
        self, now: Episode, call: Call, text: str, files: Mapping[str, File] | None
    ) -> Episode:
        """The episode after a call was answered."""
        now = now._replace(calls=now.calls + 1)
        if files is not None and files != now.files:
            return now._replace(files=files, answers={})
        if problem(call, self._by_name, self.limits):
            return now
        return now._replace(answers={**now.answers, _key(call): text})

    def _number_of_answers(self, turn: Turn) -> int:
        limit = self.limits.calls_per_turn
        run = min(len(turn.calls), limit)
        return run + (len(turn.calls) > limit) + (turn.problem is not None)

    @property
    def _by_name(self) -> Mapping[str, Tool]:
        return {tool.name: tool for tool in self.tools}


def _scene(now: Episode) -> Scene:
    return Scene(now.theorem, now.files, now.turn)


def _key(call: Call) -> str:
    """Equal for calls that ask the same."""
    return json.dumps([call.tool, call.arguments], sort_keys=True)


def _ended(episode: Episode) -> Episode:
    return episode._replace(turn=episode.turn + 1)
