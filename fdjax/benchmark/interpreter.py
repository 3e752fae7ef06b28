"""A small interpreter of tactic proofs over the goals of formulas.py, for hints: Lean is the judge.

It knows the tactics that generated proofs are made of and their near neighbours; whatever else
it meets is an error at that place. `run` gives the goals after each tactic of an attempt.
"""

import re
from typing import NamedTuple

from fdjax.benchmark.formulas import Goal, ParseError
from fdjax.benchmark.tactics import TacticError, rename_last, tactic


class Step(NamedTuple):
    """One tactic (or the `·`, `| zero =>` before it) of a proof that went well."""

    start: int  # offsets into the proof text, in characters
    end: int
    goals: tuple[Goal, ...]  # the open goals after it, first one first


class Trace(NamedTuple):
    steps: tuple[Step, ...]
    error: tuple[int, str] | None  # (offset into the proof text, reason)
    flat: int  # so many of the steps come before any `·`, `| case =>` or `induction`

    @property
    def proved(self) -> bool:
        return self.error is None


# --- The text of a proof --------------------------------------------------------------------

_BY = re.compile(r"\s*by\b")
_LINE = re.compile(r"[^\n]+")
_MARK = re.compile(r"(·|\| *\w+(?: +\w+)* *=>) *")


def run(goal: Goal, proof: str) -> Trace:
    """Plays `proof` (what follows `:=`) on `goal`, to its end or to its first error."""
    steps: list[Step] = []
    flat: int | None = None
    goals: tuple[Goal, ...] = (goal,)

    def trace(error: tuple[int, str] | None) -> Trace:
        return Trace(tuple(steps), error, len(steps) if flat is None else flat)

    match = _BY.match(proof)
    if match is None:
        return trace((0, "expected `by`"))
    frames: list[_Frame] = []
    block: int | None = None  # the column of the outermost tactics
    cases: tuple[tuple[str, Goal], ...] = ()  # of an `induction` whose alternatives come next
    for start, column, text in _lines(proof, match.end()):
        position = 0
        while position < len(text):
            here, level = start + position, column + position
            mark = _MARK.match(text, position)
            try:
                if mark and mark[1] != "·":
                    goals, cases, frames = _leave(level, goals, cases, frames, alternative=True)
                    first, rest = _alternative(mark[1], cases)
                    goals, cases, frames = (first,), (), [*frames, _Frame(None, goals, rest)]
                else:
                    goals, cases, frames = _leave(level, goals, cases, frames)
                    if frames:
                        frames[-1] = frames[-1]._replace(column=frames[-1].column or level)
                    block = level if block is None else block
                    if level != (frames[-1].column if frames else block):
                        raise TacticError(0, "a tactic in this column")
                    if mark:
                        if not goals:
                            raise TacticError(0, "no goals")
                        goals, frames = goals[:1], [*frames, _Frame(None, goals[1:], ())]
                    else:
                        goals, cases = tactic(goals, text[position:])
            except (TacticError, ParseError) as error:
                return trace((here + error.position, str(error)))
            except RecursionError:
                return trace((here, "too deep"))
            position = mark.end() if mark else len(text)
            if flat is None and (mark or cases):
                flat = len(steps)
            left = (*_cased(cases), *goals)
            for frame in reversed(frames):
                left += (*_cased(frame.cases), *frame.goals)
            steps.append(Step(here, start + position, left))
    if (steps and steps[-1].goals) or not steps:
        return trace((len(proof), "unsolved goals"))
    return trace(None)


class _Frame(NamedTuple):
    """An open `·` or `| case =>`: where its tactics stand, and what waits outside of it."""

    column: int | None  # None until its first tactic
    goals: tuple[Goal, ...]
    cases: tuple[tuple[str, Goal], ...]


def _cased(cases: tuple[tuple[str, Goal], ...]) -> tuple[Goal, ...]:
    return tuple(goal for _, goal in cases)


def _lines(proof: str, start: int) -> list[tuple[int, int, str]]:
    """(offset, column, text) of each tactic line; deeper lines continue the one before."""
    lines: list[tuple[int, int, str]] = []
    inside = 0  # the column where the last line's tactic begins, after its bullets
    for match in _LINE.finditer(proof, start):
        text = match[0].rstrip()
        if not text.strip():
            continue
        indent = len(text) - len(text.lstrip())
        offset = match.start() + indent
        column = offset - (proof.rfind("\n", 0, offset) + 1)
        if lines and column > inside and not _MARK.match(text, indent):
            before = lines[-1]
            lines[-1] = (*before[:2], proof[before[0] : match.start() + len(text)])
            continue
        lines.append((offset, column, text[indent:]))
        inside, position = column, 0
        while mark := _MARK.match(text[indent:], position):
            inside, position = column + mark.end(), mark.end()
    return lines


def _leave(level, goals, cases, frames, alternative=False):
    """(goals, cases, frames) once what a line in column `level` stands outside of is closed."""
    while frames and not cases and level < (frames[-1].column or 0):
        if goals:
            raise TacticError(0, "unsolved goals")
        (_, goals, cases), frames = frames[-1], frames[:-1]
    if alternative != bool(cases):
        raise TacticError(0, "an alternative is missing" if cases else "no alternative is due")
    return goals, cases, list(frames)


def _alternative(mark: str, cases: tuple[tuple[str, Goal], ...]):
    """(goal, other cases) of `| zero =>` or `| succ n ih =>`."""
    head, *names = mark.strip("|=> ").split()
    goal = dict(cases).get(head)
    if goal is None:
        raise TacticError(0, "no such alternative")
    if head == "zero" and names:
        raise TacticError(0, "too many names")
    goal = rename_last(goal, names) if head == "succ" else goal
    return goal, tuple(case for case in cases if case[0] != head)
