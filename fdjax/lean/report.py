"""Lean's messages about a candidate as text for a model."""

from collections.abc import Callable, Sequence

from fdjax.types import DECIDED, Message, Verdict

GAP = "..."  # stands for what was cut


def refused_line(verdict: Verdict, text: str) -> str:
    """The line of the first error in the candidate's `text`; empty where the text has ended, or
    where the error has no place."""
    return "" if verdict.first_error is None else line_at(text, verdict.first_error)


def line_at(text: str, place: int) -> str:
    """The line of `text` that its character `place` is in, without the space around it."""
    begin = text.rfind("\n", 0, place) + 1
    return next(iter(text[begin:].splitlines()), "").strip()


def outcome(verdict: Verdict) -> str:
    if verdict.status not in DECIDED:
        return "Lean came to no decision"
    return "Lean accepts it" if verdict.proved else "Lean refuses it"


def error_messages(verdict: Verdict, text: str) -> tuple[str, ...]:
    """The line of the first error and what Lean says of it, which shows an unsolved goal. Empty
    without an error."""
    error = verdict.first_error_message
    if error is None:
        return ()
    if verdict.first_error is None:
        return (error.text,)
    return f"Lean refuses {refused_line(verdict, text) or 'nothing'}", error.text


def located(message: Message, text: str) -> str:
    """`LINE:COLUMN: severity: what Lean says`, with the line from 1 and the column from 0, as Lean
    counts them, in the candidate's `text`; without a place it begins with the severity."""
    said = f"{message.severity}: {message.text}"
    if message.place is None:
        return said
    line = text.count("\n", 0, message.place) + 1
    column = message.place - (text.rfind("\n", 0, message.place) + 1)
    return f"{line}:{column}: {said}"


def cut(text: str, budget: int, measure: Callable[[str], int] = len) -> str:
    """Lean's `text` within `budget`, by `measure`: characters, or the tokens of a tokenizer.

    Of a text that shows goals the first goal is kept if possible: what follows it is left out, then
    lines between the beginning and the goal. Of others the beginning is kept.
    """
    text = text.strip("\n")
    goal = text.find("⊢")
    if goal < 0 or measure(text) <= budget:
        return _beginning(text, budget, measure)
    end = text.find("\n\n", goal)
    if end >= 0 and measure(f"{text[:end]}\n{GAP}") <= budget:
        return f"{text[:end]}\n{GAP}"
    return cut_middle(text if end < 0 else text[:end], budget, measure)


def cut_middle(text: str, budget: int, measure: Callable[[str], int] = len) -> str:
    """`text` within `budget`, without lines of its middle; where not even two lines fit, its
    beginning."""
    text = text.strip("\n")
    lines = text.split("\n")

    def kept(number: int) -> str:
        head = (number + 1) // 2
        return "\n".join([*lines[:head], GAP, *lines[len(lines) - (number - head) :]])

    if measure(text) <= budget or len(lines) <= 2 or measure(kept(2)) > budget:
        return _beginning(text, budget, measure)
    return kept(largest(2, len(lines) - 1, lambda n: measure(kept(n)) <= budget))


def _beginning(text: str, budget: int, measure: Callable[[str], int]) -> str:
    if measure(text) <= budget:
        return text
    size = largest(0, len(text), lambda n: measure(text[:n] + GAP) <= budget)
    return text[:size] + GAP if size else ""


def fit(parts: Sequence[str], budget: int, measure: Callable[[str], int] = len) -> str:
    """The first of `parts`, one below the other, within `budget`; the last of them is cut, and a
    line says how many are left out."""

    def joined(whole: int, *shorter: str) -> str:
        left = len(parts) - whole - len(shorter)
        return "\n".join([*parts[:whole], *shorter, *[f"({left} more)"] * (left > 0)])

    def fit_alone(count: int) -> bool:
        return measure("\n".join(parts[:count])) <= budget

    most = 1  # doubled, so that no text much longer than the budget is measured
    while most < len(parts) and fit_alone(most):
        most *= 2
    whole = largest(0, min(most, len(parts)), fit_alone)
    if whole == len(parts):
        return joined(whole)
    while whole and measure(joined(whole)) > budget:  # with the line that says how many are left
        whole -= 1
    shorter = cut(parts[whole], budget, lambda text: measure(joined(whole, text)))
    if shorter:
        return joined(whole, shorter)
    return joined(whole) if whole else ""


def largest(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The largest number from `low` to `high` that the predicate holds for, by bisection; `low` if
    it holds for none."""
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low
