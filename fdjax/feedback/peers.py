"""What the others of the group did: verified successes to learn from, failures to avoid.

As in SDPO (the first other success) and MOPD (two successes and a failure).
"""

from collections.abc import Iterator, Sequence

from fdjax.feedback.diagnostics import departure, shown
from fdjax.feedback.protocol import Feedback, Item, Moment, Provider
from fdjax.lean.verdict import DECIDED, REFUSED


def peers(*, successes: int, failures: int, own: bool) -> Provider:
    """Shows each attempt at most `successes` proofs and `failures` failures of its group, the
    first ones that differ from it and from each other. `own`: a success without such a peer is
    shown itself. None where no proof is to be shown, and for what Lean could not judge.
    """

    async def provide(
        groups: Sequence[Sequence[Item]], moment: Moment
    ) -> list[list[Feedback | None]]:
        return [[describe(group, item) for item in group] for group in groups]

    def describe(group: Sequence[Item], item: Item) -> Feedback | None:
        _, attempt, verdict = item
        if verdict.status not in DECIDED:
            return None
        proofs = [a.proof for _, a, _ in others(group, item, {"proved"}, successes)]
        if not proofs and own and verdict.proved:
            proofs = [attempt.proof]
        if not proofs:
            return None
        refused = [_refused(*peer[1:]) for peer in others(group, item, REFUSED, failures)]
        return Feedback(
            (*map(shown, proofs), *refused),
            "peers",
            departs_at=departure(attempt.proof, proofs[0]),
            proof=proofs[0],
        )

    return provide


def others(
    group: Sequence[Item], item: Item, statuses: frozenset[str] | set[str], count: int
) -> list[Item]:
    """At most `count` attempts of these statuses, all different in text, and from `item`'s."""
    return list(_others(group, item, statuses))[:count]


def _others(group, item: Item, statuses) -> Iterator[Item]:
    seen = {item[1].proof}
    for peer in group:
        if peer[2].status in statuses and peer[1].proof not in seen:
            seen.add(peer[1].proof)
            yield peer


def _refused(attempt, verdict) -> str:
    reason = f"\nbecause {verdict.first_error.text}" if verdict.first_error else ""
    return f"Lean refuses{attempt.proof.removeprefix(' by')}{reason}"
