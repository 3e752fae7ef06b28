"""The Lean farm: candidates in, one verdict each out, whatever the candidates do to Lean.

Worker threads take batches from the queue and drive one Lean each. A batch that breaks costs its
neighbours nothing: they are checked again, at last alone.
"""

import atexit
import collections
import concurrent.futures
import dataclasses
import math
import os
import threading
import time
from collections.abc import Hashable, Iterable

from fdjax.lean.audit import audit
from fdjax.lean.backend import Backend, BackendUnavailable, Submission, Worker
from fdjax.lean.cache import VerdictCache, cache_key
from fdjax.lean.counters import Counters
from fdjax.types import DECIDED, Candidate, Message, Theorem, Verdict

MAX_WAITING = 50_000  # candidates; whoever submits more waits for some to be done
MIN_BATCH = 16  # fewer do not pay for the start of a process
MAX_TRIES = 3  # in company; then a candidate is checked alone


class MissingImports(ValueError):
    """Theorems whose imports the backend cannot provide."""


@dataclasses.dataclass(eq=False)
class _Job:
    key: str
    theorem: Theorem
    candidate: Candidate
    futures: list[concurrent.futures.Future]
    tries: int = 0
    suspect: bool = False  # Lean was at this one when it died or had to be killed
    urgent: bool = False


