"""Training splits hold no theorem twice, and none that an evaluation split states too.

Two theorems are the same where `statement_key` is: a normal form of statements, without Lean.
"""

import collections
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from fdjax.lean.statements import lexemes
from fdjax.runtime.files import write_atomically
from fdjax.types import Theorem

TOO_LONG = "prompt over prompt.student_buckets"


class Dropped(NamedTuple):
    """A theorem that was left out, and why."""

    id: str  # or the row's place in its file
    reason: str


def clean(
    theorems: Iterable[Theorem], against: Mapping[str, Iterable[Theorem]]
) -> tuple[list[Theorem], list[Dropped]]:
    """(kept, dropped): `theorems` without repetitions and without the statements of `against`,
    which maps the name of an evaluation set to its theorems. The first of equal theorems is kept.
    """
    evaluated = {
        statement_key(t): f"also in {name}: {t.id}"
        for name, others in against.items()
        for t in others
    }
    first: dict[str, str] = {}
    kept, dropped = [], []
    for theorem in theorems:
        key = statement_key(theorem)
        if key in evaluated:
            dropped.append(Dropped(theorem.id, evaluated[key]))
        elif key in first:
            dropped.append(Dropped(theorem.id, f"repeats {first[key]}"))
        else:
            first[key] = theorem.id
            kept.append(theorem)
    return kept, dropped


def summary(name: str, kept: Sequence[Theorem], dropped: Sequence[Dropped]) -> str:
    """One line: how many theorems are kept, and how many were dropped for each kind of reason."""
    kinds = collections.Counter(map(_kind, dropped))
    counts = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
    return f"{name}: {len(kept):,} theorems" + (f", left out: {counts}" if counts else "")


