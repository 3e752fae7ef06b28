"""The control: feedback of the right form that says nothing about this theorem."""

import dataclasses
from collections.abc import Sequence

from fdjax.feedback.protocol import Feedback, Item, Moment, Provider


def shuffled(provider: Provider) -> Provider:
    """Every group receives the feedback of the next group; the departure stays its own.

    Weights that end where an attempt goes wrong then end in the same places as without
    shuffling, so that a comparison of the two changes the text of the feedback alone.
    """

    async def provide(
        groups: Sequence[Sequence[Item]], moment: Moment
    ) -> list[list[Feedback | None]]:
        true = await provider(groups, moment)
        others = true[1:] + true[:1]
        return [
            [_swap(own, other[i % len(other)]) for i, own in enumerate(group)]
            for group, other in zip(true, others)
        ]

    return provide


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
