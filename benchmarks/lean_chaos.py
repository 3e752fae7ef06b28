"""The embedded backend under faults: exactly one verdict for each candidate, the right one for the
honest candidates.

    python benchmarks/lean_chaos.py [--count=1000] [--workers=2]

One candidate in a hundred each kills its Lean (stack overflow), hangs, takes all memory, floods the
output, or breaks the file for its neighbours; and as many times a Lean is killed from outside, but
never while it checks a single candidate, for which that would be the second time. The audit, which
would reject most of them, is switched off. The honest candidates are also checked without any
faults: status, messages and axioms must be the same. Exit code 1 if they are not, if a candidate
has no verdict or two, or if this process's peak memory in the last quarter is more than 10 % above
that in the first.
"""

import argparse
import collections
import contextlib
import dataclasses
import json
import os
import random
import signal
import sys
import threading
import time
from unittest import mock

import psutil

from fdjax.lean.backends.embedded.backend import EmbeddedBackend, EmbeddedWorker
from fdjax.lean.bench import candidates
from fdjax.lean.cache import VerdictCache
from fdjax.lean.farm import Farm
from fdjax.types import Candidate, Theorem, Verdict

SWAP = Theorem("swap", "swap", "(p q : Prop) (h : p ∧ q) : q ∧ p")
BOMB = Theorem("bomb", "bomb", ": 1 <<< (2 ^ 36) = 0")  # a number of 8 GB
FAULTS = {  # theorem, proof, allowed statuses
    "crash": (SWAP, "(" * 20_000 + "-- {}", {"crashed"}),
    "hang": (SWAP, "by\n  repeat (have := h) -- {}", {"timeout"}),
    "memory": (BOMB, "by decide +kernel -- {}", {"crashed", "timeout", "failed"}),
    "flood": (SWAP, "by\n" + "  trace_state\n" * 2000 + "  exact ⟨h.2, h.1⟩ -- {}", {"proved"}),
    "breaks": (SWAP, "by simp /- {}", {"failed", "crashed"}),
}
FAULT_PERIOD = 100  # candidates to one of each kind
QUEUED = 1000  # candidates that the farm holds at a time

Answer = tuple[str, int]  # status, and a hash of status, messages and axioms


@dataclasses.dataclass
class Outcome:
    answers: list[list[Answer]]  # of each candidate; verdicts would fill the memory
    memory_mb: list[float]  # of this process, over time
    kills: int
    seconds: float
    restarts: int


def mixture(count: int, seed: int) -> list[tuple[Theorem, Candidate, str]]:
    """(theorem, candidate, kind): the kinds of FAULTS, "right" and "wrong"."""
    rng = random.Random(seed)
    items = [
        (t, candidate, "right" if right else "wrong")
        for t, candidate, right in candidates(range(count))
    ]
    for kind, (theorem, proof, _) in FAULTS.items():
        for i in rng.sample(range(count), max(1, count // FAULT_PERIOD)):
            items[i] = (theorem, Candidate(proof.replace("{}", f"{kind} {i}")), kind)
    return items


class Worker(EmbeddedWorker):
    alone = True  # the batch holds a single candidate

    def check(self, batch, timeout):
        self.alone = len(batch) == 1
        return super().check(batch, timeout)


class Backend(EmbeddedBackend):
    def worker(self) -> Worker:
        return Worker(self)


def check(pairs, workers: int, timeout: float, kills: int = 0) -> Outcome:
    """Checks all `pairs` on a farm, without an audit, while `kills` Leans are killed at random."""
    backend = Backend(max_heartbeats=10**9, memory_mb=3072)
    answers: list[list[Answer]] = [[] for _ in pairs]
    memory, done, room = [], threading.Event(), threading.Semaphore(QUEUED)
    killed, rng, process = 0, random.Random(1), psutil.Process()

    def take(index: int, verdict: Verdict) -> None:
        digest = hash((verdict.status, verdict.messages, verdict.axioms))
        answers[index].append((verdict.status, digest))
        room.release()

    def kill_workers() -> None:
        nonlocal killed
        while not done.wait(0.1 + 0.2 * rng.random()):
            memory.append(process.memory_info().rss / 2**20)
            with farm._lock:
                worker = rng.choice(farm._workers)
                child = worker.processes.child
                due = kills * farm._counts["finished"] / len(pairs)
                if child and killed < due and not worker.alone:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(child.pid, signal.SIGKILL)
                        killed += 1

    cache = VerdictCache(max_entries=1)  # a growing cache is no leak
    with (
        mock.patch("fdjax.lean.farm.audit", lambda *_: None),
        Farm(backend, workers, timeout, cache) as farm,
    ):
        began = time.monotonic()
        killer = threading.Thread(target=kill_workers)
        killer.start()
        for i, (theorem, candidate) in enumerate(pairs):
            room.acquire()
            future = farm.submit(theorem, candidate)
            future.add_done_callback(lambda future, i=i: take(i, future.result()))
        for _ in range(QUEUED):  # until all are done
            room.acquire()
        seconds, restarts = time.monotonic() - began, farm.counters.restarts
        done.set()
        killer.join()
    return Outcome(answers, memory, killed, seconds, restarts)


def errors(items, chaos: Outcome, quiet: Outcome) -> list[str]:
    """Descriptions of wrong answers. `quiet`: of the honest candidates, without faults."""
    found = []
    expected = iter(quiet.answers)
    for (_, candidate, kind), answers in zip(items, chaos.answers, strict=True):
        quiet_answers = None if kind in FAULTS else next(expected)
        description = f"{kind}, `{candidate.text[:200]}`: {[status for status, _ in answers]}"
        if len(answers) != 1:
            found.append(f"not exactly one verdict: {description}")
        elif quiet_answers is None:
            # a candidate has crashed if its Lean was killed twice
            if answers[0][0] not in FAULTS[kind][2] | {"crashed"}:
                found.append(description)
        elif answers != quiet_answers:
            found.append(f"without faults {quiet_answers[0][0]}: {description}")
        elif answers[0][0] != {"right": "proved", "wrong": "failed"}[kind]:
            found.append(description)
    return found


def growth(memory_mb: list[float]) -> float:
    """Peak of the last quarter over the peak of the first."""
    quarter = max(1, len(memory_mb) // 4)
    return max(memory_mb[-quarter:]) / max(memory_mb[:quarter])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--timeout", type=float, default=2.0)
    flags = parser.parse_args()
    items = mixture(flags.count, seed=0)
    honest = [item for item in items if item[2] not in FAULTS]
    quiet = check([item[:2] for item in honest], flags.workers, 60.0)
    chaos = check(
        [item[:2] for item in items],
        flags.workers,
        flags.timeout,
        kills=flags.count // FAULT_PERIOD,
    )
    found = errors(items, chaos, quiet)
    grown = growth(chaos.memory_mb)
    if grown > 1.1:
        found.append(f"memory grew by {grown - 1:.0%}")
    statuses = collections.Counter(
        f"{kind}: {status}"
        for (*_, kind), answers in zip(items, chaos.answers, strict=True)
        for status, _ in answers
    )
    for line in found[:20]:
        print(line, file=sys.stderr)
    print(
        json.dumps(
            {
                "count": flags.count,
                "workers": flags.workers,
                "kills": chaos.kills,
                "restarts": chaos.restarts,
                "errors": len(found),
                "memory_growth": round(grown, 3),
                "peak_mb": round(max(chaos.memory_mb)),
                "seconds": round(chaos.seconds, 1),
                "quiet_seconds": round(quiet.seconds, 1),
                "statuses": dict(sorted(statuses.items())),
            }
        )
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
