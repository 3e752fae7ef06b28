"""How much of a reference proof feedback gives away, and which attempts mention feedback."""

import asyncio

import pytest

from fdjax.feedback.compose import guarded
from fdjax.feedback.metrics import mentions_feedback, overlap
from fdjax.types import Attempt, Candidate, Feedback, FeedbackContext, Theorem, Verdict

PROOF = " by\n  nlinarith [sq_nonneg (a - b), sq_nonneg (a + b)]"


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("Think of squares.", 0.0),
        (f"A proof is{PROOF}.", 1.0),
        (f"`{PROOF.strip()}`", 1.0),
        ("nlinarith will do it", 0.0),  # three tokens in a row are anybody's
        ("try nlinarith [sq_nonneg (a + b)]", 6 / 14),  # of 17 tokens, hence 14 4-grams
    ],
)
def test_share_of_the_ngrams(text, share):
    assert overlap(text, PROOF) == pytest.approx(share)


def test_against_counting_by_hand():
    """a b c d e: the 4-grams are abcd, bcde; the text holds the second."""
    assert overlap("so b c d e f", "a b c d e") == 0.5
    assert overlap("so b c d e f", "a b c d e", known=["x b c d e"]) == 0.0
    assert overlap("a b c d e", "a b c d e", known=["b c d e"]) == 1.0


def test_short_references_and_none():
    assert overlap("use by rfl here", "by rfl") == 1.0
    assert overlap("use rfl", "by rfl") == 0.0
    assert overlap("anything", "") == 0.0


@pytest.mark.parametrize(
    ("proof", "mentions"),
    [
        (" by\n  -- as the feedback says\n  simp", True),
        (" by\n  -- Following the hint, use induction", True),
        (" by\n  -- the reference proof uses omega", True),
        (" by\n  have hint := foo.feedback\n  exact hint", False),
        (" by\n  simp", False),
    ],
)
def test_who_mentions_feedback(proof, mentions):
    assert mentions_feedback(proof) is mentions


def give(text, attempt, limit, reference=PROOF, **fields):
    theorem = Theorem("t", "t", "(a b : ℝ) : True", reference=reference)
    item = (theorem, Attempt("t", 0, (), (), True, Candidate(attempt), ()), Verdict("failed"))

    async def say(groups, context):
        return [[Feedback((text,), "test", requests=1, proof=Candidate("p"), **fields)]]

    [[feedback]] = asyncio.run(guarded(say, limit)([[item]], FeedbackContext("fd", 0)))
    return feedback


def test_what_leaks_more_than_the_limit_is_dropped():
    leaking = give(f"write{PROOF}", " by simp", 0.6)
    assert leaking.messages == () and leaking.proof is None and leaking.leak == 1.0
    assert leaking.problems == ("dropped: leak",) and leaking.failed_requests == 1
    assert give("try nlinarith [sq_nonneg (a + b)]", " by simp", 0.6).text
    assert give(f"write{PROOF}", " by simp", None).leak == 1.0  # measured, not dropped
    assert give(f"write{PROOF}", " by simp", None).text
    assert give(f"you wrote{PROOF}", PROOF, 0.1).leak == 0  # the student's own words
    assert give("anything", " by simp", 0.1, reference=None).leak == 0
    assert give("a proof", " by simp", 0.5, leak=0.9).messages == ()  # as the provider says


def test_feedback_on_attempts_that_mention_feedback_is_dropped():
    attempt = " by\n  -- as the feedback says\n  simp"
    assert give("try ring", attempt, 0.6).problems == ("dropped: echo",)
    assert give("try ring", attempt, None).text == "try ring"


def test_costs_without_messages_pass():
    silent = Feedback((), "test", tokens=3)

    async def say(groups, context):
        return [[silent, None]]

    item = (
        Theorem("t", "t", ": True"),
        Attempt("t", 0, (), (), True, Candidate(""), ()),
        Verdict("failed"),
    )
    assert asyncio.run(guarded(say, 0.1)([[item, item]], FeedbackContext("fd", 0))) == [
        [silent, None]
    ]
