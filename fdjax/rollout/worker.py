"""The rollouts of a stage: attempts are generated, verified by Lean, given feedback, and journaled.

What is in the journal is replayed instead: a resumed run learns from what the killed one saw.
"""

import asyncio
import concurrent.futures
import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

from fdjax.lean.farm import Farm
from fdjax.rollout.attempts import Verdicts
from fdjax.rollout.curriculum import Curriculum
from fdjax.rollout.episodes import StepLog
from fdjax.rollout.generate import Generator, Request, Sampling, generate, grouped
from fdjax.rollout.journal import Journal
from fdjax.runtime import hosts
from fdjax.runtime.metrics import Timers
from fdjax.runtime.profile import annotated, annotation
from fdjax.types import Attempt, FeedbackContext, Feedbacks, Group, Item, Provider


class Generated(NamedTuple):
    """The attempts of a step, by theorem, Lean's verdicts on them to come, and what the journal
    already holds of the step."""

    step: int
    groups: list[list[Attempt]]
    verdicts: Verdicts
    journal: Journal
    record: dict


class Verified(NamedTuple):
    """Attempts with verdicts to come, and feedback unless the policy is to write it."""

    step: int
    journal: Journal
    result: "concurrent.futures.Future[tuple[list[list[Item]], Feedbacks | None]]"


@dataclasses.dataclass
class RolloutWorker:
    """Lean and feedback work in a thread of their own, so that the device can go on."""

    generator: Generator
    sampling: Sampling  # its step is set for each rollout
    farm: Farm
    curriculum: Curriculum
    journal: Journal
    timers: Timers
    provider_at: Callable[[int], Provider | None] = lambda step: None  # who writes feedback
    # Does the provider sample the policy? Then it runs where the device is driven from.
    policy_writes: bool = False

    def __post_init__(self):
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "verification")
        self._by_id = {t.id: t for t in self.curriculum.theorems}

    @annotated("generate")
    def generate(self, step: int, params, refill: int = 0) -> Generated:
        """The attempts of `step`, from the journal if it holds them.

        `refill`: a further rollout of the step, with a journal of its own, on theorems that none
        before it took; with none left, of no groups.
        """
        journal = self.journal
        if refill:
            journal = Journal(journal.folder / f"refill_{refill}")
        record = hosts.broadcast(f"journal {self.sampling.stream}", lambda: journal.read(step))
        groups, verdicts = record.get("attempts"), Verdicts(self.farm)
        if groups is None:
            append = functools.partial(journal.extend, step, "steps")
            log = StepLog(record.get("steps", ()), append)
            with self.timers("sample"):
                groups = self._generate(step, params, refill, verdicts, log)
            if "theorems" not in record:
                theorems = [self._by_id[group[0].theorem_id] for group in groups]
                journal.append(step, "theorems", theorems)
            journal.append(step, "attempts", groups)
        elif "verdicts" not in record:
            for number, group in enumerate(groups):
                for attempt in group:
                    verdicts.submit(number, self._by_id[attempt.theorem_id], attempt)
        return Generated(step, groups, verdicts, journal, record)

    def verify(self, generated: Generated) -> Verified:
        """In the worker's thread: waits for the verdicts, then begins feedback."""
        result = self._thread.submit(self._verify, generated)
        return Verified(generated.step, generated.journal, result)

    @annotated("wait")
    def give_feedback(self, verified: Verified, params, teacher_params=None) -> list[Group]:
        """Waits for verdicts and feedback. A policy that writes feedback is the one given here:
        that of the step that learns from it.
        """
        with self.timers("wait"):
            items, feedbacks = verified.result.result()
            if feedbacks is None:
                context = FeedbackContext(
                    self.sampling.stream, verified.step, params, teacher_params
                )
                feedbacks = self._write_feedback(items, context, verified.journal)
        return [[(*item, f) for item, f in zip(*both)] for both in zip(items, feedbacks)]

    def rollout(self, step: int, params, teacher_params=None, refill: int = 0) -> list[Group]:
        """All three, one after the other."""
        verified = self.verify(self.generate(step, params, refill))
        return self.give_feedback(verified, params, teacher_params)

    def close(self) -> None:
        """On several hosts what is queued is verified first: they exchange verdicts, and one that
        left a step out would leave the others waiting.
        """
        self._thread.shutdown(cancel_futures=hosts.count() == 1)

    def _generate(
        self, step: int, params, refill: int, verdicts: Verdicts, log: StepLog
    ) -> list[list[Attempt]]:
        """Each attempt goes to Lean as it ends, while others are written."""
        curriculum = self.curriculum
        chosen = curriculum.refill(step, refill) if refill else curriculum.choose(step)
        if not chosen:
            return []
        requests = []
        for position, index in enumerate(chosen):
            theorem = curriculum.theorems[index]
            prompt = self.generator.prompts.student(theorem)
            # A theorem met twice in a step gets fresh samples the second time.
            name = f"{theorem.id} {chosen[:position].count(index)}"
            requests.append(Request(theorem, prompt, name))
        sampling = self.sampling._replace(step=step)
        attempts = []
        pairs = generate(self.generator, params, requests, sampling, self.timers, log)
        for place, attempt in pairs:
            verdicts.submit(place, requests[place].theorem, attempt)
            attempts.append((place, attempt))
        return grouped(attempts, len(requests))

    def _verify(self, generated: Generated) -> tuple[list[list[Item]], Feedbacks | None]:
        step, groups, to_come, journal, record = generated
        verdicts = record.get("verdicts")
        if verdicts is None:
            with self.timers("lean"), annotation("verify"):
                verdicts = to_come.result(self.sampling.stream, groups)
            journal.append(step, "verdicts", verdicts)
        items: list[list[Item]] = [
            [(self._by_id[a.theorem_id], a, v) for a, v in zip(*both)]
            for both in zip(groups, verdicts)
        ]
        feedbacks = record.get("feedback")
        if feedbacks is None and not self.policy_writes:
            context = FeedbackContext(self.sampling.stream, step)
            feedbacks = self._write_feedback(items, context, journal)
        return items, feedbacks

    def _write_feedback(
        self, items: list[list[Item]], context: FeedbackContext, journal: Journal
    ) -> Feedbacks:
        provider = self.provider_at(context.step)
        if provider is None:
            return [[None] * len(group) for group in items]
        with self.timers("feedback"), annotation("feedback"):
            feedbacks = asyncio.run(provider(items, context))
        journal.append(context.step, "feedback", feedbacks)
        return feedbacks
