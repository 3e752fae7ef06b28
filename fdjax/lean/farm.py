"""The Lean farm: candidates in, one verdict for each out, whatever the candidates do to Lean.

Worker threads take batches from the queue and drive one Lean each. After a batch that breaks Lean
its other candidates are checked again, in the end each alone.
"""

import atexit
import collections
import dataclasses
import os
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future

from fdjax.lean.audit import audit
from fdjax.lean.backend import Backend, BackendUnavailable, Pair, Worker
from fdjax.lean.cache import VerdictCache, cache_key
from fdjax.lean.jobs import BULK, TOOL, URGENT, Counters, Job, JobQueue
from fdjax.types import DECIDED, Candidate, Message, Theorem, Verdict

MAX_WAITING = 50_000  # candidates; `submit` blocks while so many are not yet verified
MAX_TRIES = 3  # in a batch with others; then a candidate is checked alone
LINGER = 0.25  # seconds; a Lean takes as long to start as for some 50 candidates


class MissingImports(ValueError):
    """Theorems whose imports the backend cannot provide."""


class Farm:
    """A context manager; leaving it (also by an exception) kills every Lean and cancels what waits.

    `timeout`: wall seconds for one candidate. One that exceeds it or kills its Lean is tried once
    more alone, then reported as `timeout` or `crashed`. `allow_helpers`: may candidates have helper
    lemmas? `second`: a farm over replay.ReplayBackend, closed with this one. An urgent candidate,
    or one with helpers, counts as proved only if `second` agrees. `submit`, `inquire` and `check`
    are thread-safe.
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
        self._workers = [backend.worker() for _ in range(workers or os.cpu_count() or 1)]
        self._lock = threading.RLock()
        # One thread is told of work, and tells the next (`_take`): hundreds that wake for each
        # candidate would hold up the one that submits.
        self._work = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        # all below is guarded by _lock
        self._queue = JobQueue(backend, len(self._workers))
        self._jobs: dict[str, Job] = {}  # by cache key: waiting or being checked
        self._counts: collections.Counter[str] = collections.Counter()
        self._opened = time.monotonic()
        self._closed = False
        self._reported = Counters()  # as of the last call of `figures`
        self._threads = [
            threading.Thread(
                target=self._check_batches, args=(worker,), name=f"lean-{i}", daemon=True
            )
            for i, worker in enumerate(self._workers)
        ]
        for thread in self._threads:
            thread.start()
        atexit.register(self.close)  # in case nobody else calls it

    def __enter__(self) -> "Farm":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def require(self, theorems: Iterable[Theorem]) -> None:
        """Raises MissingImports if the backend cannot check some of `theorems`; for start-up."""
        lacking: dict[str, list[str]] = {}
        reasons: dict[tuple[str, ...], str | None] = {}
        for theorem in theorems:
            if theorem.imports not in reasons:
                reasons[theorem.imports] = self.backend.missing(theorem.imports)
            if reason := reasons[theorem.imports]:
                lacking.setdefault(reason, []).append(theorem.id)
        if lacking:
            lines = (
                f"{reason}: {len(ids)} theorem{'s' * (len(ids) > 1)}, for instance {ids[0]}"
                for reason, ids in lacking.items()
            )
            raise MissingImports("; ".join(lines))

    def invalid_statements(self, theorems: Iterable[Theorem]) -> list[tuple[Theorem, Message]]:
        """Those whose statement or context Lean does not accept, each with Lean's first error; for
        start-up, so that no attempt fails for that reason. What Lean could not decide is left out.

        Raises MissingImports as `require` does.
        """
        theorems = list(theorems)
        pairs = [(theorem, Candidate("sorry")) for theorem in theorems]
        futures = self._submit(pairs, audited=False)
        errors = [_statement_error(future.result()) for future in futures]
        return [(t, error) for t, error in zip(theorems, errors, strict=True) if error]

    def submit(
        self,
        theorem: Theorem,
        candidate: Candidate,
        *,
        urgent: bool = False,
        more_follow: bool = False,
    ) -> Future[Verdict]:
        """The verdict to come. A candidate that the audit refuses is `rejected` at once. The future
        holds BackendUnavailable if the backend fails for good.

        `more_follow`: it waits up to LINGER seconds for others, to share the start of a Lean.

        Urgent candidates (of an evaluation, say) go before all that wait. The others block here
        while MAX_WAITING candidates are not yet verified; so do not submit from a future's
        callback. Raises MissingImports as `require` does, RuntimeError after `close`.
        """
        priority, linger = URGENT if urgent else BULK, LINGER * more_follow
        [first] = self._submit([(theorem, candidate)], priority=priority, linger=linger)
        if self.second and (urgent or candidate.has_helpers):
            return self._confirmed(first, theorem, candidate)
        return first

    def inquire(
        self, theorem: Theorem, candidate: Candidate, *, audited: bool = True
    ) -> Future[Verdict]:
        """What Lean says of a candidate, for a tool of an episode: as `submit`, after urgent ones
        and before all others, and without blocking. Its verdict counts for nothing: `second` is not
        asked. `audited=False`: for text that the caller has audited, and completed.
        """
        [verdict] = self._submit([(theorem, candidate)], audited=audited, priority=TOOL)
        return verdict

    def check(self, pairs: Iterable[Pair]) -> list[Verdict]:
        """One verdict for each (theorem, candidate), in order."""
        pairs = list(pairs)
        futures = self._submit(pairs)
        if self.second:
            futures = [self._confirmed(f, *pair) for f, pair in zip(futures, pairs, strict=True)]
        return [future.result() for future in futures]

    def refusal(self, theorem: Theorem, candidate: Candidate) -> Message | None:
        """The audit's message if it refuses the candidate."""
        limit = self.backend.max_heartbeats
        if not (candidate.has_helpers and self.allow_helpers):
            return audit(candidate.text, limit)
        if refusal := audit(candidate.helpers, limit, theorem.name):
            return refusal
        refusal, shift = audit(candidate.proof, limit), candidate.main_start
        return refusal and dataclasses.replace(
            refusal, start=shift + refusal.start, end=shift + refusal.end
        )

    @property
    def counters(self) -> Counters:
        with self._lock:
            return Counters(
                **self._counts,
                seconds_open=time.monotonic() - self._opened,
                workers=len(self._workers),
                queued=sum(len(job.futures) for job in self._jobs.values()),
            )

    def figures(self) -> dict[str, float]:
        """{"lean/NAME": figure} of the time since the last call, for a step's metrics."""
        figures = self._recent().figures()
        if not self.second:
            return figures
        replayed = self.second._recent()
        unconfirmed = replayed.finished - replayed.proved
        return figures | {"lean/replayed": replayed.finished, "lean/unconfirmed": unconfirmed}

    def close(self) -> None:
        """Kills what runs, cancels what waits, ends the threads. May be called twice."""
        with self._lock:
            self._closed = True
            waiting = [future for job in self._jobs.values() for future in job.futures]
            self._jobs.clear()
            self._queue.clear()
            self._work.notify_all()
            self._room.notify_all()
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
        recent, self._reported = now.since(self._reported), now
        return recent

    # --- From submission to the queue ------------------------------------------------------------

    def _submit(
        self,
        pairs: list[Pair],
        *,
        audited: bool = True,
        priority: int = BULK,
        linger: float = 0.0,  # seconds
    ) -> list[Future[Verdict]]:
        if any(self.backend.missing(imports) for imports in {t.imports for t, _ in pairs}):
            self.require(theorem for theorem, _ in pairs)
        refusals = [self.refusal(*pair) if audited else None for pair in pairs]
        futures: list[Future[Verdict]] = []
        done = []
        lingers_until = time.monotonic() + linger if linger else 0.0
        with self._lock:
            for (theorem, candidate), refusal in zip(pairs, refusals, strict=True):
                while len(self._jobs) >= MAX_WAITING and not priority and not self._closed:
                    self._work.notify()
                    self._room.wait()
                if self._closed:
                    raise RuntimeError("the Lean farm is closed")
                future: Future[Verdict] = Future()
                futures.append(future)
                self._counts["submitted"] += 1
                if refusal is not None:
                    verdict = Verdict("rejected", (refusal,), backend=self.backend.name)
                else:
                    key = cache_key(self.backend, theorem, candidate)
                    job = Job(key, theorem, candidate, [future], priority, lingers_until)
                    if verdict := self._enqueue(job):
                        self._counts["cache_hits"] += 1
                if verdict:
                    self._count(verdict, 1)
                    done.append((future, verdict))
            self._work.notify()
        for future, verdict in done:
            _answer(future, verdict)
        return futures

    def _enqueue(self, job: Job) -> Verdict | None:
        """The verdict if the cache holds it; else the job's future waits for it."""
        if verdict := self.cache.get(job.key):
            return dataclasses.replace(verdict, from_cache=True)
        if known := self._jobs.get(job.key):
            self._counts["joined"] += 1
            known.futures += job.futures
            if job.priority > known.priority:
                self._queue.hasten(known, job.priority)
            return None
        self._jobs[job.key] = job
        self._queue.add(job)
        return None

    # --- From the queue to verdicts, in the workers' threads -------------------------------------

    def _check_batches(self, worker: Worker) -> None:
        """A thread: checks batches until the farm is closed."""
        while taken := self._take():
            batch, alone = taken
            began = time.monotonic()
            try:
                verdicts = worker.check([(j.theorem, j.candidate) for j in batch], self.timeout)
                problem = "Lean ended without a report on this theorem"
            except BackendUnavailable as error:
                self._give_up(batch, error, alone)
                continue
            except Exception as error:  # every candidate gets a verdict, whatever broke
                verdicts = [None] * len(batch)
                problem = f"{type(error).__name__}: {error}"
            self._record_verdicts(batch, verdicts, problem, time.monotonic() - began, alone)

    def _take(self) -> tuple[list[Job], bool] | None:
        """As JobQueue.take, but waits for work. None when the farm is closed."""
        with self._lock:
            while not self._closed:
                if taken := self._queue.take():
                    self._work.notify()
                    return taken
                self._work.wait(self._queue.seconds_to_wait())
            return None

    def _give_up(self, batch: list[Job], error: BackendUnavailable, alone: bool) -> None:
        """Raises `error` from the futures of `batch`."""
        with self._lock:
            if self._closed:
                return
            if alone:
                self._queue.end_alone()
            for job in batch:
                del self._jobs[job.key]
            self._work.notify()
            self._room.notify_all()
        for future in (future for job in batch for future in job.futures):
            if future.set_running_or_notify_cancel():
                future.set_exception(error)

    def _record_verdicts(
        self,
        batch: list[Job],
        verdicts: list[Verdict | None],
        problem: str,
        seconds: float,
        alone: bool,
    ) -> None:
        """Answers what is decided and puts the rest back. `problem`: what explains a None."""
        broken = any(v is not None and v.status not in DECIDED for v in verdicts)
        done = []
        with self._lock:
            if self._closed:
                return
            self._counts["batches"] += 1
            self._counts["seconds_of_lean"] += seconds
            self._counts["restarts"] += broken
            if alone:
                self._queue.end_alone()
            for job, verdict in zip(batch, verdicts, strict=True):
                if verdict is None and len(batch) == 1:
                    message = Message("error", problem, "crashed")
                    verdict = Verdict("crashed", (message,), (), seconds, self.backend.name)
                job.tries += 1
                if verdict is not None and (verdict.status in DECIDED or job.suspect):
                    done.append((job, verdict))
                    continue
                self._counts["retries"] += 1
                job.suspect = verdict is not None
                # where no candidate explains the silence, each of the batch may be the cause
                if job.suspect or not broken or job.tries >= MAX_TRIES:
                    self._queue.add_alone(job)
                else:
                    self._queue.add(job)
            for job, verdict in done:
                self.cache.put(job.key, verdict)
                del self._jobs[job.key]
                self._count(verdict, len(job.futures))
            self._work.notify()
            self._room.notify_all()
        for job, verdict in done:
            for future in job.futures:
                _answer(future, verdict)

    def _count(self, verdict: Verdict, number: int) -> None:
        if verdict.status != "rejected" and not verdict.from_cache:
            self._counts[f"seconds_{verdict.status}"] += verdict.seconds
        self._counts[verdict.status] += number
        self._counts["finished"] += number

    def _confirmed(
        self, first: Future[Verdict], theorem: Theorem, candidate: Candidate
    ) -> Future[Verdict]:
        """As `first`, unless that is a success that `second` does not confirm: then its verdict."""
        confirmed: Future[Verdict] = Future()

        def relay(future: Future[Verdict]) -> None:
            if future.cancelled():
                confirmed.cancel()
            elif error := future.exception():
                if confirmed.set_running_or_notify_cancel():
                    confirmed.set_exception(error)
            elif future is first and first.result().proved:
                try:
                    self.second.submit(theorem, candidate, urgent=True).add_done_callback(relay)
                except RuntimeError:  # both farms are being closed
                    confirmed.cancel()
            else:
                agreed = future.result().proved
                _answer(confirmed, first.result() if agreed else future.result())

        first.add_done_callback(relay)
        return confirmed


def _statement_error(verdict: Verdict) -> Message | None:
    """Of a theorem "proved" by `sorry`: Lean's first other error. None, too, where Lean came to no
    end: it may on another day.
    """
    if verdict.status not in DECIDED:
        return None
    errors = (m for m in verdict.messages if m.severity == "error" and m.kind != "axioms")
    return next(errors, None)


def _answer(future: Future[Verdict], verdict: Verdict) -> None:
    if future.set_running_or_notify_cancel():  # False if the future has been cancelled
        future.set_result(verdict)
