"""Providers made of a function of an attempt, and such that wrap others: the first of several, one
for all hosts, a control, a guard.
"""

import asyncio
import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

from fdjax.feedback.metrics import mentions_feedback, overlap
from fdjax.runtime import hosts
from fdjax.types import Feedback, FeedbackContext, Feedbacks, Item, Provider

COSTS = ("tokens", "own_flops", "seconds", "money", "requests", "failed_requests", "problems")


def each(describe: Callable[[Item], Feedback | None]) -> Provider:
    """`describe(item)` for each requested attempt, None for the others."""

    async def provide(groups: Sequence[Sequence[Item]], context: FeedbackContext) -> Feedbacks:
        return [
            [describe(item) if context.is_requested(g, i) else None for i, item in enumerate(group)]
            for g, group in enumerate(groups)
        ]

    return provide


def first(providers: Sequence[Provider]) -> Provider:
    """For each attempt the first feedback with messages. From each provider only what the earlier
    ones had no messages on is requested. Their costs are added.
    """

    async def provide(groups: Sequence[Sequence[Item]], context: FeedbackContext) -> Feedbacks:
        feedbacks: Feedbacks = [[None] * len(group) for group in groups]
        for provider in providers:
            missing = [
                [context.is_requested(g, i) and not has_messages(f) for i, f in enumerate(group)]
                for g, group in enumerate(feedbacks)
            ]
            if not any(map(any, missing)):
                break
            further = await provider(groups, dataclasses.replace(context, requested=missing))
            feedbacks = [
                [with_costs(new, old) if is_missing else old for new, old, is_missing in zip(*rows)]
                for rows in zip(further, feedbacks, missing)
            ]
        return feedbacks

    return provide


def most_agreed(providers: Sequence[Provider]) -> Provider:
    """For each attempt the feedback whose words the others share most, with the costs of all."""

    async def provide(groups: Sequence[Sequence[Item]], context: FeedbackContext) -> Feedbacks:
        draws = [await provider(groups, context) for provider in providers]
        return [[_most_agreed(feedbacks) for feedbacks in zip(*group)] for group in zip(*draws)]

    return provide


def _most_agreed(feedbacks: Sequence[Feedback | None]) -> Feedback | None:
    total = functools.reduce(lambda costs, feedback: with_costs(feedback, costs), feedbacks)
    given = list(filter(has_messages, feedbacks))
    if not given:
        return total
    words = [set(feedback.text.split()) for feedback in given]
    shared = [math.fsum(len(a & b) / max(len(a | b), 1) for b in words) for a in words]
    chosen = given[shared.index(max(shared))]
    return dataclasses.replace(chosen, **{name: getattr(total, name) for name in COSTS})


def on_first_host(provider: Provider) -> Provider:
    """The first host asks and sends the others what it got."""

    async def provide(groups: Sequence[Sequence[Item]], context: FeedbackContext) -> Feedbacks:
        task = None
        if hosts.is_first():
            task = asyncio.ensure_future(provider(groups, context))
            await asyncio.wait([task])
        return hosts.broadcast(f"feedback {context.stream}", lambda: task.result())

    return provide


def shuffled(provider: Provider) -> Provider:
    """The control: each group gets the feedback of the next group on another theorem, or none
    where there is no such group.

    `first_error` and the costs stay with their attempt. Weights that end at the first error then
    end in the same places as without shuffling: a comparison changes the text alone.
    """

    async def provide(groups: Sequence[Sequence[Item]], context: FeedbackContext) -> Feedbacks:
        feedbacks = await provider(groups, context)
        ids = [group[0][0].id for group in groups]
        others = [_next_other(feedbacks, ids, g) for g in range(len(groups))]
        return [
            [_with_text(feedback, other[i % len(other)]) for i, feedback in enumerate(group)]
            for group, other in zip(feedbacks, others)
        ]

    return provide


def _next_other(feedbacks: Feedbacks, ids: Sequence[str], g: int) -> list[Feedback | None]:
    """Those with messages of the next group on another theorem that has any; else [None]."""
    following = (*range(g + 1, len(ids)), *range(g))
    others = (filter(has_messages, feedbacks[o]) for o in following if ids[o] != ids[g])
    return next(filter(None, map(list, others)), [None])


def _with_text(feedback: Feedback | None, other: Feedback | None) -> Feedback | None:
    if not has_messages(feedback):
        return feedback
    if not has_messages(other):
        silent = dataclasses.replace(feedback, messages=(), proof=None)
        return silent if feedback.requests else None
    return dataclasses.replace(
        feedback,
        messages=other.messages,
        provider=f"shuffled {other.provider}",
        leak=other.leak,
        proof=other.proof,
    )


def guarded(provider: Provider, leak_limit: float | None) -> Provider:
    """Measures `leak`. With a limit, drops feedback that leaks more, and feedback on attempts that
    mention feedback: the teacher would teach to do so.
    """

    def guard(feedback: Feedback, item: Item, group: Sequence[Item]) -> Feedback:
        theorem, attempt, _ = item
        leak = feedback.leak
        if theorem.reference is not None:
            known = [
                theorem.signature,
                theorem.goal or "",
                *(a.candidate.text for _, a, _ in group),
            ]
            leak = max(leak, overlap(feedback.text, theorem.reference, known))
        feedback = dataclasses.replace(feedback, leak=leak)
        if leak_limit is not None and leak > leak_limit:
            return _dropped(feedback, "dropped: leak")
        if leak_limit is not None and mentions_feedback(attempt.candidate.text):
            return _dropped(feedback, "dropped: echo")
        return feedback

    async def provide(groups: Sequence[Sequence[Item]], context: FeedbackContext) -> Feedbacks:
        feedbacks = await provider(groups, context)
        return [
            [guard(f, item, group) if has_messages(f) else f for f, item in zip(row, group)]
            for row, group in zip(feedbacks, groups)
        ]

    return provide


def _dropped(feedback: Feedback, problem: str) -> Feedback:
    """What is left: the costs, and the problem."""
    return dataclasses.replace(
        feedback,
        messages=(),
        first_error=None,
        proof=None,
        failed_requests=feedback.requests,
        problems=(*feedback.problems, problem),
    )


def has_messages(feedback: Feedback | None) -> bool:
    return feedback is not None and bool(feedback.messages)


def with_costs(feedback: Feedback | None, other: Feedback | None) -> Feedback | None:
    """`feedback` with the costs and problems of `other` added; if one is None, the one that is
    not."""
    if feedback is None or other is None:
        return other if feedback is None else feedback
    sums = {name: getattr(other, name) + getattr(feedback, name) for name in COSTS}
    return dataclasses.replace(feedback, **sums)
