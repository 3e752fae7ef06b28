"""Yesterday's Lean: how provers that have learned older texts write what Lean 4 refuses today.

A dialect is a list of forms, plain data. `spoken` puts a share of the places of a Lean 4 proof into
it; `hint` says what one of its lines should be. Lean 4 refuses every form, so a policy that has
learned a dialect fails with it whatever it knows of proving.
"""

import random
import re
from typing import NamedTuple

from fdjax.types import Theorem


class Form(NamedTuple):
    """Both are regular expressions; `habit` and `hint` are filled with what theirs found."""

    today: str  # a place in a Lean 4 proof
    habit: str  # what stands there in the dialect
    seen: str  # the habit, in an attempt
    hint: str


_TERM, _NAME = r"[^\n]+", r"[\w✝]+"
_CASES = rf"^ *cases ({_TERM}) with ({_NAME}) ({_NAME}) *$"
_TAKE_APART = r"use obtain ⟨\2, \3⟩ := \1 or rcases \1 with \2 | \3"

# Lean 3's syntax: `cases` has no cases, and `split` proves a conjunction.
LEAN3 = (
    Form(
        rf"^( *)obtain ⟨({_NAME}), ({_NAME})⟩ := ({_TERM})$",
        r"\1cases \4 with \2 \3",
        _CASES,
        _TAKE_APART,
    ),
    Form(
        rf"^( *)rcases ({_TERM}) with (?:⟨({_NAME}), ({_NAME})⟩)$",
        r"\1cases \2 with \3 \4",
        _CASES,
        _TAKE_APART,
    ),
    Form(
        rf"^( *)rcases ({_TERM}) with ({_NAME}) \| ({_NAME})$",
        r"\1cases \2 with \3 \4",
        _CASES,
        _TAKE_APART,
    ),
    Form(r"^( *)constructor$", r"\1split", r"^ *split *$", "use constructor"),
)

# Names that have changed since Lean 3.
_RENAMED = {
    **{f"Or.{name}": f"or.{name}" for name in ("inl", "inr", "elim", "symm")},
    **{f"And.{name}": f"and.{name}" for name in ("intro", "left", "right", "symm")},
    **{f"Iff.{name}": f"iff.{name}" for name in ("intro", "mp", "mpr", "symm")},
    **{f"Eq.{name}": f"eq.{name}" for name in ("symm", "trans")},
    **{
        f"Nat.{name}": f"nat.{name}"
        for name in (
            *("add_comm", "add_assoc", "add_left_comm", "add_right_comm", "add_zero", "zero_add"),
            *("add_succ", "succ_add", "mul_comm", "mul_zero", "zero_mul", "mul_one", "one_mul"),
        )
    },
    "congrArg": "congr_arg",
    "Classical.em": "classical.em",
    "False.elim": "false.elim",
}


def _whole(name: str) -> str:
    return rf"(?<![\w.]){re.escape(name)}(?![\w.])"


RENAMED = tuple(
    Form(_whole(today), habit, _whole(habit), f"use {today}") for today, habit in _RENAMED.items()
)

DIALECTS: dict[str, tuple[Form, ...]] = {
    "lean3": LEAN3,
    "renamed": RENAMED,
    "mixed": LEAN3 + RENAMED,
}


def spoken(theorem: Theorem, dialect: str, share: float, seed: int) -> tuple[str, int, int]:
    """(the theorem's reference in the dialect, places put into it, places there are).

    Each place is put into the dialect with probability `share`; which ones depends on the theorem's
    id and on `seed` alone. A theorem without a reference has the text "".
    """
    rng = random.Random(f"{seed}/{theorem.id}/{dialect}")
    text, changed, places = theorem.reference or "", 0, 0

    def put(form: Form, match: re.Match) -> str:
        nonlocal changed, places
        places += 1
        if rng.random() >= share:
            return match[0]
        changed += 1
        return match.expand(form.habit)

    for form in DIALECTS[dialect]:
        text = re.sub(form.today, lambda m, form=form: put(form, m), text, flags=re.M)
    return text, changed, places


def hint(line: str) -> str | None:
    """What should stand in place of the first habit in a line of an attempt; None if it has none
    of any dialect.
    """
    for form in DIALECTS["mixed"]:
        if match := re.search(form.seen, line):
            return match.expand(form.hint)
    return None