class Farm:
    """A context manager; leaving it (also by an exception) kills every Lean and cancels what waits.

    `timeout`: wall seconds for one candidate. One that exceeds it or kills its Lean is tried once
    more alone, then reported as `timeout` or `crashed`. `allow_helpers`: may candidates have helper
    lemmas? `second`: a farm (over replay.ReplayBackend) that must
    find proved, too, what is urgent or has such helpers; this one closes it at its end.
    `submit` and `check` are safe in threads.
    """

    def __init__(
        self,
        backend: Backend,
        workers: int | None = None,
        timeout: float = 20.0,
        cache: VerdictCache | None = None,
        allow_helpers: bool = False,
        second: "Farm | None" = None,
    ):
        if workers is not None and workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}")
        if not timeout > 0:
            raise ValueError(f"timeout must be a positive number of seconds, got {timeout}")
        self.backend = backend
        self.timeout = timeout
        self.cache = cache if cache is not None else VerdictCache()
        self.allow_helpers = allow_helpers
        self.second = second
        self._changed = threading.Condition()
        # all below is guarded by _changed
        # urgency, imports, the backend's pool -> jobs, where there are any; in order of their turns
        self._pools: dict[tuple[bool, Hashable, Hashable], collections.deque[_Job]] = {}
        self._alone: collections.deque[_Job] = collections.deque()
        self._running_alone = 0
        self._jobs: dict[str, _Job] = {}  # by cache key: waiting or being checked
        self._counts: collections.Counter[str] = collections.Counter()
        self._opened = time.monotonic()
        self._closed = False
        self._told = Counters()  # up to where `figures` has told
        self._workers = [backend.worker() for _ in range(workers or os.cpu_count() or 1)]
        self._threads = [
            threading.Thread(target=self._work, args=(worker,), name=f"lean-{i}", daemon=True)
            for i, worker in enumerate(self._workers)
        ]
        for thread in self._threads:
            thread.start()
        atexit.register(self.close)  # for who forgets to

    def __enter__(self) -> "Farm":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def require(self, theorems: Iterable[Theorem]) -> None:
        """Raises MissingImports if the backend cannot check some of `theorems`; for start-up."""
        without: dict[str, list[str]] = {}
        reasons: dict[tuple[str, ...], str | None] = {}
        for theorem in theorems:
            if theorem.imports not in reasons:
                reasons[theorem.imports] = self.backend.missing(theorem.imports)
            if reason := reasons[theorem.imports]:
                without.setdefault(reason, []).append(theorem.id)
        if without:
            told = (
                f"{reason}: {len(ids)} theorem{'s' * (len(ids) > 1)}, for instance {ids[0]}"
                for reason, ids in without.items()
            )
            raise MissingImports("; ".join(told))

    def invalid_statements(self, theorems: Iterable[Theorem]) -> list[tuple[Theorem, Message]]:
        """Those whose statement or context Lean does not accept, each with Lean's first error; for
        start-up, so that no attempt is blamed for it. What Lean could not decide is among them.

        Raises MissingImports as `require` does.
        """
        theorems = list(theorems)
        answers = self._submit(
            [(theorem, Candidate("sorry")) for theorem in theorems], audited=False
        )
        errors = [_statement_error(answer.result()) for answer in answers]
        return [(t, error) for t, error in zip(theorems, errors, strict=True) if error]

    def submit(
        self, theorem: Theorem, candidate: Candidate, *, urgent: bool = False
    ) -> "concurrent.futures.Future[Verdict]":
        """The verdict to come. A proof that the audit refuses is `rejected` at once. The future
        holds backend.Lost instead where the backend itself is gone.

        What is urgent (an evaluation, say) goes before all else that waits. The others wait here
        while MAX_WAITING candidates are to be checked; so do not submit from a future's callback.
        Raises MissingImports as `require` does, RuntimeError after `close`.
        """
        first = self._submit([(theorem, candidate)], urgent=urgent)[0]
        if self.second and (urgent or candidate.has_helpers):
            return self._confirmed(first, theorem, candidate)
        return first

    def check(self, pairs: Iterable[Submission]) -> list[Verdict]:
        """One verdict for each (theorem, candidate), in order."""
        pairs = list(pairs)
        answers = self._submit(pairs)
        if self.second:
            answers = [self._confirmed(a, *pair) for a, pair in zip(answers, pairs, strict=True)]
        return [answer.result() for answer in answers]

    @property
    def counters(self) -> Counters:
        with self._changed:
            seconds = time.monotonic() - self._opened
            return Counters(
                **self._counts,
                seconds_open=seconds,
                workers=len(self._workers),
                queued=sum(len(job.futures) for job in self._jobs.values()),
            )

    def figures(self) -> dict[str, float]:
        """{"lean/NAME": figure} of the time since the last call, for a step's metrics."""
        figures = self._recent().figures()
        if not self.second:
            return figures
        again = self.second._recent()
        unconfirmed = again.finished - again.proved
        return figures | {"lean/replayed": again.finished, "lean/unconfirmed": unconfirmed}

    def close(self) -> None:
        """Kills what runs, cancels what waits, ends the threads. May be called twice."""
        with self._changed:
            self._closed = True
            waiting = [future for job in self._jobs.values() for future in job.futures]
            self._jobs.clear()
            self._pools.clear()
            self._alone.clear()
            self._changed.notify_all()
        atexit.unregister(self.close)
        for worker in self._workers:
            worker.close()
        for future in waiting:
            future.cancel()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()
        if self.second:
            self.second.close()

    def _recent(self) -> Counters:
        now = self.counters
        recent, self._told = now.since(self._told), now
        return recent

    def _confirmed(
        self, first: "concurrent.futures.Future[Verdict]", theorem: Theorem, candidate: Candidate
    ) -> "concurrent.futures.Future[Verdict]":
        """As `first`, unless that is a success which `second` does not share: then its verdict."""
        confirmed: concurrent.futures.Future[Verdict] = concurrent.futures.Future()

        def heard(answer: "concurrent.futures.Future[Verdict]") -> None:
            if answer.cancelled():
                confirmed.cancel()
            elif error := answer.exception():
                if confirmed.set_running_or_notify_cancel():
                    confirmed.set_exception(error)
            elif answer is first and first.result().proved:
                try:
                    self.second.submit(theorem, candidate, urgent=True).add_done_callback(heard)
                except RuntimeError:  # both are being closed
                    confirmed.cancel()
            else:
                agreed = answer.result().proved
                _answer(confirmed, first.result() if agreed else answer.result())

        first.add_done_callback(heard)
        return confirmed

    def _submit(
        self, pairs: list[Submission], *, audited: bool = True, urgent: bool = False
    ) -> list[concurrent.futures.Future]:
        for imports in {theorem.imports for theorem, _ in pairs}:
            if self.backend.missing(imports):
                self.require(theorem for theorem, _ in pairs)
        refusals = [self._refusal(*pair) if audited else None for pair in pairs]
        futures = []
        done = []
        with self._changed:
            for (theorem, candidate), refusal in zip(pairs, refusals, strict=True):
                while len(self._jobs) >= MAX_WAITING and not urgent and not self._closed:
                    self._changed.notify_all()
                    self._changed.wait()
                if self._closed:
                    raise RuntimeError("the Lean farm is closed")
                future: concurrent.futures.Future = concurrent.futures.Future()
                futures.append(future)
                self._counts["submitted"] += 1
                if refusal is not None:
                    verdict = Verdict("rejected", (refusal,), backend=self.backend.name)
                elif verdict := self._enqueue(theorem, candidate, future, urgent):
                    self._counts["cache_hits"] += 1
                if verdict:
                    self._count(verdict, 1)
                    done.append((future, verdict))
            self._changed.notify_all()
        for future, verdict in done:
            _answer(future, verdict)
        return futures

    def _refusal(self, theorem: Theorem, candidate: Candidate) -> Message | None:
        """Why the audit refuses it, if it does."""
        limit = self.backend.max_heartbeats
        if not (candidate.has_helpers and self.allow_helpers):
            return audit(candidate.text, limit)
        if refusal := audit(candidate.helpers, limit, theorem.name):
            return refusal
        refusal, shift = audit(candidate.proof, limit), candidate.main_start
        return refusal and dataclasses.replace(
            refusal, start=shift + refusal.start, end=shift + refusal.end
        )

    def _enqueue(
        self, theorem: Theorem, candidate: Candidate, future, urgent: bool
    ) -> Verdict | None:
        """The verdict if it is known; else it will be worked out, once for all who ask."""
        key = cache_key(self.backend, theorem, candidate)
        if known := self.cache.get(key):
            return dataclasses.replace(known, from_cache=True)
        if job := self._jobs.get(key):
            self._counts["joined"] += 1
            job.futures.append(future)
            if urgent and not job.urgent:
                self._hasten(job)
            return None
        job = self._jobs[key] = _Job(key, theorem, candidate, [future], urgent=urgent)
        self._wait_in_pool(job)
        return None

    def _wait_in_pool(self, job: _Job) -> None:
        self._pools.setdefault(self._pool(job), collections.deque()).append(job)

    def _pool(self, job: _Job) -> tuple[bool, Hashable, Hashable]:
        return job.urgent, job.theorem.imports, self.backend.pool(job.theorem)

    def _hasten(self, job: _Job) -> None:
        """Wherever it waits, if it does not run already."""
        waiting = self._pools.get(pool := self._pool(job), ())
        job.urgent = True
        if job in waiting:
            waiting.remove(job)
            if not waiting:
                del self._pools[pool]
            self._wait_in_pool(job)

    def _work(self, worker: Worker) -> None:
        """A thread: takes batches until the farm is closed."""
        while taken := self._take():
            batch, isolated = taken
            began = time.monotonic()
            try:
                verdicts = worker.check([(j.theorem, j.candidate) for j in batch], self.timeout)
                trouble = "Lean ended without a report on this theorem"
            except BackendUnavailable as lost:
                self._give_up(batch, lost, isolated)
                continue
            except Exception as error:  # the farm must lose no candidate, whatever broke
                verdicts = [None] * len(batch)
                trouble = f"{type(error).__name__}: {error}"
            self._settle(batch, verdicts, trouble, time.monotonic() - began, isolated)

    def _give_up(self, batch: list[_Job], lost: BackendUnavailable, isolated: bool) -> None:
        """Tells those who wait for `batch` that nobody can judge it."""
        with self._changed:
            if self._closed:
                return
            self._running_alone -= isolated
            for job in batch:
                del self._jobs[job.key]
            self._changed.notify_all()
        for future in (future for job in batch for future in job.futures):
            if future.set_running_or_notify_cancel():
                future.set_exception(lost)

    def _take(self) -> tuple[list[_Job], bool] | None:
        """The next batch, all of one pool, and whether it is one to be checked alone; waits for
        work. None when the farm is closed."""
        with self._changed:
            while not self._closed:
                # suspects may take long: while others wait they get half of the workers
                spare = not self._pools or self._running_alone < max(1, len(self._workers) // 2)
                if self._alone and spare:
                    self._running_alone += 1
                    return [self._alone.popleft()], True
                if self._pools:
                    pool = next((p for p in self._pools if p[0]), next(iter(self._pools)))
                    jobs = self._pools[pool]
                    fair = math.ceil(len(jobs) / len(self._workers))
                    size = min(self.backend.max_batch, max(MIN_BATCH, fair), len(jobs))
                    batch = [jobs.popleft() for _ in range(size)]
                    del self._pools[pool]  # and to the end of the line with the rest
                    if jobs:
                        self._pools[pool] = jobs
                    return batch, False
                self._changed.wait()
            return None

    def _settle(
        self,
        batch: list[_Job],
        verdicts: list[Verdict | None],
        trouble: str,
        seconds: float,
        isolated: bool,
    ) -> None:
        """Answers what is decided and puts the rest back."""
        alone = len(batch) == 1
        broken = any(v is not None and v.status not in DECIDED for v in verdicts)
        done = []
        with self._changed:
            if self._closed:
                return
            self._counts["batches"] += 1
            self._counts["seconds_of_lean"] += seconds
            self._counts["restarts"] += broken
            self._running_alone -= isolated
            for job, verdict in zip(batch, verdicts, strict=True):
                if verdict is None and alone:
                    verdict = Verdict(
                        "crashed",
                        (Message("error", trouble, "crashed"),),
                        seconds=seconds,
                        backend=self.backend.name,
                    )
                job.tries += 1
                if verdict is not None and (verdict.status in DECIDED or job.suspect):
                    done.append((job, verdict))
                    continue
                self._counts["retries"] += 1
                job.suspect = verdict is not None
                # where nobody is to blame for the silence, everyone is
                if job.suspect or not broken or job.tries >= MAX_TRIES:
                    (self._alone.appendleft if job.urgent else self._alone.append)(job)
                else:
                    self._wait_in_pool(job)
            for job, verdict in done:
                self.cache.put(job.key, verdict)
                del self._jobs[job.key]
                self._count(verdict, len(job.futures))
            self._changed.notify_all()
        for job, verdict in done:
            for future in job.futures:
                _answer(future, verdict)

    def _count(self, verdict: Verdict, number: int) -> None:
        if verdict.status != "rejected" and not verdict.from_cache:
            self._counts[f"seconds_{verdict.status}"] += verdict.seconds
        self._counts[verdict.status] += number
        self._counts["finished"] += number


def _statement_error(verdict: Verdict) -> Message | None:
    """Of a theorem that was "proved" by `sorry`: what is wrong apart from that. None, too, where
    Lean came to no end: on another day it may.
    """
    if verdict.status not in DECIDED:
        return None
    errors = (m for m in verdict.messages if m.severity == "error" and m.kind != "axioms")
    return next(errors, None)


def _answer(future: concurrent.futures.Future, verdict: Verdict) -> None:
    if future.set_running_or_notify_cancel():  # unless who asked has cancelled it
        future.set_result(verdict)
