"""Feedback without a language model: what Lean said, and as much help as the config allows.

`verdict`: whether Lean accepts it. `error`: also its first error, where it stands, and the goal.
`step`: the last good line and the line that should follow it. `correction`: the attempt as it
should have been. `proof`: the shortest known proof.

Of an attempt with helper lemmas it is the main proof that is mended, or compared with a known one,
unless Lean refuses one of the helpers: there it goes wrong then.

Steps and corrections come from the interpreter of synthetic tactic proofs and know more than the
student: the way on that they show is the shortest that a search finds. None where the help asked
for cannot be given.
"""

import functools
import zlib
from collections.abc import Sequence

from fdjax.benchmark import Repair, repair, shortest_proof
from fdjax.lean.extract import parse_candidate
from fdjax.types import (
    DECIDED,
    Attempt,
    Candidate,
    Feedback,
    Item,
    Moment,
    Provider,
    Theorem,
    Verdict,
)


def diagnostics(help: str) -> Provider:
    """Deterministic. `help` is one of LEVELS."""
    describe = LEVELS[help]

    async def provide(
        groups: Sequence[Sequence[Item]], moment: Moment
    ) -> list[list[Feedback | None]]:
        return [[describe(*item) for item in group] for group in groups]

    return provide


def _verdict(theorem: Theorem, attempt: Attempt, verdict: Verdict) -> Feedback | None:
    if verdict.status not in DECIDED:
        return None
    text = "Lean accepts it" if verdict.proved else "Lean refuses it"
    return Feedback((text,), "diagnostics: verdict", first_error=error_place(verdict))


def _error(theorem: Theorem, attempt: Attempt, verdict: Verdict) -> Feedback | None:
    """Lean's message of an unsolved goal shows the goal state."""
    error = verdict.first_error_message
    if error is None:
        return _verdict(theorem, attempt, verdict)
    messages = [error.text]
    place = error_place(verdict)
    if place is not None:
        text = attempt.candidate.text
        begin = text.rfind("\n", 0, place) + 1
        line = next(iter(text[begin:].splitlines()), "nothing")
        messages.insert(0, f"Lean refuses {line.strip()}")
    return Feedback(tuple(messages), "diagnostics: error", first_error=place)


def _step(theorem: Theorem, attempt: Attempt, verdict: Verdict) -> Feedback | None:
    found = _repair(theorem, attempt, verdict)
    if found is None:
        return None
    previous, following = found.previous, found.next_tactic
    if following is None:  # a proof: any of its lines is good advice, always the same one
        proof = attempt.candidate.proof
        lines = [line.strip() for line in proof.strip().removeprefix("by").strip().splitlines()]
        place = zlib.crc32(proof.encode()) % len(lines)
        previous, following = (lines[place - 1] if place else None), lines[place]
    return Feedback(
        (f"after {previous} use {following}" if previous else f"begin with {following}",),
        "diagnostics: step",
        first_error=_in_attempt(attempt, verdict, found.first_error),
        proof=Candidate(found.good_prefix + found.completion),
    )


def _correction(theorem: Theorem, attempt: Attempt, verdict: Verdict) -> Feedback | None:
    found = _repair(theorem, attempt, verdict)
    if found is None:
        return None
    corrected = Candidate(found.good_prefix + found.completion)
    return Feedback(
        (shown(corrected),),
        "diagnostics: correction",
        leak=1.0,
        first_error=_in_attempt(attempt, verdict, found.first_error),
        proof=corrected,
    )


def _proof(theorem: Theorem, attempt: Attempt, verdict: Verdict) -> Feedback | None:
    proof = _shortest(theorem) or theorem.reference
    if proof is None:
        return None
    known = parse_candidate(proof, theorem, allow_helpers=True)
    return Feedback(
        (shown(known),),
        "diagnostics: proof",
        leak=1.0,
        first_error=departure((theorem, attempt, verdict), known),
        proof=known,
    )


LEVELS = {
    "verdict": _verdict,
    "error": _error,
    "step": _step,
    "correction": _correction,
    "proof": _proof,
}


def error_place(verdict: Verdict) -> int | None:
    """Where the attempt goes wrong by Lean's first error, as an offset into the proof text."""
    error = None if verdict.proved else verdict.first_error_message
    return error and error.place


def departure(item: Item, known: Candidate) -> int | None:
    """Where the attempt's text first differs from that of a known proof, helpers aside."""
    _, attempt, verdict = item
    proof = attempt.candidate.proof
    differs = None if proof == known.proof else in_common(proof, known.proof)
    return _in_attempt(attempt, verdict, differs)


def in_common(one: str, other: str) -> int:
    """With how many characters both begin."""
    differ = (i for i, (a, b) in enumerate(zip(one, other)) if a != b)
    return next(differ, min(len(one), len(other)))


def shown(candidate: Candidate) -> str:
    if candidate.has_helpers:
        return "a proof with helper lemmas is\n" + candidate.text.strip("\n")
    return f"a proof is{candidate.text.removeprefix(' by')}"


def _repair(theorem: Theorem, attempt: Attempt, verdict: Verdict) -> Repair | None:
    """Of the main proof. None, too, where the interpreter holds for a proof what Lean refused: it
    knows no better."""
    found = repair(theorem, attempt.candidate.proof)
    if found is None or found.next_tactic is not None or verdict.proved:
        return found
    return None if _refused_helper(attempt, verdict) is None else found


def _in_attempt(attempt: Attempt, verdict: Verdict, place: int | None) -> int | None:
    """Where an attempt goes wrong whose main proof does so at `place`."""
    helper = _refused_helper(attempt, verdict)
    return helper if helper is not None or place is None else attempt.candidate.main_start + place


def _refused_helper(attempt: Attempt, verdict: Verdict) -> int | None:
    """Where Lean's first error is, if that is in a helper."""
    place = error_place(verdict)
    return place if place is not None and place < attempt.candidate.main_start else None


@functools.lru_cache(maxsize=1 << 14)
def _shortest(theorem: Theorem) -> str | None:
    return shortest_proof(theorem)
