"""Feedback providers on hand-made attempts and on synthetic theorems."""

import asyncio

import pytest
from ml_collections import ConfigDict

from fdjax.config import feedback
from fdjax.data.theorems import Theorem
from fdjax.feedback.protocol import Feedback
from fdjax.feedback.providers import make_provider
from fdjax.feedback.reference import show_proof
from fdjax.feedback.shuffled import shuffled
from fdjax.feedback.verifier import verifier
from fdjax.lean.verdict import Message, Verdict
from fdjax.rollout.attempts import Attempt

AND = Theorem(
    id="and",
    name="and",
    signature="(p q : Prop) (h1 : p ∧ q) : q ∧ p",
    goal="h1 : p ∧ q\n⊢ q ∧ p",
    reference=" by\n  exact ⟨h1.2, h1.1⟩",
)


def attempt(proof):
    return Attempt("and", 0, (), (), True, proof, ())


def ask(provider, *groups):
    return asyncio.run(provider(list(groups)))


def test_verifier_quotes_the_line_of_the_first_error():
    proof = " by\n  constructor\n  exact h2\n  exact h1"
    late = Message("error", "late", start=proof.index("exact h1"))
    first = Message("error", "unknown identifier 'h2'", start=proof.index("h2"))
    verdict = Verdict("failed", (late, first))
    [[said]] = ask(verifier, [(AND, attempt(proof), verdict)])
    assert said.text == "error at: exact h2\nunknown identifier 'h2'"
    assert said.departs_at == proof.index("h2")


def test_verifier_has_nothing_to_say_without_an_error():
    assert ask(verifier, [(AND, attempt(" by"), Verdict("timeout"))]) == [[None]]
    [[said]] = ask(verifier, [(AND, attempt(" by"), Verdict("proved"))])
    assert said.departs_at is None


@pytest.mark.parametrize(
    "text, departs",
    [
        (" by\n  exact ⟨h1.1, h1.2⟩", len(" by\n  exact ⟨h1.")),
        (" by\n  exact ⟨h1.2", len(" by\n  exact ⟨h1.2")),
        (" by\n  exact ⟨h1.2, h1.1⟩", None),
        (" by\n  exact ⟨h1.2, h1.1⟩\n  done", len(" by\n  exact ⟨h1.2, h1.1⟩")),
    ],
)
def test_shown_proof_departs_where_texts_differ(text, departs):
    assert show_proof(text, AND.reference, "reference").departs_at == departs
    assert show_proof(text, None, "reference") is None


def test_shuffled_takes_text_from_another_theorem_and_keeps_the_departure():
    async def echo(groups):
        return [[Feedback(t.id, "echo", departs_at=i) for i, (t, _, _) in enumerate(g)]
                for g in groups]

    def group(name, size):
        return [(Theorem(name, name, ": True"), attempt(""), Verdict("failed"))] * size

    out = ask(shuffled(echo), group("a", 3), group("b", 1), group("c", 2))
    assert [[f.text for f in g] for g in out] == [["b"] * 3, ["c"], ["a"] * 2]
    assert [f.departs_at for f in out[0]] == [0, 1, 2]
    assert out[0][0].provider == "shuffled echo"


def test_hint_says_what_to_write_after_the_last_good_line():
    provide = make_provider(ConfigDict(feedback(provider="hint")))
    bad = " by\n  constructor\n  exact h1.1\n  exact h1.2"
    [[said]] = ask(provide, [(AND, attempt(bad), Verdict("failed"))])
    assert said.text.startswith("after constructor use ")
    assert said.departs_at >= bad.index("exact h1.1")
    assert said.proof.startswith(" by\n  constructor\n")


def test_shortest_shows_a_whole_proof():
    provide = make_provider(ConfigDict(feedback(provider="shortest")))
    [[said]] = ask(provide, [(AND, attempt(" by\n  constructor"), Verdict("failed"))])
    assert said.proof.startswith(" by\n  ") and said.proof.removeprefix(" by") in said.text


def test_unknown_provider_is_named():
    with pytest.raises(ValueError, match="'oracle'; known are"):
        make_provider(ConfigDict(feedback(provider="oracle")))
