"""Feedback on synthetic theorems, from the tactic interpreter: what to do where it went wrong.

It knows more than the student: the completion is the shortest that the search finds.
"""

from collections.abc import Sequence

from fdjax.data.synthetic import repair, shortest_proof
from fdjax.data.theorems import Theorem
from fdjax.feedback.protocol import Feedback, Item
from fdjax.feedback.reference import show_proof


async def hint(groups: Sequence[Sequence[Item]]) -> list[list[Feedback | None]]:
    """The last good line of the attempt and the line that should follow it.

    A form that can be copied is one that a small model learns to read. None where the
    interpreter cannot parse the theorem.
    """
    return [[_hint(theorem, attempt.proof) for theorem, attempt, _ in g] for g in groups]


async def shortest(groups: Sequence[Sequence[Item]]) -> list[list[Feedback | None]]:
    """The shortest proof of the theorem that the search finds, shown whole."""
    return [
        [show_proof(attempt.proof, shortest_proof(t), "shortest") for t, attempt, _ in g]
        for g in groups
    ]


def _hint(theorem: Theorem, proof: str) -> Feedback | None:
    found = repair(theorem, proof)
    if found is None:
        return None
    if found.next_tactic is None:
        text = "this is right"
    elif found.previous is None:
        text = f"begin with {found.next_tactic}"
    else:
        text = f"after {found.previous} use {found.next_tactic}"
    return Feedback(
        text=text,
        provider="hint",
        departs_at=found.departs_at,
        proof=found.good_prefix + found.completion,
    )
