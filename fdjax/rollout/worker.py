"""Rollouts ahead of the updates that learn from them: sampled, verified, commented, journaled."""

import asyncio
import concurrent.futures
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

from fdjax.lean.farm import Farm
from fdjax.reporting import costs as costs
from fdjax.rollout.attempts import judge
from fdjax.rollout.curriculum import Curriculum
from fdjax.rollout.generate import Prompting, roll_out
from fdjax.rollout.journal import Journal
from fdjax.runtime import hosts
from fdjax.runtime.metrics import Timers
from fdjax.training.state import TrainState
from fdjax.types import Attempt, Feedback, FeedbackContext, Group, Item, Provider, Theorem


@dataclasses.dataclass
class RolloutWorker:
    """`launch` samples on the device and leaves the rest to a thread.

    What is in the journal is replayed instead: a resumed run learns from what the killed one saw.
    """

    prompting: Prompting
    farm: Farm
    provider: Provider | None  # None: nobody reads feedback
    journal: Journal
    curriculum: Curriculum
    prompts: Mapping[str, Sequence[int]]  # theorem id -> the student's
    samples_per_prompt: int
    temperature: float
    seed: int
    stream: str
    timers: Timers
    batch: int | None = None  # prompts sampled at a time; all of a step's by default
    # Does the provider sample the policy? It then runs where the device is driven from.
    provider_samples: bool = False
    reads_feedback: Callable[[int], bool] = lambda step: True  # else nobody is asked at that step

    def __post_init__(self):
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "verification")
        self._by_id = {t.id: t for t in self.theorems}

    @property
    def theorems(self) -> Sequence[Theorem]:
        return self.curriculum.theorems

    def launch(
        self, step: int, state: TrainState, refill: int = 0
    ) -> Callable[[TrainState], list[Group]]:
        """Begins a step's rollouts. The result waits for them; it is to be called with the state
        of the step that learns from them: a policy that writes feedback is the one of that moment.

        `refill`: which further rollout of the step, of theorems that none before it took; with
        none left, of no groups. Each has a journal of its own.
        """
        journal = self.journal
        if refill:
            journal = Journal(journal.folder / f"refill_{refill}")
        record = hosts.broadcast(f"journal {self.stream}", lambda: journal.read(step))
        groups = record.get("attempts")
        if groups is None:
            with self.timers("sample"):
                groups = self._sample(step, refill, state.params)
            if "theorems" not in record:
                theorems = [self._by_id[g[0].theorem_id] for g in groups]
                journal.append(step, "theorems", theorems)
            journal.append(step, "attempts", groups)
        judged = self._thread.submit(self._judge, step, groups, journal, record)
        return functools.partial(self._finish, step, judged, journal)

    def _sample(self, step: int, refill: int, params) -> list[list[Attempt]]:
        chosen = self.curriculum.refill(step, refill) if refill else self.curriculum.choose(step)
        if not chosen:
            return []
        theorems = [self.theorems[i] for i in chosen]
        # A theorem met twice in a step gets fresh samples the second time.
        names = [f"{self.theorems[i].id} {chosen[:at].count(i)}" for at, i in enumerate(chosen)]
        return list(
            roll_out(
                self.prompting,
                params,
                theorems,
                [self.prompts[t.id] for t in theorems],
                samples=self.samples_per_prompt,
                temperature=self.temperature,
                seed=self.seed,
                stream=self.stream,
                step=step,
                batch=self.batch or self.curriculum.batch,
                names=names,
            )
        )

    def _judge(
        self, step: int, groups: list[list[Attempt]], journal: Journal, record: dict
    ) -> tuple[list[list[Item]], list[list[Feedback | None]] | None]:
        """Items and, unless it needs the device, the feedback on them."""
        verdicts = record.get("verdicts")
        if verdicts is None:
            with self.timers("lean"):
                asked = [(self._by_id[g[0].theorem_id], g) for g in groups]
                verdicts = judge(self.farm, asked, self.stream)
            journal.append(step, "verdicts", verdicts)
        items: list[list[Item]] = [
            [(self._by_id[a.theorem_id], a, v) for a, v in zip(*both)]
            for both in zip(groups, verdicts)
        ]
        feedbacks = record.get("feedback")
        if feedbacks is None and not self.provider_samples:
            feedbacks = self._comment(items, FeedbackContext(self.stream, step), journal)
        return items, feedbacks

    def _comment(
        self, items: list[list[Item]], context: FeedbackContext, journal: Journal
    ) -> list[list[Feedback | None]]:
        if self.provider is None or not self.reads_feedback(context.step):
            return [[None] * len(g) for g in items]
        with self.timers("feedback"):
            feedbacks = asyncio.run(self.provider(items, context))
        journal.append(context.step, "feedback", feedbacks)
        return feedbacks

    def _finish(
        self, step: int, judged: concurrent.futures.Future, journal: Journal, state: TrainState
    ) -> list[Group]:
        items, feedbacks = judged.result()
        if feedbacks is None:
            context = FeedbackContext(self.stream, step, state.params, state.teacher)
            feedbacks = self._comment(items, context, journal)
        return [[(*item, f) for item, f in zip(*both)] for both in zip(items, feedbacks)]

    def cost(self, groups: list[Group]) -> dict[str, float]:
        """Of rollouts that the stage learns from, as fdjax.reporting.costs counts it."""
        return costs.of_rollouts(self.prompting.model, self.prompts, groups)

    def close(self) -> None:
        self._thread.shutdown()