def write_report(path: str | Path, dropped: Mapping[str, Sequence[Dropped]]) -> None:
    """Writes split -> [{id, reason}] as JSON."""
    data = {name: [d._asdict() for d in entries] for name, entries in dropped.items()}
    write_atomically(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def _kind(dropped: Dropped) -> str:
    if dropped.reason.startswith("repeats "):
        return "repeated"
    if dropped.reason.startswith(("also in ", "no proof ", "Lean ", TOO_LONG)):
        return dropped.reason.split(":")[0]
    return "no theorem"


# --- Normal form of statements -------------------------------------------------------------------

_SPELLINGS = {"λ": "fun", "↦": "=>", "≥": ">=", "≤": "<=", "≠": "!=", "→": "->", "↔": "<->"}
# Operators of several characters: `lexemes` gives them in pieces.
_BINDING = ("∃!", "∀ᶠ", "∀ᵐ", "∃ᶠ", "∑'", "∏'", "∫⁻")
_OPERATORS = ("<->", "->", "=>", "<=", ">=", "!=", ":=", "⋃₀", "⋂₀", *_BINDING)

# Commands that change how a statement is read but define nothing.
_NO_DEFINITION = re.compile(
    r"^\s*(?:import|open|set_option|universes?|namespace|section|end|noncomputable section"
    r"|local notation|attribute)\b.*\n?",
    re.M,
)

_OPENING, _CLOSING = frozenset("({[⦃⟨"), frozenset(")}]⦄⟩")
_NAMED = re.compile(r"[^\W\d][\w'!?]*")  # a name without dots, as binders have
_WORD = re.compile(r"[\w.'!?]+")
_BINDERS = {*"∀∃∑∏∫⋃⋂⨆⨅⨁ΣΠ", *_BINDING, "fun", "let", "have"}
_NO_NAMES = {"_", "in", "fun", "let", "have", "if", "then", "else", "by", "Type", "Prop", "Sort"}
# Binders follow the name of what these declare, up to a colon.
_DECLARATIONS = {"theorem", "lemma", "example", "def", "abbrev", "instance", "axiom", "opaque"}
_DECLARATIONS |= {"structure", "class", "inductive", "variable"}
_TERM_STARTS = {":", ",", "->", "=>", ":=", "("}  # a term begins after them


def statement_key(theorem: Theorem) -> str:
    """A text that is equal for equal statements, up to layout, comments, a few spellings (`->` for
    `→`), the theorem's name and the names of bound variables. Definitions before the theorem are
    part of the statement; `open` and options are not.

    Binders are found by their brackets and keywords, without elaboration, and a name stands for its
    latest binder in a bracket that is still open. So some equal statements keep different keys;
    near copies do not.
    """
    words = _words(f"{definitions(theorem.context)}\ntheorem {theorem.signature}")
    bound = _bound(words)
    numbers: dict[str, int | None] = {}
    hidden: list[list] = [[]]  # for each open bracket: names bound in it, and what they were before
    out = []
    for at, word in enumerate(words):
        head, dot, fields = word.partition(".")
        if word in _OPENING:
            hidden.append([])
        elif word in _CLOSING:
            numbers.update(reversed(hidden.pop()))
            hidden = hidden or [[]]
        elif at in bound:
            hidden[-2 if bound[at] and len(hidden) > 1 else -1].append((word, numbers.get(word)))
            numbers[word] = len(out)
        number = numbers.get(head)
        out.append(word if number is None else f"⟪{number}⟫{dot}{fields}")
    return " ".join(out)


def definitions(context: str) -> str:
    """`context` without the commands that define nothing: opens, options, sections."""
    return _NO_DEFINITION.sub("", context)


def _words(text: str) -> list[str]:
    """Lexemes, with operators in one piece and in one spelling."""
    text = " ".join(lexemes(text)).replace("..", " .. ")  # the ends of an interval
    for operator in _OPERATORS:
        text = text.replace(" ".join(operator), operator)
    return [_SPELLINGS.get(word, word) for word in text.split(" ")]


def _bound(words: list[str]) -> dict[int, bool]:
    """Places of the names that are bound where they stand. True for `(x : T)` and the like: these
    hold behind their bracket, too.
    """
    places: dict[int, bool] = {}
    groups = [False]  # for each open bracket: would a bracket here hold binders?
    for at, word in enumerate(words):
        if word in _DECLARATIONS:
            groups = [True]
        elif word in _BINDERS:
            places |= dict.fromkeys(_names(words, at + 1), False)
            groups[-1] = True
        elif word in _OPENING:
            if _binds(words, at, groups[-1]):
                outside = groups[-1] or word != "{"
                places |= dict.fromkeys(_names(words, at + 1), outside)
            groups.append(False)
        elif word in _CLOSING:
            groups = groups[:-1] or [False]
        elif word in _NO_NAMES - {"_"} or not _WORD.fullmatch(word):
            groups[-1] = False
    return places


def _binds(words: list[str], at: int, group: bool) -> bool:
    """Does the bracket at `at` bind the names that it begins with? `group`: it stands where groups
    of binders do. Elsewhere only `{x | p}` and the like and `(x : T) → p` bind."""
    names = _names(words, at + 1)
    after = words[names.stop] if names.stop < len(words) else ""
    if not names or words[at] == "⟨":
        return False
    if group:
        return after in (":", "∈")
    if words[at] == "{":
        return len(names) == 1 and after in (":", "∈", "|")
    return after == ":" and words[at - 1] in _TERM_STARTS and _behind(words, at) in ("->", "×")


def _names(words: list[str], start: int) -> range:
    """Places of the names in a row from `start` on."""
    stop = start
    while stop < len(words) and _NAMED.fullmatch(words[stop]) and words[stop] not in _NO_NAMES:
        stop += 1
    return range(start, stop)


def _behind(words: list[str], at: int) -> str:
    """The word behind the bracket that opens at `at`; empty without one."""
    depth = 0
    for place in range(at, len(words) - 1):
        depth += (words[place] in _OPENING) - (words[place] in _CLOSING)
        if depth == 0:
            return words[place + 1]
    return ""
