"""The environment with tools, on the embedded Lean."""

import json

import pytest
from cheats import honest_proofs
from lean_samples import GOOD, SWAP, WRONG
from tool_episodes import call, environment, judged, play

from fdjax.environment.protocol import Call, Submission, Turn
from fdjax.environment.tools import Answer, Limits, Tool
from fdjax.lean.backends.embedded.backend import EmbeddedBackend
from fdjax.lean.farm import Farm
from fdjax.types import Candidate

WHOLE = f"theorem swap {SWAP.signature} := {GOOD}"


@pytest.fixture(scope="module")
def farm():
    with Farm(EmbeddedBackend(), workers=1) as farm:
        yield farm


def answers(farm, *calls, **options) -> list[str]:
    [step] = play(environment(farm, **options), calls)
    return list(step.answers)


# --- Episodes ------------------------------------------------------------------------------------


def test_an_episode_ends_with_what_it_submits(farm):
    first, second, third, last = play(
        environment(farm),
        [call("write", file="Main.lean", text=WRONG), call("check", file="Main.lean")],
        [call("edit", file="Main.lean", old="exact ⟨a, b⟩", new="exact ⟨b, a⟩")],
        [call("check", file="Main.lean")],
        [call("submit", file="Main.lean"), call("check", code="by simp")],
    )
    assert first.answers[0] == "Main.lean has 3 lines now"
    assert first.answers[1].startswith("Lean refuses it\n3:9: error: ") and first.seconds > 0
    assert second.answers == ("Main.lean has 3 lines now",) and second.seconds == 0
    assert third.answers == ("Lean accepts it",)
    assert last.done and last.submission.places is None and judged(farm, last).proved
    assert not first.done and first.submission is None


def test_a_turn_without_calls_ends_the_episode_with_its_proof(farm):
    *_, last = play(environment(farm), [call("read")], Turn(GOOD))
    assert last.done and last.submission == Submission(GOOD, 1, tuple(range(len(GOOD))))
    [step] = play(environment(farm), Turn("I give up"))
    assert step.done and step.submission is None
    assert step.answers == ("no tool was called, and the answer holds no proof",)


def test_places_lead_to_the_turn_that_wrote_the_proof(farm):
    places = tuple(range(10, 10 + len(WHOLE)))
    write = Call("write", {"file": "a", "text": WHOLE}, {"text": places})
    *_, last = play(environment(farm), [write], [call("submit", file="a")])
    start = WHOLE.index(GOOD) - 1
    assert last.submission == Submission(" " + GOOD, 0, places[start:])
    submit = Call("submit", {"proof": WHOLE}, {"proof": places})
    [step] = play(environment(farm), [submit])
    assert step.submission == Submission(" " + GOOD, 0, places[start:])
    assert judged(farm, step).proved


def test_the_last_turn_runs_only_what_leads_to_a_submission(farm):
    check, write = call("check", code=GOOD), call("write", file="a", text=GOOD)
    asked = farm.counters.submitted
    [step] = play(environment(farm, turns=1), [check])
    assert step.done and step.submission is None and farm.counters.submitted == asked
    assert step.answers == ("the last turn submitted no proof",)
    [step] = play(environment(farm, turns=1), Turn("", (check,), "the call is no JSON"))
    assert step.answers == ("the last turn submitted no proof\nthe call is no JSON",)
    [step] = play(environment(farm, turns=1), [check, write, call("submit", file="a")])
    assert step.submission.text == GOOD and farm.counters.submitted == asked


def test_a_submission_that_holds_no_proof_is_answered(farm):
    for text, said in {
        "theorem swap : True := trivial": "nothing is submitted: the answer states swap differ",
        "def a := 1": "nothing is submitted: 'def' begins no proof; a proof is what follows `:=`",
        "  -- nothing": "nothing is submitted: the proof is empty",
    }.items():
        [answer] = answers(farm, call("submit", proof=text))
        assert answer.startswith(said)
    [answer] = answers(farm, call("submit", proof=GOOD, file="a"))
    assert answer == "nothing is submitted: one of the arguments `proof` and `file` must be given"


def test_lean_has_a_budget_of_seconds(farm):
    check = [call("check", code="by\n  exact ⟨h.2, (h.1)⟩")]
    other = [call("check", code="by\n  exact ⟨(h.2), h.1⟩")]
    first, second = play(environment(farm, lean_seconds=1e-9), check, other)
    assert first.answers == ("Lean accepts it",) and first.seconds > 0
    assert second.answers == ("not run: the 1e-09 seconds of Lean are used up",)


