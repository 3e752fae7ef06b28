"""Equal statements have equal keys, others do not; what goes from the training splits, and why."""

import json

import pytest

from fdjax.config import ConfigError, default
from fdjax.data.__main__ import main
from fdjax.data.dedup import Dropped, clean, statement_key, summary
from fdjax.data.published import read_file
from fdjax.data.splits import SPLITS, load_splits
from fdjax.data.theorems import read_theorems, write_theorems
from fdjax.training.theorem_files import report_dropped
from fdjax.types import Theorem


def key(signature, context="", name="t"):
    return statement_key(Theorem("id", name, signature, context=context))


@pytest.mark.parametrize(
    "one, other",
    [
        ("(p q : Prop) (h : p ∧ q) : q", "(a b : Prop)\n    (hab : a ∧ b) :\n  b"),
        ("(n : ℕ) : n + 0 = n", "(n : ℕ) /- all n -/ : n + 0 = n -- indeed"),
        (": ∀ x : ℝ, x ^ 2 ≥ 0", ": ∀ y : ℝ, y ^ 2 >= 0"),
        (": ∀ x ∈ S, ∃ y > x, y ∣ x", ": ∀ a ∈ S, ∃ b > a, b ∣ a"),
        (": ∑ i in Finset.range 3, i = 3", ": ∑ k in Finset.range 3, k = 3"),
        (": (fun x => x + 1) 1 = 2", ": (λ y ↦ y + 1) 1 = 2"),
        (": {x : ℕ | x < 3}.ncard = 3", ": {n : ℕ | n < 3}.ncard = 3"),
        (": {x ∈ S | x < 3} = S", ": {n ∈ S | n < 3} = S"),
        (": (∀ x, P x) → ∀ x, Q x", ": (∀ x, P x) -> ∀ y, Q y"),
        ("(a b : ℝ) : ∫ x in a..b, x = 0", "(c d : ℝ) : ∫ y in c..d, y = 0"),
        ("(h : P ∧ Q) : h.1 = h.1", "(k : P ∧ Q) : k.1 = k.1"),
        ("[hp : Fact p.Prime] : p > 1", "[inst : Fact p.Prime] : p > 1"),
        (": ∃! x, x = 1", ": ∃! y, y = 1"),
        (": ∀ᶠ x in l, P x", ": ∀ᶠ y in l, P y"),
        (": let x := 1; x = 1", ": let y := 1; y = 1"),
        (": ∀ (x : ℝ) {y : ℝ}, x = y", ": ∀ (a : ℝ) {b : ℝ}, a = b"),
        (": ∃ x, ∃ (_ : p) (h : q x), r h", ": ∃ y, ∃ (_ : p) (k : q y), r k"),
        (": ⋃ (i ∈ S), A i = B", ": ⋃ (j ∈ S), A j = B"),
        (": ∑' (n : ℕ), f n = 1", ": ∑' (k : ℕ), f k = 1"),
        (": (Σ (i : ι), A i) = B", ": (Σ (j : ι), A j) = B"),
        (": P → (x : ℝ) → x = x", ": P → (y : ℝ) → y = y"),
        (
            ".{u} (α : Type u) [Group α] (x : α) : x = x",
            ".{u} (G : Type u) [Group G] (y : G) : y = y",
        ),
        (": {x : ℝ // 0 < x} = T", ": {y : ℝ // 0 < y} = T"),
        ("(x : ℝ) (h : ∀ x, P x) : Q x", "(y : ℝ) (h : ∀ x, P x) : Q y"),
        (": (∃ x, (x : ℝ) = 1 ∧ ∀ y, y = x) ∧ P", ": (∃ a, (a : ℝ) = 1 ∧ ∀ b, b = a) ∧ P"),
        (
            "(f : ℕ → ℝ) : let g (n : ℕ) := f n; g 1 = 1",
            "(a : ℕ → ℝ) : let b (k : ℕ) := a k; b 1 = 1",
        ),
    ],
)
def test_the_same_up_to_layout_comments_and_bound_names(one, other):
    assert key(one) == key(other)
    assert key(one, name="a") == key(other, name="b")


