"""Of what use a step's feedback was, by the feedback itself. Its costs: fdjax/reporting/costs.py."""

import collections
from collections.abc import Iterable, Sequence

import numpy as np

from fdjax.feedback.leak import speaks_of_feedback


def feedback_metrics(groups: Sequence[Sequence[tuple]]) -> dict[str, float]:
    """`groups`: of (theorem, attempt, verdict, feedback or None). Empty without any feedback.

    given: the share of attempts with feedback. leak: its mean overlap with reference proofs.
    echo: the share of attempts that speak of feedback. Where language models were asked:
    unanswered, the share of answers that did not come or were of no use; by ...: the share of
    the feedback that each provider wrote, so how often another one had to stand in. And how often
    each trouble occurred.
    """
    said = [feedback for group in groups for *_, feedback in group]
    known = [feedback for feedback in said if feedback is not None]
    if not known:
        return {}
    given = [feedback for feedback in known if feedback.messages]
    proofs = [attempt.candidate.text for group in groups for _, attempt, *_ in group]
    figures = {
        "given": len(given) / len(said),
        "leak": _mean(feedback.leak for feedback in given),
        "echo": _mean(map(speaks_of_feedback, proofs)),
    }
    if asked := sum(feedback.asked for feedback in known):
        unanswered = sum(feedback.unanswered for feedback in known)
        figures |= {"asked": asked, "unanswered": unanswered / asked}
        writers = collections.Counter(feedback.provider for feedback in given)
        figures |= {f"by {name}": count / len(given) for name, count in writers.items()}
    troubles = collections.Counter(t for feedback in known for t in feedback.troubles)
    return {f"feedback/{name}": value for name, value in (figures | troubles).items()}


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return float(np.mean(values)) if values else 0.0
