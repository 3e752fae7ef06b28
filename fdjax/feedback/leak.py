"""Does feedback give the reference proof away, and do attempts speak of feedback they never saw?"""

import dataclasses
import re
from collections.abc import Iterable, Sequence

from fdjax.types import Feedback, Item, Moment, Provider

NGRAM = 4  # tokens: `sq_nonneg (a -` is one's own idea no more
_TOKEN = re.compile(r"[^\W\d][\w'!?]*(?:\.[\w'!?]+)*|\d+|[^\w\s`]")
_PHRASES = re.compile(
    r"\b(?:(?:the|your|this|that|given|provided|above) (?:feedback|hint|teacher|tutor|reviewer)"
    r"|(?:feedback|hint|reviewer|teacher) (?:says|said|suggests|suggested|tells|told|mentions)"
    r"|(?:reference|official|sample|provided|given) (?:proof|solution)"
    r"|as (?:suggested|instructed|advised|pointed out)"
    r"|(?:previous|earlier|last|failed) attempts?)\b",
    re.IGNORECASE,
)


def overlap(text: str, reference: str, known: Iterable[str] = ()) -> float:
    """The share of the reference's n-grams of Lean tokens that stand in `text`, 0..1.

    Those that also stand in one of the `known` texts do not count: they give nothing away.
    n is NGRAM, or the length of a shorter reference.
    """
    tokens = _TOKEN.findall(reference)
    n = min(NGRAM, len(tokens))
    secret = _ngrams(tokens, n).difference(*(_ngrams(_TOKEN.findall(k), n) for k in known))
    return len(secret & _ngrams(_TOKEN.findall(text), n)) / len(secret) if secret else 0.0


def speaks_of_feedback(proof: str) -> bool:
    """Does an attempt cite what its author was not shown ("as the feedback says")?"""
    return _PHRASES.search(proof) is not None


def guarded(provider: Provider, limit: float) -> Provider:
    """Measures `leak`. Below a `limit` of 1, what leaks more says nothing, and nothing is said of
    attempts that speak of feedback: the teacher would teach to do so.
    """

    async def provide(
        groups: Sequence[Sequence[Item]], moment: Moment
    ) -> list[list[Feedback | None]]:
        said = await provider(groups, moment)
        return [
            [
                feedback and _measured(feedback, item, group, limit)
                for feedback, item in zip(own, group)
            ]
            for own, group in zip(said, groups)
        ]

    return provide


def _measured(feedback: Feedback, item: Item, group: Sequence[Item], limit: float) -> Feedback:
    if not feedback.messages:
        return feedback
    theorem, attempt, _ = item
    if theorem.reference is not None:
        known = [theorem.signature, theorem.goal or "", *(a.candidate.text for _, a, _ in group)]
        leak = max(feedback.leak, overlap(feedback.text, theorem.reference, known))
        feedback = dataclasses.replace(feedback, leak=leak)
    if feedback.leak > limit:
        return silenced(feedback, "leak dropped")
    if limit < 1 and speaks_of_feedback(attempt.candidate.text):
        return silenced(feedback, "echo dropped")
    return feedback


def silenced(feedback: Feedback, trouble: str) -> Feedback:
    """Of no use: only its costs and what was wrong with it are kept."""
    return dataclasses.replace(
        feedback,
        messages=(),
        first_error=None,
        proof=None,
        unanswered=feedback.asked,
        troubles=(*feedback.troubles, trouble),
    )


def _ngrams(tokens: Sequence[str], n: int) -> set[tuple[str, ...]]:
    return set(zip(*(tokens[i:] for i in range(n)))) if n else set()
