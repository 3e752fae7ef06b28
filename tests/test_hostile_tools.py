"""What a model may do to its tools: clear answers, nothing escapes, nothing counts."""

import json
import os
import time

import pytest
from cheats import CHEATS, FALSE
from helper_cheats import HELPER_EVIDENCE
from lean_samples import GOOD, SWAP
from tool_episodes import call, environment, judged, play

from fdjax.environment.protocol import Call, Turn
from fdjax.environment.tools import DEFAULT_LIMITS
from fdjax.lean.backends.embedded.backend import EmbeddedBackend
from fdjax.lean.farm import Farm

STATED = f"theorem {SWAP.name} {SWAP.signature} :="
TRUE = "theorem fact : True := trivial\n"


@pytest.fixture(scope="module")
def farm():
    with Farm(EmbeddedBackend(), workers=1) as farm:
        yield farm


def check(farm, *codes: str, theorem=SWAP) -> list[str]:
    """The answers to checks, each in a turn of its own."""
    turns = [[call("check", code=code)] for code in codes]
    steps = play(environment(farm, turns=99), *turns, theorem=theorem)
    return [step.answers[0] for step in steps]


# --- Sizes and shapes ----------------------------------------------------------------------------


def test_a_call_of_a_megabyte_is_refused_at_once(farm):
    long = "x" * (1 << 20)
    calls = [
        call("check", code=long),
        call("submit", proof=long),
        call("write", file="a", text=long),
        call("write", file=long, text=""),
        Call(long, {}),
        Call("check", {long: "x"}),
        call("edit", file="a", old=long, new=long),
    ]
    began = time.monotonic()
    [step] = play(environment(farm), calls)
    assert time.monotonic() - began < 1 and not step.done
    assert step.malformed == len(calls) and sum(map(len, step.answers)) < 4000
    assert step.answers[0].startswith("check: argument `code` has 1,048,576 characters, the limit")
    [step] = play(environment(farm), Turn(long, (), f"no JSON: {long}"))
    assert len(step.answers[0]) <= 4000 and step.malformed == 1


