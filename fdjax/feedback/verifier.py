"""Feedback from the verifier alone: Lean's first error and where it stands."""

from collections.abc import Sequence

from fdjax.feedback.protocol import Feedback, Item
from fdjax.lean.verdict import Verdict


async def verifier(groups: Sequence[Sequence[Item]]) -> list[list[Feedback | None]]:
    return [[_describe(attempt.proof, verdict) for _, attempt, verdict in g] for g in groups]


def _describe(proof: str, verdict: Verdict) -> Feedback | None:
    if verdict.proved:
        return Feedback(text="Lean accepts it", provider="verifier")
    error = verdict.first_error
    if error is None:
        return None
    line = ""
    if error.start is not None:
        begin = proof.rfind("\n", 0, error.start) + 1
        line = proof[begin:].split("\n", 1)[0].strip()
    text = f"error at: {line}\n{error.text}" if line else error.text
    return Feedback(text=text, provider="verifier", departs_at=error.start)
