"""A proof out of a chat model's answer: ours or none, and a reason."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdjax.lean.audit import audit
from fdjax.lean.extract import NoProof, extract, parse_candidate
from fdjax.types import Candidate, Theorem

THEOREM = Theorem(
    id="foo",
    name="foo.bar",
    signature="(p q : Prop) -- why not\n  (h : p ∧ q) {x : Nat := 3} : q ∧ p",
    context="open Nat\n\ndef three := 3",
)
STATED = "theorem foo.bar (p q : Prop) (h : p ∧ q) {x : Nat := 3} : q ∧ p :="
PROOF = " by\n  exact ⟨h.2, h.1⟩"


def proof_in(answer):
    return answer[slice(*extract(answer, THEOREM))]


def reason(answer):
    with pytest.raises(NoProof) as message:
        extract(answer, THEOREM)
    return str(message.value)


def fenced(code, fence="lean4"):
    return f"Here it is.\n\n```{fence}\n{code}\n```\nDone."


@pytest.mark.parametrize(
    "code",
    [
        STATED + PROOF,
        f"  {STATED}{PROOF}\n\n",
        "lemma" + STATED.removeprefix("theorem") + PROOF,
        f"theorem foo.bar(p q:Prop)(h:p∧q){{x:Nat:=3}}:q∧p:={PROOF}",
        f"theorem foo.bar (p q : Prop) /- a /- b -/ c -/ (h : p ∧ q)\n -- d\n {{x : Nat := 3}} :\n"
        f"    q ∧ p :={PROOF}",
        "import Mathlib\nimport Aesop\n\nset_option maxHeartbeats 400000\n\nopen Nat Real\n\n"
        f"/-- Show `theorem x`. -/\n@[simp] private {STATED}{PROOF}",
        f"open Nat\n/-! doc -/\ndef three := 3 -- ours\n\nnoncomputable section\n{STATED}{PROOF}",
    ],
)
def test_restated_in_other_words(code):
    assert proof_in(fenced(code)) == PROOF


@pytest.mark.parametrize("fence", ["lean4", "lean", "Lean", "lean 4", "lean4 (final)", "lean4  "])
def test_fences(fence):
    assert proof_in(fenced(STATED + PROOF, fence)) == PROOF


def test_the_last_block_that_states_it():
    draft = fenced(STATED + " by\n  sorry")
    other = fenced("example : True := trivial")
    for after in ("", other, fenced(STATED + " by nope", "text"), "```\nfoo\n```"):
        assert proof_in(draft + fenced(STATED + PROOF) + after) == PROOF


def test_fences_that_are_not_closed():
    assert proof_in(f"```lean4\n{STATED}{PROOF}\n") == PROOF
    draft = f"```lean4\n{STATED} by\n<cut></think>\n"
    assert proof_in(f"{draft}```lean4\n{STATED}{PROOF}\n```") == PROOF
    assert proof_in(f"```lean4\n{STATED}{PROOF}```") == PROOF


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("", "no fenced Lean block"),
        (STATED.replace("foo.bar", "foo.baz") + PROOF, "states theorem foo.bar"),
        (fenced(STATED + PROOF, "python"), "no fenced Lean block"),
        (fenced("by simp"), "no Lean block of the answer states theorem foo.bar"),
        (fenced(f"-- {STATED}{PROOF}"), "no Lean block of the answer states"),
        (fenced(STATED.replace("foo.bar", "foo.baz") + PROOF), "states theorem foo.bar"),
        (
            fenced(STATED.replace("q ∧ p", "p ∧ q") + PROOF),
            "states foo.bar differently: `p ∧ q :=` where the statement has `q ∧ p :=`",
        ),
        (fenced(STATED.replace("p q :", "p :") + PROOF), "differently: `: Prop ) ( h` where"),
        (fenced(STATED.removesuffix(":=")), "differently: `nothing` where the statement has `:=`"),
        (fenced(f"theorem x : True := trivial\n{STATED}{PROOF}"), "`theorem` before the theorem"),
        (fenced(f"def four := 4\n{STATED}{PROOF}"), "`def` before the theorem: helper decl"),
        (fenced(f"open Nat\ndef three := 4\n{STATED}{PROOF}"), "`def` before the theorem"),
        (fenced(f'macro "x" : term => `(0)\n{STATED}{PROOF}'), "`macro` before the theorem"),
        (fenced(f"/- {STATED}{PROOF}"), "no Lean block of the answer states"),
    ],
)
def test_refused_with_a_reason(answer, message):
    assert message in reason(answer)


def test_what_follows_in_the_proof_is_left_to_the_audit():
    for tail in (" theorem more : True := trivial", "\n  #print axioms foo.bar", '\n  exact "'):
        proof = proof_in(fenced(STATED + PROOF + tail))
        assert proof == PROOF + tail and audit(proof) is not None
    assert proof_in(fenced(STATED)) == "" and audit("") is not None


HEADERS = [
    "",
    "import Mathlib\n\nset_option maxHeartbeats 0\n\nopen Nat Real\n\n",
    "namespace X\nsection\n",
    "noncomputable section\n\nvariable (a : Nat)\n/-- Ours. -/\n",
]
TAILS = [
    "#print axioms foo.bar",
    "-- done\n#check foo.bar",
    "end",
    "end X\n",
    "end -- section\n\nend X",
    "example : True := trivial",
    "/-- Another. -/\n@[simp]\ntheorem more : True := by\n  trivial",
    "set_option maxHeartbeats 0 in\nopen Nat in\nprivate lemma more : True := trivial",
    "open Nat\n\nexample : True := trivial",
    "/-! It's \"done. -/",
    '#eval 1\n"open',
    "axiom bad : False",
    "def x := 'y",
    "open Nat Real",
]


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("frame", ["```lean4\n{}\n```", "{}", "```\n{}"])
def test_what_follows_the_theorem_of_a_whole_file_is_left_out(tail, frame):
    for header in HEADERS:
        for gap in ("\n", "\n\n"):
            assert proof_in(frame.format(f"{header}{STATED}{PROOF}{gap}{tail}")) == PROOF
    indented = f"  {STATED}\n    by\n      simp\n  {tail}"
    assert proof_in(frame.format(indented)) == "\n    by\n      simp"


def test_what_belongs_to_a_proof_is_not_left_out():
    for tail in (
        "\nwhere f := 1",
        "\ntermination_by p\ndecreasing_by simp",
        "\n  open Nat in\n  simp",
        "\nopen Nat in simp",
        " -- end",
        "\n  -- x\n/- end\n#eval -/\n  simp",
        "\n\n  simp",
    ):
        assert proof_in(fenced(STATED + PROOF + tail)) == PROOF + tail


@pytest.mark.parametrize(
    "answer",
    [
        "```\n{}\n```",
        "~~~lean\n{}\n~~~\nDone: `x`.",
        "~~~\n{}\n~~~",
        "````lean4\n{}\n````",
        "```{{.lean}}\n{}\n```",
        "1. So:\n   ```lean4\n{}\n   ```\n2. Done.",
        "<answer>\n```lean4\n{}\n```\n</answer>",
        "<think>```lean4\nfoo\n```\n</think>\n```lean4\n{}\n```",
        "```\n⊢ p\n```\nSo:\n```\n{}\n```\nfoo\n```text\nbar\n```",
        "```lean4\nexample : p := h\n```\nSo:\n```\n{}\n```",
        "{}",
        "It's easy.\n\n{}",
        '{}\n\nIt\'s "easy": by h.',
        "Let's see.\nopen Nat\n\n{}\n\nHere `h.2` isn't needed.",
        "<think>theorem foo.bar is open.</think>\n\n<answer>\n{}\n</answer>",
        "\ufeff{}",
        "\ufeffimport Mathlib\n{}",
    ],
)
def test_frames(answer):
    assert proof_in(answer.format(STATED + PROOF)) == PROOF
    crlf = answer.format(STATED + PROOF).replace("\n", "\r\n")
    start, end = extract(crlf, THEOREM)
    proof = crlf[start:end]
    candidate = parse_candidate(proof, THEOREM, allow_helpers=True)
    assert len(candidate.text) == len(proof) and audit(candidate.text) is None  # places stay
    assert candidate.text == PROOF.replace("\n", " \n") and candidate.proof == candidate.text


def test_a_labelled_block_comes_first():
    named = fenced(f"{STATED} by\n  simp")
    assert proof_in(f"{named}\n```\n{STATED}{PROOF}\n```") == " by\n  simp"
    assert proof_in(f"{named}\n{STATED}{PROOF}") == " by\n  simp"


def test_line_ends_of_helpers():
    answer = fenced(f"open Nat\n{AUX}\n\n{STATED}{PROOF}\n\nend\n#print axioms x")
    answer = answer.replace("\n", "\r\n")
    candidate = answer[slice(*extract(answer, THEOREM, allow_helpers=True))]
    parsed = parse_candidate(candidate, THEOREM, allow_helpers=True)
    assert parsed.has_helpers and len(parsed.text) == len(candidate) and "\r" not in parsed.text
    assert parsed.proof.split() == PROOF.split() and parsed.helpers.split() == AUX.split()
    assert audit(parsed.proof) is None and audit(parsed.helpers, helpers_of="foo.bar") is None


@pytest.mark.parametrize(
    "answer",
    [
        fenced(f"namespace foo\n{STATED.replace('foo.bar', 'bar')}{PROOF}\nend foo"),
        fenced(STATED.replace("foo.bar", "_root_.foo.bar") + PROOF),
        fenced(STATED + PROOF, "text"),
        fenced(STATED + PROOF, "Tactics"),
        f"<answer>{STATED}{PROOF}</answer>",
        f"<|channel|>analysis<|message|>hm<|end|><|channel|>final<|message|>{STATED}{PROOF}",
    ],
)
def test_names_in_a_namespace_other_fences_and_tags(answer):
    assert proof_in(answer).strip() == PROOF.strip()


def test_another_namespace_is_none_of_ours():
    with pytest.raises(NoProof):
        extract(fenced(STATED.replace("foo.bar", "bar") + PROOF), THEOREM)


def test_a_lone_carriage_return_is_left_to_the_audit():
    assert audit(parse_candidate("by\r  simp", THEOREM, False).text) is not None


AUX = "theorem aux {p q : Prop} (h : p ∧ q) : q := h.2"


@pytest.mark.parametrize(
    "ignored, helpers, modifiers",
    [
        ("import Mathlib\nopen Nat", f"\n\n{AUX}", "\n\n"),
        ("open Nat\n\ndef three := 3\n-- ours", f"\n  {AUX}", "\n  "),
        (
            "open Nat",
            f"\nlemma a : True := trivial\n\n{AUX}",
            "\n\n/-- Ours -/\n@[simp, b [c]] private ",
        ),
        ("noncomputable section", f"\nset_option maxHeartbeats 400 in\n{AUX}", "\nopen Nat in\n"),
        ("open Nat\n", f"\n@[simp] private {AUX}", "\n"),
        ("/- c -/ ", AUX, "\n"),
    ],
)
def test_with_helpers_the_candidate_begins_at_the_first(ignored, helpers, modifiers):
    answer = fenced(f"{ignored}{helpers}{modifiers}{STATED}{PROOF}")
    candidate = answer[slice(*extract(answer, THEOREM, allow_helpers=True))]
    own = helpers.removeprefix("\n") if helpers.startswith("\n\n") else helpers
    assert candidate == f"{own}{modifiers}{STATED}{PROOF}"
    parsed = parse_candidate(candidate, THEOREM, allow_helpers=True)
    assert parsed.has_helpers and parsed.text == candidate and parsed.proof == PROOF
    assert re.sub("/-  Ours -/", "", parsed.helpers).strip() == helpers.strip()


@pytest.mark.parametrize(
    "repeated, kept",
    [
        ("open Nat\n\n", ""),
        ("open Nat -- again\n/-- c -/ def three := 3\n", ""),
        ("/- c -/ open Nat\nopen Nat\n@[simp] private ", "/- c -/"),
        ("open Nat\nlemma b : True := trivial\n\nopen Nat in\n", "lemma b : True := trivial"),
        ("open Nat\nset_option maxHeartbeats 400 in\n", ""),
        ("open Nat Real\n", "open Nat Real"),
        ("open Nat in\nlemma b : True := trivial\n", "open Nat in\nlemma b : True := trivial"),
        ("open Real\n", "open Real"),
        ("def three := 3\n", ""),
        ("def three := 3\n\nopen Real\n", "open Real"),
        ("open Nat\ndef three := 3 + 1\n", "def three := 3 + 1"),
        ("open Nat\nimport Mathlib\n", "open Nat\nimport Mathlib"),
    ],
)
def test_our_context_among_the_helpers_is_space(repeated, kept):
    answer = fenced(f"{AUX}\n\n{repeated}{STATED}{PROOF}")
    candidate = answer[slice(*extract(answer, THEOREM, allow_helpers=True))]
    assert candidate == f"\n{AUX}\n\n{repeated}{STATED}{PROOF}"
    parsed = parse_candidate(candidate, THEOREM, allow_helpers=True)
    assert parsed.has_helpers and parsed.text == candidate and parsed.proof == PROOF
    assert parsed.helpers.split() == f"{AUX} {kept}".split()
    assert all((b in (a, " ") and a != "\n") or a == b for a, b in zip(candidate, parsed.helpers))


@pytest.mark.parametrize(
    "repeated",
    [
        "def three := 3",
        "open Nat\nopen Real\n\n/-- three -/\ndef three := 3",
        "def three := 3\n\nopen Nat\n\nnamespace A",
        "section\ndef three := 3\nvariable (n : Nat)",
    ],
)
def test_an_answer_may_repeat_commands_of_our_context(repeated):
    assert proof_in(fenced(f"{repeated}\n{STATED}{PROOF}")) == PROOF


def test_without_helpers_it_is_the_proof():
    answer = fenced(f"{THEOREM.context}\n\n{STATED}{PROOF} -- no lemma, no theorem foo.bar")
    candidate = answer[slice(*extract(answer, THEOREM, allow_helpers=True))]
    assert candidate == proof_in(answer)
    assert parse_candidate(candidate, THEOREM, allow_helpers=True) == Candidate(candidate)
    answer = fenced(f"{STATED}{PROOF}\n\n{STATED} by simp")  # the theorem again is no helper's
    candidate = answer[slice(*extract(answer, THEOREM, allow_helpers=True))]
    assert parse_candidate(candidate, THEOREM, allow_helpers=True) == Candidate(candidate)
    assert candidate == PROOF
    answer = fenced(f"{STATED}{PROOF} {STATED} by simp")
    candidate = answer[slice(*extract(answer, THEOREM, allow_helpers=True))]
    assert parse_candidate(candidate, THEOREM, allow_helpers=True) == Candidate(candidate)
    assert "`theorem` starts" in audit(candidate).text


@pytest.mark.parametrize(
    "before, message",
    [
        ("def four := 4", "`def` before the theorem: a helper is a `theorem` or a `lemma`"),
        (f"axiom a : False\n{AUX}", "`axiom` before the theorem: a helper is"),
        ("example : True := trivial", "`example` before the theorem: a helper is"),
    ],
)
def test_what_is_no_helper(before, message):
    with pytest.raises(NoProof, match=message):
        extract(fenced(f"{before}\n{STATED}{PROOF}"), THEOREM, allow_helpers=True)


def test_a_statement_beyond_our_tokenizer_is_compared_as_text():
    odd = Theorem(id="t", name="odd", signature='(h : f "{x}" <--x\n) : p')
    stated = 'lemma odd (h : f "{x}"\n  <--x\n ) :  p :='
    answer = fenced(f"open Nat\n{stated} by simp")
    assert answer[slice(*extract(answer, odd))] == " by simp"
    for code, message in (
        (f"{stated.replace(': f', ':f')} h", "no Lean block of the answer states"),
        (f"{AUX}\n{stated} h", "`theorem` before the theorem: helper decl"),
    ):
        with pytest.raises(NoProof, match=message):
            extract(fenced(code), odd, allow_helpers=True)


def test_a_theorem_without_context_or_binders():
    plain = Theorem(id="t", name="t", signature=": True")
    answer = fenced("theorem t : True := trivial")
    assert answer[slice(*extract(answer, plain))] == " trivial"


WORDS = STATED.removesuffix(" :=").split()
GAPS = st.sampled_from([" ", "\n", "\t\n ", " -- c\n", " /- x /- y -/ -/ ", "\n/- := -/\n"])


@given(st.lists(GAPS, min_size=len(WORDS), max_size=len(WORDS)), st.sampled_from(WORDS[1:]))
@settings(max_examples=100, deadline=None)
def test_space_and_comments_never_matter_and_words_always_do(gaps, dropped):
    restated = "".join(word + gap for word, gap in zip(WORDS, gaps)) + ":="
    assert proof_in(fenced(restated + PROOF)) == PROOF
    i = WORDS.index(dropped)
    without = [pair for j, pair in enumerate(zip(WORDS, gaps)) if j != i]
    changed = "".join(word + gap for word, gap in without) + ":="
    assert "foo.bar" in reason(fenced(changed + PROOF))


@given(st.text(max_size=80), st.text(max_size=80))
@settings(max_examples=300, deadline=None)
def test_any_text_gives_a_proof_or_a_reason(before, after):
    for answer in (before, f"{before}\n```lean4\n{after}", f"```lean4\n{before}{STATED}{after}```"):
        try:
            start, end = extract(answer, THEOREM)
        except NoProof:
            continue
        assert answer[:start].endswith(":=") and start <= end <= len(answer)
