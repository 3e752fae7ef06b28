"""Files of theorems as others publish them: each set's fields, bad rows, references."""

import csv
import json
import pathlib

import pytest

from fdjax.data import published
from fdjax.data.published import read_file, theorem_of, with_unique_ids
from fdjax.data.theorems import write_theorems
from fdjax.lean.statements import lean_text
from fdjax.runtime.files import cache_folder
from fdjax.types import Theorem

MINIF2F = pathlib.Path(__file__).parents[1] / ".." / "shared" / "data" / "minif2f.jsonl"
MATHLIB = ("Mathlib",)


def test_deepseeks_proofnet_with_a_definition_before_the_theorem():
    row = {
        "name": "e1",
        "split": "test",
        "informal_prefix": "/-- Two. -/\n",
        "formal_statement": "def two := 2\ntheorem e1 : two = 2 :=",
        "header": "import Mathlib\nimport Aesop\nopen Nat\n\n",
    }
    assert theorem_of(row) == Theorem(
        "e1",
        "e1",
        ": two = 2",
        ("Mathlib", "Aesop"),
        "open Nat\n\ndef two := 2",
        informal="Two.",
        split="test",
    )


def test_proofnet_sharp():
    row = {
        "id": "Rudin|exercise_1_1a",
        "nl_statement": "If r is rational ...",
        "nl_proof": "...",
        "lean4_src_header": "import Mathlib\nopen Real\n",
        "lean4_formalization": "theorem exercise_1_1a (x : ℝ) (y : ℚ) : Irrational (x + y) :=",
    }
    assert theorem_of(row) == Theorem(
        "Rudin|exercise_1_1a",
        "exercise_1_1a",
        "(x : ℝ) (y : ℚ) : Irrational (x + y)",
        MATHLIB,
        "open Real",
        informal="If r is rational ...",
    )


def test_numinamath_lean_is_a_whole_file_with_a_proof_in_another():
    head = "import Mathlib\n\nopen Nat\n\n/-- Doc: theorem x -/\n"
    row = {
        "uuid": "0a",
        "problem": "Show it.",
        "author": "human",
        "problem_type": "Number Theory",
        "formal_statement": f"{head}theorem number_theory_1 (n : ℕ) (h : n = 1) :\n    n < 2 := by",
        "formal_ground_truth": f"{head}theorem number_theory_1 (n : ℕ) (h : n = 1) : n < 2 := by\n"
        "  -- easy\n  rw [h]\n  norm_num\n",
        "ground_truth_type": "complete",
        "rl_data": {"n_proofs": 3},
        "formal_proof": f"{head}theorem number_theory_1 (n : ℕ) (h : n = 1) : n < 2 := by sorry",
    }
    assert theorem_of(row) == Theorem(
        "0a",
        "number_theory_1",
        "(n : ℕ) (h : n = 1) :\n    n < 2",
        MATHLIB,
        "open Nat",
        informal="Show it.",
        reference=" by\n  rw [h]\n  norm_num",
    )


@pytest.mark.parametrize(
    "proof",
    [
        "theorem t (n : ℕ) : n < 2 := by\n  simp",  # another statement
        "lemma a : 1 = 1 := rfl\ntheorem t : 1 = 1 := a",  # a lemma that will not be there
        "theorem t : 1 = 1 := by\n  sorry",
        "theorem t' : 1 = 1 := rfl",
        "no Lean /- at all",
    ],
)
def test_proofs_of_something_else_are_no_references(proof):
    row = {"formal_statement": "theorem t : 1 = 1 := by", "formal_proof": proof}
    assert theorem_of(row).reference is None


def test_a_proof_on_one_line_gets_a_line_of_its_own():
    statement = "theorem t : let x := 1; x = 1 := "
    for proof, reference in (("by rfl", " by\n  rfl"), ("rfl", " rfl")):
        row = {"formal_statement": statement, "formal_proof": statement + proof}
        assert theorem_of(row).reference == reference


def test_lean_workbook_has_no_header_and_several_proofs():
    row = {
        "id": "lean_workbook_plus_1",
        "natural_language_statement": "Squares.",
        "answer": "",
        "tags": ["inequality", "algebra"],
        "split": "lean_workbook_plus",
        "formal_statement": "theorem lean_workbook_plus_1 (x : ℝ) : x ^ 2 ≥ 0   :=  by sorry",
        "proof": ["nlinarith [sq_nonneg x]", "intros\npositivity", ""],
    }
    assert theorem_of(row) == Theorem(
        "lean_workbook_plus_1",
        "lean_workbook_plus_1",
        "(x : ℝ) : x ^ 2 ≥ 0",
        MATHLIB,
        "open BigOperators Real Nat Topology Rat",
        informal="Squares.",
        reference=" by\n  intros\n  positivity",
        split="lean_workbook_plus",
    )


