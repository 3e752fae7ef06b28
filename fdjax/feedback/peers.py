"""What the others of the group did: verified successes to learn from, failures to avoid.

As in SDPO (the first other success) and MOPD (two successes and a failure).
"""

from collections.abc import Iterator, Sequence

from fdjax.feedback.diagnostics import departure, in_common, shown
from fdjax.types import DECIDED, REFUSED, Feedback, Item, Moment, Provider

ORDERS = ("first", "nearest")
OWN = ("never", "alone", "always")


def peers(*, successes: int, failures: int, order: str, own: str) -> Provider:
    """Shows each attempt at most `successes` proofs and `failures` failures of its group that
    differ from it and from each other: the first ones, or the `nearest`, which begin as it does
    for longest. A success is shown itself `never`, where it is `alone` (no peer succeeds), or
    `always`, before others. None where no proof is to be shown, and for what Lean could not judge.
    """

    async def provide(
        groups: Sequence[Sequence[Item]], moment: Moment
    ) -> list[list[Feedback | None]]:
        return [[describe(group, item) for item in group] for group in groups]

    def describe(group: Sequence[Item], item: Item) -> Feedback | None:
        _, attempt, verdict = item
        if verdict.status not in DECIDED:
            return None
        nearest = order == "nearest"
        solved = others(group, item, {"proved"}, successes, nearest=nearest)
        proofs = [peer.candidate for _, peer, _ in solved]
        if verdict.proved and (own == "always" or (own == "alone" and not proofs)):
            proofs = [attempt.candidate, *proofs][:successes]
        if not proofs:
            return None
        failed = others(group, item, REFUSED, failures, nearest=nearest)
        refused = [_refused(*peer[1:]) for peer in failed]
        return Feedback(
            (*(shown(proof) for proof in proofs), *refused),
            "peers",
            first_error=departure(item, proofs[0]),
            proof=proofs[0],
        )

    return provide


def others(
    group: Sequence[Item],
    item: Item,
    statuses: frozenset[str] | set[str],
    count: int,
    *,
    nearest: bool = False,
) -> list[Item]:
    """At most `count` attempts of these statuses, all different in text, and from `item`'s: the
    first ones, or the `nearest` in their main proofs, of equally near ones the first."""
    found = list(_others(group, item, statuses))
    if nearest:
        found.sort(key=lambda peer: -in_common(item[1].candidate.proof, peer[1].candidate.proof))
    return found[:count]


def _others(group, item: Item, statuses) -> Iterator[Item]:
    seen = {item[1].candidate.text}
    for peer in group:
        if peer[2].status in statuses and peer[1].candidate.text not in seen:
            seen.add(peer[1].candidate.text)
            yield peer


def _refused(attempt, verdict) -> str:
    reason = f"\nbecause {verdict.first_error_message.text}" if verdict.first_error_message else ""
    written = attempt.candidate.text.removeprefix(" by")
    if attempt.candidate.has_helpers:
        written = "\n" + written.strip("\n")
    return f"Lean refuses{written}{reason}"
