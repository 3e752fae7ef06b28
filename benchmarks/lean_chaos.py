"""The embedded backend in chaos: does every candidate get its one verdict, and the honest the right
one?

    python benchmarks/lean_chaos.py [--count=1000] [--workers=2]

One candidate in a hundred each kills its Lean (stack overflow), hangs, takes all memory, floods the
output, or breaks the file for its neighbours; and as many times a Lean is killed from outside, but
never at a candidate that is checked alone, for whom that would be the second time. The audit, which
would refuse most of them, is switched off. The honest candidates are also checked without any of
that: status, messages and axioms must be the same. Exit code 1 if they are not, if a candidate has
no verdict or two, or if our own memory at its peak in the last quarter is more than 10 % above that
of the first.
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
TROUBLE = {  # what a candidate does, and the verdicts that it may get
    "crash": (SWAP, "(" * 20_000 + "-- {}", {"crashed"}),
    "hang": (SWAP, "by\n  repeat (have := h) -- {}", {"timeout"}),
    "memory": (BOMB, "by decide +kernel -- {}", {"crashed", "timeout", "failed"}),
    "flood": (SWAP, "by\n" + "  trace_state\n" * 2000 + "  exact ⟨h.2, h.1⟩ -- {}", {"proved"}),
    "breaks": (SWAP, "by simp /- {}", {"failed", "crashed"}),
}
SHARE = 100  # one candidate in so many, of each kind
AT_ONCE = 1000  # candidates that the farm has at a time

Said = tuple[str, int]  # a verdict's status, and a hash of all that a run depends on


@dataclasses.dataclass
class Outcome:
    answers: list[list[Said]]  # of each candidate; not the verdicts: they would fill the memory
    memory_mb: list[float]  # of this process, over time
    kills: int
    seconds: float
    restarts: int


def mixture(count: int, seed: int) -> list[tuple[Theorem, Candidate, str]]:
    """(theorem, candidate, kind): the kinds of TROUBLE, "right" and "wrong"."""
    rng = random.Random(seed)
    items = [
        (t, candidate, "right" if right else "wrong")
        for t, candidate, right in candidates(range(count))
    ]
    for kind, (theorem, proof, _) in TROUBLE.items():
        for i in rng.sample(range(count), max(1, count // SHARE)):
            items[i] = (theorem, Candidate(proof.replace("{}", f"{kind} {i}")), kind)
    return items


class Worker(EmbeddedWorker):
    alone = True  # is its candidate checked alone?

    def check(self, batch, timeout):
        self.alone = len(batch) == 1
        return super().check(batch, timeout)


class Backend(EmbeddedBackend):
    def worker(self) -> Worker:
        return Worker(self)


def check(pairs, workers: int, timeout: float, kills: int = 0) -> Outcome:
    """All of `pairs` on a farm, without an audit, while so many Leans are killed at random."""
    backend = Backend(max_heartbeats=10**9, memory_mb=3072)
    answers: list[list[Said]] = [[] for _ in pairs]
    memory, done, room = [], threading.Event(), threading.Semaphore(AT_ONCE)
    killed, rng, own = 0, random.Random(1), psutil.Process()

    def take(index: int, verdict: Verdict) -> None:
        said = hash((verdict.status, verdict.messages, verdict.axioms))
        answers[index].append((verdict.status, said))
        room.release()

    def disturb() -> None:
        nonlocal killed
        while not done.wait(0.1 + 0.2 * rng.random()):
            memory.append(own.memory_info().rss / 2**20)
            with farm._changed:
                worker = rng.choice(farm._workers)
                child = worker.processes.child
                due = kills * farm._counts["finished"] / len(pairs)
                if child and killed < due and not worker.alone:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(child.pid, signal.SIGKILL)
                        killed += 1

    cache = VerdictCache(max_entries=1)  # its growth is no leak
    with (
        mock.patch("fdjax.lean.farm.audit", lambda *_: None),
        Farm(backend, workers, timeout, cache) as farm,
    ):
        began = time.monotonic()
        disturber = threading.Thread(target=disturb)
        disturber.start()
        for i, (theorem, candidate) in enumerate(pairs):
            room.acquire()
            future = farm.submit(theorem, candidate)
            future.add_done_callback(lambda future, i=i: take(i, future.result()))
        for _ in range(AT_ONCE):  # until all are done
            room.acquire()
        seconds, restarts = time.monotonic() - began, farm.counters.restarts
        done.set()
        disturber.join()
    return Outcome(answers, memory, killed, seconds, restarts)


def faults(items, chaos: Outcome, quiet: Outcome) -> list[str]:
    """What should not have happened. `quiet`: of the honest candidates alone."""
    found = []
    expected = iter(quiet.answers)
    for (_, candidate, kind), answers in zip(items, chaos.answers, strict=True):
        alone = None if kind in TROUBLE else next(expected)
        told = f"{kind}, `{candidate.text[:200]}`: {[status for status, _ in answers]}"
        if len(answers) != 1:
            found.append(f"not exactly one verdict: {told}")
        elif alone is None:
            # a killed Lean is blamed on whom it was at, twice at worst
            if answers[0][0] not in TROUBLE[kind][2] | {"crashed"}:
                found.append(told)
        elif answers != alone:
            found.append(f"other than alone, {alone[0][0]}: {told}")
        elif answers[0][0] != {"right": "proved", "wrong": "failed"}[kind]:
            found.append(told)
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
    honest = [item for item in items if item[2] not in TROUBLE]
    quiet = check([item[:2] for item in honest], flags.workers, 60.0)
    chaos = check(
        [item[:2] for item in items], flags.workers, flags.timeout, kills=flags.count // SHARE
    )
    found = faults(items, chaos, quiet)
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
                "faults": len(found),
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
