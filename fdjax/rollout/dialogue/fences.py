"""Calls of tools as fenced blocks, for completions and for models that know no other format.

    ```edit file=Main.lean
    exact h
    =======
    exact h.2
    ```

The word behind the fence is the tool. `name=value` gives an argument on the same line; the block's
text is the first text argument that is not given there, and a line of `=======` parts it from the
next one. Nothing is escaped. The fence that closes a block ends the turn of a completion.
"""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from fdjax.environment.protocol import Call, Turn
from fdjax.models.tokenizer import Tokenizer
from fdjax.models.tokenizer.protocol import Tool
from fdjax.rollout.dialogue.calls import MAX_CALLS
from fdjax.rollout.dialogue.plain import quoted
from fdjax.rollout.prompts import Template
from fdjax.types import Theorem

CLOSE = "\n```\n"
_BLOCK = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)(?:^```|\Z)", re.M | re.S)
_LANGUAGES = ("", "lean", "lean4", "text", "txt", "plaintext", "plain")
_GIVEN = re.compile(r'\s*(?P<name>\w+)=(?P<value>"(?:[^"\\]|\\.)*"|[^\s"]+)(?=\s|\Z)')
_MAX_LINE = 10_000
_PART = re.compile(r"^=======(?:\n|\Z)", re.M)

DECLARATION = """\
Tools can be called. A call is a fenced block that begins with the tool's name:

```NAME argument=value
text
```

The text is the tool's first text argument that is not given in the first line; a line of =======
parts it from the next one. The answer follows in a block of its own. The tools:

{tools}"""


@dataclasses.dataclass(frozen=True)
class Fences:
    """As `calls.CallFormat`. `tools`: what can be called, by which arguments are read."""

    tools: tuple[Tool, ...]

    @property
    def declaration(self) -> str:
        return DECLARATION.replace("{tools}", "\n".join(map(_usage, self.tools)))

    def read(self, text: str, start: int = 0) -> Turn:
        """The calls in `text[start:]`, up to the first that is malformed. Never raises."""
        calls: list[Call] = []
        known = {tool["function"]["name"]: tool["function"]["parameters"] for tool in self.tools}
        for block in _BLOCK.finditer(text, start):
            tool, _, given = block["info"].strip().partition(" ")
            if tool not in known and tool.lower() in _LANGUAGES:
                continue
            try:
                if len(calls) == MAX_CALLS:
                    raise ValueError(f"a turn may call {MAX_CALLS} tools at most")
                calls.append(_call(block, tool, given, known.get(tool, {})))
            except ValueError as error:
                problem = f"call {len(calls) + 1} of this turn is malformed: {error}"
                return Turn(text, tuple(calls), problem)
        return Turn(text, tuple(calls))


def _call(block: re.Match, tool: str, given: str, parameters: Mapping[str, Any]) -> Call:
    """Raises ValueError saying what is wrong."""
    properties = parameters.get("properties", {})
    arguments: dict[str, Any] = {}
    at, given = 0, given.rstrip()
    if len(given) > _MAX_LINE:
        raise ValueError(f"its first line has more than {_MAX_LINE:,} characters")
    while at < len(given):
        found = _GIVEN.match(given, at)
        if found is None:
            raise ValueError(f"{given[at : at + 40]!r} behind the tool's name is no argument=value")
        if found["name"] in arguments:
            raise ValueError(f"the argument {found['name'][:40]!r} is there twice")
        is_text = properties.get(found["name"], {}).get("type") == "string"
        arguments[found["name"]] = _value(found["value"], is_text)
        at = found.end()
    texts = [n for n, p in properties.items() if p.get("type") == "string" and n not in arguments]
    required = [name for name in texts if name in parameters.get("required", ())]
    parts = _parts(block, len(texts))
    places = {}
    if block["body"].strip() and not texts and properties:
        raise ValueError(f"the block has a text, and {tool} takes no further text argument")
    if block["body"] or required:
        for name, (start, end) in zip(texts, parts):
            arguments[name], places[name] = block.string[start:end], range(start, end)
    return Call(tool, arguments, places)


def _parts(block: re.Match, count: int) -> list[tuple[int, int]]:
    """(start, end) of each part of the body, `count` at most, without the last line break."""
    start, stop = block.span("body")
    parts: list[tuple[int, int]] = []
    while len(parts) < count - 1 and (line := _PART.search(block.string, start, stop)):
        parts.append((start, max(start, line.start() - 1)))
        start = line.end()
    end = stop - block.string.endswith("\n", start, stop)
    return [*parts, (start, max(start, end))][:count]


def _value(text: str, is_text: bool) -> Any:
    if is_text and not text.startswith('"'):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the value {text[:40]!r} is no JSON") from error


def _usage(tool: Tool) -> str:
    function = tool["function"]
    properties = function["parameters"].get("properties", {})
    required = function["parameters"].get("required", ())
    lines = [f"{function['name']}: {function['description']}"]
    for name, schema in properties.items():
        optional = "" if name in required else ", optional"
        lines.append(f"  {name} ({schema['type']}{optional}): {schema.get('description', '')}")
    return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class FencedCompletion:
    """A `Dialogue` of a completion with tools: the tools are told before the template's text."""

    tokenizer: Tokenizer
    template: Template
    format: Fences

    notes = ()

    @property
    def stop_ids(self) -> tuple[int, ...]:
        return self.tokenizer.stop_ids

    @property
    def until(self) -> str:
        return CLOSE

    def prompt(self, theorem: Theorem, feedback: str | None = None) -> list[int]:
        text = f"{self.format.declaration}\n\n{self.template.text(theorem, feedback)}"
        return self.template.encode(self.tokenizer, text)

    def read(self, text: str) -> Turn:
        return self.format.read(text)

    def answers(
        self,
        answers: Sequence[str],
        calls: Sequence[Call] = (),
        *,
        ended: bool,
        last_ids: Sequence[int] = (),
    ) -> list[int]:
        blocks = (f"```answer\n{quoted(answer, ('```',))}\n```\n\n" for answer in answers)
        text = "\n" + "".join(blocks)
        if ended or CLOSE in self.tokenizer.decode(last_ids):
            return self.tokenizer.encode(text)
        return self.tokenizer.encode(f"{CLOSE}{text}")
