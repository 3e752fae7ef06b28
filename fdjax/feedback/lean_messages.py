"""What Lean reports of an attempt.

`verdict`: whether Lean accepts it. `error`: also its first error, the line and the goal.
"""

from collections.abc import Sequence

from fdjax.types import DECIDED, Feedback, FeedbackContext, Feedbacks, Item, Provider


def lean_messages(level: str) -> Provider:
    """Deterministic. `level`: verdict or error. None where neither is known."""
    describe = {"verdict": describe_verdict, "error": describe_error}[level]

    async def provide(groups: Sequence[Sequence[Item]], context: FeedbackContext) -> Feedbacks:
        return [[describe(item) for item in group] for group in groups]

    return provide


def describe_verdict(item: Item) -> Feedback | None:
    verdict = item[2]
    if verdict.status not in DECIDED:
        return None
    text = "Lean accepts it" if verdict.proved else "Lean refuses it"
    return Feedback((text,), "lean_messages: verdict", first_error=verdict.first_error)


def describe_error(item: Item) -> Feedback | None:
    """The message of an unsolved goal shows the goal state. Without an error: the verdict."""
    _, attempt, verdict = item
    error = verdict.first_error_message
    if error is None:
        return describe_verdict(item)
    messages = [error.text]
    place = verdict.first_error
    if place is not None:
        text = attempt.candidate.text
        begin = text.rfind("\n", 0, place) + 1
        line = next(iter(text[begin:].splitlines()), "nothing")
        messages.insert(0, f"Lean refuses {line.strip()}")
    return Feedback(tuple(messages), "lean_messages: error", first_error=place)
