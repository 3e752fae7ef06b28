"""Calls of tools as published chat models write them: JSON, between marks.

A format is a file in `formats/`. What is read is hostile: JSON may be damaged, deep or long, and a
string may hold any text, the marks too. So marks are looked for outside of JSON only.
"""

import dataclasses
import functools
import json
import math
import re
import tomllib
from collections.abc import Iterator, Sequence
from json.decoder import scanstring
from pathlib import Path
from typing import Any, NamedTuple

from fdjax.environment.protocol import Call, Turn

MAX_CALLS = 32  # in a turn; more are a malformed turn


@dataclasses.dataclass(frozen=True)
class CallFormat:
    """A call is `begin`, JSON, `end`; with `after_name` it is `begin`, the tool's name,
    `after_name`, the JSON of its arguments, `end`. Without `begin`, calls are what the turn begins
    with.
    """

    declaration: str  # tells a model the {tools} and the format, where its chat template does not
    begin: str = ""
    end: str = ""
    after_name: str = ""
    name: str = "name"  # keys of the JSON
    arguments: tuple[str, ...] = ("arguments",)  # any of them; messages name the first

    def read(self, text: str, start: int = 0) -> Turn:
        """The calls in `text[start:]`, up to the first that is malformed: `problem` is about that.

        Text before, between and after calls is not read. Never raises.
        """
        calls: list[Call] = []
        try:
            for call in self._calls(text, start):
                if len(calls) == MAX_CALLS:
                    raise _Malformed(f"a turn may call {MAX_CALLS} tools at most")
                calls.append(call)
        except _Malformed as malformed:
            problem = f"call {len(calls) + 1} of this turn is malformed: {malformed}"
            return Turn(text, tuple(calls), problem)
        return Turn(text, tuple(calls))

    def _calls(self, text: str, at: int) -> Iterator[Call]:
        if begin := self.begin.strip():
            while (at := text.find(begin, at)) >= 0:
                call, at = self._call(text, at + len(begin))
                yield call
            return
        at = _skip(text, at)
        while text.startswith("{", at):
            call, at = self._call(text, at)
            yield call
            at = _SEPARATORS.match(text, at).end()

    def _call(self, text: str, at: int) -> tuple[Call, int]:
        """(the call at `at`, behind `begin`; where it ends)"""
        if self.after_name:
            tool, at = self._named(text, at)
            arguments = _object(text, at)
            end, values = arguments.end, arguments.values
        else:
            whole = _object(text, at)
            tool, arguments = self._parts(text, whole)
            end, values = whole.end, arguments.values
        if mark := self.end.strip():
            end = _skip(text, end)
            if text.startswith(mark, end):
                end += len(mark)
            elif end < len(text):  # at the end of the turn, that is the call's end
                raise _Malformed(f"{_shown(text, end)} instead of {mark}")
        places = {k: _places(text, arguments.at[k]) for k, v in values.items() if type(v) is str}
        return Call(tool, values, places), end

    def _named(self, text: str, at: int) -> tuple[str, int]:
        mark = self.after_name.strip()
        found = text.find(mark, at, at + _MAX_NAME + len(mark))
        tool = text[at:found].strip()
        if found < 0 or not tool:
            raise _Malformed(f"no tool's name with {mark} after it behind {self.begin.strip()}")
        return tool, found + len(mark)

    def _parts(self, text: str, whole: "_Object") -> tuple[str, "_Object"]:
        keys = [key for key in self.arguments if key in whole.values]
        if unknown := whole.values.keys() - {self.name, *self.arguments}:
            raise _Malformed(f"unknown field {_cut(min(unknown))}; {self._fields}")
        if self.name not in whole.values:
            raise _Malformed(f"no field {self.name!r}; {self._fields}")
        if len(keys) != 1:
            raise _Malformed(f"{'two fields' if keys else 'no field'} of arguments; {self._fields}")
        tool = whole.values[self.name]
        if type(tool) is not str:
            raise _Malformed(f"the field {self.name!r} is no string")
        if type(whole.values[keys[0]]) is not dict:
            raise _Malformed(f"the field {keys[0]!r} is no JSON object")
        return tool, _object(text, whole.at[keys[0]])

    @property
    def _fields(self) -> str:
        return f"a call is one JSON object with {self.name!r} and {self.arguments[0]!r}"


