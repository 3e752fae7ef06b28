"""Attempts of several turns: each turn goes to the environment, and what comes back is read by the
model before its next turn.

The environment works in a thread of its own, on all episodes at a time, while the device writes.
What it did with a turn is kept in a log before it is used; a resumed run takes it from there.
"""

import asyncio
import bisect
import concurrent.futures
import dataclasses
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdjax.config import EnvironmentConfig
from fdjax.environment.protocol import Environment, Step, Submission, Turn
from fdjax.lean.extract import parse_candidate
from fdjax.rollout.dialogue.protocol import Dialogue
from fdjax.rollout.prompts import Prompts, ends_with_stop
from fdjax.rollout.waiting import Answer, Written
from fdjax.runtime import hosts
from fdjax.runtime.metrics import Timers
from fdjax.types import Attempt, Segment, Theorem

NO_PROOF = "the attempt was cut off before a turn submitted a proof"


@dataclasses.dataclass(frozen=True)
class Episodes:
    """Who answers turns, how they are written, and how many there may be."""

    environment: Environment
    dialogue: Dialogue
    config: EnvironmentConfig


class Place(NamedTuple):
    """Of a turn in a generation."""

    request: int
    sample: int
    turn: int
    # A hash of the ids of the turn and of those before it: a step that was kept answers no other.
    ids: int


class StepLog:
    """The steps of a generation, as a journal keeps them; without one they are forgotten."""

    def __init__(
        self,
        entries: Iterable[dict[str, Any]] = (),
        append: Callable[[list[dict[str, Any]]], None] = lambda entries: None,
    ):
        self._append = append
        self._steps = {Place(*entry["place"]): step_from_json(entry["step"]) for entry in entries}

    def get(self, place: Place) -> Step | None:
        return self._steps.get(place)

    def keep(self, steps: Sequence[tuple[Place, Step]]) -> None:
        """Returns when the journal has them."""
        if steps:
            self._append([{"place": [*p], "step": step_to_json(step)} for p, step in steps])


def step_to_json(step: Step) -> dict[str, Any]:
    """All but the episode, which `Environment.replay` gives back."""
    submission = step.submission and step.submission._asdict()
    if submission and submission["places"] is not None:
        submission["places"] = [*map(int, submission["places"])]
    return {
        "answers": [*step.answers],
        "submission": submission,
        "done": step.done,
        "seconds": step.seconds,
        "malformed": step.malformed,
    }


def step_from_json(data: dict[str, Any]) -> Step:
    submission = data["submission"] and Submission(**data["submission"])
    rest = {name: data[name] for name in ("done", "seconds", "malformed")}
    return Step(None, answers=tuple(data["answers"]), submission=submission, **rest)


# --- An episode ----------------------------------------------------------------------------------


@dataclasses.dataclass
class Episode:
    theorem: Theorem
    request: int
    sample: int
    state: Any  # the environment's; None where another host has the episode
    written: list[Written] = dataclasses.field(default_factory=list)
    turns: list[Turn] = dataclasses.field(default_factory=list)
    answers: list[list[int]] = dataclasses.field(default_factory=list)  # between the turns
    step: Step | None = None  # the last
    seconds: float = 0.0
    malformed: int = 0
    # Of the turn that ended last:
    place: Place | None = None
    coming: "concurrent.futures.Future[Step] | None" = None

    @property
    def length(self) -> int:
        """Tokens of the response."""
        return sum(len(turn.tokens) for turn in self.written) + sum(map(len, self.answers))


