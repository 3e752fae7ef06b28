"""What Lean reports of an attempt.

`verdict`: whether Lean accepts it. `error`: also its first error, the line and the goal. `hint`:
also, where that line is in a dialect of the benchmark, what Lean 4 has in its place. The hint knows
the line alone, nothing of the goal or of a proof.
"""

import dataclasses

from fdjax.benchmark import repair
from fdjax.benchmark.dialects import hint
from fdjax.feedback.compose import each
from fdjax.lean.report import error_messages, outcome, refused_line
from fdjax.types import DECIDED, Candidate, Feedback, Item, Provider


def lean_messages(level: str) -> Provider:
    """Deterministic. `level`: verdict, error or hint. None where none is known."""
    return each(
        {"verdict": describe_verdict, "error": describe_error, "hint": describe_hint}[level]
    )


def describe_verdict(item: Item) -> Feedback | None:
    verdict = item[2]
    if verdict.status not in DECIDED:
        return None
    return Feedback((outcome(verdict),), "lean_messages: verdict", first_error=verdict.first_error)


def describe_error(item: Item) -> Feedback | None:
    """The message of an unsolved goal shows the goal state. Without an error: the verdict. None
    where Lean came to no decision: the messages are then about a crash or a timeout.
    """
    _, attempt, verdict = item
    messages = error_messages(verdict, attempt.candidate.text)
    if verdict.status not in DECIDED or not messages:
        return describe_verdict(item)
    return Feedback(messages, "lean_messages: error", first_error=verdict.first_error)


def describe_hint(item: Item) -> Feedback | None:
    """The error, behind the hint. `proof`, by which the warm start learns to read the hint, is the
    attempt as a search completes it; it is in no message.
    """
    feedback = describe_error(item)
    theorem, attempt, verdict = item
    line = refused_line(verdict, attempt.candidate.text)
    advice = hint(line) if verdict.first_error is not None else None
    if feedback is None or advice is None:
        return feedback
    repaired = repair(theorem, attempt.candidate.proof)
    return dataclasses.replace(
        feedback,
        messages=(advice, *feedback.messages),
        provider="lean_messages: hint",
        proof=repaired and Candidate(repaired.good_prefix + repaired.completion),
    )