def formats() -> dict[str, CallFormat]:
    """The formats of this package, by name."""
    return {file.stem: _read_format(file) for file in sorted(FORMATS.glob("*.toml"))}


FORMATS = Path(__file__).parent / "formats"


@functools.cache
def _read_format(file: Path) -> CallFormat:
    fields = tomllib.loads(file.read_text())
    if "arguments" in fields:
        fields["arguments"] = tuple(fields["arguments"])
    return CallFormat(**fields)


# --- JSON with places -----------------------------------------------------------------------------

_MAX_NAME = 200  # characters of a tool's name
_MAX_DEPTH = 32  # levels of a call's JSON
_MAX_DIGITS = 400
_SPACE = re.compile(r"[ \t\n\r]*")
_SEPARATORS = re.compile(r"[ \t\n\r;]*")
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u....|.)", re.S)
_SURROGATE = re.compile("[\ud800-\udfff]")


class _Malformed(ValueError):
    pass


class _Object(NamedTuple):
    values: dict[str, Any]
    at: dict[str, int]  # where each value begins in the text
    end: int


def _object(text: str, at: int) -> _Object:
    """The JSON object that begins at `at`, but for space. Line breaks in strings are taken as they
    are. Raises _Malformed."""
    at = _skip(text, at)
    try:
        if text[at : at + 1] != "{":
            raise ValueError(f"{_shown(text, at)} instead of {{")
        values: dict[str, Any] = {}
        places: dict[str, int] = {}
        at, closed = _skip(text, at + 1), False
        if text[at : at + 1] == "}":
            at, closed = at + 1, True
        while not closed:
            if text[at : at + 1] != '"':
                raise ValueError(f"{_shown(text, at)} instead of a field's name in quotes")
            key, at = scanstring(text, at + 1, False)
            if key in values:
                raise ValueError(f"the field {_cut(key)} is there twice")
            at = _skip(text, at)
            if text[at : at + 1] != ":":
                raise ValueError(f"{_shown(text, at)} instead of : behind {_cut(key)}")
            places[key] = at = _skip(text, at + 1)
            values[key], at = _DECODER.raw_decode(text, at)
            at = _skip(text, at)
            if text[at : at + 1] not in ("}", ","):
                raise ValueError(f"{_shown(text, at)} instead of , or }} behind {_cut(key)}")
            closed = text[at] == "}"
            at = at + 1 if closed else _skip(text, at + 1)
        _check(values)
    except json.JSONDecodeError as error:
        what = f"{error.msg}, at {_shown(text, error.pos)}"
        raise _Malformed(f"it is no JSON: {what}") from error
    except RecursionError as error:
        raise _Malformed("its JSON is nested too deep") from error
    except ValueError as error:
        raise _Malformed(f"it is no JSON: {error}") from error
    return _Object(values, places, at)


def _check(value: Any, depth: int = 0) -> None:
    """Raises ValueError for half of a surrogate pair, RecursionError for more levels than a call
    needs: Python's own limit varies with the caller."""
    if depth > _MAX_DEPTH:
        raise RecursionError
    match value:
        case str() if _SURROGATE.search(value):
            raise ValueError("it holds half of a surrogate pair (\\ud800 to \\udfff)")
        case dict():
            for part in (*value, *value.values()):
                _check(part, depth + 1)
        case list():
            for part in value:
                _check(part, depth + 1)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    if math.isinf(value := float(text)):
        raise ValueError(f"{_cut(text)} is too large a number")
    return value


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"{_cut(text)} has too many digits")
    return int(text)


_DECODER = json.JSONDecoder(
    strict=False, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_integer
)


def _places(text: str, quote: int) -> Sequence[int]:
    """Where each character of the JSON string begins whose first quote is at `quote`."""
    out: list[int] = []
    at = quote + 1
    while True:
        stop = _STRING_STOP.search(text, at).start()
        out.extend(range(at, stop))
        if text[stop] == '"':
            return out
        out.append(stop)
        at = _ESCAPE.match(text, stop).end()


_STRING_STOP = re.compile(r'["\\]')


def _skip(text: str, at: int) -> int:
    return _SPACE.match(text, at).end()


def _shown(text: str, at: int) -> str:
    return repr(text[at : at + 20]) if at < len(text) else "the end of the turn"


def _cut(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "...")
