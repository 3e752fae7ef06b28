"""The logic of the farm over a scripted backend: whatever candidates do, one verdict each."""

import collections
import contextlib
import dataclasses
import random
import threading
import time

import pytest
from checking import check, submit

from fdjax.lean import farm as farm_module
from fdjax.lean.backend import BackendUnavailable
from fdjax.lean.cache import VerdictCache
from fdjax.lean.farm import Farm, MissingImports
from fdjax.lean.jobs import BULK, URGENT, Job, JobQueue
from fdjax.types import Candidate, Theorem, Verdict

THEOREM = Theorem("t", "t", ": True")


class Scripted:
    """A backend whose candidates name in their first word what happens to Lean."""

    name, version, limits = "scripted", "1", ""
    max_heartbeats, max_batch = 2000, 8

    def __init__(self):
        self.batches = []
        self.reached = collections.Counter()
        self.release = threading.Event()  # ends the candidates that block
        self.started = threading.Event()

    def missing(self, imports):
        return "no Mathlib here" if "Mathlib" in imports else None

    def pool(self, theorem):
        return theorem.context

    def worker(self):
        return self

    def close(self):
        self.release.set()

    def check(self, batch, timeout):
        assert len({(theorem.imports, theorem.context) for theorem, _ in batch}) == 1
        self.batches.append([candidate.text for _, candidate in batch])
        self.started.set()
        verdicts = [None] * len(batch)
        for i, (_, candidate) in enumerate(batch):
            proof = candidate.text
            act = proof.split()[0]
            if act == "block":
                self.release.wait(10)
            if act in ("timeout", "crashed"):
                verdicts[i] = Verdict(act, backend=self.name)
                return verdicts  # of those that follow nothing is known
            self.reached[proof] += 1
            if act == "flaky" and self.reached[proof] == 1:
                verdicts[i] = Verdict("crashed", backend=self.name)
                return verdicts
            if act == "lost":
                raise BackendUnavailable("no server")
            if act == "raise":
                raise OSError("cannot fork")
            if act == "swallow":
                return verdicts
            verdicts[i] = Verdict("proved" if act == "good" else "failed", backend=self.name)
        return verdicts


EXPECTED = {
    "good": "proved",
    "wrong": "failed",
    "timeout": "timeout",
    "crashed": "crashed",
    "raise": "crashed",
    "swallow": "crashed",
    "flaky": "failed",
}


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_exactly_one_verdict_each_in_chaos(workers, seed):
    rng = random.Random(seed)
    acts = [
        rng.choice(list(EXPECTED)) if rng.random() < 0.3 else rng.choice(["good", "wrong"])
        for _ in range(120)
    ]
    proofs = [f"{act} {i}" for i, act in enumerate(acts)]
    with Farm(Scripted(), workers=workers) as farm:
        answered = collections.Counter()
        futures = [submit(farm, THEOREM, proof) for proof in proofs]
        for i, future in enumerate(futures):
            future.add_done_callback(lambda _, i=i: answered.update([i]))
        verdicts = [future.result(timeout=20) for future in futures]
        counters = farm.counters
    assert [v.status for v in verdicts] == [EXPECTED[act] for act in acts]
    assert answered == collections.Counter(range(len(proofs)))
    assert counters.submitted == counters.finished == len(proofs) and counters.queued == 0
    for status in ("proved", "failed", "timeout", "crashed"):
        assert getattr(counters, status) == [v.status for v in verdicts].count(status)


def test_trouble_is_tried_once_more_and_alone():
    backend = Scripted()
    with Farm(backend, workers=1) as farm:
        check(farm, [(THEOREM, p) for p in ("good 1", "timeout 2", "good 3", "flaky 4", "good 5")])
    assert backend.batches[0] == ["good 1", "timeout 2", "good 3", "flaky 4", "good 5"]
    times = collections.Counter(p for batch in backend.batches for p in batch)
    assert times["timeout 2"] == 2 and ["timeout 2"] in backend.batches
    assert times["good 1"] == 1
    assert ["flaky 4"] in backend.batches