@pytest.mark.parametrize(
    "one, other",
    [
        ("(p q : Prop) (h : p ∧ q) : q", "(p q : Prop) (h : p ∧ q) : p"),
        (": ∀ x, ∃ y, x < y", ": ∀ x, ∃ y, y < x"),
        (": x = 1", ": y = 1"),  # free names mean something
        (": (2 : ℝ) = 2", ": (2 : ℚ) = 2"),
        (": ∀ᶠ x in l, P x", ": ∀ᵐ x in l, P x"),
        (": {0, 1} = S", ": {1, 0} = S"),
        (": a - > b", ": a <-> b"),
        ("(h : Real.pi > 3) : P", "(h : Real.exp > 3) : P"),
        # type ascriptions and other brackets that bind nothing
        ("(x : ℝ) : (sin x : ℝ) ≤ 1", "(x : ℝ) : (cos x : ℝ) ≤ 1"),
        ("(m n : ℕ) : (m : ℝ) < 5", "(m n : ℕ) : (n : ℝ) < 5"),
        ("(m n : ℕ) (h : (m : ℝ) < 5) : P", "(m n : ℕ) (h : (n : ℝ) < 5) : P"),
        ("(m n : ℕ) : P (m : ℝ) → Q", "(m n : ℕ) : P (n : ℝ) → Q"),
        ("(m n : ℕ) : ∃ x, x < (m : ℝ)", "(m n : ℕ) : ∃ x, x < (n : ℝ)"),
        ("(m n : ℕ) : ∃ x > (m : ℝ), P x", "(m n : ℕ) : ∃ x > (n : ℝ), P x"),
        ("(m n : ℕ) : ∫ x in (m : ℝ)..1, x = 0", "(m n : ℕ) : ∫ x in (n : ℝ)..1, x = 0"),
        ("(m n : ℕ) : (m ∈ S) ∧ P", "(m n : ℕ) : (n ∈ S) ∧ P"),
        ("(f g : ℝ → ℝ) : {f x | x > 0} = S", "(f g : ℝ → ℝ) : {g x | x > 0} = S"),
        ("(f g : Ω → ℝ) : μ[f | m] = 0", "(f g : Ω → ℝ) : μ[g | m] = 0"),
        ("(S T : Set (Set ℝ)) : ⋃₀ S = A", "(S T : Set (Set ℝ)) : ⋃₀ T = A"),
        # a name behind the bracket that bound another one of that name
        ("(x y : ℝ) : (∀ x, P x) ∧ Q x", "(x y : ℝ) : (∀ y, P y) ∧ Q y"),
        ("(x y : ℝ) (h : ∀ x, P x) : Q x", "(x y : ℝ) (h : ∀ y, P y) : Q y"),
        ("(x y : ℝ) : {x | P x} = S x", "(x y : ℝ) : {y | P y} = S y"),
        (": (∀ x, P x) ∧ Q x", ": (∀ y, P y) ∧ Q y"),
    ],
)
def test_different_statements(one, other):
    assert key(one) != key(other)


def test_definitions_belong_to_a_statement_and_opens_do_not():
    twice = key(": f 1 = 2", "def f (n : ℕ) := 2 * n")
    assert twice == key(": f 1 = 2", "open Nat\ndef f (k : ℕ) := 2 * k")
    assert twice != key(": f 1 = 2", "def f (n : ℕ) := n + 1")
    assert key(": 1 = 1", "set_option maxHeartbeats 0\n\nopen Real Nat") == key(": 1 = 1")


def test_definitions_hold_binders_before_their_colon_only():
    context = "variable (m n : ℕ)\ndef f (x : ℕ) : ℝ := ({} : ℝ) + x"
    assert key(": f 1 = 2", context.format("m")) != key(": f 1 = 2", context.format("n"))
    renamed = context.replace("m n", "k l").replace("x", "y").format("k")
    assert key(": f 1 = 2", context.format("m")) == key(": f 1 = 2", renamed)


