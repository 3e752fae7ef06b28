"""Figures of attempts, against cases counted by hand."""

import pytest

from fdjax.rollout.attempts import Attempt, Segment, policy_entropy


def attempt(own: int, tool: int, entropy: float) -> Attempt:
    segments = (Segment((1,) * own), Segment((2,) * tool, "tool"))
    return Attempt("t", 0, segments, (0.0,) * (own + tool), True, "", (), entropy)


def test_entropy_is_weighted_by_the_tokens_that_the_model_wrote():
    assert policy_entropy([attempt(3, 5, 0.2), attempt(1, 0, 1.0)]) == pytest.approx(1.6 / 4)
    assert policy_entropy([]) == 0
