"""A small interpreter of tactic proofs over the goals of formulas.py, for hints.

It covers the tactics of generated proofs and related ones; any other text is an error at that
place. Only Lean verifies proofs. `run` returns the goals after each tactic of an attempt.
"""

import re
from typing import NamedTuple

from fdjax.benchmark.formulas import Goal, ParseError
from fdjax.benchmark.tactics import Goals, TacticError, rename_last, tactic

Cases = tuple[tuple[str, Goal], ...]  # (constructor, goal) of each open case of an `induction`


class Step(NamedTuple):
    """One accepted tactic of a proof, or the `·` or `| zero =>` before it."""

    start: int  # offsets into the proof text, in characters
    end: int
    goals: Goals  # the open goals after it, first one first


class Trace(NamedTuple):
    steps: tuple[Step, ...]
    error: tuple[int, str] | None  # (offset into the proof text, reason)
    flat: int  # the number of steps before any `·`, `| case =>` or `induction`

    @property
    def proved(self) -> bool:
        return self.error is None


class _Frame(NamedTuple):
    """An open `·` or `| case =>`, and the goals and cases outside of it."""

    column: int | None  # of its tactics; None until its first tactic
    goals: Goals
    cases: Cases


_BY = re.compile(r"\s*by\b")
_LINE = re.compile(r"[^\n]+")
_MARK = re.compile(r"(·|\| *\w+(?: +\w+)* *=>) *")


def run(goal: Goal, proof: str) -> Trace:
    """Runs `proof` (what follows `:=`) on `goal`, to its end or to its first error."""
    steps: list[Step] = []
    flat: int | None = None
    goals: Goals = (goal,)

    def trace(error: tuple[int, str] | None) -> Trace:
        return Trace(tuple(steps), error, len(steps) if flat is None else flat)

    match = _BY.match(proof)
    if match is None:
        return trace((0, "expected `by`"))
    frames: list[_Frame] = []
    block: int | None = None  # the column of the outermost tactics
    cases: Cases = ()  # of an `induction` whose alternatives come next
    for start, column, text in _lines(proof, match.end()):
        position = 0
        while position < len(text):
            here, level = start + position, column + position
            mark = _MARK.match(text, position)
            try:
                alternative = bool(mark) and mark[1] != "·"
                goals, cases = _leave(level, goals, cases, frames, alternative)
                if alternative:
                    case, rest = _alternative(mark[1], cases)
                    frames.append(_Frame(None, goals, rest))
                    goals, cases = (case,), ()
                else:
                    if frames:
                        frames[-1] = frames[-1]._replace(column=frames[-1].column or level)
                    block = level if block is None else block
                    if level != (frames[-1].column if frames else block):
                        raise TacticError(0, "a tactic in this column")
                    if mark:
                        if not goals:
                            raise TacticError(0, "no goals")
                        frames.append(_Frame(None, goals[1:], ()))
                        goals = goals[:1]
                    else:
                        goals, cases = tactic(goals, text[position:])
            except (TacticError, ParseError) as error:
                return trace((here + error.position, str(error)))
            except RecursionError:
                return trace((here, "too deep"))
            position = mark.end() if mark else len(text)
            if flat is None and (mark or cases):
                flat = len(steps)
            left = (*_goals(cases), *goals)
            for frame in reversed(frames):
                left += (*_goals(frame.cases), *frame.goals)
            steps.append(Step(here, start + position, left))
    if not steps or steps[-1].goals:
        return trace((len(proof), "unsolved goals"))
    return trace(None)


def _goals(cases: Cases) -> Goals:
    return tuple(goal for _, goal in cases)


def _lines(proof: str, start: int) -> list[tuple[int, int, str]]:
    """(offset, column, text) of each line of tactics; a deeper line continues the one before."""
    lines: list[tuple[int, int, str]] = []
    inside = 0  # the column where the last line's tactic begins, after its bullets
    for match in _LINE.finditer(proof, start):
        text = match[0].strip()
        if not text:
            continue
        offset = match.start() + len(match[0]) - len(match[0].lstrip())
        column = offset - (proof.rfind("\n", 0, offset) + 1)
        if lines and column > inside and not _MARK.match(text):
            first, level, _ = lines[-1]
            lines[-1] = (first, level, proof[first : offset + len(text)])
            continue
        lines.append((offset, column, text))
        inside, position = column, 0
        while mark := _MARK.match(text, position):
            inside, position = column + mark.end(), mark.end()
    return lines


def _leave(
    level: int, goals: Goals, cases: Cases, frames: list[_Frame], alternative: bool
) -> tuple[Goals, Cases]:
    """(goals, cases) after the frames are closed that a line in column `level` stands outside of.

    Removes them from `frames`. Raises TacticError if one has open goals, or if the line is an
    `alternative` where none is due, or the other way round.
    """
    while frames and not cases and level < (frames[-1].column or 0):
        if goals:
            raise TacticError(0, "unsolved goals")
        _, goals, cases = frames.pop()
    if alternative != bool(cases):
        raise TacticError(0, "an alternative is missing" if cases else "no alternative is due")
    return goals, cases


def _alternative(mark: str, cases: Cases) -> tuple[Goal, Cases]:
    """(goal, other cases) of `| zero =>` or `| succ n ih =>`. Raises TacticError."""
    head, *names = mark.strip("|=> ").split()
    goal = dict(cases).get(head)
    if goal is None:
        raise TacticError(0, "no such alternative")
    if head == "zero" and names:
        raise TacticError(0, "too many names")
    goal = rename_last(goal, names) if head == "succ" else goal
    return goal, tuple(case for case in cases if case[0] != head)
