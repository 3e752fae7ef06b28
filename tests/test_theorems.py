"""Statements and files of theorems of our own form: fields, errors."""

import json

import pytest

from fdjax.data.theorems import read_theorems, write_theorems
from fdjax.lean.statements import lean_text, parse_statement, strip_comments
from fdjax.types import Theorem


@pytest.mark.parametrize(
    "text, name, signature",
    [
        ("theorem t (p : Prop) : p", "t", "(p : Prop) : p"),
        ("theorem t : 1 = 1 :=", "t", ": 1 = 1"),
        ("theorem t : 1 = 1 := by\n", "t", ": 1 = 1"),
        ("theorem t : 1 = 1 := by sorry", "t", ": 1 = 1"),
        ("lemma t : 1 = 1 := sorry", "t", ": 1 = 1"),
        ("theorem t (h : p := by sorry) : p := by\n  sorry", "t", "(h : p := by sorry) : p"),
        ("theorem t : let x := 1; x = 1 := by", "t", ": let x := 1; x = 1"),
        ("@[simp]\nprivate theorem a.b' : 1 = 1 := by", "a.b'", ": 1 = 1"),
        ("/-- doc := by -/\ntheorem «a b» : 1 = 1 -- := by\n:= by", "«a b»", ": 1 = 1"),
        ('theorem t : "--" = "/-" := by', "t", ': "--" = "/-"'),
        ("theorem t : '\"' = '\"' := by", "t", ": '\"' = '\"'"),
    ],
)
def test_statement_is_split(text, name, signature):
    assert parse_statement(text) == (name, signature)


@pytest.mark.parametrize(
    "text, reason",
    [
        ("def x := 1", "expected `theorem"),
        ("def x := 1\ntheorem t : 1 = 1 := by", "before it"),
        ("theorem t (x : Nat) := by", "no type"),
        ("theorem t (x : Nat : x = x", "missing"),
        ("theorem t (x : Nat) : x = x)", "unbalanced"),
        ("theorem t : 1 = 1 /- := by", "never closed"),
        ("theorem t : 1 = 1 := by norm_num", "more than a statement"),
        ("theorem t : 1 = 1 := by sorry\n\nend X", "more than a statement"),
        ("theorem a : 1 = 1 := by sorry\ntheorem t : 2 = 2 := by", "more than a statement"),
    ],
)
def test_bad_statement_is_reported(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse_statement(text)


def test_nested_comments_go_and_the_rest_stays():
    assert strip_comments("a /- b /- c -/ d -/ e -- f\ng").split() == ["a", "e", "g"]


def test_lean_text():
    theorem = Theorem("t", "t", "(p : Prop) : p", imports=("Init",), context="open Nat\n")
    assert lean_text(theorem, " by\n  x") == (
        "import Init\n\nopen Nat\n\ntheorem t (p : Prop) : p := by\n  x\n"
    )
    assert lean_text(Theorem("t", "t", ": 1 = 1"), "rfl") == "theorem t : 1 = 1 := rfl\n"


def test_written_theorems_are_read_again(tmp_path):
    theorems = [
        Theorem("a", "t", "(p : Prop) (h1 : p) : p", goal="h1 : p\n⊢ p", reference=" by x"),
        Theorem("b", "u", ": 1 = 1", ("Init",), "open Nat", informal="x\ny"),
    ]
    write_theorems(tmp_path / "f.jsonl", theorems)
    assert read_theorems(tmp_path / "f.jsonl") == theorems


def test_statement_in_place_of_name_and_signature(tmp_path):
    (tmp_path / "f.jsonl").write_text('\n{"id": "x", "statement": "theorem t : 1 = 1 := by"}\n')
    assert read_theorems(tmp_path / "f.jsonl") == [Theorem("x", "t", ": 1 = 1")]


@pytest.mark.parametrize(
    "row, reason",
    [
        ("{", ":2: not a line of JSON"),
        ("[1]", ":2: expected a JSON object"),
        ({"name": "t"}, ":2: field 'signature'"),
        ({"name": 3, "signature": ": 1 = 1"}, ":2: field 'name'"),
        ({"name": "t u", "signature": ": 1 = 1"}, ":2: field 'name'"),
        ({"name": "t", "signature": "1 = 1"}, ":2: field 'signature'"),
        ({"name": "t", "signature": ": 1 = 1", "proof": "x"}, ":2: field 'proof': unknown"),
        ({"name": "t", "signature": ": 1 = 1", "imports": "x"}, ":2: field 'imports'"),
        ({"name": "t", "signature": ": 1 = 1", "id": "first"}, ":2: field 'id'.*line 1"),
        ({"statement": "theorem t"}, ":2: field 'statement': no type"),
    ],
)
def test_bad_line_is_reported_with_its_place(tmp_path, row, reason):
    path = tmp_path / "bad.jsonl"
    first = json.dumps({"id": "first", "name": "t", "signature": ": 1 = 1"})
    path.write_text(first + "\n" + (row if isinstance(row, str) else json.dumps(row)))
    with pytest.raises(ValueError, match=reason) as error:
        read_theorems(path)
    assert "bad.jsonl" in str(error.value)