def test_repetitions_and_evaluation_theorems_go_each_with_its_reason():
    test = [Theorem("m1", "m", "(x : ℝ) : x = x")]
    train = [
        Theorem("a", "a", "(p : Prop) (h : p) : p"),
        Theorem("b", "b", "(q : Prop) (k : q) : q"),
        Theorem("c", "c", "(y : ℝ)  : y = y"),
        Theorem("d", "d", "(p : Prop) : p"),
    ]
    kept, dropped = clean(train, {"test": test})
    assert [t.id for t in kept] == ["a", "d"]
    assert dropped == [Dropped("b", "repeats a"), Dropped("c", "also in test: m1")]
    dropped.append(Dropped("row 9", "expected `theorem`"))
    assert summary("train", kept, dropped) == (
        "train: 2 theorems, left out: 1 repeated, 1 also in test, 1 no theorem"
    )


@pytest.fixture
def files(tmp_path):
    """{"train", "test"}: paths; one theorem is in both."""
    rows = [
        {"name": "a", "formal_statement": "theorem a (n : Nat) : n = n := by"},
        {"name": "b", "formal_statement": "theorem b (n : Nat) : n ≤ n := by"},
        {"name": "c", "formal_statement": "theorem c (k : Nat) : k = k := by"},
        {"name": "bad", "formal_statement": "-- theorem d"},
    ]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    write_theorems(tmp_path / "test.jsonl", [Theorem("x", "x", "(m : Nat) : m ≤ m")])
    return {name: str(tmp_path / f"{name}.jsonl") for name in ("train", "test")}


def test_a_runs_training_splits_are_cleaned_and_the_report_says_so(files, tmp_path, capsys):
    data = default().data
    data.update(sft="0", validation="0", **files)
    splits, dropped = load_splits(data)
    assert [t.id for t in splits["train"]] == ["a"] and [t.id for t in splits["test"]] == ["x"]
    report_dropped(tmp_path / "w", splits, dropped, [])
    assert "data.train: 1 theorems, left out: 1 no theorem, 1 also in test, 1 repeated" in (
        capsys.readouterr().out
    )
    report = json.loads((tmp_path / "w" / "data.json").read_text())
    assert {"id": "c", "reason": "repeats a"} in report["train"] and len(report["train"]) == 3
    data.train = files["test"]
    with pytest.raises(ConfigError, match=r"data\.train: nothing is left.*also in test: x"):
        load_splits(data)


def test_generated_splits_are_as_they_were():
    data = default().data
    data.update(sft="30", train="6", validation="4", test="4")
    splits, dropped = load_splits(data)
    assert [len(splits[name]) for name in SPLITS] == [30, 6, 4, 4] and dropped == {}
    everything = [t for split in splits.values() for t in split]
    assert clean(everything, {})[1] == []  # disjoint by this measure too


def test_the_command(files, tmp_path, capsys):
    out = tmp_path / "clean.jsonl"
    twice = [files["train"], files["train"], "--against", files["test"], "--out", str(out)]
    assert main(["clean", *twice]) == 0
    assert [t.id for t in read_file(out)[0]] == ["a"]
    assert "1 theorems, left out: 2 no theorem, 2 also in" in capsys.readouterr().out
    dropped = json.loads((tmp_path / "clean.jsonl.dropped.json").read_text())[str(out)]
    assert {"id": "a#2", "reason": "repeats a"} in dropped
    assert main(["clean", files["train"], "--proofs", "--out", str(out)]) == 0
    assert "0 theorems, left out: 1 no theorem, 1 repeated, 2 no proof is known" in (
        capsys.readouterr().out
    )
    assert main(["clean", str(tmp_path / "nowhere.jsonl"), "--out", str(out)]) == 2
    assert main(["clean", files["train"], "--out", str(tmp_path / "nowhere" / "out.jsonl")]) == 2
    assert "nowhere.jsonl" in capsys.readouterr().err


def test_what_the_command_writes_has_no_id_twice(tmp_path):
    one, two, out = (tmp_path / f"{name}.jsonl" for name in ("one", "two", "out"))
    write_theorems(one, [Theorem("a", "t", ": 1 = 1"), Theorem("a#2", "t", ": 2 = 2")])
    write_theorems(two, [Theorem("a", "t", ": 3 = 3")])
    assert main(["clean", str(one), str(two), "--out", str(out)]) == 0
    assert [t.id for t in read_theorems(out)] == ["a", "a#2", "a#3"]
