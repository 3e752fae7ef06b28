"""Several providers as one, and one for several hosts."""

import asyncio
import dataclasses
import math
from collections.abc import Callable, Sequence

from fdjax.runtime import hosts
from fdjax.types import Feedback, Item, Moment, Provider

Said = list[list[Feedback | None]]


def first(providers: Sequence[Provider]) -> Provider:
    """For each attempt the first provider that has something to say; the later ones are asked
    only about the others. What earlier ones cost is added.
    """

    async def provide(groups: Sequence[Sequence[Item]], moment: Moment) -> Said:
        said: Said = [[None] * len(group) for group in groups]
        for provider in providers:
            silent = [
                [moment.wants(g, i) and not has_messages(f) for i, f in enumerate(group)]
                for g, group in enumerate(said)
            ]
            if not any(map(any, silent)):
                break
            more = await provider(groups, moment._replace(wanted=silent))
            said = [
                [with_costs(new, old) if ask else old for new, old, ask in zip(*group)]
                for group in zip(more, said, silent)
            ]
        return said

    return provide


def together(
    providers: Sequence[Provider], choose: Callable[[list[Feedback]], Feedback]
) -> Provider:
    """All are asked; `choose` makes one feedback of those that have something to say."""

    async def provide(groups: Sequence[Sequence[Item]], moment: Moment) -> Said:
        everything = [await provider(groups, moment) for provider in providers]
        return [[_one(list(said), choose) for said in zip(*group)] for group in zip(*everything)]

    return provide


def asked_once(provider: Provider) -> Provider:
    """The first host asks and tells the others."""

    async def provide(groups: Sequence[Sequence[Item]], moment: Moment) -> Said:
        asked = None
        if hosts.is_first():
            asked = asyncio.ensure_future(provider(groups, moment))
            await asyncio.wait([asked])
        return hosts.broadcast(f"feedback {moment.stream}", lambda: asked.result())

    return provide


def merged(said: list[Feedback]) -> Feedback:
    """The messages of all, each once, in order; place and proof of the first that knows one."""
    messages = dict.fromkeys(m for feedback in said for m in feedback.messages)
    knowing = next((f for f in said if f.proof is not None), said[0])
    return dataclasses.replace(
        knowing,
        messages=tuple(messages),
        provider=" + ".join(dict.fromkeys(f.provider for f in said)),
        leak=max(f.leak for f in said),
    )


def most_agreed(said: list[Feedback]) -> Feedback:
    """The one whose words the others share most (the first of equals): what is said once only
    may be a slip.
    """
    words = [set(f.text.split()) for f in said]
    shared = [math.fsum(len(a & b) / max(len(a | b), 1) for b in words) for a in words]
    return said[shared.index(max(shared))]


def has_messages(feedback: Feedback | None) -> bool:
    return feedback is not None and bool(feedback.messages)


def with_costs(feedback: Feedback | None, other: Feedback | None) -> Feedback | None:
    """`feedback`, or `other` where there is none, with the costs and troubles of both."""
    if feedback is None or other is None:
        return other if feedback is None else feedback
    return dataclasses.replace(
        feedback,
        tokens=other.tokens + feedback.tokens,
        own_flops=other.own_flops + feedback.own_flops,
        seconds=other.seconds + feedback.seconds,
        money=other.money + feedback.money,
        asked=other.asked + feedback.asked,
        unanswered=other.unanswered + feedback.unanswered,
        troubles=other.troubles + feedback.troubles,
    )


def _one(
    said: list[Feedback | None], choose: Callable[[list[Feedback]], Feedback]
) -> Feedback | None:
    speaking = [f for f in said if has_messages(f)]
    if not speaking:
        return _total(said)
    free = dict(tokens=0, own_flops=0, seconds=0.0, money=0.0, asked=0, unanswered=0, troubles=())
    return with_costs(dataclasses.replace(choose(speaking), **free), _total(said))


def _total(said: Sequence[Feedback | None]) -> Feedback | None:
    total = None
    for feedback in said:
        total = with_costs(feedback, total)
    return total
