"""Tools: what a model can call, what a call is given, and what it may answer.

A tool is a name, a JSON schema and a function; docs/environment.md shows one of 30 lines. Text of a
model is hostile: `problem` refuses a call before a tool sees it.
"""

import dataclasses
import difflib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from fdjax.environment.protocol import Call, Submission
from fdjax.lean.audit import MAX_CHARS
from fdjax.types import Theorem


class File(NamedTuple):
    """A file of an episode's scratch space. It exists in memory only."""

    text: str
    turn: int = 0  # the model's turn that wrote it
    places: Sequence[int] | None = None  # where each character begins in that turn; None: edited


class Scene(NamedTuple):
    """What a tool sees of an episode."""

    theorem: Theorem
    files: Mapping[str, File]  # not to be changed: an answer may hold others
    turn: int  # index of the model's turn that calls


class Answer(NamedTuple):
    """Of a tool."""

    parts: tuple[
        str, ...
    ]  # of its text, the most useful first: over a budget the last are left out
    files: Mapping[str, File] | None = None  # after the call, if it changes them
    submission: Submission | None = None  # ends the episode
    seconds: float = 0.0  # of Lean


class Tool(NamedTuple):
    """`run` may wait (and return an awaitable). It is not called for arguments that the schema
    refuses, nor for a call that repeats an earlier one. Only with `edits` may it change files or
    submit: it must then not wait, and depend on nothing but its arguments, because it is run once
    more when a killed run resumes."""

    name: str
    description: str  # for the model
    properties: Mapping[str, Mapping[str, Any]]  # JSON schemas of the arguments: string or integer
    run: Callable[[Scene, Call], Answer | Awaitable[Answer]]
    required: tuple[str, ...] = ()
    edits: bool = False
    uses_lean: bool = False  # its answers take from the episode's seconds of Lean

    @property
    def schema(self) -> dict[str, Any]:
        """As chat templates take it in `tools`."""
        parameters = {
            "type": "object",
            "properties": {name: dict(schema) for name, schema in self.properties.items()},
            "required": list(self.required),
        }
        function = {"name": self.name, "description": self.description, "parameters": parameters}
        return {"type": "function", "function": function}

    @property
    def usage(self) -> str:
        """`NAME(argument, optional?)`"""
        marked = (name + "?" * (name not in self.required) for name in self.properties)
        return f"{self.name}({', '.join(marked)})"


@dataclasses.dataclass(frozen=True)
class Limits:
    """Of what a model may ask; a call beyond a limit gets an answer that names it."""

    argument_chars: int = MAX_CHARS  # characters of a text argument; of a proof, too
    integer: int = 1_000_000  # largest absolute value
    calls_per_turn: int = 8
    calls: int = 64  # of an episode
    files: int = 16
    file_chars: int = MAX_CHARS


DEFAULT_LIMITS = Limits()


def problem(call: Call, tools: Mapping[str, Tool], limits: Limits) -> str | None:
    """What is wrong with a call, and what would be right; None if its tool may be run."""
    tool = tools.get(call.tool) if isinstance(call.tool, str) else None
    if tool is None:
        return f"there is no tool {_shown(call.tool)}{_nearest(call.tool, tools)} {usage(tools)}"
    wrong = _wrong_arguments(tool, call.arguments, limits)
    return wrong and f"{tool.name}: {wrong} Its form is {tool.usage}"


def usage(tools: Mapping[str, Tool]) -> str:
    return "Tools: " + ", ".join(tool.usage for tool in tools.values())


def _wrong_arguments(tool: Tool, arguments: Any, limits: Limits) -> str | None:
    if not isinstance(arguments, Mapping):
        return f"its arguments must be an object, not {_kind(arguments)}."
    for name, value in arguments.items():
        if name not in tool.properties:
            return f"it has no argument {_shown(name)}{_nearest(name, tool.properties)}"
        if wrong := _wrong_value(value, tool.properties[name]["type"], limits):
            return f"argument `{name}` {wrong}."
    missing = [name for name in tool.required if name not in arguments]
    return f"argument `{missing[0]}` is missing." if missing else None


def _wrong_value(value: Any, kind: str, limits: Limits) -> str | None:
    if _kind(value) != kind:
        return f"must be of type {kind}, not {_kind(value)}"
    if kind == "integer" and abs(value) > limits.integer:
        return f"must be from {-limits.integer} to {limits.integer}"
    if kind != "string":
        return None
    if len(value) > limits.argument_chars:
        return f"has {len(value):,} characters, the limit is {limits.argument_chars:,}"
    if any("\ud800" <= character <= "\udfff" for character in value):
        return "holds a lone surrogate, which is no character"
    return None


_KINDS = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}


def _kind(value: Any) -> str:
    """JSON's name of a value's type."""
    if value is None:
        return "null"
    return _KINDS.get(type(value), "object")


def _shown(name: Any) -> str:
    """A name that a model wrote, of bounded length and on one line."""
    name = name if isinstance(name, str) else _kind(name)
    return repr(name[:40] + "..." * (len(name) > 40))


def _nearest(name: Any, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name[:40], known, n=1) if isinstance(name, str) else []
    return f", did you mean {near[0]!r}?" if near else "."
