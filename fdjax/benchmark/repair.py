"""Where an attempt leaves the provable path, and how it could go on from there.

All from a theorem's signature: no reference proof is needed. Lean stays the judge.
"""

import dataclasses
import functools

from fdjax.benchmark.formulas import Goal, ParseError, parse_signature
from fdjax.benchmark.interpreter import run
from fdjax.benchmark.models import counterexample
from fdjax.benchmark.moves import Move, moves
from fdjax.benchmark.search import proof_text, shortest_lines
from fdjax.benchmark.terms import FREE, count_tokens, tokens
from fdjax.types import Theorem


@dataclasses.dataclass(frozen=True)
class Repair:
    """`good_prefix + completion` is a whole proof; offsets are characters of the attempt."""

    good_prefix: str  # the longest still provable prefix of the attempt, in whole tactics
    completion: str  # what proves the rest; "" if the attempt is a proof
    first_error: int | None  # the first token that leads off; len(proof) if it ends too early
    previous: str | None  # the last good line
    next_tactic: str | None  # the line that should have come next


def shortest_proof(theorem: Theorem) -> str | None:
    """The proof of fewest tokens that the search finds, terms of any form allowed; None for a
    theorem outside the language of formulas.py or beyond the search.
    """
    goal = initial_goal(theorem.signature)
    lines = goal and shortest_lines(goal)
    return proof_text(lines) if lines else None


@functools.lru_cache(maxsize=1 << 14)
def initial_goal(signature: str) -> Goal | None:
    """The goal of a signature, None where it is none of ours."""
    try:
        return parse_signature(signature)
    except (ParseError, RecursionError):
        return None


def repair(theorem: Theorem, proof: str) -> Repair | None:
    """The repair of an attempt: as much of it kept as can be; of the ways to go on, one that
    shares most with what the attempt wrote next, and of these the shortest.

    None where the theorem cannot be read or the search finds no proof at all.
    """
    goal = initial_goal(theorem.signature)
    if goal is None:
        return None
    trace = run(goal, proof)
    if trace.proved:
        last = proof[trace.steps[-1].start : trace.steps[-1].end]
        return Repair(proof, "", None, last, None)
    for kept in range(len(trace.steps), -1, -1):
        goals = trace.steps[kept - 1].goals if kept else (goal,)
        if trace.flat < kept or not goals or any(counterexample(g) for g in goals):
            continue
        rest = _complete(goals[1:])
        if rest is None:
            continue
        end = trace.steps[kept - 1].end if kept else 0
        wrong = _next_line(proof, end)
        lines = _nearest(goals[0], proof[wrong[0] : wrong[1]]) if wrong else None
        shared = _shared(lines[0], proof[wrong[0] : wrong[1]]) if wrong and lines else 0
        lines = lines or shortest_lines(goals[0])
        if lines is None:
            continue
        prefix = proof[:end] if kept else " by"
        return Repair(
            good_prefix=prefix,
            completion="".join(f"\n  {line}" for line in lines + rest),
            first_error=_offset(proof, wrong, shared),
            previous=proof[trace.steps[kept - 1].start : end] if kept else None,
            next_tactic=lines[0],
        )
    return None


def _complete(goals: tuple[Goal, ...]) -> list[str] | None:
    """Lines that prove all of `goals`, one after the other."""
    lines: list[str] = []
    for goal in goals:
        more = shortest_lines(goal)
        if more is None:
            return None
        lines += more
    return lines


def _next_line(proof: str, end: int) -> tuple[int, int] | None:
    """(start, end) of the line of tactics that follows the good prefix; None if none does."""
    if end == 0:
        end = len(proof) - len(proof.lstrip())
        end += 2 if proof.startswith("by", end) else 0
    text = proof[end:]
    start = end + len(text) - len(text.lstrip())
    if start >= len(proof):
        return None
    stop = proof.find("\n", start)
    return start, stop if stop >= 0 else len(proof)


def _nearest(goal: Goal, written: str) -> list[str] | None:
    """A proof of `goal` whose first line shares as many leading tokens as possible with
    `written`, of these the shortest; None where the best is to share none.
    """
    groups: dict[int, list[Move]] = {}
    for move in moves(goal, FREE._replace(classical=written.startswith("by_cases"))):
        if shared := _shared(move.line, written):
            groups.setdefault(shared, []).append(move)
    for shared in sorted(groups, reverse=True):
        best: list[str] | None = None
        for line, new in groups[shared]:
            if any(counterexample(g) for g in new):
                continue
            rest = _complete(new)
            if rest is not None:
                lines = [line, *rest]
                if best is None or _cost(lines) < _cost(best):
                    best = lines
        if best is not None:
            return best
    return None


def _cost(lines: list[str]) -> int:
    return sum(count_tokens(line) + 1 for line in lines)


def _shared(line: str, written: str) -> int:
    """Leading tokens in common."""
    count = 0
    for (one, _), (two, _) in zip(tokens(line), tokens(written)):
        if one != two:
            break
        count += 1
    return count


def _offset(proof: str, wrong: tuple[int, int] | None, shared: int) -> int:
    """Where the first token stands that is not `shared`."""
    if wrong is None:
        return len(proof.rstrip()) if proof.strip() else len(proof)
    start, stop = wrong
    places = [place for _, place in tokens(proof[start:stop])]
    return start + places[shared] if shared < len(places) else stop
