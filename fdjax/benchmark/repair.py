"""Where an attempt goes wrong, and a proof that keeps what is right of it.

This needs a theorem's signature only, no reference proof. Only Lean verifies proofs: a repair is
correct up to rare differences between the interpreter and Lean.
"""

import dataclasses
import functools
import itertools

from fdjax.benchmark.formulas import Goal, ParseError, parse_signature
from fdjax.benchmark.interpreter import run
from fdjax.benchmark.models import counterexample
from fdjax.benchmark.moves import Move, moves
from fdjax.benchmark.search import proof_text, shortest_lines
from fdjax.benchmark.terms import FREE, count_tokens, tokens
from fdjax.types import Theorem


@dataclasses.dataclass(frozen=True)
class Repair:
    """`good_prefix + completion` is a whole proof. For an attempt that is one, `first_error` and
    `next_tactic` are None."""

    good_prefix: str  # the longest prefix of the attempt, in whole tactics, that can be completed
    completion: str  # lines that complete the proof
    first_error: int | None  # offset in characters of the first wrong token, or of the text's end
    previous: str | None  # the last line of the prefix
    next_tactic: str | None  # the first line of the completion


def shortest_proof(theorem: Theorem) -> str | None:
    """The proof of fewest tokens that the search finds. None if it finds none, or if formulas.py
    cannot express the theorem.
    """
    goal = initial_goal(theorem.signature)
    lines = goal and shortest_lines(goal)
    return proof_text(lines) if lines else None


@functools.lru_cache(maxsize=1 << 14)
def initial_goal(signature: str) -> Goal | None:
    """The goal of a signature; None if formulas.py cannot express it."""
    try:
        return parse_signature(signature)
    except (ParseError, RecursionError):
        return None


def repair(theorem: Theorem, proof: str) -> Repair | None:
    """Keeps the longest prefix that can be completed. Of the completions it takes one whose first
    line shares most leading tokens with the attempt's next line, and of these the shortest.

    None if formulas.py cannot express the theorem or the search finds no proof at all.
    """
    goal = initial_goal(theorem.signature)
    if goal is None:
        return None
    trace = run(goal, proof)
    if trace.proved:
        last = proof[trace.steps[-1].start : trace.steps[-1].end]
        return Repair(proof, "", None, last, None)
    for kept in range(trace.flat, -1, -1):
        goals, end = (
            (trace.steps[kept - 1].goals, trace.steps[kept - 1].end) if kept else ((goal,), 0)
        )
        if not goals or any(counterexample(g) for g in goals):
            continue
        rest = _complete(goals[1:])
        if rest is None:
            continue
        start, stop = _next_line(proof, end)
        lines, shared = _nearest(goals[0], proof[start:stop])
        lines = lines or shortest_lines(goals[0])
        if lines is None:
            continue
        return Repair(
            good_prefix=proof[:end] if kept else " by",
            completion="".join(f"\n  {line}" for line in lines + rest),
            first_error=_offset(proof, start, stop, shared),
            previous=proof[trace.steps[kept - 1].start : end] if kept else None,
            next_tactic=lines[0],
        )
    return None


def _complete(goals: tuple[Goal, ...]) -> list[str] | None:
    """Lines that prove all of `goals` in turn; None if the search fails at one."""
    lines: list[str] = []
    for goal in goals:
        more = shortest_lines(goal)
        if more is None:
            return None
        lines += more
    return lines


def _next_line(proof: str, end: int) -> tuple[int, int]:
    """(start, end) of the line of tactics that follows the good prefix; empty if none does."""
    if end == 0:
        end = len(proof) - len(proof.lstrip())
        end += 2 if proof.startswith("by", end) else 0
    start = len(proof) - len(proof[end:].lstrip())
    stop = proof.find("\n", start)
    return start, stop if stop >= 0 else len(proof)


def _nearest(goal: Goal, written: str) -> tuple[list[str] | None, int]:
    """(lines, shared): a proof of `goal` whose first line shares as many leading tokens as
    possible with `written`, of these the shortest; (None, 0) if no proof shares any.
    """
    groups: dict[int, list[Move]] = {}
    for move in moves(goal, FREE._replace(classical=written.startswith("by_cases"))):
        if shared := _shared(move.line, written):
            groups.setdefault(shared, []).append(move)
    for shared in sorted(groups, reverse=True):
        proofs = []
        for line, new in groups[shared]:
            if not any(counterexample(g) for g in new) and (rest := _complete(new)) is not None:
                proofs.append([line, *rest])
        if proofs:
            return min(proofs, key=lambda p: sum(count_tokens(line) + 1 for line in p)), shared
    return None, 0


def _shared(line: str, written: str) -> int:
    """The number of leading tokens in common."""
    pairs = zip(tokens(line), tokens(written))
    equal = itertools.takewhile(lambda pair: pair[0][0] == pair[1][0], pairs)
    return sum(1 for _ in equal)


def _offset(proof: str, start: int, stop: int, shared: int) -> int:
    """The place of the first token of the line that is not `shared`, else of the line's end."""
    if start == stop:  # the proof ends too early
        return len(proof.rstrip()) or len(proof)
    places = [place for _, place in tokens(proof[start:stop])]
    return start + places[shared] if shared < len(places) else stop
