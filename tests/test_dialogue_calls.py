"""Reading calls of tools: what was written comes back with its places, and nothing raises."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdjax.rollout.dialogue.calls import MAX_CALLS, formats
from fdjax.rollout.dialogue.fences import Fences
from tests.tool_chats import TOOLS, tool, written

FORMATS = formats()
MARKS = [f.begin for f in FORMATS.values()] + [f.end for f in FORMATS.values()]
PIECES = ["\\", '"', "\n", "∀ p, 𝔸", "{", "}", "</think>", "```\n", "=======\n", ";", *MARKS]
TEXT = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=8).map("".join)
TEXT = TEXT.filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text))
VALUE = st.one_of(TEXT, st.integers(), st.booleans(), st.none(), st.lists(TEXT, max_size=2))
ARGUMENTS = st.dictionaries(TEXT, VALUE, max_size=4)
NAME = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
CALLS = st.lists(st.tuples(NAME, ARGUMENTS), min_size=1, max_size=3)
every = pytest.mark.parametrize("name", FORMATS)


@every
@given(calls=CALLS, escape=st.booleans(), prose=st.sampled_from(["", "Let me see.\n", "∀\n\n"]))
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read_with_its_places(name, calls, escape, prose):
    format = FORMATS[name]
    text = written(format, calls)
    if escape:  # another spelling of the same JSON
        text = text.replace("∀", "\\u2200").replace("𝔸", "\\ud835\\udD38")
        text = text.replace(": {", " :\n\t{ ") if not format.after_name else text
        calls = [(tool, json.loads(json.dumps(arguments))) for tool, arguments in calls]
    if format.begin:
        text = prose + text
    turn = format.read(text)
    assert turn.problem is None and turn.text == text
    assert [(call.tool, call.arguments) for call in turn.calls] == calls
    for call in turn.calls:
        assert call.places.keys() == {k for k, v in call.arguments.items() if type(v) is str}
        for key, places in call.places.items():
            value = call.arguments[key]
            assert len(places) == len(value)
            ends = [*places[1:], *places[-1:]]  # of the last character only the begin is known
            for character, start, end in zip(value[:-1], places, ends):
                assert json.loads(f'"{text[start:end]}"', strict=False) == character
            assert not value or text[places[-1]] in ("\\", value[-1])


@every
@given(parts=st.lists(st.one_of(st.sampled_from([*PIECES, '{"name": "x", ']), TEXT), max_size=9))
@settings(max_examples=300, deadline=None)
def test_nothing_raises(name, parts):
    text = "".join(parts)
    for start in (0, len(text) // 2):
        turn = FORMATS[name].read(text, start)
        assert turn.text == text and len(turn.calls) <= MAX_CALLS
    Fences(TOOLS).read(text)


CALL = '{"name": "check", "arguments": {"proof": "x"}}'
MALFORMED = {
    "": "it is no JSON: '</tool_call>' instead of {",
    "[1]": "it is no JSON: '[1]</tool_call>' instead of {",
    "{'name': 1}": "instead of a field's name in quotes",
    '{"name": "check" "arguments": {}}': "instead of , or } behind 'name'",
    '{"name" "check"}': "instead of : behind 'name'",
    '{"name": "check", "arguments": {"proof": "a}}': "Unterminated string",
    '{"name": "check", "arguments": {"proof": "\\x"}}': "Invalid \\escape",
    '{"name": "check", "arguments": {"proof": "\\ud835"}}': "half of a surrogate pair",
    '{"name": "check", "arguments": {"a": 1, "a": 2}}': "the field 'a' is there twice",
    '{"name": "check", "arguments": {"a": NaN}}': "NaN is no number of JSON",
    '{"name": "check", "arguments": {"a": 1e999}}': "too large a number",
    '{"name": "check", "arguments": {"a": ' + "9" * 9999: "too many digits",
    '{"name": "check", "arguments": {"a": ' + "[" * 10**6: "nested too deep",
    '{"name": "check", "arguments": {"a": ' + "[" * 99 + "]" * 99 + "}}": "nested too deep",
    '{"name": "check", "arguments": "{}"}': "the field 'arguments' is no JSON object",
    '{"name": 7, "arguments": {}}': "the field 'name' is no string",
    '{"arguments": {}}': "no field 'name'",
    '{"name": "check"}': "no field of arguments; a call is one JSON object with 'name' and 'arg",
    '{"name": "check", "arguments": {}, "id": 3}': "unknown field 'id'",
    CALL + " and so on": "'and so on</tool_call' instead of </tool_call>",
}


@pytest.mark.parametrize("text", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_call_is_told_what_is_wrong(text):
    """Calls before it are read, those after it are not."""
    call = f"<tool_call>{CALL}</tool_call>"
    turn = FORMATS["hermes"].read(f"{call}<tool_call>{text}</tool_call>")
    assert [c.tool for c in turn.calls] == ["check"]
    assert turn.problem.startswith("call 2 of this turn is malformed: ")
    assert MALFORMED[text] in turn.problem and len(turn.problem) < 300
    assert FORMATS["hermes"].read(f"<tool_call>{text}</tool_call>{call}").calls == ()


def test_marks_in_a_string_are_text():
    inside = "</tool_call><tool_call>{}"
    text = written(FORMATS["hermes"], [("check", {"proof": inside})])
    [call] = FORMATS["hermes"].read(text).calls
    assert call.arguments == {"proof": inside}


def test_what_ends_a_turn_ends_a_call():
    [call] = FORMATS["hermes"].read(f"so be it <tool_call>{CALL} \n").calls
    assert call.arguments == {"proof": "x"}


def test_line_breaks_in_strings_are_taken_as_they_are():
    """No other meaning is possible, and models write Lean in several lines."""
    text = written(FORMATS["hermes"], [("check", {"proof": "by\n  simp"})]).replace("\\n", "\n")
    [call] = FORMATS["hermes"].read(text).calls
    assert call.arguments == {"proof": "by\n  simp"}
    assert "".join(text[at] for at in call.places["proof"]) == "by\n  simp"


def test_calls_of_llama():
    """The turn is the JSON; one that begins otherwise calls nothing."""
    one = '{"name": "check", "parameters": {"proof": "x"}}'
    read = FORMATS["llama3_json"].read
    assert [c.tool for c in read(f"{one}; {one}\n{CALL} and then?").calls] == ["check"] * 3
    assert read(f"I call {one}").calls == () and read("theorem {p : Prop}").problem is None
    assert "unknown field 'p'; a call is" in read('{"p": 1}').problem
    two = '{"name": "check", "parameters": {}, "arguments": {}}'
    assert "two fields of arguments" in read(two).problem


@every
def test_a_turn_of_ten_thousand_calls(name):
    text = written(FORMATS[name], [("check", {"proof": "x"})] * 10_000)
    turn = FORMATS[name].read(text)
    assert len(turn.calls) == MAX_CALLS and f"{MAX_CALLS} tools at most" in turn.problem


@every
def test_a_call_of_a_megabyte(name):
    proof = '\n"∀' * 250_000
    text = written(FORMATS[name], [("check", {"proof": proof})])
    begin = time.perf_counter()
    [call] = FORMATS[name].read(text).calls
    seconds = time.perf_counter() - begin
    assert call.arguments == {"proof": proof} and len(call.places["proof"]) == len(proof)
    assert seconds < 5


# --- Fenced blocks -------------------------------------------------------------------------------

FENCES = Fences(
    (
        *TOOLS,
        tool("note", "text"),
        READ := {
            "type": "function",
            "function": {
                "name": "read",
                "description": "To read.",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "file": {"type": "string", "description": "the file"},
                        "first": {"type": "integer", "description": "a line"},
                    },
                    "required": [],
                },
            },
        },
    )
)
EDIT = {"file": "a.lean", "old": "x", "new": "y\nz"}
FENCED = {
    "```check\nby simp\n```\n": ("check", {"proof": "by simp"}),
    "I try.\n```check\nby\n  simp\n\n```": ("check", {"proof": "by\n  simp\n"}),
    "```check\nby simp": ("check", {"proof": "by simp"}),
    "```check\n```\n": ("check", {"proof": ""}),
    "```check proof=rfl\n```\n": ("check", {"proof": "rfl"}),
    "```edit file=a.lean\nx\n=======\ny\nz\n```\n": ("edit", EDIT),
    "```edit\na.lean\n=======\nx\n=======\ny\nz\n```\n": ("edit", EDIT),
    '```edit file="a b"\n=======\ny\n```\n': ("edit", {"file": "a b", "old": "", "new": "y"}),
    "```edit file=a\nx\n=======\n```\n": ("edit", {"file": "a", "old": "x", "new": ""}),
    "```edit file=a\nx\n```\n": ("edit", {"file": "a", "old": "x"}),
    "```note\na\n=======\nb\n```\n": ("note", {"text": "a\n=======\nb"}),
    "```read\n```\n": ("read", {}),
    "```read file=a.lean first=7\n```\n": ("read", {"file": "a.lean", "first": 7}),
    "```serach\nx\n```\n": ("serach", {}),
}


@pytest.mark.parametrize("text", FENCED, ids=range(len(FENCED)))
def test_fenced_calls(text):
    turn = FENCES.read(text)
    assert turn.problem is None
    [call] = turn.calls
    assert (call.tool, call.arguments) == FENCED[text]
    for key, places in call.places.items():
        assert "".join(text[at] for at in places) == call.arguments[key]


@pytest.mark.parametrize(
    "text",
    ["", "by simp", "```lean4\ntheorem t : p := by simp\n```\n", "```\nx\n```\n", "a ```check"],
)
def test_blocks_that_call_nothing(text):
    turn = FENCES.read(text)
    assert turn.calls == () and turn.problem is None


@pytest.mark.parametrize(
    ("text", "message"),
    {
        "```check now\nx\n```": "'now' behind the tool's name is no argument=value",
        "```edit file=a file=b\nx\n```": "the argument 'file' is there twice",
        "```read first=x\n```": "the value 'x' is no JSON",
        '```edit file="\\x"\n```': "is no JSON",
        "```read first=" + "[" * 9000 + "\n```": "is no JSON",
        "```read " + "file=a " * 200_000 + "\n```": "more than 10,000 characters",
        "```check proof=rfl\nx\n```": "check takes no further text argument",
        "```note\nx\n```\n" * (MAX_CALLS + 1): "tools at most",
    }.items(),
)
def test_malformed_fences_are_told_what_is_wrong(text, message):
    assert message in FENCES.read(text).problem


def test_a_declaration_names_tools_and_arguments():
    text = FENCES.declaration
    assert "edit: To edit.\n  file (string): the file\n  old (string)" in text
    assert "first (integer, optional): a line" in text and "{tools}" not in text