def read_episode(prompts: Prompts, dialogue: Dialogue, episode: Episode) -> Attempt:
    """The attempt of an episode that has ended. Its proof is the one that was submitted last."""
    segments, logprobs = [], []
    for number, turn in enumerate(episode.written):
        segments.append(Segment(tuple(turn.tokens.tolist())))
        logprobs += turn.logprobs.tolist()
        if number < len(episode.answers):
            answer = episode.answers[number]
            segments.append(Segment(tuple(answer), "tool"))
            logprobs += [0.0] * len(answer)
    submission, refusal = episode.step.submission, None
    if submission is None:
        last = len(episode.turns) - 1
        text = episode.turns[last].text
        submission = Submission(text, last, range(len(text)))
        refusal = "\n".join(episode.step.answers) if episode.step.done else NO_PROOF
    helpers = prompts.allow_helpers and refusal is None
    return Attempt(
        theorem_id=episode.theorem.id,
        sample=episode.sample,
        segments=tuple(segments),
        logprobs=tuple(logprobs),
        finished=episode.step.done and episode.written[-1].finished,
        candidate=parse_candidate(submission.text, episode.theorem, helpers),
        offsets=tuple(_offsets(prompts, dialogue, episode, submission)),
        entropy=float(np.concatenate([turn.entropy for turn in episode.written]).mean()),
        refusal=refusal,
        calls=sum(len(turn.calls) + (turn.problem is not None) for turn in episode.turns),
        malformed=episode.malformed,
        tool_seconds=episode.seconds,
    )


def _offsets(prompts, dialogue, episode, submission) -> list[int]:
    """`Attempt.offsets`: all tokens outside of the turn that submitted it are before or behind the
    text; a text that stands in no turn is behind all of them."""
    offsets, places = [], submission.places
    for number, turn in enumerate(episode.written):
        answer = episode.answers[number] if number < len(episode.answers) else ()
        if places is None or number < submission.turn:
            offsets += [-1] * (len(turn.tokens) + len(answer))
            continue
        behind = len(submission.text)
        if number > submission.turn:
            offsets += [behind] * (len(turn.tokens) + len(answer))
            continue
        body = _body(turn, dialogue)
        starts = prompts.tokenizer.offsets(body)
        starts += [len(episode.turns[number].text)] * (len(turn.tokens) - len(body))
        offsets += [offset_in(places, start) for start in starts] + [behind] * len(answer)
    return offsets


def offset_in(places: Sequence[int], start: int) -> int:
    """The character of a text whose characters begin at `places` in a turn, at or before the
    turn's character `start`; negative before the text, its length or more behind it.
    """
    if not places or start < places[0]:
        return start - places[0] if places else -1
    if start > places[-1]:
        return len(places) + start - places[-1] - 1
    return bisect.bisect_right(places, start) - 1


def _body(turn: Written, dialogue: Dialogue) -> list[int]:
    """The ids without a stop id that ends them."""
    ids = turn.tokens.tolist()
    return ids[:-1] if _stopped(turn, dialogue) else ids


def _stopped(turn: Written, dialogue: Dialogue) -> bool:
    return ends_with_stop(turn.tokens, turn.finished, dialogue.stop_ids)


# --- All episodes of a generation ----------------------------------------------------------------


