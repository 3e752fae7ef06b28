"""Feedback without a language model: what Lean said, and as much help as the config allows.

`verdict`: whether Lean accepts it. `error`: also its first error, where it stands, and the goal.
`step`: the last good line and the line that should follow it. `correction`: the attempt as it
should have been. `proof`: the shortest known proof.

Steps and corrections come from the interpreter of synthetic tactic proofs and know more than the
student: the way on that they show is the shortest that a search finds. None where the help asked
for cannot be given.
"""

import functools
import zlib
from collections.abc import Sequence

from fdjax.data.synthetic import repair, shortest_proof
from fdjax.data.theorems import Theorem
from fdjax.feedback.protocol import Feedback, Item, Moment, Provider
from fdjax.lean.verdict import DECIDED, Message, Verdict


def diagnostics(help: str) -> Provider:
    """Deterministic. `help` is one of LEVELS."""
    describe = LEVELS[help]

    async def provide(
        groups: Sequence[Sequence[Item]], moment: Moment
    ) -> list[list[Feedback | None]]:
        return [[describe(theorem, a.proof, verdict) for theorem, a, verdict in g] for g in groups]

    return provide


def _verdict(theorem: Theorem, proof: str, verdict: Verdict) -> Feedback | None:
    if verdict.status not in DECIDED:
        return None
    text = "Lean accepts it" if verdict.proved else "Lean refuses it"
    return Feedback((text,), "diagnostics: verdict", departs_at=error_place(verdict))


def _error(theorem: Theorem, proof: str, verdict: Verdict) -> Feedback | None:
    """Lean's message of an unsolved goal shows the goal state."""
    error = verdict.first_error
    if error is None:
        return _verdict(theorem, proof, verdict)
    messages = [error.text]
    place = error_place(verdict)
    if place is not None:
        begin = proof.rfind("\n", 0, place) + 1
        messages.insert(0, f"Lean refuses {proof[begin:].splitlines()[0].strip()}")
    return Feedback(tuple(messages), "diagnostics: error", departs_at=place)


def _step(theorem: Theorem, proof: str, verdict: Verdict) -> Feedback | None:
    found = repair(theorem, proof)
    if found is None or _disagree(found, verdict):
        return None
    previous, following = found.previous, found.next_tactic
    if following is None:  # a proof: any of its lines is good advice, always the same one
        lines = [line.strip() for line in proof.strip().removeprefix("by").strip().splitlines()]
        place = zlib.crc32(proof.encode()) % len(lines)
        previous, following = (lines[place - 1] if place else None), lines[place]
    return Feedback(
        (f"after {previous} use {following}" if previous else f"begin with {following}",),
        "diagnostics: step",
        departs_at=found.departs_at,
        proof=found.good_prefix + found.completion,
    )


def _correction(theorem: Theorem, proof: str, verdict: Verdict) -> Feedback | None:
    found = repair(theorem, proof)
    if found is None or _disagree(found, verdict):
        return None
    corrected = found.good_prefix + found.completion
    return Feedback(
        (shown(corrected),),
        "diagnostics: correction",
        leak=1.0,
        departs_at=found.departs_at,
        proof=corrected,
    )


def _proof(theorem: Theorem, proof: str, verdict: Verdict) -> Feedback | None:
    known = _shortest(theorem) or theorem.reference
    if known is None:
        return None
    return Feedback(
        (shown(known),),
        "diagnostics: proof",
        leak=1.0,
        departs_at=departure(proof, known),
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
    """Where the attempt goes wrong by Lean's first error, as an offset into the proof text.

    A goal that stays open is reported at the tactics that were to close it; what is wrong is that
    they end.
    """
    error: Message | None = None if verdict.proved else verdict.first_error
    if error is None:
        return None
    return error.end if error.kind == "Tactic.unsolvedGoals" else error.start


def departure(proof: str, known: str) -> int | None:
    """Where the attempt's text first differs from that of a known proof."""
    departs = next((i for i, (a, b) in enumerate(zip(proof, known)) if a != b), None)
    if departs is None and len(proof) != len(known):
        departs = min(len(proof), len(known))
    return departs


def shown(proof: str) -> str:
    return f"a proof is{proof.removeprefix(' by')}"


def _disagree(found, verdict: Verdict) -> bool:
    """The interpreter holds for a proof what Lean refused: it knows no better."""
    return found.next_tactic is None and not verdict.proved


@functools.lru_cache(maxsize=1 << 14)
def _shortest(theorem: Theorem) -> str | None:
    return shortest_proof(theorem)
