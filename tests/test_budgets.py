"""Figures of episodes by budget, against enumeration and counts by hand."""

import itertools

import numpy as np
import pytest
from episodes import THEOREM, episode

from fdjax.reporting.budgets import (
    Spent,
    attempts_rate,
    count_spent,
    episode_figures,
    equal_tokens,
    first_turns,
    minus_attempts,
    tool_figures,
    within,
)
from fdjax.types import Verdict

PROVED, FAILED = Verdict("proved", seconds=0.5), Verdict("failed", seconds=0.25)


def item(verdict, *turns, **changes):
    return THEOREM, episode(*turns, **changes), verdict


# Two theorems, three episodes each; a turn has three tokens.
EPISODES = [
    [item(PROVED, 3), item(PROVED, 3, 3), item(FAILED, 3, 3, 3)],
    [item(PROVED, 3, 3, 3), item(FAILED, 3, 3, 3), item(Verdict("timeout"), 3, 3, 3)],
]


def test_solve_rates_within_turns():
    spent = count_spent(EPISODES)
    rates = [within(spent, k).mean() for k in (1, 2, 3, 4)]
    np.testing.assert_allclose(rates, [1 / 6, 2 / 6, 3 / 6, 3 / 6])
    figures = episode_figures(EPISODES)
    assert figures["turns"] == pytest.approx((1 + 2 + 3 + 9) / 6)
    assert {k: v["mean"] for k, v in figures["within_turns"].items()} == pytest.approx(
        {"1": 1 / 6, "2": 2 / 6, "3": 3 / 6}
    )
    for value in figures["within_turns"].values():
        assert value["low"] <= value["mean"] <= value["high"]


def test_the_first_turns_of_episodes_are_attempts():
    first = first_turns(EPISODES)
    np.testing.assert_array_equal(first.solved_TS, [[1, 0, 0], [0, 0, 0]])
    assert (first.tokens_TS == 3).all() and (first.turns_TS == 1).all()
    # Within 2 turns 2/3 and 0; one of two first turns is a proof with probability 2/3 and 0.
    change = minus_attempts(count_spent(EPISODES), first)
    assert change["2"]["mean"] == pytest.approx(0, abs=1e-12)
    assert change["3"]["mean"] == pytest.approx(((2 / 3 - 1) + 1 / 3) / 2)


@pytest.mark.parametrize("count", [0, 0.3, 1, 1.75, 2, 3.5, 4])
def test_the_rate_of_a_number_of_attempts_by_enumeration(count):
    rng = np.random.default_rng(0)
    solved = rng.random((5, 4)) < 0.4

    def rate(n):
        chosen = [*itertools.combinations(range(4), n)]
        return [np.mean([row[list(c)].any() if c else False for c in chosen]) for row in solved]

    low, part = int(count), count - int(count)
    expected = np.array(rate(low)) * (1 - part)
    if part:
        expected += part * np.array(rate(low + 1))
    nothing = np.ones((5, 4), int)
    found = attempts_rate(Spent(solved, nothing, nothing), np.full(5, float(count)))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_at_equal_tokens():
    """Theorem by theorem an episode pays for (3+6+9)/3/3 = 2 and for 3 of its first turns."""
    found = equal_tokens(count_spent(EPISODES), first_turns(EPISODES))
    assert found["attempts"] == pytest.approx(2.5)
    assert found["episodes"]["mean"] == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert found["attempts_rate"]["mean"] == pytest.approx((2 / 3 + 0) / 2)
    assert found["difference"]["mean"] == pytest.approx(1 / 6)
    # Paired: the interval is of the differences 0 and 1/3, not of the two rates.
    assert (found["difference"]["low"], found["difference"]["high"]) == pytest.approx((0, 1 / 3))


def test_other_attempts_may_be_independent():
    singles = [[item(PROVED, 2), item(FAILED, 10)] for _ in EPISODES]
    figures = episode_figures(EPISODES, singles)
    assert figures["equal_tokens"]["attempts"] == pytest.approx((6 / 6 + 9 / 6) / 2)
    assert figures["equal_tokens"]["attempts_rate"]["mean"] == pytest.approx((0.5 + 0.75) / 2)
    assert list(figures["minus_attempts"]) == ["2"]
    assert figures["minus_attempts"]["2"]["mean"] == pytest.approx((2 / 3 + 0) / 2 - 1)


def test_too_few_attempts_for_the_tokens():
    singles = [[item(PROVED, 1), item(FAILED, 1)] for _ in EPISODES]
    with pytest.raises(ValueError, match=r"as many tokens as 9\.0 attempts; there are 2 at each"):
        equal_tokens(count_spent(EPISODES), count_spent(singles))
    assert "equal_tokens" not in episode_figures(EPISODES, singles)
    with pytest.raises(ValueError, match="as many attempts"):
        count_spent([EPISODES[0], EPISODES[1][:2]])


def test_tools():
    called = [
        [item(PROVED, 3, 3, calls=3, malformed=1, tool_seconds=1.5), item(FAILED, 3, calls=1)],
        [item(Verdict("failed", seconds=9.0, from_cache=True), 3), item(FAILED, 3)],
    ]
    assert tool_figures(called) == {"calls": 1.0, "malformed": 0.25, "tool_seconds": 1.5 / 2.5}
    assert "minus_attempts" not in episode_figures(called)  # a turn is no attempt there
    assert tool_figures([[item(FAILED, 3)]]) == {"calls": 0, "malformed": 0, "tool_seconds": 0}


def test_attempts_of_one_turn_have_no_such_figures():
    assert episode_figures([[item(PROVED, 3), item(FAILED, 4)]]) == {}
