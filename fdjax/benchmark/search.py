"""Proof search over `moves`: natural proofs in random order, and the proof of fewest tokens.

A proof here is a flat list of lines without bullets: each works on the first open goal.
"""

import functools
import random

from fdjax.benchmark.formulas import Goal
from fdjax.benchmark.models import counterexample
from fdjax.benchmark.moves import Move, moves
from fdjax.benchmark.terms import FREE, Style, count_tokens


def proof_text(lines: list[str]) -> str:
    """What follows `:=` in the theorem."""
    return " by\n  " + "\n  ".join(lines)


_WEIGHT = {
    "exact": 8.0,
    "assumption": 0.6,
    "contradiction": 1.5,
    "rfl": 3.0,
    "intro": 4.0,
    "constructor": 3.0,
    "left": 1.5,
    "right": 1.5,
    "rcases": 1.5,
    "obtain": 1.2,
    "apply": 2.0,
    "have": 0.6,
    "exfalso": 0.7,
    "by_cases": 0.7,
    "refine": 1.0,
    "rw": 4.0,
    "induction": 2.0,
}


def _sound_moves(goal: Goal, style: Style) -> list[Move]:
    """Moves to goals that no small model refutes; only those that close the goal, if any do."""
    options = []
    for move in moves(goal, style):
        if options and not options[0].goals and move.goals:
            break
        if not any(counterexample(g, style.classical) for g in move.goals):
            options.append(move)
    return options


class _Spent(Exception):
    pass


def natural_proof(
    goal: Goal, rng: random.Random, style: Style, most: int = 5, nodes: int = 60, slack: float = 0.4
) -> list[str] | None:
    """Lines of a proof of few tactics, its choices made by `rng`; None where none was found.

    With probability `slack` it may have one tactic more than the fewest.
    """
    failed: set[tuple[tuple[Goal, ...], int]] = set()
    options_at: dict[Goal, list[Move]] = {}
    left = nodes

    def solve(goals: tuple[Goal, ...], budget: int) -> list[str] | None:
        nonlocal left
        if not goals:
            return []
        if len(goals) > budget or (goals, budget) in failed:
            return None
        left -= 1
        if left < 0:
            raise _Spent
        if goals[0] not in options_at:
            options_at[goals[0]] = _sound_moves(goals[0], style)
        options = list(options_at[goals[0]])
        options.sort(key=lambda m: -(rng.random() ** (1 / _WEIGHT[m.line.split()[0]])))
        for line, new in options:
            rest = (*new, *goals[1:])
            if len(rest) < budget:
                lines = solve(rest, budget - 1)
                if lines is not None:
                    return [line, *lines]
        failed.add((goals, budget))
        return None

    if counterexample(goal, style.classical):
        return None
    lines = None
    try:
        for budget in range(1, most + 1):
            lines = solve((goal,), budget)
            if lines is not None:
                if rng.random() < slack and budget < most:
                    lines = solve((goal,), budget + 1) or lines
                break
    except _Spent:
        pass
    return lines


def shortest_lines(goal: Goal, most: int = 5, nodes: int = 400) -> list[str] | None:
    """Lines of the proof of fewest tokens that was found: branch and bound over `moves`, within
    `most` tactics in a row and `nodes` goals; classical only where nothing else proves it.
    """
    for style in (FREE, FREE._replace(classical=True)):
        found = _shortest(goal, style, most, nodes)
        if found is not None:
            return list(found[1])
    return None


@functools.lru_cache(maxsize=1 << 14)
def _shortest(goal: Goal, style: Style, most: int, nodes: int) -> tuple[int, tuple] | None:
    exact: dict[tuple[Goal, int], tuple[int, tuple]] = {}
    above: dict[tuple[Goal, int], int] = {}  # no proof costs less than this
    left = nodes

    def solve(goal: Goal, depth: int, bound: int) -> tuple[int, tuple] | None:
        """(tokens, lines) of the shortest proof of fewer than `bound` tokens."""
        nonlocal left
        key = (goal, depth)
        if key in exact:
            return exact[key] if exact[key][0] < bound else None
        if depth == 0 or bound <= above.get(key, 2) or left <= 0:
            return None
        left -= 1
        options = [(count_tokens(m.line) + 1, m) for m in moves(goal, style)]
        options.sort(key=lambda o: o[0] + 3 * len(o[1].goals))
        best, limit = None, bound
        for cost, (line, new) in options:
            if cost + 2 * len(new) >= limit:
                continue
            if any(counterexample(g, style.classical) for g in new):
                continue
            lines: tuple = (line,)
            for i, g in enumerate(new):
                part = solve(g, depth - 1, limit - cost - 2 * (len(new) - 1 - i))
                if part is None:
                    break
                cost, lines = cost + part[0], lines + part[1]
            else:
                if cost < limit:
                    best, limit = (cost, lines), cost
        if left > 0 and best is None:
            above[key] = bound
        elif left > 0:
            exact[key] = best
        return best

    return None if counterexample(goal, style.classical) else solve(goal, most, 200)