PUTNAM = """import Mathlib

open Nat

noncomputable abbrev putnam_2000_a1_solution : ℕ → Set ℝ := sorry
-- fun n ↦ {(1 : ℝ) / n,
--   2}
/--
Find it.
-/
theorem putnam_2000_a1
    (n : ℕ)
    : (1 : ℝ) ∈ putnam_2000_a1_solution n :=
  sorry
"""


def test_putnambench_with_its_answer_filled_in():
    row = {
        "name": "putnam_2000_a1",
        "lean4_statement": PUTNAM,
        "informal_statement": "Find it.",
        "tags": "['algebra', 'set_theory']",
        "coq_statement": None,
    }
    assert theorem_of(row) == Theorem(
        "putnam_2000_a1",
        "putnam_2000_a1",
        "(n : ℕ)\n    : (1 : ℝ) ∈ putnam_2000_a1_solution n",
        MATHLIB,
        "open Nat\n\nnoncomputable abbrev putnam_2000_a1_solution : ℕ → Set ℝ :="
        "\n  fun n ↦ {(1 : ℝ) / n,\n    2}",
        informal="Find it.",
    )
    unanswered = PUTNAM.replace("-- fun n ↦ {(1 : ℝ) / n,\n--   2}\n", "")
    with pytest.raises(ValueError, match=r"^putnam_2000_a1_solution has no published answer$"):
        theorem_of(row | {"lean4_statement": unanswered})


