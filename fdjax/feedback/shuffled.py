"""The control: feedback of the right form that says nothing about this theorem."""

import dataclasses
from collections.abc import Sequence

from fdjax.feedback.protocol import Feedback, Item, Provider


def shuffled(provider: Provider) -> Provider:
    """Every group receives the feedback of the next group; the departure stays its own.

    Weights that end where an attempt goes wrong then end in the same places as without
    shuffling, so that a comparison of the two changes the text of the feedback alone.
    """

    async def provide(groups: Sequence[Sequence[Item]]) -> list[list[Feedback | None]]:
        true = await provider(groups)
        others = true[1:] + true[:1]
        return [
            [_swap(own, other[i % len(other)]) for i, own in enumerate(group)]
            for group, other in zip(true, others)
        ]

    return provide


def _swap(own: Feedback | None, other: Feedback | None) -> Feedback | None:
    if own is None or other is None:
        return None
    return dataclasses.replace(
        other, provider=f"shuffled {other.provider}", departs_at=own.departs_at
    )