def test_many_candidates_share_a_batch_and_a_pool():
    backend = Scripted()
    other = Theorem("u", "u", ": True", context="open Nat")
    with Farm(backend, workers=2) as farm:
        check(farm, [(t, f"good {i}") for i in range(40) for t in (THEOREM, other)])
    assert max(map(len, backend.batches)) <= 8
    assert len(backend.batches) <= 12


def test_identical_candidates_in_flight_are_computed_once_and_later_ones_cached():
    backend = Scripted()
    with Farm(backend, workers=1) as farm:
        first = submit(farm, THEOREM, "block 1")
        backend.started.wait(5)
        second = submit(farm, THEOREM, "block 1")
        different = submit(farm, Theorem("t", "t", ": False"), "block 1")
        backend.release.set()
        assert first.result(5) == second.result(5)
        assert different.result(5).status == "failed"
        assert farm.counters.joined == 1
        again = submit(farm, THEOREM, "block 1").result(5)
        assert again.from_cache and again.status == "failed" and farm.counters.cache_hits == 1
    assert sum(batch.count("block 1") for batch in backend.batches) == 2


def test_undecided_verdicts_are_never_cached():
    backend = Scripted()
    with Farm(backend, workers=1) as farm:
        for _ in range(2):
            assert check(farm, [(THEOREM, "timeout 1")])[0].status == "timeout"
        assert farm.counters.cache_hits == 0 and len(farm.cache) == 0
    assert sum(batch.count("timeout 1") for batch in backend.batches) == 4


def test_audit_refuses_before_any_lean():
    backend = Scripted()
    with Farm(backend, workers=1) as farm:
        verdict = check(farm, [(THEOREM, "good sorry")])[0]
    assert verdict.status == "rejected" and verdict.first_error_message.kind == "audit"
    assert backend.batches == []


def test_missing_imports_are_an_error_not_a_verdict():
    with Farm(Scripted(), workers=1) as farm:
        mathlib = Theorem("needs-it", "t", ": True", imports=("Mathlib",))
        with pytest.raises(MissingImports, match=r"no Mathlib here: 1 theorem, .*needs-it"):
            farm.require([THEOREM, mathlib])
        with pytest.raises(MissingImports):
            submit(farm, mathlib, "good")
        farm.require([THEOREM])


def test_results_come_back_while_others_still_run():
    backend = Scripted()
    backend.max_batch = 1
    with Farm(backend, workers=2) as farm:
        blocked = submit(farm, THEOREM, "block 1")
        assert submit(farm, THEOREM, "good 2").result(5).proved
        assert not blocked.done()


def test_close_cancels_what_waits_and_ends_the_threads():
    backend = Scripted()
    farm = Farm(backend, workers=1)
    running, waiting = submit(farm, THEOREM, "block 1"), None
    backend.started.wait(5)
    waiting = submit(farm, THEOREM, "good 2")
    farm.close()
    farm.close()
    assert waiting.cancelled() and running.cancelled()
    assert not any(thread.is_alive() for thread in farm._threads)
    with pytest.raises(RuntimeError, match="closed"):
        submit(farm, THEOREM, "good 3")


def test_an_exception_in_the_with_block_ends_the_farm():
    backend = Scripted()
    with pytest.raises(KeyboardInterrupt), Farm(backend, workers=1) as farm:
        submit(farm, THEOREM, "block 1")
        raise KeyboardInterrupt
    assert not any(thread.is_alive() for thread in farm._threads)


def test_a_cancelled_future_does_not_affect_others():
    backend = Scripted()
    with Farm(backend, workers=1) as farm:
        first = submit(farm, THEOREM, "block 1")
        backend.started.wait(5)
        second, third = submit(farm, THEOREM, "good 2"), submit(farm, THEOREM, "good 3")
        assert second.cancel()
        backend.release.set()
        assert third.result(5).proved and first.result(5).status == "failed"


def test_suspects_leave_workers_to_the_others():
    backend = Scripted()
    with Farm(backend, workers=2) as farm:
        futures = [submit(farm, THEOREM, f"timeout {i}") for i in range(10)]
        futures += [submit(farm, THEOREM, f"good {i}") for i in range(10)]
        statuses = [future.result(20).status for future in futures]
    assert statuses == ["timeout"] * 10 + ["proved"] * 10