@pytest.mark.parametrize(
    "row",
    [
        {
            "theorem_names": "x",
            "autoformalization": "{file}",
            "refined_statement": "N.",
        },  # FormalMATH
        {
            "problem_id": "x",
            "full_proof": "{file}",
            "informal_prefix": "/-- N. -/",
        },  # Goedel-Prover
        {"theorem_name": "x", "formal_statement": "{file}", "natural_language": "N."},  # CombiBench
        {"name": "x", "header": "{head}", "formal_statement": "{row}", "informal_prefix": "N."},
        {
            "id": "x",
            "header": "{head}",
            "formal_theorem": "{bare}",
            "informal_theorem": "N.",
        },  # Herald
        {"id": "x", "lean_code": "{file}", "statement": "", "nl_statement": "N."},
        {"id": "x", "lean4_code": "{file}", "problem": "N."},
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_columns_of_published_sets(row, newline, tmp_path):
    head, bare = "import Mathlib\n\nopen Nat\n", "theorem t (n : ℕ) :\n    n = n"
    texts = {"{head}": head, "{bare}": bare, "{row}": bare + " := by"}
    texts["{file}"] = "\ufeff" + head + "\n/-- D. -/\n" + bare + " := by sorry\n\nend\n"
    row = {name: texts.get(v, v).replace("\n", newline) for name, v in row.items()}
    expected = Theorem("x", "t", "(n : ℕ) :\n    n = n", MATHLIB, "open Nat", informal="N.")
    assert theorem_of(row) == expected
    data = json.dumps(row).encode()
    (tmp_path / "f.jsonl").write_bytes(b"\xef\xbb\xbf" + data + newline.encode())
    with open(tmp_path / "f.csv", "w", newline="") as file:
        table = csv.DictWriter(file, row)
        table.writeheader()
        table.writerow(row)
    for name in ("f.jsonl", "f.csv"):
        assert read_file(tmp_path / name) == ([expected], [])


def test_a_proof_without_its_statement():
    """DeepSeek-Prover's proofs go on where the statement ends."""
    row = {"formal_statement": "theorem t : 1 = 1 := by\n", "formal_proof": "  simp\n  rfl\n"}
    assert theorem_of(row).reference == " by\n  simp\n  rfl"
    row = {"formal_statement": "theorem t : 1 = 1 :=\n  by\n  rfl"}
    assert theorem_of(row) == Theorem("t", "t", ": 1 = 1", reference=" by\n  rfl")


def test_carriage_returns_in_fields_of_our_own(tmp_path):
    row = {
        "name": "t",
        "signature": "(n : ℕ) :\r\n  n = n",
        "context": "open A\r\nopen B",
        "tags": [],
    }
    (tmp_path / "f.jsonl").write_bytes(b"\xef\xbb\xbf" + json.dumps(row).encode() + b"\r\n")
    theorem = Theorem("t", "t", "(n : ℕ) :\n  n = n", context="open A\nopen B")
    assert read_file(tmp_path / "f.jsonl") == ([theorem], [])


def test_rows_that_make_no_theorem_are_named_and_the_rest_is_read(tmp_path):
    rows = [
        {"id": "a", "formal_statement": "theorem t : 1 = 1 := by"},
        {"id": "b", "formal_statement": "-- theorem t : 1 = 1 := by"},
        {"id": "a", "formal_statement": "theorem t : 2 = 2 := by"},
        {"formal_statement": "theorem t : 3 = 3", "header": "open X\nimport Y"},
        {"problem": "no Lean"},
    ]
    (tmp_path / "f.jsonl").write_text("\n".join(map(json.dumps, rows)))
    theorems, dropped = read_file(tmp_path / "f.jsonl")
    assert [(t.id, t.signature) for t in theorems] == [("a", ": 1 = 1"), ("a#2", ": 2 = 2")]
    assert [d.id for d in dropped] == ["b", "row 4", "row 5"]
    assert "expected `theorem" in dropped[0].reason and "other commands" in dropped[1].reason
    assert "none of the fields formal_statement" in dropped[2].reason
    (tmp_path / "f.json").write_text(json.dumps(rows))  # a list, as Lean Workbook's
    assert read_file(tmp_path / "f.json") == (theorems, dropped)


@pytest.mark.parametrize(
    "ids, unique",
    [
        ("a b a a", "a b a#2 a#3"),
        ("a a#2 a", "a a#2 a#3"),
        ("a a a#2", "a a#3 a#2"),
        ("a a#2 a#2 a a", "a a#2 a#2#2 a#3 a#4"),
        ("a a#2 a#3", "a a#2 a#3"),
    ],
)
def test_repeated_ids_get_numbers_that_are_free(ids, unique):
    theorems = with_unique_ids(Theorem(i, "t", ": 1 = 1") for i in ids.split())
    assert [t.id for t in theorems] == unique.split()


def test_files_of_our_own_are_read_strictly(tmp_path):
    theorems = [Theorem("a", "t", ": 1 = 1")]
    write_theorems(tmp_path / "f.jsonl", theorems)
    assert read_file(tmp_path / "f.jsonl") == (theorems, [])
    with (tmp_path / "f.jsonl").open("a") as file:
        file.write('{"name": "u"}\n')
    with pytest.raises(ValueError, match=r"f\.jsonl:2: field 'signature'"):
        read_file(tmp_path / "f.jsonl")


@pytest.mark.parametrize(
    "name, text, reason",
    [
        ("f.json", '[{"formal_statement": "def x := 1"}]', "holds no theorem; row 1: expected"),
        ("f.json", "[1]", "expected JSON objects"),
        ("f.json", "[{", "is not JSON"),
    ],
)
def test_files_without_theorems(tmp_path, name, text, reason):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=reason):
        read_file(tmp_path / name)


def test_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_theorems(tmp_path / "f.jsonl", [Theorem("a", "t", ": 1 = 1")])
    assert read_file("~/f.jsonl") == read_file(tmp_path / "f.jsonl")
    monkeypatch.setenv("FDJAX_CACHE", "~/cache")
    assert cache_folder() == tmp_path / "cache"


def test_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    import pyarrow.parquet

    rows = [
        {"uuid": "u", "formal_statement": "theorem t : 1 = 1 := by", "rl_data": {"n": 1}},
        {"uuid": "v", "formal_statement": None, "rl_data": None},
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "f.parquet")
    theorems, dropped = read_file(tmp_path / "f.parquet")
    assert theorems == [Theorem("u", "t", ": 1 = 1")] and [d.id for d in dropped] == ["v"]
    (tmp_path / "g.parquet").write_text("not parquet")
    with pytest.raises(ValueError, match=r"g\.parquet is not a parquet file"):
        read_file(tmp_path / "g.parquet")


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r"pyarrow: pip install -e '.\[hf\]'"):
        read_file(tmp_path / "f.parquet")


@pytest.mark.skipif(not MINIF2F.exists(), reason="miniF2F is not here")
def test_minif2f_is_read_and_put_together_again():
    rows = [json.loads(line) for line in MINIF2F.read_text().splitlines()]
    theorems, dropped = read_file(MINIF2F)
    assert len(theorems) == 488 and not dropped
    for row, theorem in zip(rows, theorems):
        whole = row["header"] + row["formal_statement"]
        assert lean_text(theorem, "by").split() == whole.split()
        assert (theorem.goal, theorem.split) == (row["goal"], row["split"])
    assert published.STATEMENT[0] in rows[0]
