"""The control: feedback of the right form that says nothing about this theorem."""

import dataclasses
from collections.abc import Sequence

from fdjax.types import Feedback, Item, Moment, Provider


def shuffled(provider: Provider) -> Provider:
    """Every group receives the feedback of the next group on another theorem, or none where there
    is no such group; the departure stays its own.

    Weights that end where an attempt goes wrong then end in the same places as without
    shuffling, so that a comparison of the two changes the text of the feedback alone.
    """

    async def provide(
        groups: Sequence[Sequence[Item]], moment: Moment
    ) -> list[list[Feedback | None]]:
        true = await provider(groups, moment)
        names = [group[0][0].id for group in groups]
        return [
            [_swap(own, other[i % len(other)]) for i, own in enumerate(group)]
            for at, group in enumerate(true)
            for other in [_next_other(true, names, at)]
        ]

    return provide


def _next_other(
    said: list[list[Feedback | None]], names: Sequence[str], at: int
) -> Sequence[Feedback | None]:
    following = [*range(at + 1, len(said)), *range(at)]
    return next((said[i] for i in following if names[i] != names[at]), [None])


def _swap(own: Feedback | None, other: Feedback | None) -> Feedback | None:
    """The costs stay, too."""
    if own is None or not own.messages:
        return own
    if other is None or not other.messages:
        return dataclasses.replace(own, messages=(), proof=None) if own.asked else None
    return dataclasses.replace(
        own,
        messages=other.messages,
        provider=f"shuffled {other.provider}",
        leak=other.leak,
        proof=other.proof,
    )
