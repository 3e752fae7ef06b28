"""What a step's feedback gave away and how useful it was. Its costs: fdjax/reporting/costs.py."""

import collections
import re
from collections.abc import Iterable, Sequence

import numpy as np

from fdjax.types import Group

NGRAM = 4  # Lean tokens; shorter sequences such as `sq_nonneg (a` are common to many proofs
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


def mentions_feedback(proof: str) -> bool:
    """Does an attempt cite what the student was not shown ("as the feedback says")?"""
    return _PHRASES.search(proof) is not None


def feedback_metrics(groups: Sequence[Group]) -> dict[str, float]:
    """Keys begin with `feedback/`. Empty without any feedback.

    given: the share of attempts with feedback. leak: its mean overlap with reference proofs, where
    there is any.
    echo: the share of attempts that mention feedback. Where language models were asked: requests,
    their number; failed_share, the share of those without a useful answer; by_NAME, the share
    of the feedback that each provider wrote. And the number of times each problem occurred.
    """
    feedbacks = [feedback for group in groups for *_, feedback in group]
    present = [feedback for feedback in feedbacks if feedback is not None]
    if not present:
        return {}
    given = [feedback for feedback in present if feedback.messages]
    proofs = [attempt.candidate.text for group in groups for _, attempt, *_ in group]
    figures = {
        "given": len(given) / len(feedbacks),
        "echo": float(np.mean([mentions_feedback(proof) for proof in proofs])),
    }
    if given:
        figures["leak"] = float(np.mean([feedback.leak for feedback in given]))
    if requests := sum(feedback.requests for feedback in present):
        failed = sum(feedback.failed_requests for feedback in present)
        figures |= {"requests": requests, "failed_share": failed / requests}
        writers = collections.Counter(feedback.provider for feedback in given)
        figures |= {f"by_{name}": count / len(given) for name, count in writers.items()}
    problems = collections.Counter(p for feedback in present for p in feedback.problems)
    return {f"feedback/{name}": value for name, value in (figures | problems).items()}


def _ngrams(tokens: Sequence[str], n: int) -> set[tuple[str, ...]]:
    return set(zip(*(tokens[i:] for i in range(n)))) if n else set()
