"""What the search of the built-in benchmark finds: more than Lean reports.

`step`: the last good line and the line that should follow it. `prose`: the same in a sentence,
after what Lean 4 has in place of a wrong line's Lean 3. `correction`: the attempt corrected to a
proof. `proof`: the shortest proof, or the data's. Of an attempt with helper lemmas the main
proof is corrected. None where the search finds nothing.
"""

import functools
import zlib
from collections.abc import Callable

from fdjax.benchmark import Repair, repair, shortest_proof
from fdjax.benchmark.dialects import hint
from fdjax.feedback.compose import each
from fdjax.feedback.proofs import first_difference, offset_in_attempt, refused_helper, shown
from fdjax.lean.extract import parse_candidate
from fdjax.lean.report import line_at
from fdjax.types import Candidate, Feedback, Item, Provider, Theorem


def oracle(level: str) -> Provider:
    """Deterministic. `level`: step, prose, correction or proof."""
    return each({"step": _step, "prose": _prose, "correction": _correction, "proof": _proof}[level])


def _step(item: Item) -> Feedback | None:
    def say(previous: str | None, following: str, _) -> str:
        return f"after {previous} use {following}" if previous else f"begin with {following}"

    return _next_line(item, "oracle: step", say)


def _prose(item: Item) -> Feedback | None:
    def say(previous: str | None, following: str, wrong: str) -> str:
        step = f"After `{previous}` write" if previous else "Begin with"
        advice = hint(wrong)
        habit = f"Lean 4 does not take `{wrong}`: {advice}. " if advice else ""
        return f"{habit}{step} `{following}`."

    return _next_line(item, "oracle: prose", say)


def _next_line(
    item: Item, provider: str, say: Callable[[str | None, str, str], str]
) -> Feedback | None:
    """`say(the last good line, the line that should follow it, the attempt's wrong line)`; a proof
    has no wrong line, and each of its lines is a right step: a hash chooses one.
    """
    repaired = _repair(item)
    if repaired is None:
        return None
    previous, following = repaired.previous, repaired.next_tactic
    if following is None:
        proof = item[1].candidate.proof
        body = proof.strip().removeprefix("by")
        lines = [stripped for line in body.splitlines() if (stripped := line.strip())]
        index = zlib.crc32(proof.encode()) % len(lines)
        previous, following = (lines[index - 1] if index else None), lines[index]
    place = offset_in_attempt(item, repaired.first_error)
    wrong = "" if place is None else line_at(item[1].candidate.text, place)
    return Feedback(
        (say(previous, following, wrong),),
        provider,
        first_error=place,
        proof=Candidate(repaired.good_prefix + repaired.completion),
    )


def _correction(item: Item) -> Feedback | None:
    repaired = _repair(item)
    if repaired is None:
        return None
    corrected = Candidate(repaired.good_prefix + repaired.completion)
    return Feedback(
        (shown(corrected),),
        "oracle: correction",
        leak=1.0,
        first_error=offset_in_attempt(item, repaired.first_error),
        proof=corrected,
    )


def _proof(item: Item) -> Feedback | None:
    theorem = item[0]
    text = _shortest(theorem) or theorem.reference
    if text is None:
        return None
    proof = parse_candidate(text, theorem, allow_helpers=True)
    return Feedback(
        (shown(proof),),
        "oracle: proof",
        leak=1.0,
        first_error=first_difference(item, proof),
        proof=proof,
    )


def _repair(item: Item) -> Repair | None:
    """Of the main proof. None also where the interpreter takes for a proof what Lean refused."""
    theorem, attempt, verdict = item
    repaired = repair(theorem, attempt.candidate.proof)
    if repaired is None or repaired.next_tactic is not None or verdict.proved:
        return repaired
    return None if refused_helper(item) is None else repaired


@functools.lru_cache(maxsize=1 << 14)
def _shortest(theorem: Theorem) -> str | None:
    return shortest_proof(theorem)
