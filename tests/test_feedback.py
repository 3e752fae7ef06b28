"""Feedback providers on hand-made attempts and on synthetic theorems."""

import asyncio

import pytest

from fdjax.config import ConfigError, default
from fdjax.data.theorems import Theorem
from fdjax.feedback.diagnostics import diagnostics, error_place
from fdjax.feedback.protocol import Feedback
from fdjax.feedback.providers import make_provider
from fdjax.feedback.shuffled import shuffled
from fdjax.lean.verdict import Message, Verdict
from fdjax.rollout.attempts import Attempt

AND = Theorem(
    id="and",
    name="and",
    signature="(p q : Prop) (h1 : p ∧ q) : q ∧ p",
    goal="h1 : p ∧ q\n⊢ q ∧ p",
    reference=" by\n  exact ⟨h1.2, h1.1⟩",
)
FOREIGN = Theorem("f", "f", "(z : ℂ) : z = z", reference=" by\n  rfl")
FAILED = Verdict("failed")


def attempt(proof):
    return Attempt("and", 0, (), (), True, proof, ())


def ask(provider, *groups):
    return asyncio.run(provider(list(groups)))


def one(help, proof, verdict=FAILED, theorem=AND):
    [[said]] = ask(diagnostics(help), [(theorem, attempt(proof), verdict)])
    return said


def test_error_quotes_the_line_of_the_first_error():
    proof = " by\n  constructor\n  exact h2\n  exact h1"
    late = Message("error", "late", start=proof.index("exact h1"))
    first = Message("error", "unknown identifier 'h2'", start=proof.index("h2"))
    said = one("error", proof, Verdict("failed", (late, first)))
    assert said.messages == ("Lean refuses exact h2", "unknown identifier 'h2'")
    assert said.departs_at == proof.index("h2")


def test_an_open_goal_departs_where_the_tactics_end():
    proof = " by\n  constructor\n  exact h1.2"
    goal = Message("error", "unsolved goals\n⊢ p", "Tactic.unsolvedGoals", 1, len(proof))
    assert error_place(Verdict("failed", (goal,))) == len(proof)
    assert one("verdict", proof, Verdict("failed", (goal,))).departs_at == len(proof)


def test_what_could_not_be_verified_gets_no_verdict():
    assert one("verdict", " by", Verdict("timeout")) is None
    assert one("verdict", " by", Verdict("proved")).text == "Lean accepts it"
    assert one("verdict", " by").text == "Lean refuses it"


def test_step_says_what_to_write_after_the_last_good_line():
    bad = " by\n  constructor\n  exact h1.1\n  exact h1.2"
    said = one("step", bad)
    assert said.text.startswith("after constructor use ")
    assert said.departs_at >= bad.index("exact h1.1")
    assert said.proof.startswith(" by\n  constructor\n")


def test_step_on_a_proof_repeats_one_of_its_lines():
    good = " by\n  constructor\n  exact h1.2\n  exact h1.1"
    said = one("step", good, Verdict("proved"))
    lines = ["constructor", "exact h1.2", "exact h1.1"]
    told = ["begin with constructor", *(f"after {a} use {b}" for a, b in zip(lines, lines[1:]))]
    assert said.text in told and said.departs_at is None and said.proof == good


def test_correction_keeps_the_good_part():
    bad = " by\n  constructor\n  exact h1.1\n  exact h1.2"
    said = one("correction", bad)
    assert said.proof.startswith(" by\n  constructor\n  ")
    assert said.text == "a proof is" + said.proof.removeprefix(" by")


@pytest.mark.parametrize(
    "extra, departs", [("", None), ("\n  done", 0), ("x", 0)]
)
def test_proof_departs_where_texts_differ(extra, departs):
    known = one("proof", " by\n  constructor").proof
    said = one("proof", known + extra)
    assert said.departs_at == (None if departs is None else len(known))
    assert one("proof", known[:-1]).departs_at == len(known) - 1
    assert one("proof", " by\n  #").departs_at == len(" by\n  ")


def test_theorems_that_the_interpreter_cannot_read():
    assert one("step", " by\n  rfl", theorem=FOREIGN) is None
    assert one("correction", " by\n  rfl", theorem=FOREIGN) is None
    assert one("proof", " by\n  simp", theorem=FOREIGN).proof == FOREIGN.reference


def test_a_proof_that_lean_refused_gets_no_false_praise():
    good = " by\n  exact ⟨h1.2, h1.1⟩"
    assert one("step", good) is None and one("correction", good) is None
    assert one("correction", good, Verdict("proved")).proof == good


def test_shuffled_takes_text_from_another_theorem_and_keeps_the_departure():
    async def echo(groups):
        return [[Feedback((t.id,), "echo", departs_at=i) for i, (t, _, _) in enumerate(g)]
                for g in groups]

    def group(name, size):
        return [(Theorem(name, name, ": True"), attempt(""), Verdict("failed"))] * size

    out = ask(shuffled(echo), group("a", 3), group("b", 1), group("c", 2))
    assert [[f.text for f in g] for g in out] == [["b"] * 3, ["c"], ["a"] * 2]
    assert [f.departs_at for f in out[0]] == [0, 1, 2]
    assert out[0][0].provider == "shuffled echo"


def test_unknown_names_are_refused():
    config = default().feedback
    config.help = "oracle"
    with pytest.raises(ConfigError, match=r"feedback\.help is 'oracle'; known are verdict"):
        make_provider(config)
    config.provider = "llm"
    with pytest.raises(ConfigError, match=r"feedback\.provider is 'llm'"):
        make_provider(config)