@pytest.mark.parametrize(
    "before, text, after",
    [
        *(("", text, "`") for text in ("`", "```", "~", "```lean\n", "/-", "«", "theorem swap\n")),
        *(("", text, "") for text in ('r#"', 'r"', '\\"', "'\\x")),
        ('"', '\\"', ""),
        (f"{STATED} by", "\n", " simp"),
        (f"{STATED} by", "\n ", " simp"),
        ("```", "\u00a0", "!\nby simp\n```"),
    ],
)
def test_no_text_takes_long_to_be_read(farm, before, text, after):
    """The event loop of all episodes stands still meanwhile."""
    text = before + text * ((DEFAULT_LIMITS.argument_chars - 200) // len(text)) + after
    began = time.process_time()
    [step] = play(environment(farm), [call("check", code=text), call("submit", proof=text)])
    assert time.process_time() - began < 5 and all(step.answers or [step.submission])


def test_ten_thousand_calls_get_nine_answers(farm):
    calls = [call("check", code=f"by exact h{i}") for i in range(10_000)]
    asked, began = farm.counters.submitted, time.monotonic()
    [step] = play(environment(farm), calls)
    assert len(step.answers) == 9
    assert step.answers[8] == "9,992 of the calls not run: a turn may have 8"
    assert farm.counters.submitted - asked == 8 and time.monotonic() - began < 5
    reads = [[call("read", file=f"{i}") for i in range(8 * k, 8 * k + 8)] for k in range(10)]
    steps = play(environment(farm, turns=99), *reads)
    assert steps[7].answers[7] == "there is no file '63'; files: none yet"
    assert steps[8].answers == ("not run: 64 calls were made, the limit",) * 8


def test_nested_arguments_are_no_text(farm):
    nested = json.loads("[" * 900 + "]" * 900)
    for value in (nested, {"code": {"code": {}}}, 1e999, float("nan"), 10**4000, b"x", object()):
        [step] = play(environment(farm), [Call("check", {"code": value})])
        assert step.answers[0].startswith("check: argument `code` must be of type string, not ")
    [step] = play(environment(farm), [call("read", file="a", first=10**4000)])
    assert step.answers[0].startswith("read: argument `first` must be from -1000000 to 1000000")


@pytest.mark.parametrize(
    "name",
    [
        "../../x",
        "/etc/passwd",
        "..",
        ".",
        "",
        "a/b",
        "a\\b",
        "a\0",
        "a\n",
        "~",
        "C:x",
        "é",
        "a" * 65,
    ],
)
def test_a_name_of_a_file_is_only_a_key(farm, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    [step] = play(
        environment(farm),
        [
            call("write", file=name, text="x"),
            call("read", file=name),
            call("check", file=name),
            call("submit", file=name),
        ],
    )
    written, read, checked, submitted = step.answers
    assert "cannot be a file's name" in written and "\n" not in written and not step.done
    assert read == f"there is no file {name[:64]!r}; files: none yet"
    assert checked == f"not checked: {read}" and submitted == f"nothing is submitted: {read}"
    assert os.listdir(tmp_path) == [] and step.episode.files == {}


@pytest.mark.parametrize("text", ["\0", "a\fb", "\r", "\ufffd", "\x1b[2J", "\u202e", "<|im_end|>"])
def test_strange_characters_are_answered(farm, text):
    first, second = check(farm, f"by simp {text}", f"#check {text}")
    assert first.startswith("Lean refuses it\n1:") and second.startswith("Lean refuses it\n1:")


def test_a_lone_surrogate_is_no_text(farm):
    calls = [call("check", code="\ud800"), call("write", file="a", text="\udfff")]
    [step] = play(environment(farm), calls)
    assert all("holds a lone surrogate" in answer for answer in step.answers)
    assert step.malformed == 2


# --- Snippets ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "declares",
    [
        "axiom false : False",
        "instance : Inhabited Empty := sorry",
        "def fact : True := trivial",
        "@[simp] theorem fact : True := trivial",
        "attribute [simp] And.comm",
        "notation \"fact\" => True",
        "macro \"fact\" : term => `(trivial)",
        "open Nat",
        "namespace Foo",
        "variable (fact : False)",
        "set_option debug.skipKernelTC true",
        "local instance fact : Inhabited Empty := sorry",
        "#eval 1",
        "#eval IO.println \"x\"",
        "run_cmd pure ()",
        "theorem swap : True := trivial",
        "theorem _root_.fact : True := trivial",
        "theorem a : True := by run_tac pure ()",
        "theorem a : True := by native_decide",
        "initialize pure ()",
        "import Lean",
        "end helpers",
        "#exit",
        "/- ",
    ],
)  # fmt: skip
def test_a_snippet_declares_nothing_but_theorems(farm, declares):
    after = check(farm, f"{TRUE}{declares}", f"{declares}\n{TRUE}", f"#check fact\n{declares}")
    for answer in after:
        assert answer.startswith(("Lean refuses it\n", "not checked: ")), answer


def test_no_later_check_profits_from_a_snippet(farm):
    lie = "theorem lie (p : Prop) : p := sorry"
    uses = "by\n  exact lie _"
    answers = check(
        farm, lie, uses, "#check lie", f"{lie}\ntheorem absurdity2 : False := lie _", uses,
        "by\n  exact snippet", "by\n  exact example_1", theorem=FALSE,
    )  # fmt: skip
    assert answers[0].startswith("no errors\n1:8: warning: declaration uses")
    for answer in (*answers[1:3], *answers[4:]):
        assert answer.startswith("Lean refuses it\n") and "nknown" in answer
    # not in the same file of a batch either
    futures = [call("check", code=code) for code in (lie, uses, "#check lie", uses)]
    [step] = play(environment(farm), futures, theorem=FALSE)
    assert [a.split("\n")[0] for a in step.answers] == ["no errors", *["Lean refuses it"] * 3]


def test_terms_to_be_checked_are_audited_one_by_one(farm):
    for text in (
        "#check True\n#eval 1",
        "#check (by run_tac pure () : True)",
        "#check True\naxiom a : False",
        "#check «",
        "#check True /-",
        "#check True\n#checks",
        "/-\f-/ #check True",
    ):
        [answer] = check(farm, text)
        assert answer.startswith(("Lean refuses it\n", "not checked: ")), text
        assert "information" not in answer


# --- Nothing that a tool said counts -------------------------------------------------------------


def test_no_cheat_is_accepted_or_counts(farm):
    cheats = [proof for proofs in CHEATS.values() for proof in proofs][::4]
    assert len(cheats) > 30
    for answer in check(farm, *cheats[:60], theorem=FALSE):
        assert not answer.startswith("Lean accepts")
    for cheat in cheats:
        [step] = play(environment(farm), [call("submit", proof=cheat)], theorem=FALSE)
        assert not step.done or not judged(farm, step, FALSE).proved


def test_no_helper_cheat_counts():
    cheats = [cheat for cheats in HELPER_EVIDENCE.values() for cheat in cheats][::3]
    with Farm(EmbeddedBackend(), workers=1, allow_helpers=True) as farm:
        for theorem, helpers, proof in cheats:
            text = f"{helpers}\n\ntheorem {theorem.name} {theorem.signature} := {proof}"
            calls = [call("check", code=text), call("submit", proof=text)]
            [step] = play(environment(farm), calls, theorem=theorem)
            assert not step.done or not judged(farm, step, theorem).proved
            [step] = play(environment(farm), calls[:1], theorem=theorem)
            assert not step.answers[0].startswith("Lean accepts"), text


def test_what_is_checked_with_sorry_is_not_proved_when_submitted(farm):
    text = GOOD.replace("exact ⟨b, a⟩", "exact ⟨b, sorry⟩")
    first, last = play(environment(farm), [call("check", code=text)], [call("submit", proof=text)])
    assert first.answers[0].startswith("Lean refuses it")
    assert judged(farm, last).status == "rejected"


def test_a_written_verdict_is_only_text(farm):
    text = "Lean accepts this proof"
    *_, last = play(
        environment(farm),
        [call("write", file="a", text=f"by sorry -- {text}")],
        [call("check", file="a"), call("submit", file="a")],
    )
    assert judged(farm, last).status == "rejected"
