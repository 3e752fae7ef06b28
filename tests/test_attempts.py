"""Figures of attempts, against cases counted by hand."""

import pytest

from fdjax.rollout.attempts import policy_entropy, submit
from fdjax.types import Attempt, Candidate, Segment, Theorem


def attempt(own: int, tool: int, entropy: float) -> Attempt:
    segments = (Segment((1,) * own), Segment((2,) * tool, "tool"))
    return Attempt("t", 0, segments, (0.0,) * (own + tool), True, Candidate(""), (), entropy)


def test_entropy_is_weighted_by_the_tokens_that_the_model_wrote():
    assert policy_entropy([attempt(3, 5, 0.2), attempt(1, 0, 1.0)]) == pytest.approx(1.6 / 4)
    assert policy_entropy([]) == 0


def test_a_response_without_a_proof_is_rejected_without_lean():
    class Farm:
        def submit(self, theorem, candidate, urgent):
            return (theorem.id, candidate)

    theorem = Theorem(id="t", name="t", signature=": True")
    read = Attempt("t", 0, (), (), True, Candidate(" trivial"), ())
    assert submit(Farm(), theorem, read) == ("t", Candidate(" trivial"))
    unread = Attempt("t", 0, (), (), True, Candidate("I give up"), (), refusal="no block")
    verdict = submit(Farm(), theorem, unread).result(timeout=0)
    assert (
        verdict.status,
        verdict.first_error_message.text,
        verdict.first_error_message.start,
    ) == ("rejected", "no block", None)
