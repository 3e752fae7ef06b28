"""Lean's messages as text for a model: places, and cuts that keep what matters."""

import pytest

from fdjax.lean.report import cut, cut_middle, error_messages, fit, located
from fdjax.types import Message, Verdict

TEXT = " by\n  intro h\n  exact k"


def test_the_first_error_is_shown_with_its_line():
    place = TEXT.index("exact")
    error = Message("error", "Unknown identifier `k`", start=place + 6, end=place + 7)
    verdict = Verdict("failed", (error,))
    assert error_messages(verdict, TEXT) == ("Lean refuses exact k", "Unknown identifier `k`")
    assert located(error, TEXT) == "3:8: error: Unknown identifier `k`"


def test_without_a_place_or_an_error():
    nowhere = Verdict("failed", (Message("error", "no theorem was added"),))
    assert error_messages(nowhere, TEXT) == ("no theorem was added",)
    assert located(nowhere.messages[0], TEXT) == "error: no theorem was added"
    assert error_messages(Verdict("proved"), TEXT) == ()


GOALS = "unsolved goals\n" + "".join(f"h{i} : p{i}\n" for i in range(50)) + "⊢ q ∧ p"


def test_a_cut_keeps_the_beginning_and_the_goal():
    short = cut(GOALS, 60)
    assert 40 < len(short) <= 60
    assert short.startswith("unsolved goals\n") and short.endswith("\n⊢ q ∧ p")
    assert short.count("...") == 1
    assert cut(GOALS, len(GOALS)) == GOALS


def test_of_several_goals_the_first_is_kept():
    two = f"{GOALS}\n\ncase right\n⊢ r"
    assert cut(two, len(GOALS) + 4) == f"{GOALS}\n..."
    assert cut(two, 60) == cut(GOALS, 60)


def test_without_a_goal_the_beginning_is_kept():
    assert cut("Invalid field `mpr`: there is\nnone of\nthat name", 30) == (
        "Invalid field `mpr`: there ..."
    )


@pytest.mark.parametrize("budget", range(0, 40, 3))
def test_a_cut_is_within_its_budget_by_any_measure(budget):
    for measure in (len, lambda text: len(text.split()), lambda text: len(text.encode())):
        for text in (GOALS, GOALS.replace("\n", ""), "⊢" * 100, "", "\n\n"):
            assert measure(cut(text, budget, measure)) <= budget
            assert measure(cut_middle(text, budget, measure)) <= budget


def test_of_a_dialogue_the_beginning_and_the_end_are_kept():
    text = "begin\n" + "x\n" * 100 + "end"
    assert cut_middle(text, 23) == cut_middle(text, 24) == "begin\nx\nx\nx\n...\nx\nx\nend"
    assert cut_middle(text, 12) == "begin\nx\nx..."  # not even "begin\n...\nend"
    assert cut_middle(text, len(text)) == text and cut_middle("x" * 50, 10) == "x" * 7 + "..."


def test_parts_that_fit_are_whole_and_the_next_is_cut():
    parts = ("first", "second part", "the third part")
    assert fit(parts, 100) == "\n".join(parts) and fit((), 0) == ""
    assert fit(("first", "second", "3"), 14) == "first\nsecond\n3"
    assert fit(parts, len("first\nsecond...\n(1 more)")) == "first\nsecond...\n(1 more)"
    assert fit(parts, len("first\n(2 more)")) == "first\n(2 more)"
    for budget in range(40):
        assert len(fit(parts, budget)) <= budget


def test_very_many_parts_are_measured_a_few_times():
    """A file of 32,768 short lines, as `read` shows it."""
    measured = []

    def measure(text):
        measured.append(text)
        return len(text)

    text = fit([f"{n}: " for n in range(1, 32_769)], 20_000, measure)
    assert text.startswith("1: \n2: ") and text.endswith(" more)") and 19_900 < len(text) <= 20_000
    assert len(measured) < 60 and max(map(len, measured)) < 3 * 20_000
