"""Verified proofs of the same group, as in SDPO (the first other success)."""

from collections.abc import Sequence

from fdjax.config import PeersConfig
from fdjax.feedback.proofs import common_length, first_difference, shown
from fdjax.types import DECIDED, Candidate, Feedback, FeedbackContext, Feedbacks, Item, Provider


def peers(config: PeersConfig) -> Provider:
    """Shows each attempt at most `successes` proofs of its group that differ from it and from each
    other: the first ones or, by `order`, the nearest, which begin as it does for longest. `own`:
    whether a proved attempt is shown itself, before the others: never, alone (no peer is proved) or
    always. None where there is no proof to show, and for attempts that Lean could not verify.
    """

    async def provide(groups: Sequence[Sequence[Item]], context: FeedbackContext) -> Feedbacks:
        return [[describe(group, item) for item in group] for group in groups]

    def describe(group: Sequence[Item], item: Item) -> Feedback | None:
        _, attempt, verdict = item
        if verdict.status not in DECIDED:
            return None
        proofs = _other_proofs(group, item, config.order)[: config.successes]
        if verdict.proved and (config.own == "always" or (config.own == "alone" and not proofs)):
            proofs = [attempt.candidate, *proofs][: config.successes]
        if not proofs:
            return None
        return Feedback(
            tuple(map(shown, proofs)),
            "peers",
            first_error=first_difference(item, proofs[0]),
            proof=proofs[0],
        )

    return provide


def _other_proofs(group: Sequence[Item], item: Item, order: str) -> list[Candidate]:
    """All different in text, and from `item`'s. Of equally near ones the first comes first."""
    tried = item[1].candidate
    others: dict[str, Candidate] = {}
    for _, peer, verdict in group:
        if verdict.proved and peer.candidate.text != tried.text:
            others.setdefault(peer.candidate.text, peer.candidate)
    proofs = list(others.values())
    if order == "nearest":
        proofs.sort(key=lambda proof: -common_length(tried.proof, proof.proof))
    return proofs
