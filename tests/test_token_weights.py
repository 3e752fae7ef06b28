"""Which attempts are distilled, and what their tokens weigh."""

import dataclasses

import pytest

from fdjax.batches.token_weights import first_token_at, solve_rate, token_lines, token_weights
from fdjax.config import DistillationConfig, DistillationVariants
from fdjax.types import Attempt, Candidate, Feedback, Message, Segment, Theorem, Verdict

THEOREM = Theorem(id="t", name="t", signature=": True")
FEEDBACK = Feedback(("use this",), "test")
PROOF = " by\n  intro h\n  exact h"
#                 6      13   16     22
OFFSETS = (6, 12, 16, 22, 23)


def attempt(segments=None, finished=True):
    segments = segments or (Segment((4, 5, 6, 7, 2)),)
    return Attempt("t", 0, segments, (-0.5,) * 5, finished, Candidate(PROOF), OFFSETS)


def item(status="failed", wrong=None, feedback=FEEDBACK, **changes):
    """`wrong`: the character that Lean's error is about."""
    messages = () if wrong is None else (Message("error", "no", start=wrong, end=wrong + 1),)
    return THEOREM, attempt(**changes), Verdict(status, messages), feedback


def config(**changes):
    names = {field.name for field in dataclasses.fields(DistillationVariants)}
    variants = {name: changes.pop(name) for name in names & changes.keys()}
    return DistillationConfig(
        **{"success_weight": 1.0} | changes, variants=DistillationVariants(**variants)
    )


def weights(groups, **settings):
    return [weighted.weights for weighted in token_weights(config(**settings), groups)]


def test_first_token_at_finds_the_token_that_holds_a_character():
    found = [first_token_at(attempt(), p) for p in (0, 6, 11, 12, 15, 16, 22, 23, 99)]
    assert found == [0, 0, 0, 1, 1, 2, 3, 4, 4]


def test_lines_are_those_that_hold_tokens():
    assert token_lines(attempt()) == [0, 0, 1, 1, 1]
    blank = Attempt(
        "t", 0, (Segment((4, 5)),), (0, 0), True, Candidate(" by\n\n\n  a\n\n\n  b"), (8, 15)
    )
    assert token_lines(blank) == [0, 1]


def test_attempts_are_admitted_by_their_verdicts():
    group = [
        item("proved"),
        item("failed"),
        item("rejected"),
        item("timeout"),
        item("failed", feedback=None),
        item("failed", finished=False),
    ]
    assert len(weights([group])) == 3
    assert len(weights([group], distill_attempts="failed")) == 2


def test_groups_that_are_solved_too_often_are_left_out():
    half = [item("proved"), item("failed"), item("timeout")]
    unsolved = [item("failed"), item("rejected")]
    assert solve_rate(half) == 0.5 and solve_rate([item("timeout")]) == 0
    assert len(weights([half, unsolved])) == 4
    assert len(weights([half, unsolved], solved_below=0.5)) == 2
    assert len(weights([half, unsolved], solved_below=0.51)) == 4


@pytest.mark.parametrize(
    ("span", "wrong_h", "none_known"),
    [
        ("up_to_error", [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]),
        ("from_error", [0, 0, 0, 1, 1], None),
        ("all", [1, 1, 1, 1, 1], [1, 1, 1, 1, 1]),
    ],
)
def test_which_tokens_are_learned(span, wrong_h, none_known):
    assert weights([[item(wrong=22)]], learn_tokens=span) == [wrong_h]
    # An attempt with nothing to learn from is left out.
    assert weights([[item()]], learn_tokens=span) == ([none_known] if none_known else [])


def test_feedback_names_the_first_error_before_lean_does():
    feedback = Feedback(("use this",), "test", first_error=12)
    [weighted] = token_weights(config(), [[item(wrong=22, feedback=feedback)]])
    assert weighted.first_error_token == 1 and weighted.weights == [1, 1, 0, 0, 0]


def test_tools_and_first_tokens_are_not_learned():
    tool = (Segment((4,)), Segment((5, 6), "tool"), Segment((7, 2)))
    assert weights([[item(segments=tool)]]) == [[1, 0, 0, 1, 1]]
    assert weights([[item(segments=tool)]], skip_tokens=2) == [[0, 0, 0, 0, 1]]
    assert weights([[item(segments=tool)]], skip_tokens=5) == []


def test_successes_weigh_less():
    group = [item("proved"), item("failed")]
    assert weights([group], success_weight=0.25) == [[0.25] * 5, [1] * 5]
    assert weights([group], success_weight=0.0) == [[1] * 5]


def test_groups_weigh_by_the_spread_of_their_verdicts():
    """sqrt(p(1-p)) over its mean over the attempts; a group without spread has none."""
    half = [item("proved"), item("failed")]  # .5
    fifth = [item("proved"), *[item("failed")] * 4]  # .4
    no_spread = [item("failed"), item("timeout")]
    got = weights([half, no_spread, fifth], group_weights="spread", distill_attempts="failed")
    mean = (0.5 + 4 * 0.4) / 5
    assert [w[0] for w in got] == pytest.approx([0.5 / mean, *[0.4 / mean] * 4])
    assert weights([no_spread], group_weights="spread") == []
