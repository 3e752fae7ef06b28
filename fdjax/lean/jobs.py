"""What a farm keeps: the queue of its jobs, and counters of what it has done."""

import collections
import dataclasses
import time
from collections.abc import Hashable
from concurrent.futures import Future

from fdjax.lean.backend import Backend
from fdjax.types import Candidate, Theorem

# Priorities. An episode waits for what its tools ask, an evaluation for all its verdicts.
BULK, TOOL, URGENT = range(3)


@dataclasses.dataclass(eq=False)
class Job:
    """A candidate and the futures that wait for its verdict."""

    key: str  # of the verdict cache
    theorem: Theorem
    candidate: Candidate
    futures: list[Future]
    priority: int = BULK
    lingers_until: float = 0.0  # on the monotonic clock: before, it starts in a full batch only
    tries: int = 0
    suspect: bool = False  # Lean was at this candidate when it died or had to be killed


class JobQueue:
    """Jobs that may share a batch wait in one group; groups take turns, those of the highest
    priority first. Jobs that must be checked alone wait apart. Not thread-safe: the farm's lock
    guards it.
    """

    def __init__(self, backend: Backend, workers: int):
        self._backend, self._workers = backend, workers
        # (priority, may it linger, imports, the backend's pool) -> jobs, in the order of the
        # groups' turns; a group is never empty
        self._groups: dict[tuple[int, bool, Hashable, Hashable], collections.deque[Job]] = {}
        self._alone: list[Job] = []
        self._running_alone = 0

    def add(self, job: Job) -> None:
        self._groups.setdefault(self._group(job), collections.deque()).append(job)

    def add_alone(self, job: Job) -> None:
        self._alone.append(job)

    def hasten(self, job: Job, priority: int) -> None:
        """Gives `job` this priority; moves it if it waits in a group."""
        group = self._group(job)
        waiting = self._groups.get(group, ())
        job.priority = priority
        if job in waiting:
            waiting.remove(job)
            if not waiting:
                del self._groups[group]
            self.add(job)

    def take(self) -> tuple[list[Job], bool] | None:
        """The next batch, all of one group, and whether it is a job that is checked alone; for
        each of those `end_alone` must be called. None if nothing may start now, as where fewer
        than a batch linger.
        """
        alone = max(self._alone, key=lambda job: job.priority, default=None)  # of them the first
        if alone and self._may_run(alone):
            self._running_alone += 1
            self._alone.remove(alone)
            return [alone], True
        full, now = self._backend.max_batch, time.monotonic()
        ready = (
            group
            for group, jobs in self._groups.items()
            if len(jobs) >= full or jobs[0].lingers_until <= now
        )
        group = max(ready, key=lambda group: group[0], default=None)  # the first of its priority
        if group is None:
            return None
        jobs = self._groups.pop(group)
        batch = [jobs.popleft() for _ in range(min(full, len(jobs)))]
        if jobs:
            self._groups[group] = jobs  # now the last in turn
        return batch, False

    def _may_run(self, alone: Job) -> bool:
        """Jobs checked alone may take long: while others wait they get half of the workers, and
        come behind those of higher priority.
        """
        if not self._groups:
            return True
        highest = max(priority for priority, *_ in self._groups)
        return alone.priority >= highest and self._running_alone < max(1, self._workers // 2)

    def seconds_to_wait(self) -> float | None:
        """Until a group has lingered; None if none waits."""
        ends = [jobs[0].lingers_until for jobs in self._groups.values()]
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def end_alone(self) -> None:
        self._running_alone -= 1

    def clear(self) -> None:
        self._groups.clear()
        self._alone.clear()

    def _group(self, job: Job) -> tuple[int, bool, Hashable, Hashable]:
        pool = self._backend.pool(job.theorem)
        return job.priority, job.lingers_until > 0, job.theorem.imports, pool


@dataclasses.dataclass(frozen=True)
class Counters:
    """What a farm has done since it was opened."""

    submitted: int = 0
    finished: int = 0
    proved: int = 0
    failed: int = 0
    rejected: int = 0
    timeout: int = 0
    crashed: int = 0
    cache_hits: int = 0
    joined: int = 0  # submitted while the same candidate was being checked
    batches: int = 0
    retries: int = 0  # candidates checked again
    restarts: int = 0  # batches that ended with a dead or killed Lean
    seconds_of_lean: float = 0.0  # wall time, summed over workers
    seconds_proved: float = 0.0  # `Verdict.seconds`, summed by status
    seconds_failed: float = 0.0
    seconds_timeout: float = 0.0
    seconds_crashed: float = 0.0
    seconds_open: float = 0.0
    queued: int = 0  # at this moment, those being checked included
    workers: int = 1

    @property
    def per_second(self) -> float:
        return self.finished / self.seconds_open if self.seconds_open else 0.0

    @property
    def utilisation(self) -> float:
        """Of the workers: 1 if each was busy all the time."""
        available = self.workers * self.seconds_open
        return self.seconds_of_lean / available if available else 0.0

    def since(self, before: "Counters") -> "Counters":
        """What has happened since `before`; `queued` and `workers` are as now."""
        now, then = dataclasses.asdict(self), dataclasses.asdict(before)
        same = ("queued", "workers")
        return Counters(**{k: v if k in same else v - then[k] for k, v in now.items()})

    def figures(self) -> dict[str, float]:
        """{"lean/NAME": figure}, for a step's metrics."""
        names = "per_second utilisation queued finished cache_hits restarts timeout crashed"
        seconds = "seconds_of_lean seconds_proved seconds_failed seconds_timeout seconds_crashed"
        return {f"lean/{name}": getattr(self, name) for name in f"{names} {seconds}".split()}