def test_a_repeated_call_gets_the_cached_answer(farm):
    runs = []

    def run(scene, call):
        runs.append(call.arguments)
        return Answer((f"run {len(runs)}",))

    tool = Tool("count", "", {"a": {"type": "string"}, "b": {"type": "integer"}}, run)
    first, second = play(
        environment(farm, tool),
        [Call("count", {"a": "x", "b": 1}), Call("count", {"b": 1, "a": "x"})],
        [Call("count", {"a": "x", "b": 1}), Call("count", {"a": "x"})],
    )
    assert first.answers == ("run 1", "run 1") and second.answers == ("run 1", "run 2")
    text = "by\n  exact And.intro h.2 h.1"
    write = call("write", file="a", text=WRONG)
    steps = play(
        environment(farm),
        [write, call("check", file="a")],
        [call("write", file="a", text=text), call("check", file="a")],
        [call("edit", file="a", old="h.1", new="(h.1)")] * 2,
        [call("read", file="a"), write, call("check", file="a")],
    )
    assert steps[1].answers[1] == "Lean accepts it"  # the file is another one now
    assert steps[2].answers == ("a has 2 lines now",) * 2  # an edit is made twice
    assert steps[3].answers[0].endswith("h.2 ((h.1))")
    assert steps[3].answers[2] == steps[0].answers[1]


# --- Tools ---------------------------------------------------------------------------------------


def test_check_shows_goals_and_places_in_the_text_as_written(farm):
    text = f"-- mine\n{WHOLE.replace('exact', 'trace_state' + chr(10) + '  exact')}"
    [answer] = answers(farm, call("check", code=text))
    assert answer == ("Lean accepts it\n4:2: information: p q : Prop\na : p\nb : q\n⊢ q ∧ p")
    [answer] = answers(farm, call("check", code="by\n  constructor\n  · exact h.2\n  sorry"))
    assert answer.startswith("Lean refuses it\n") and "depends on axioms: sorryAx" in answer


def test_honest_proofs_pass(farm):
    """As bare proofs, as whole theorems, and as examples of a snippet."""
    for theorem, proof in honest_proofs(10):
        stated = f"{theorem.signature} := {proof.lstrip()}"
        codes = [proof, f"theorem {theorem.name} {stated}", f"-- mine\nexample {stated}"]
        [step] = play(environment(farm), [call("check", code=c) for c in codes], theorem=theorem)
        firsts = [answer.split("\n")[0] for answer in step.answers]
        assert firsts == ["Lean accepts it"] * 2 + ["no errors"], (theorem, proof)
        [step] = play(environment(farm), [call("submit", proof=codes[1])], theorem=theorem)
        assert judged(farm, step, theorem).proved


def test_check_of_a_snippet(farm):
    text = (
        "lemma one (p : Prop) : p → p := id\n"
        "example (p : Prop) (h : p) : p := one p h /- lemma -/\n\n"
        "example : 1 = 2 := by rfl -- not so\n"
        "theorem two : nope := trivial"
    )
    [answer] = answers(farm, call("check", code=text))
    places = [line.split(": ")[0] for line in answer.splitlines() if ": error: " in line]
    assert places == ["4:22", "5:14"] and "`nope`" in answer
    [answer] = answers(farm, call("check", code=text.split("\n\n")[0]))
    assert answer == "no errors"
    # Lean points at the name that we gave it: not behind the word that has none.
    [answer] = answers(farm, call("check", code="example : 1 = 2 := sorry"))
    assert answer == "no errors\n1:7: warning: declaration uses `sorry`"


def test_check_shows_types_of_names(farm):
    text = "  #check And.intro\n#check Nat.nope\n#check (fun p : Prop => p)"
    [answer] = answers(farm, call("check", code=text))
    assert answer.split("\n") == [
        "Lean refuses it",
        "2:7: error: Unknown constant `Nat.nope`",
        "1:2: information: And.intro {a b : Prop} (left : a) (right : b) : a ∧ b",
        "3:0: information: fun p => p : Prop → Prop",
    ]


def test_with_helpers_a_whole_file_is_checked():
    text = f"lemma snd {SWAP.signature.replace('q ∧ p', 'q')} := h.2\n\n" + WHOLE
    with Farm(EmbeddedBackend(), workers=1, allow_helpers=True) as farm:
        [step] = play(environment(farm), [call("check", code=text.replace("lemma", "theorem"))])
        assert step.answers == ("Lean accepts it",)
        [step] = play(environment(farm), [call("submit", proof=text.replace("lemma", "theorem"))])
        assert judged(farm, step).proved
    with Farm(EmbeddedBackend(), workers=1) as farm:
        [answer] = answers(farm, call("check", code=text))
        assert answer.startswith("not checked: `lemma` before the theorem: helper declarations")


