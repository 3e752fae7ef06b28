"""Lean text to and from theorems, and files of theorems of our own form (JSON lines).

A line holds the fields of `Theorem`; `statement` may replace `name` and `signature`. Published
files of other forms: fdjax/data/published.py.
"""

import dataclasses
import json
import pathlib
import re
from collections.abc import Iterable, Sequence

from fdjax.runtime.files import digest
from fdjax.types import Theorem


def lean_text(theorem: Theorem, proof: str) -> str:
    """The whole Lean file of `theorem` with `proof` (what follows `:=`)."""
    imports = "".join(f"import {module}\n" for module in theorem.imports)
    gap = "" if proof[:1].isspace() else " "
    parts = (imports, theorem.context, f"theorem {theorem.name} {theorem.signature} :={gap}{proof}")
    return "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"


def theorems_digest(theorems: Sequence[Theorem]) -> str:
    """16 hexadecimal digits that change with any field of the theorems and with their order."""
    return digest([dataclasses.asdict(t) for t in theorems])


# --- Statements -----------------------------------------------------------------------------

# Strings, quoted names and characters come first: a `--` inside them does not begin a comment.
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

    Drops comments, attributes and modifiers. Raises ValueError if `text` is not one statement.
    """
    before, name, signature = split_statement(text)
    if before:
        raise ValueError(f"expected `theorem NAME ... : TYPE`, found {before[:40]!r} before it")
    return name, signature


def split_statement(text: str) -> tuple[str, str, str]:
    """(the text before the last theorem of `text`, its name, its signature), without comments.

    Raises ValueError if there is no theorem or if other text follows it.
    """
    match = _DECLARATION.match(strip_comments(text))
    if match is None:
        raise ValueError(f"expected `theorem NAME ... : TYPE`, found {text.strip()[:60]!r}")
    signature = _END.sub("", match["signature"]).strip()
    _check_signature(signature)
    before = re.sub(_MODIFIERS + r"\Z", "", match["before"])  # modifiers on a line before it
    return before.strip(), match["name"], signature


def lexemes(text: str) -> list[str]:
    """The words and symbols of `text`, comments and white space left out."""
    return [word for word in _LEXEME.findall(strip_comments(text)) if not word.isspace()]


def strip_comments(text: str) -> str:
    """`text` with each Lean comment (they may be nested) replaced by one space.

    Raises ValueError for a comment that is never closed.
    """
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
    """Raises ValueError unless brackets are balanced, a colon outside of them is followed by a
    type, and nothing follows the type."""
    closing = {"(": ")", "[": "]", "{": "}", "⟨": "⟩", "⦃": "⦄"}
    stack, typed = [], False
    definitions = 0  # number of `let` and `have`, minus the number of their `:=`
    for match in _LEXEME.finditer(signature):
        lexeme, end = match[0], match.end()
        if lexeme in closing:
            stack.append(closing[lexeme])
        elif lexeme in closing.values() and (not stack or stack.pop() != lexeme):
            raise ValueError(f"unbalanced {lexeme!r} in the statement {signature[:60]!r}")
        elif lexeme in ("let", "have", "letI", "haveI") and not stack:
            definitions += 1
        elif lexeme == ":" and not stack and signature.startswith("=", end):
            definitions -= 1
            if definitions < 0:
                raise ValueError(f"more than a statement: {signature[end - 1 :][:40]!r}")
        elif lexeme == ":" and not stack:
            typed = typed or bool(signature[end:].strip())
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
    """The theorems of a file of our own form. Raises ValueError naming file, line and field."""
    theorems: list[Theorem] = []
    first_line: dict[str, int] = {}
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
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
    return value


def _strings(row: dict, name: str) -> tuple[str, ...]:
    value = row.get(name) or []
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise ValueError(f"field {name!r}: expected a list of strings, found {value!r}")
    return tuple(value)
