"""Proof search over `moves`: random proofs of few tactics, and the proof of fewest tokens.

A proof is a list of lines without bullets; each line works on the first open goal.
"""

import contextlib
import functools
import random

from fdjax.benchmark.formulas import Goal
from fdjax.benchmark.models import counterexample
from fdjax.benchmark.moves import Move, moves
from fdjax.benchmark.terms import FREE, Style, count_tokens


def proof_text(lines: list[str]) -> str:
    """What follows `:=` in the theorem."""
    return " by\n  " + "\n  ".join(lines)


# Of each tactic, for the random order in which `natural_proof` tries moves.
_WEIGHT = {
    **{"exact": 8.0, "intro": 4.0, "rw": 4.0, "rfl": 3.0, "constructor": 3.0, "apply": 2.0},
    **{"induction": 2.0, "contradiction": 1.5, "left": 1.5, "right": 1.5, "rcases": 1.5},
    **{"obtain": 1.2, "refine": 1.0, "exfalso": 0.7, "by_cases": 0.7, "have": 0.6},
    **{"assumption": 0.6},
}


def _sound_moves(goal: Goal, style: Style) -> list[Move]:
    """Moves whose goals no small model refutes; if the first one closes the goal, only such."""
    options = []
    for move in moves(goal, style):
        if options and not options[0].goals and move.goals:
            break
        if not any(counterexample(g, style.classical) for g in move.goals):
            options.append(move)
    return options


class _Spent(Exception):
    """The budget of nodes is used up."""


def natural_proof(
    goal: Goal, rng: random.Random, style: Style, max_tactics: int, nodes: int
) -> list[str] | None:
    """Lines of a random proof of at most `max_tactics` tactics, found by iterative deepening over
    at most `nodes` goals; None if none was found.

    With probability 0.4 a proof may have one tactic more than the fewest.
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
    with contextlib.suppress(_Spent):
        for budget in range(1, max_tactics + 1):
            lines = solve((goal,), budget)
            if lines is not None:
                if rng.random() < 0.4 and budget < max_tactics:
                    lines = solve((goal,), budget + 1) or lines
                break
    return lines


_DEPTH, _NODES = 5, 400  # limits of the search for the shortest proof: tactics in a row, goals


def shortest_lines(goal: Goal) -> list[str] | None:
    """Lines of the shortest proof in tokens, found by branch and bound over `moves`; None if none
    was found within the limits. `by_cases` is used only if no other proof is found.
    """
    for style in (FREE, FREE._replace(classical=True)):
        found = _shortest(goal, style)
        if found is not None:
            return list(found[1])
    return None


@functools.lru_cache(maxsize=1 << 14)
def _shortest(goal: Goal, style: Style) -> tuple[int, tuple] | None:
    exact: dict[tuple[Goal, int], tuple[int, tuple]] = {}  # (goal, depth): tokens, lines
    above: dict[tuple[Goal, int], int] = {}  # (goal, depth): no proof has fewer tokens
    left = _NODES

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

    return None if counterexample(goal, style.classical) else solve(goal, _DEPTH, 200)
