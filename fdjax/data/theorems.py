"""Files of theorems of our own form: JSON lines.

A line holds the fields of `Theorem`; `statement` may replace `name` and `signature`. Published
files of other forms: fdjax/data/published.py.
"""

import dataclasses
import gzip
import json
import pathlib
import zlib
from collections.abc import Iterable, Sequence

from fdjax.lean.statements import normal_text, parse_statement
from fdjax.runtime.files import digest
from fdjax.types import Theorem


def theorems_digest(theorems: Sequence[Theorem]) -> str:
    """16 hexadecimal digits that change with any field of the theorems and with their order."""
    return digest([dataclasses.asdict(t) for t in theorems])


# --- Files ----------------------------------------------------------------------------------

_FIELDS = tuple(field.name for field in dataclasses.fields(Theorem))
_LISTS = ("imports",)


def read_text(path: str | pathlib.Path) -> str:
    r"""The text of a file in UTF-8, or in UTF-16 with its mark; also of one that gzip compressed.
    Lines end in `\n`; a mark of the encoding and NULs at the end are dropped.

    Raises OSError if it cannot be read, ValueError naming the file if it is no text.
    """
    data = pathlib.Path(path).read_bytes()
    try:
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
        utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        text = data.decode("utf-16" if utf16 else "utf-8-sig").rstrip("\0")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise ValueError(f"{path}: it is not UTF-8 text: {error}") from None
    if "\0" in text:
        raise ValueError(f"{path}: it is not text: it holds NUL characters")
    return normal_text(text)


def read_theorems(path: str | pathlib.Path) -> list[Theorem]:
    """The theorems of a file of our own form. Raises ValueError naming file, line and field."""
    return parse_theorems(read_text(path), path)


def parse_theorems(text: str, path: str | pathlib.Path) -> list[Theorem]:
    """The theorems in the text of the file at `path`. Raises as `read_theorems` does."""
    theorems: list[Theorem] = []
    first_line: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            theorem = _from_row(json.loads(line))
            if (used := first_line.setdefault(theorem.id, number)) < number:
                raise ValueError(f"field 'id': {theorem.id!r} was used on line {used}")
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}:{number}: not a line of JSON: {error}") from None
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from None
        theorems.append(theorem)
    return theorems


def write_theorems(path: str | pathlib.Path, theorems: Iterable[Theorem]) -> None:
    """Writes one line of JSON per theorem, for `read_theorems`."""
    with open(path, "w", encoding="utf-8") as file:
        for theorem in theorems:
            file.write(to_json(theorem) + "\n")


def to_json(theorem: Theorem) -> str:
    """One line of JSON; absent fields are left out."""
    fields = {k: v for k, v in dataclasses.asdict(theorem).items() if v not in (None, (), "")}
    return json.dumps(fields, ensure_ascii=False)


def _from_row(row) -> Theorem:
    if not isinstance(row, dict):
        raise ValueError(f"expected a JSON object, found {type(row).__name__}")
    row = {name: value for name, value in row.items() if name != "tags"}  # files of old have it
    if "statement" in row:
        if clash := {"name", "signature"} & set(row):
            raise ValueError(f"field 'statement': given together with {sorted(clash)}")
        text = _string(row, "statement", required=True)
        try:
            row["name"], row["signature"] = parse_statement(text)
        except ValueError as error:
            raise ValueError(f"field 'statement': {error}") from None
        del row["statement"]
    if unknown := sorted(set(row) - set(_FIELDS)):
        raise ValueError(f"field {unknown[0]!r}: unknown; known are {', '.join(_FIELDS)}")
    values = {name: _string(row, name) for name in _FIELDS if name not in _LISTS}
    values |= {name: _string(row, name, required=True) for name in ("name", "signature")}
    values |= {name: _strings(row, name) for name in _LISTS}
    try:
        name, signature = parse_statement(f"theorem {values['name']} {values['signature']}")
    except ValueError as error:
        raise ValueError(f"field 'signature': {error}") from None
    if name != values["name"]:
        raise ValueError(f"field 'name': {values['name']!r} is not a Lean name")
    defaults = {"id": name, "context": ""}
    values |= {field: text for field, text in defaults.items() if values[field] is None}
    return Theorem(**values | {"signature": signature})


def _string(row: dict, name: str, required: bool = False) -> str | None:
    value = row.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, str) or (required and not value.strip()):
        raise ValueError(f"field {name!r}: expected a string, found {value!r}")
    return normal_text(value)


def _strings(row: dict, name: str) -> tuple[str, ...]:
    value = row.get(name) or []
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise ValueError(f"field {name!r}: expected a list of strings, found {value!r}")
    return tuple(value)
