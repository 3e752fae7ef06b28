"""Feedback that shows a known proof whole: the theorem's own reference."""

from collections.abc import Sequence

from fdjax.feedback.protocol import Feedback, Item


async def reference(groups: Sequence[Sequence[Item]]) -> list[list[Feedback | None]]:
    """None for theorems without a reference proof."""
    return [
        [show_proof(attempt.proof, theorem.reference, "reference") for theorem, attempt, _ in g]
        for g in groups
    ]


def show_proof(attempt: str, proof: str | None, provider: str) -> Feedback | None:
    """The attempt departs where its text first differs from the proof's."""
    if proof is None:
        return None
    departs = next((i for i, (a, b) in enumerate(zip(attempt, proof)) if a != b), None)
    if departs is None and len(attempt) != len(proof):
        departs = min(len(attempt), len(proof))
    return Feedback(
        text=f"a proof is{proof.removeprefix(' by')}",
        provider=provider,
        leak=1.0,
        departs_at=departs,
        proof=proof,
    )
