"""The console says why a step taught nothing."""

import pytest

from fdjax.config import DistillationStage, PolicyGradientStage
from fdjax.training.notes import notes

WELL = {
    "cost/rollouts": 16,
    "truncated": 0.1,
    "unverified": 0,
    "solve_rate": 0.2,
    "feedback/given": 0.7,
    "rows": 11,
    "skipped": 0.0,
    "zero_variance_groups": 0.25,
    "loss": 0.1,
}


def told(stage, **changes):
    return list(notes(stage, 0, WELL | changes, 600))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"truncated": 0.75, "feedback/given": 0.2, "rows": 1},
            "75% of the attempts are cut off by",
        ),
        ({"unverified": 12}, "no decision on 75%"),
        (
            {"feedback/given": 0.1, "rows": 1, "feedback/llm: HTTP 400": 12},
            "10% of the attempts have feedback, though 70% ended and were refused: llm: HTTP",
        ),
        (
            {"feedback/given": 0.1, "feedback/by_llm: m": 1.0, "feedback/dropped: leak": 9},
            "refused: dropped: leak (9)",
        ),
        ({"rows": 2}, "2 rows of 11 attempts with feedback"),
        ({"rows": 0, "feedback/given": 0.0}, "nothing to learn from: the step is skipped"),
        ({"skipped": 1.0, "loss": float("nan")}, "its loss is nan"),
    ],
)
def test_what_most_attempts_were_lost_for(changes, text):
    assert any(text in note for note in told(DistillationStage(), **changes))


def test_a_step_that_teaches_needs_no_words():
    assert told(DistillationStage()) == []
    without_feedback = {"feedback/given": 0.0, "zero_variance_groups": 0.75}
    assert told(PolicyGradientStage(), **without_feedback) == []
    assert "75% of the groups" in told(PolicyGradientStage(), **without_feedback, rows=0)[0]
