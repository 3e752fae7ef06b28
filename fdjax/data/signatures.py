"""When two theorems are the same: a normal form of statements, found without Lean."""

import re

from fdjax.data.theorems import lexemes
from fdjax.types import Theorem

_SPELLINGS = {"λ": "fun", "↦": "=>", "≥": ">=", "≤": "<=", "≠": "!=", "→": "->", "↔": "<->"}
# Of several characters: a lexeme is one character or one name.
_OPERATORS = ("<->", "->", "=>", "<=", ">=", "!=", ":=", "∃!", "∀ᶠ", "∀ᵐ", "∃ᶠ")

# Commands that change how a statement is read but define nothing.
_NO_DEFINITION = re.compile(
    r"^\s*(?:import|open|set_option|universes?|namespace|section|end|noncomputable section"
    r"|local notation|attribute)\b.*\n?",
    re.M,
)

_OPENING = ("(", "{", "[", "⦃")
_NAMED = re.compile(r"[^\W\d][\w'!?]*")  # a name without dots, as binders have
_BINDERS = {*"∀∃∑∏∫⋃⋂⨆⨅", "∃!", "∀ᶠ", "∀ᵐ", "∃ᶠ", "fun", "let", "have"}
_NO_NAMES = {"_", "in", "fun", "let", "have", "if", "then", "else", "by", "Type", "Prop", "Sort"}


def statement_key(theorem: Theorem) -> str:
    """Equal keys: the same statement up to layout, comments, a few spellings (`->` for `→`), the
    theorem's name and the names of bound variables. Definitions before the theorem belong to it;
    `open` and options do not.

    Binders are found by their brackets and keywords, without elaboration, and a name means its
    latest binder: some equal statements keep different keys. Near copies do.
    """
    words = _words(f"{definitions(theorem.context)}\n⊢ {theorem.signature}")
    numbers: dict[str, int] = {}
    count, out, pending = 0, [], set()
    for at, word in enumerate(words):
        pending |= _bound_at(words, at)
        head, dot, fields = word.partition(".")
        if at in pending:
            numbers[word] = count
            count += 1
        out.append(f"⟪{numbers[head]}⟫{dot}{fields}" if head in numbers else word)
    return " ".join(out)


def definitions(context: str) -> str:
    """What of a context defines something: all but opens, options, sections."""
    return _NO_DEFINITION.sub("", context)


def _words(text: str) -> list[str]:
    """Lexemes with operators in one piece and one spelling each."""
    text = " ".join(lexemes(text)).replace("..", " .. ")  # the ends of an interval
    for operator in _OPERATORS:
        text = text.replace(" ".join(operator), operator)
    return [_SPELLINGS.get(word, word) for word in text.split(" ")]


def _bound_at(words: list[str], at: int) -> set[int]:
    """Places of the names that the bracket or keyword at `at` binds."""
    word = words[at]
    if word not in _BINDERS and word not in _OPENING:
        return set()
    places = []
    for place in range(at + 1, len(words)):
        name = words[place]
        if _NAMED.fullmatch(name) and name not in _NO_NAMES:
            places.append(place)
            continue
        # `(a b : T)`, `{x | p}`, `{x ∈ s | p}`: only what ends so binds; after a keyword all do.
        if word in _OPENING and name not in (":", "|", "∈"):
            return set()
        return set(places)
    return set()
