"""What a query and a declaration have in common: words, letters of names, shapes of types.

All text is brought into these forms before SQLite sees it, so that nothing of a query is read as
FTS5's query syntax.
"""

import re
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

MAX_QUERY = 256  # characters; the rest of a query is not read
MAX_WORDS = 8
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORD = re.compile(r"[^\W_]+")
# Lean's words and symbols, roughly: a name, a number, operators of ASCII, any other character.
_LEXEME = re.compile(r"\?\w*|[^\W\d][\w.'!?]*|\d+|[-+*/<>=|&:^!~@$%]+|\S")
# Variables: one letter, with what may follow it; in queries also `_` and `?x`.
_VARIABLE = re.compile(r"(?:\?\w*|[^\W\d][\d₀-₉']*)")
_CONSTANTS = frozenset({"ℕ", "ℤ", "ℚ", "ℝ", "ℂ"})
WILDCARD = "_"


class Declaration(NamedTuple):
    name: str
    signature: str  # what Lean shows behind the name: "(n m : Nat) : n + m = m + n"
    doc: str = ""

    def __str__(self) -> str:
        text = f"{self.name} {self.signature}".rstrip()
        return f"{text} -- {' '.join(self.doc.split())}" if self.doc else text


def words(text: str) -> list[str]:
    """Words of names and prose, in small letters: `Nat.add_leftComm` -> nat add left comm."""
    return [word.lower() for word in _WORD.findall(_CAMEL.sub(" ", text))]


def letters(name: str) -> str:
    """The letters and digits of a name: `Nat.add_comm` -> nataddcomm."""
    return "".join(_WORD.findall(name)).lower()


def shape(text: str) -> str:
    """A type, or a part of one, with `_` for each variable and one space between lexemes:
    `n + m = m + n` and `?a+_=b + x₁'` -> ` _ + _ = _ + _ `. Unknown letters stand for themselves.
    """
    lexemes = (
        WILDCARD if _VARIABLE.fullmatch(word) and word not in _CONSTANTS else word
        for word in _LEXEME.findall(text)
    )
    return f" {' '.join(lexemes)} "


class Query(NamedTuple):
    """A query in all its forms."""

    text: str
    words: list[str]  # without repetitions
    letters: str  # empty where it shows a type
    fragments: list[str]  # of the shape of the type, between wildcards; empty where it shows none
    shape: str

    def matches_shape(self, of_type: str) -> bool:
        """Do the fragments occur in the shape of a type, in their order?"""
        position = 0
        for fragment in self.fragments:
            found = of_type.find(fragment, position)
            if found < 0:
                return False
            position = found + len(fragment) - 1  # fragments share the space between them
        return True


def parse(text: str) -> Query:
    printable = (c if c.isprintable() else " " for c in text[:MAX_QUERY])
    text = " ".join("".join(printable).split())
    lexemes = shape(text).split()
    if not any(_is_symbol(lexeme) for lexeme in lexemes):
        return Query(text, _distinct(words(text)), letters(text), [], "")
    runs = [list(run) for wild, run in groupby(lexemes, WILDCARD.__eq__) if not wild]
    named = words(" ".join(lexeme for run in runs for lexeme in run))
    fragments = [f" {' '.join(run)} " for run in runs]
    return Query(text, _distinct(named), "", fragments, f" {' '.join(lexemes)} ")


def _distinct(words: list[str]) -> list[str]:
    return list(dict.fromkeys(words))[:MAX_WORDS]


def _is_symbol(lexeme: str) -> bool:
    """Is it part of a type, but of no name and no prose?"""
    return not any(c.isalnum() or c in "_.,'\"`?!()" for c in lexeme)


def trigrams(text: str) -> list[str]:
    return list(dict.fromkeys(text[i : i + 3] for i in range(len(text) - 2)))


def quoted(terms: Sequence[str]) -> str:
    """FTS5's query for all of `terms`, each a string whatever it holds."""
    return " AND ".join('"' + term.replace('"', '""') + '"' for term in terms)