def test_files_are_read_by_lines(farm):
    text = "a\nb\nc"
    got = answers(
        farm,
        call("read"),
        call("write", file="x", text=text),
        call("read", file="x", first=2, last=9),
        call("read", file="x", first=4),
        call("read", file="y"),
        call("read"),
        call("edit", file="x", old="z", new=""),
        call("edit", file="x", old="", new=""),
    )
    assert got == [
        "there are no files yet",
        "x has 3 lines now",
        "2: b\n3: c",
        "no such lines: the file has 3",
        "there is no file 'y'; files: x",
        "x: 5 characters",
        "x is unchanged: `old` occurs 0 times in it; `read` shows the file",
        "x is unchanged: `old` is empty in it; `read` shows the file",
    ]
    [step] = play(environment(farm), [call("write", file="x", text="aa")])
    assert step.episode.files["x"].text == "aa"
    [_, answer] = answers(
        farm, call("write", file="x", text="a a"), call("edit", file="x", old="a", new="b")
    )
    assert answer == "x is unchanged: `old` occurs 2 times in it; add what surrounds it"
    [_, answer] = answers(  # one place covers a part of the other
        farm, call("write", file="x", text="aaa"), call("edit", file="x", old="aa", new="b")
    )
    assert answer == "x is unchanged: `old` occurs 2 times in it; add what surrounds it"


def test_schemas_are_json_and_name_what_is_required(farm):
    schemas = json.loads(json.dumps(environment(farm).schemas))
    assert [s["function"]["name"] for s in schemas] == ["check", "write", "edit", "read", "submit"]
    assert schemas[2]["function"]["parameters"]["required"] == ["file", "old", "new"]
    assert all(s["type"] == "function" and s["function"]["description"] for s in schemas)


def test_what_is_checked_is_not_replayed(monkeypatch):
    second = Farm(EmbeddedBackend(), workers=1)
    with Farm(EmbeddedBackend(), workers=1, second=second) as farm:
        [step] = play(environment(farm), [call("check", code=GOOD)])
        assert step.answers == ("Lean accepts it",) and second.counters.submitted == 0
        farm.submit(SWAP, Candidate(GOOD), urgent=True).result()
        assert second.counters.submitted == 1


# --- Calls that cannot be run --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (call("chek", code="x"), "there is no tool 'chek', did you mean 'check'? Tools: check(co"),
        (
            Call(["check"], {}),
            "there is no tool 'array'. Tools: check(code?, file?), write(file, t",
        ),
        (Call("", {}), "there is no tool ''. Tools: check(code?, file?), write(file, text), edit("),
        (call("check", cod="x"), "check: it has no argument 'cod', did you mean 'code'? Its form"),
        (
            call("write", file="a"),
            "write: argument `text` is missing. Its form is write(file, ",
        ),
        (call("check", code=["x"]), "check: argument `code` must be of type string, not array."),
        (call("check", code=None), "check: argument `code` must be of type string, not null."),
        (call("read", file="a", first=True), "read: argument `first` must be of type integer, no"),
        (Call("check", "x"), "check: its arguments must be an object, not string. Its form is che"),
    ],
)
def test_a_wrong_call_is_answered_and_counted(farm, wrong, said):
    [step] = play(environment(farm), [wrong])
    assert step.answers[0].startswith(said) and step.malformed == 1
    assert step.episode.calls == 1 and not step.done


def test_a_malformed_call_is_answered_after_the_others(farm):
    [step] = play(environment(farm), Turn("", (call("read"),), "the call is no JSON"))
    first, second = step.answers
    assert first == "there are no files yet" and step.malformed == 1
    assert second.startswith("the call is no JSON. Tools: check(code?, file?), write(file, text)")


def test_answers_share_their_budget(farm):
    text = "\n".join(map(str, range(3000)))
    calls = [call("write", file="a", text=text), *[call("read", file="a", first=i) for i in (1, 2)]]
    for budget in (60, 400, 4000):
        got = answers(farm, *calls, answer_budget=budget)
        assert all(0 < len(text) <= budget // 3 for text in got)
    assert got[1].startswith("1: 0\n2: 1\n") and got[1].endswith(" more)")
    words = answers(farm, *calls, answer_budget=60, measure=lambda t: len(t.split()))
    assert all(len(text.split()) <= 20 for text in words)


def test_limits_are_data(farm):
    limits = Limits(calls=3, calls_per_turn=2, files=1, argument_chars=20)
    first, second = play(
        environment(farm, limits=limits),
        [call("write", file="a", text="x"), call("write", file="b", text="x"), call("read")],
        [call("read"), call("read", first=2), call("read", first=3)],
    )
    assert first.answers == (
        "a has 1 lines now",
        "b is not written: there are 1 files, the limit",
        "1 of the calls not run: a turn may have 2",
    )
    assert second.answers[:2] == ("a: 1 characters", "not run: 3 calls were made, the limit")
    [answer] = answers(farm, call("check", code="x" * 21), limits=limits)
    assert answer.startswith("check: argument `code` has 21 characters, the limit is 20")