def test_candidates_that_others_follow_share_a_batch(monkeypatch):
    monkeypatch.setattr(farm_module, "LINGER", 0.5)
    backend = Scripted()
    with Farm(backend, workers=2) as farm:
        futures = [submit(farm, THEOREM, f"good {i}", more_follow=True) for i in range(3)]
        assert all(future.result(5).proved for future in futures)
    assert backend.batches == [["good 0", "good 1", "good 2"]]


def test_a_full_batch_does_not_linger(monkeypatch):
    monkeypatch.setattr(farm_module, "LINGER", 60)
    backend = Scripted()
    with Farm(backend, workers=2) as farm:
        futures = [submit(farm, THEOREM, f"good {i}", more_follow=True) for i in range(11)]
        assert all(future.result(5).proved for future in futures[: backend.max_batch])
        assert not any(future.done() for future in futures[backend.max_batch :])


def test_a_candidate_that_none_follows_does_not_wait(monkeypatch):
    monkeypatch.setattr(farm_module, "LINGER", 60)
    with Farm(Scripted(), workers=1) as farm:
        lingers = submit(farm, THEOREM, "good 1", more_follow=True)
        assert submit(farm, THEOREM, "good 0").result(5).proved
        assert submit(farm, THEOREM, "good 2", urgent=True).result(5).proved
        other = dataclasses.replace(THEOREM, context="def a := 1")
        assert check(farm, [(other, "good 3")])[0].proved
        assert not lingers.done()


def test_a_candidate_checked_alone_comes_behind_a_higher_priority():
    queue = JobQueue(Scripted(), workers=1)
    alone = [Job(f"alone {i}", THEOREM, Candidate(""), [], BULK) for i in range(2)]
    urgent = Job("urgent", THEOREM, Candidate(""), [], URGENT)
    for job in alone:
        queue.add_alone(job)
    queue.add(urgent)
    assert queue.take() == ([urgent], False)
    assert queue.take() == ([alone[0]], True)
    queue.add(Job("as urgent", THEOREM, Candidate(""), [], BULK))
    queue.end_alone()
    assert queue.take() == ([alone[1]], True)


@contextlib.contextmanager
def busy():
    """(backend, farm, first, waiting): its one worker is at `first`, and 20 more wait."""
    backend = Scripted()
    with Farm(backend, workers=1) as farm:
        first = submit(farm, THEOREM, "block 1")
        backend.started.wait(5)
        yield backend, farm, first, [submit(farm, THEOREM, f"good {i}") for i in range(20)]


def test_what_is_urgent_goes_first():
    with busy() as (backend, farm, first, waiting):
        urgent = [submit(farm, THEOREM, f"wrong {i}", urgent=True) for i in range(3)]
        backend.release.set()
        for future in [first, *urgent, *waiting]:
            future.result(5)
    assert backend.batches[1] == ["wrong 0", "wrong 1", "wrong 2"]
    assert sum(map(len, backend.batches)) == 24


def test_what_a_tool_asks_goes_after_urgent_candidates_and_before_others():
    with busy() as (backend, farm, first, waiting):
        asked = farm.inquire(THEOREM, Candidate("wrong tool"))
        hastened = farm.inquire(THEOREM, Candidate("good 19"))
        refused = farm.inquire(THEOREM, Candidate("sorry"))
        unaudited = farm.inquire(THEOREM, Candidate("wrong sorry"), audited=False)
        urgent = submit(farm, THEOREM, "wrong urgent", urgent=True)
        assert refused.result().status == "rejected"
        backend.release.set()
        for future in [first, asked, hastened, unaudited, urgent, *waiting]:
            future.result(5)
    assert backend.batches[1:3] == [["wrong urgent"], ["wrong tool", "good 19", "wrong sorry"]]


def test_an_urgent_duplicate_hastens_what_waits():
    with busy() as (backend, farm, first, waiting):
        running = submit(farm, THEOREM, "block 1", urgent=True)
        urgent = [submit(farm, THEOREM, f"good {i}", urgent=True) for i in (19, 7, 19)]
        backend.release.set()
        for future in [first, running, *urgent, *waiting]:
            future.result(5)
    assert backend.batches[1] == ["good 19", "good 7"]
    assert sorted(p for batch in backend.batches for p in batch) == sorted(
        ["block 1", *(f"good {i}" for i in range(20))]
    )


