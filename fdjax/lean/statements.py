"""Lean text of theorems, and the statement in a text: name and signature, without comments."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from fdjax.types import Theorem


def lean_text(theorem: Theorem, proof: str) -> str:
    """The whole Lean file of `theorem` with `proof` (what follows `:=`)."""
    imports = "".join(f"import {module}\n" for module in theorem.imports)
    gap = "" if proof[:1].isspace() else " "
    named = "" if theorem.signature.startswith(".{") else " "  # universes directly follow the name
    stated = f"theorem {theorem.name}{named}{theorem.signature} :={gap}{proof}"
    parts = (imports, theorem.context, stated)
    return "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"


# --- Parsing --------------------------------------------------------------------------------------

# Strings, quoted names and characters come first: a `--` inside them does not begin a comment. One
# that is never closed goes to the end, as in Lean: to look for its end again from each quote inside
# it takes quadratic time.
_LEXEME = re.compile(
    r'r(?P<hashes>#+)".*?(?:"(?P=hashes)|\Z)|r"[^"]*(?:"|\Z)|"(?:\\.|[^"\\])*+(?:"|\\?\Z)'
    r"|«[^»]*(?:»|\Z)|'(?:\\.[^']*|[^'\\])'|--[^\n]*|/-|[\w.!?']+|.",
    re.S,
)
NAME = r"(?:«[^»\n]+»|[^\W\d][\w!?']*)"  # a part of a name, between dots
_MODIFIERS = r"(?:@\[[^\]]*\]\s*|(?:private|protected|nonrec)\s+)*"
_STATEMENT = re.compile(
    rf"{_MODIFIERS}(?:theorem|lemma)\s+(?P<name>{NAME}(?:\.{NAME})*)(?P<body>.*)", re.S
)
_COMMAND = re.compile(
    r"^(?:theorem|lemma|end|def|abbrev|example|instance|namespace|section|open|#\w+)\b", re.M
)
_HOLES = frozenset({"by", "sorry", "admit", "exact", "{", "}"})


class Parts(NamedTuple):
    """What follows the name of a declaration."""

    signature: str  # binders, colon, type
    colon: int  # the offset in it of the colon
    proof: str | None  # what follows `:=`, or its cases or fields; None without


def parse_statement(text: str) -> tuple[str, str]:
    """(name, signature) of `theorem NAME ... : TYPE`, with or without a trailing `:=`, `:= by`.

    Drops comments, attributes and modifiers. Raises ValueError if `text` is not one statement.
    """
    stripped = strip_comments(text).strip()
    match = _STATEMENT.fullmatch(stripped)
    if match is None:
        found = re.search(r"^\s*(?:theorem|lemma)\b", stripped, re.M)
        before = f"{stripped[: found.start()][:40]!r} before it" if found else repr(stripped[:60])
        raise ValueError(f"expected `theorem NAME ... : TYPE`, found {before}")
    parts = split_proof(match["body"])
    after = _COMMAND.search(match["body"])
    if after or not is_hole(parts.proof):
        raise ValueError(f"more than a statement: {(after or [parts.proof])[0].strip()[:40]!r}")
    return match["name"], parts.signature


def is_hole(proof: str | None) -> bool:
    """Is nothing proved: no proof, `by`, `sorry`, `by sorry`?"""
    return _HOLES.issuperset(lexemes(proof or ""))


def normal_text(text: str) -> str:
    r"""`text` with `\n` as the only end of a line, and without marks of an encoding."""
    return text.replace("\ufeff", "").replace("\r\n", "\n").replace("\r", "\n")


def lexemes(text: str) -> list[str]:
    """The words and symbols of `text`, comments and white space left out."""
    words = (match[0] for match in _LEXEME.finditer(strip_comments(text)))
    return [word for word in words if not word.isspace()]


def strip_comments(text: str) -> str:
    """`text` with each Lean comment replaced by one space; one that ends a line is dropped.

    Raises ValueError for a comment that is never closed.
    """
    pieces, position = [], 0
    for start, end in comments(text):
        pieces += [text[position:start], " " * text.startswith("/-", start)]
        position = end
    return "".join([*pieces, text[position:]])


def masked(text: str) -> str:
    """`text` with spaces in place of comments and of what stands between quotes, and each line
    break where it was. Raises ValueError for a comment that is never closed."""
    pieces, position = [], 0
    for start, end in comments(text):
        pieces += [text[position:start], re.sub(r"[^\n]", " ", text[start:end])]
        position = end
    plain = "".join([*pieces, text[position:]])

    def blank(match: re.Match) -> str:
        word = match[0]
        quoted = word[-1] == '"' and len(word) > 1
        return re.sub(r'[^\n"]', " ", word) if quoted else word

    return _LEXEME.sub(blank, plain)


def comments(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of each comment; nested ones are part of the outermost.

    Raises ValueError for one that is never closed.
    """
    position = 0
    while match := _LEXEME.match(text, position):
        start, position = match.span()
        if match[0] == "/-":
            depth = 1
            while depth:  # inside, only its delimiters count
                if (edge := _EDGE.search(text, position)) is None:
                    raise ValueError("a comment `/-` is never closed")
                depth += 1 if edge[0] == "/-" else -1
                position = edge.end()
            yield start, position
        elif match[0].startswith("--"):
            yield start, position


_EDGE = re.compile("/-|-/")
_CASE = re.compile(r"\n[ \t]*\|[^\n]*=>")


def split_proof(body: str) -> Parts:
    """The parts of what follows a declaration's name, at the first `:=` outside of brackets that
    belongs to no `let`, or where cases (`| 0 => ...`) or `where` start. Raises ValueError unless
    brackets are balanced before it and a colon outside of them is followed by a type.
    """
    closing = {"(": ")", "[": "]", "{": "}", "⟨": "⟩", "⦃": "⦄"}
    stack: list[str] = []
    colon = end = None
    matches = False  # there is a `match`, whose cases belong to the type
    definitions = 0  # number of `let` and `have`, minus the number of their `:=`
    for match in _LEXEME.finditer(body):
        lexeme, after = match[0], match.end()
        if lexeme in closing:
            stack.append(closing[lexeme])
        elif lexeme in closing.values() and (not stack or stack.pop() != lexeme):
            raise ValueError(f"unbalanced {lexeme!r} in the statement {body.strip()[:60]!r}")
        elif stack:
            pass
        elif lexeme in ("let", "have", "letI", "haveI"):
            definitions += 1
        elif lexeme == ":" and body.startswith("=", after):
            definitions -= 1
            if definitions < 0:
                end, proof = match.start(), body[after + 1 :]
                break
        elif lexeme == ":" and colon is None:
            colon = match.start()
        elif lexeme == "match":
            matches = True
        elif lexeme == "where" or (
            lexeme == "|" and not matches and _CASE.match(body, body.rfind("\n", 0, after))
        ):
            end, proof = match.start(), body[match.start() :]
            break
    if stack:
        raise ValueError(f"missing {stack[-1]!r} in the statement {body.strip()[:60]!r}")
    if end is None:
        signature, proof = re.sub(r"\sby(?:\s+sorry)?\s*\Z", "", body).rstrip(), None
    else:
        signature = body[:end].rstrip()
    if colon is None or not signature[colon + 1 :].strip():
        raise ValueError(f"no type after a colon in the statement {signature.strip()[:60]!r}")
    indent = len(signature) - len(signature.lstrip())
    return Parts(signature.lstrip(), colon - indent, proof)
