"""Lean's tokens, without space and comments: what every version of Lean reads in the same way.

What Lean could split into other tokens than this tokenizer is refused, since after a parse error it
goes on reading inside the text.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from fdjax.types import Message

# Lean's identifiers: letters of ASCII and of isLetterLike. Later versions of Lean have more letters
# (those with accents), which are therefore separate tokens here: `éaxiom` holds an `axiom`.
LETTER = "A-Za-z_α-κμ-ωΑ-ΟΡΤ-Ωϊ-ϻἀ-῾℀-⅏𝒜-𝖟"
REST = LETTER + "0-9'!?₀-₉ₐ-ₜᵢ-ᵪⱼ"
_PART = f"(?:[{LETTER}][{REST}]*|«[^»\n]+»)"
_ESCAPE = r"\\(?:[\\\"'nrt]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})"
_TOKEN = re.compile(
    rf"""
      (?P<space>[ \n\t]+)
    | (?P<line>--[^\n]*)
    | (?P<block>/-)
    | r(?P<raw>\#*)"
    | (?P<name>{_PART}(?:\.{_PART})*)
    | (?P<field>(?:(?<=[{REST})\]}}⟩»›]\.)|(?<=\|>\.))[0-9]+)
    | (?P<number>0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+
                |[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
    | (?P<string>")
    | (?P<char>')
    | (?P<symbol>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_STRING = re.compile(rf'"(?:[^"\\]|{_ESCAPE})*"')
_CHAR = re.compile(rf"'(?:[^'\\]|{_ESCAPE})'")
_COMMENT_EDGE = re.compile(r"/-|-/")
# After these names, or one that ends in `!`, a `{` in a string may begin a term.
_INTERPOLATES = re.compile("throw|log[A-Z]|dbg_trace|panic|println|report|aesop_trace")
# After these a token starts in every version of Lean and under every notation.
_OPENERS = frozenset(" \n\t()[]{}⟨⟩,;")


class Token(NamedTuple):
    kind: str  # "name", "number", "field", "string", "char" or "symbol"; comments are dropped
    text: str
    start: int  # in characters
    end: int


class Refused(Exception):
    """The text may not be given to Lean: (reason, start, end)."""

    @property
    def message(self) -> Message:
        reason, start, end = self.args
        return Message("error", reason, kind="audit", start=start, end=end)


def tokenize(text: str) -> list[Token]:
    """All tokens of `text`. Raises Refused as `read_tokens` does."""
    return list(read_tokens(text))


def read_tokens(text: str, start: int = 0) -> Iterator[Token]:
    """The tokens of `text[start:]`, without space and comments. Raises Refused for what has no end,
    and for what Lean might read differently."""
    last: Token | None = None
    comment_end = -1
    interpolates = False
    i = start
    while i < len(text):
        match = _TOKEN.match(text, i)
        kind, end = match.lastgroup, match.end()
        if kind in ("line", "block"):
            if comment_end != i:
                _require_clean(text, i, match.group()[:2], start, last)
            if kind == "block":
                end = comment_end = _end_of_comment(text, i)
        elif kind != "space":
            if kind == "name":
                interpolates |= bool(_INTERPOLATES.match(text, i))
            elif kind == "string":
                end = _end_of_string(text, i)
                # `]` is that of `trace[...] "..."`
                interpolated = interpolates or (last and last.text.endswith(("!", "]")))
                if interpolated and "{" in text[i:end]:
                    raise Refused("`{` in a string may interpolate code", i, end)
            else:
                kind, end = _end_of_other(text, i, match, start)
            last = Token(kind, text[i:end], i, end)
            yield last
        i = end


def _end_of_other(text: str, i: int, match: re.Match, start: int) -> tuple[str, int]:
    """(kind, end) of the token at i that is no name and no ordinary string."""
    kind, end = match.lastgroup, match.end()
    if kind == "raw":
        _require_clean(text, i, 'r"', start)
        hashes = match.group("raw")
        end = text.find(f'"{hashes}', end) + 1 + len(hashes)
        if end <= len(hashes):
            raise Refused("the raw string has no end", i, len(text))
        return "string", end
    elif kind == "char":
        if literal := _CHAR.match(text, i):
            _require_clean(text, i, "'", start)
            return "char", literal.end()
        if text.startswith("'\\", i):
            raise Refused("not a character literal", i, i + 2)
        return "symbol", end
    elif match.group() == "«":
        raise Refused("`«` without its `»` on the same line", i, i + 1)
    return kind, end


def _require_clean(text: str, i: int, opener: str, start: int, last: Token | None = None) -> None:
    """What opens a comment or literal must not follow a symbol directly: in `<--x` Lean reads `<-`.
    A comment may directly follow the token before it if that is a word that begins cleanly."""
    if i == start or text[i - 1] in _OPENERS or text.endswith((":=", "=>", "?_"), 0, i):
        return
    if (
        last
        and last.kind in ("name", "number", "string")
        and last.end == i
        and (last.start == start or text[last.start - 1] in _OPENERS)
    ):
        return
    raise Refused(
        f"`{opener}` directly after `{text[i - 1]}` is ambiguous: write a space",
        i - 1,
        i + len(opener),
    )


def _end_of_comment(text: str, start: int) -> int:
    if text[start + 2 : start + 3] in ("-", "!"):
        raise Refused("a doc comment belongs to a declaration: write `/- ... -/`", start, start + 3)
    if text[start + 2 : start + 3] == "/":
        raise Refused("`/-/` is ambiguous: write a space after `/-`", start, start + 3)
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge.group() == "/-" else -1
        if depth == 0:
            return edge.end()
    raise Refused("the comment has no end: `-/` is missing", start, len(text))


def _end_of_string(text: str, start: int) -> int:
    match = _STRING.match(text, start)
    if not match:
        raise Refused(
            "the string has no end, or an escape in it is not one of Lean's", start, len(text)
        )
    return match.end()