def test_submit_blocks_while_too_many_wait(monkeypatch):
    monkeypatch.setattr(farm_module, "MAX_WAITING", 5)
    backend = Scripted()
    with Farm(backend, workers=1) as farm:
        futures = []
        proofs = ["block 0", *(f"good {i}" for i in range(1, 12))]
        giver = threading.Thread(
            target=lambda: futures.extend(submit(farm, THEOREM, p) for p in proofs)
        )
        giver.start()
        giver.join(0.2)
        assert giver.is_alive() and farm.counters.queued == 5
        assert not submit(farm, THEOREM, "good urgent", urgent=True).done()  # and does not wait
        backend.release.set()
        giver.join(5)
        assert not giver.is_alive() and all(f.result(5).proved for f in futures[1:])


def test_close_ends_a_blocked_submit(monkeypatch):
    monkeypatch.setattr(farm_module, "MAX_WAITING", 1)
    backend = Scripted()
    farm = Farm(backend, workers=1)
    submit(farm, THEOREM, "block 1")
    results = []

    def give():
        with pytest.raises(RuntimeError, match="closed"):
            submit(farm, THEOREM, "good 2")
        results.append("closed")

    giver = threading.Thread(target=give)
    giver.start()
    backend.started.wait(5)
    farm.close()
    giver.join(5)
    assert results == ["closed"]


def test_a_backend_that_has_failed_is_an_error_of_the_futures():
    backend = Scripted()
    with Farm(backend, workers=1) as farm:
        with pytest.raises(BackendUnavailable, match="no server"):
            check(farm, [(THEOREM, "lost 1")])
        assert check(farm, [(THEOREM, "good 1")])[0].proved
        assert farm.counters.queued == 0


def test_bad_flags_are_named():
    with pytest.raises(ValueError, match="workers"):
        Farm(Scripted(), workers=0)
    with pytest.raises(ValueError, match="timeout"):
        Farm(Scripted(), timeout=0)


def test_threads_may_share_a_farm():
    with Farm(Scripted(), workers=2, cache=VerdictCache()) as farm:
        results = {}

        def ask(k):
            pairs = [(THEOREM, f"{'good' if i % 2 else 'wrong'} {i}") for i in range(k, k + 30)]
            results[k] = [v.proved for v in check(farm, pairs)]

        threads = [threading.Thread(target=ask, args=(k,)) for k in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert results == {k: [bool(i % 2) for i in range(k, k + 30)] for k in range(8)}


def test_counters_measure_time():
    with Farm(Scripted(), workers=1) as farm:
        check(farm, [(THEOREM, "good 1")])
        time.sleep(0.01)
        counters = farm.counters
    assert counters.seconds_open > 0 and counters.per_second > 0 and counters.batches == 1


def test_figures_are_of_the_time_since_the_last_ones():
    with Farm(Scripted(), workers=2) as farm:
        check(farm, [(THEOREM, "good 1"), (THEOREM, "timeout 2")])
        first = farm.figures()
        check(farm, [(THEOREM, "good 1"), (THEOREM, "good 3")])
        second, third = farm.figures(), farm.figures()
    assert (first["lean/finished"], first["lean/timeout"], first["lean/cache_hits"]) == (2, 1, 0)
    assert (second["lean/finished"], second["lean/timeout"], second["lean/cache_hits"]) == (2, 0, 1)
    assert third["lean/finished"] == third["lean/per_second"] == third["lean/queued"] == 0
    assert 0 < first["lean/utilisation"] <= 1 and first["lean/restarts"] == 2
    assert set(first) == set(third)


def test_seconds_are_counted_once_and_by_status():
    class Slow(Scripted):
        def check(self, batch, timeout):
            return [dataclasses.replace(v, seconds=2.0) for v in super().check(batch, timeout)]

    with Farm(Slow(), workers=1) as farm:
        check(farm, [(THEOREM, "good 1"), (THEOREM, "good 1"), (THEOREM, "wrong 2")])
        check(farm, [(THEOREM, "good 1")])
        counters = farm.counters
    assert counters.seconds_proved == counters.seconds_failed == 2.0 and counters.proved == 3