class Conversations:
    """The `waiting.Conversation` of a generation.

    `theorems`: of the requests. `queue`: request and sample index of each sample. A host steps the
    episodes of its own requests; all hosts know all steps. `timers` gets the seconds of
    "environment", in which generation waits for it.
    """

    def __init__(
        self,
        episodes: Episodes,
        prompts: Prompts,
        theorems: Sequence[Theorem],
        queue: Sequence[tuple[int, int]],
        stream: str,
        log: StepLog,
        timers: Timers,
    ):
        self.environment, self.dialogue = episodes.environment, episodes.dialogue
        self.config, self.lag = episodes.config, episodes.config.lag
        self.prompts, self.theorems, self.queue = prompts, theorems, queue
        self._stream, self._log, self._timers = stream, log, timers
        self._open: dict[int, Episode] = {}
        self._ended: list[tuple[int, Attempt]] = []

    def attempts(self, turns: Iterable[Written]) -> Iterator[tuple[int, Attempt]]:
        """(place of the request, attempt) of each episode as it ends. `turns`: what
        `scheduler.run` yields in this conversation.
        """
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._loop.run_forever, name="environment")
        thread.start()
        try:
            for turn in turns:
                self._tell(turn)
                yield from self._take_ended()
            yield from self._take_ended()
        finally:  # what the environment still works on is given up
            asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    def may_go_on(self, turn: Written) -> bool:
        episode = self._open.get(turn.sample)
        turns, length = (len(episode.turns), episode.length) if episode else (0, 0)
        return turns + 1 < self.config.turns and self._fits(length + len(turn.tokens))

    def answers(self, samples: Sequence[int]) -> list[Answer | None]:
        return [
            self._answer(sample, step)
            for sample, step in zip(samples, self._steps([self._open[s] for s in samples]))
        ]

    def _tell(self, turn: Written) -> None:
        """Of a turn that has ended: its step begins."""
        request, sample = self.queue[turn.sample]
        if turn.sample not in self._open:
            theorem = self.theorems[request]
            state = self.environment.reset(theorem) if hosts.is_mine(request) else None
            self._open[turn.sample] = Episode(theorem, request, sample, state)
        e = self._open[turn.sample]
        read = self.dialogue.read(self.prompts.tokenizer.decode(_body(turn, self.dialogue)))
        e.written.append(turn)
        e.turns.append(read)
        ids = zlib.crc32(np.asarray(turn.tokens, np.int32).tobytes(), e.place.ids if e.place else 0)
        e.place, e.coming = Place(request, sample, len(e.turns) - 1, ids), None
        if hosts.is_mine(request) and self._log.get(e.place) is None:
            step = self.environment.step(e.state, read)
            e.coming = asyncio.run_coroutine_threadsafe(step, self._loop)

    def _take_ended(self) -> list[tuple[int, Attempt]]:
        ended, self._ended = self._ended, []
        return ended

    def _steps(self, episodes: list[Episode]) -> list[Step]:
        """Waits for the last steps of the episodes; new ones are kept."""
        steps = [self._log.get(e.place) for e in episodes]
        new = [i for i, step in enumerate(steps) if step is None]
        for e, step in zip(episodes, steps):
            if step and hosts.is_mine(e.request):
                e.state = self.environment.replay(e.state, e.turns[-1], step)

        def own() -> dict[int, Step]:
            found = {}
            for i in new:
                if (coming := episodes[i].coming) is not None:
                    step = coming.result()
                    episodes[i].state = step.episode
                    found[i] = step._replace(episode=None)
            return found

        if new:
            with self._timers("environment"):
                of_hosts = hosts.allgather(f"steps {self._stream}", own)
            for i, step in (pair for found in of_hosts for pair in found.items()):
                steps[i] = step
            self._log.keep([(episodes[i].place, steps[i]) for i in new])
        return steps

    def _answer(self, sample: int, step: Step) -> Answer | None:
        e = self._open[sample]
        e.step, e.seconds = step, e.seconds + step.seconds
        e.malformed += step.malformed
        turn, read = e.written[-1], e.turns[-1]
        if not step.done and len(e.turns) < self.config.turns:
            ended, ids = _stopped(turn, self.dialogue), turn.tokens.tolist()
            answer = self.dialogue.answers(step.answers, read.calls, ended=ended, last_ids=ids)
            drawn = e.length + len(answer)
            if self._fits(drawn):
                e.answers.append(answer)
                budget = min(self.prompts.response_length, drawn + self.turn_tokens)
                return Answer(answer, drawn, budget)
        del self._open[sample]
        self._ended.append((e.request, read_episode(self.prompts, self.dialogue, e)))
        return None

    @property
    def turn_tokens(self) -> int:
        """That a turn may have."""
        return self.config.turn_tokens or self.prompts.response_length

    def _fits(self, length: int) -> bool:
        return length + self.config.min_turn_tokens <= self.prompts.response_length


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
