"""Theorems: the contract that every other part speaks, and files of our own form (JSON lines).

A line holds the fields of `Theorem`, with `statement` allowed in place of `name` and `signature`.
Files as others publish them: fdjax/data/published.py.
"""

import dataclasses
import json
import pathlib
import re
from collections.abc import Iterable

from fdjax.types import Theorem


def lean_text(theorem: Theorem, proof: str) -> str:
    """The whole Lean file of `theorem` with `proof` (what follows `:=`)."""
    imports = "".join(f"import {module}\n" for module in theorem.imports)
    gap = "" if proof[:1].isspace() else " "
    parts = (imports, theorem.context, f"theorem {theorem.name} {theorem.signature} :={gap}{proof}")
    return "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"


# --- Statements -----------------------------------------------------------------------------

# Strings, quoted names and characters come first, so that a `--` inside them is no comment.
_LEXEME = re.compile(
    r'"(?:\\.|[^"\\])*"|«[^»]*»|\'(?:\\.[^\']*|[^\'\\])\'|--[^\n]*|/-|[\w.!?\']+|.', re.S
)
_NAME = r"(?:«[^»\n]+»|[^\W\d][\w!?']*)"
_MODIFIERS = r"(?:@\[[^\]]*\]\s*|(?:private|protected|nonrec)\s+)*"
_DECLARATION = re.compile(
    rf"(?P<before>.*)^\s*{_MODIFIERS}"
    rf"(?:theorem|lemma)\s+(?P<name>{_NAME}(?:\.{_NAME})*)(?P<signature>.*)\Z",
    re.S | re.M,
)
_COMMAND = re.compile(r"^(?:end|def|abbrev|example|instance|namespace|section|open|#\w+)\b", re.M)
_END = re.compile(r"\s*:=\s*(?:by(?:\s+sorry)?|sorry)?\s*\Z")


def parse_statement(text: str) -> tuple[str, str]:
    """(name, signature) of `theorem NAME ... : TYPE`, with or without a trailing `:=`, `:= by`.

    Comments, attributes and modifiers are dropped. Raises ValueError where `text` is no single
    statement.
    """
    before, name, signature = split_statement(text)
    if before:
        raise ValueError(f"expected `theorem NAME ... : TYPE`, found {before[:40]!r} before it")
    return name, signature


def split_statement(text: str) -> tuple[str, str, str]:
    """(what stands before the last theorem of `text`, its name, its signature); no comments.

    Raises ValueError where there is none, or where more follows it.
    """
    match = _DECLARATION.match(strip_comments(text))
    if match is None:
        raise ValueError(f"expected `theorem NAME ... : TYPE`, found {text.strip()[:60]!r}")
    signature = _END.sub("", match["signature"]).strip()
    _check_signature(signature)
    before = re.sub(_MODIFIERS + r"\Z", "", match["before"])  # those on lines of their own
    return before.strip(), match["name"], signature


def lexemes(text: str) -> list[str]:
    """The words and symbols of `text`, comments and white space left out."""
    return [word for word in _LEXEME.findall(strip_comments(text)) if not word.isspace()]


def strip_comments(text: str) -> str:
    """`text` without Lean comments (nested ones too); each leaves one space."""
    pieces, position, depth = [], 0, 0
    while position < len(text):
        if depth:  # inside /- ... -/, where only its delimiters count
            step = re.compile(r"/-|-/|.", re.S).match(text, position)[0]
            depth += {"/-": 1, "-/": -1}.get(step, 0)
        else:
            step = _LEXEME.match(text, position)[0]
            if step == "/-":
                depth = 1
                pieces.append(" ")
            elif not step.startswith("--"):
                pieces.append(step)
        position += len(step)
    if depth:
        raise ValueError("a comment `/-` is never closed")
    return "".join(pieces)


def _check_signature(signature: str) -> None:
    """Brackets balanced, a type after a colon outside of them, and nothing after the type."""
    closing = {"(": ")", "[": "]", "{": "}", "⟨": "⟩", "⦃": "⦄"}
    stack, typed, position = [], False, 0
    definitions = 0  # `let x` and the like, less their `:=`
    while position < len(signature):
        lexeme = _LEXEME.match(signature, position)[0]
        position += len(lexeme)
        if lexeme in closing:
            stack.append(closing[lexeme])
        elif lexeme in closing.values() and (not stack or stack.pop() != lexeme):
            raise ValueError(f"unbalanced {lexeme!r} in the statement {signature[:60]!r}")
        elif lexeme in ("let", "have", "letI", "haveI") and not stack:
            definitions += 1
        elif lexeme == ":" and not stack and signature.startswith("=", position):
            definitions -= 1
            if definitions < 0:
                raise ValueError(f"more than a statement: {signature[position - 1 :][:40]!r}")
        elif lexeme == ":" and not stack:
            typed = typed or bool(signature[position:].strip())
    if stack:
        raise ValueError(f"missing {stack[-1]!r} in the statement {signature[:60]!r}")
    if after := _COMMAND.search(signature):
        raise ValueError(f"more than a statement: {after[0]!r}")
    if not typed:
        raise ValueError(f"no type after a colon in the statement {signature[:60]!r}")


# --- Files ----------------------------------------------------------------------------------

_FIELDS = tuple(field.name for field in dataclasses.fields(Theorem))
_LISTS = ("imports", "tags")


def read_theorems(path: str | pathlib.Path) -> list[Theorem]:
    """The theorems of JSON lines of our form. Raises ValueError naming file, line and field."""
    theorems, first_line = [], {}
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                theorem = _from_row(json.loads(line))
                if theorem.id in first_line:
                    raise ValueError(
                        f"field 'id': {theorem.id!r} was used on line {first_line[theorem.id]}"
                    )
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}:{number}: not a line of JSON: {error}") from None
            except ValueError as error:
                raise ValueError(f"{path}:{number}: {error}") from None
            first_line[theorem.id] = number
            theorems.append(theorem)
    return theorems


def write_theorems(path: str | pathlib.Path, theorems: Iterable[Theorem]) -> None:
    """Writes one line of JSON per theorem; `read_theorems` gives them back."""
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
    row = dict(row)
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
    values = {}
    for name in _FIELDS:
        if name in _LISTS:
            values[name] = _strings(row, name)
        elif name in ("name", "signature"):
            values[name] = _string(row, name, required=True)
        else:
            values[name] = _string(row, name)
    if values["id"] is None:
        values["id"] = values["name"]
    try:
        parsed = parse_statement(f"theorem {values['name']} {values['signature']}")
    except ValueError as error:
        raise ValueError(f"field 'signature': {error}") from None
    if parsed[0] != values["name"]:
        raise ValueError(f"field 'name': {values['name']!r} is not a Lean name")
    return Theorem(**values | {"context": values["context"] or "", "signature": parsed[1]})


def _string(row: dict, name: str, required: bool = False) -> str | None:
    value = row.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, str) or (required and not value.strip()):
        raise ValueError(f"field {name!r}: expected a string, found {value!r}")
    return value


def _strings(row: dict, name: str) -> tuple[str, ...]:
    value = row.get(name) or []
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise ValueError(f"field {name!r}: expected a list of strings, found {value!r}")
    return tuple(value)
