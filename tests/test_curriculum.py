"""Which theorems a step takes: all in turn, or those between solved and hopeless."""

import collections
import json

import numpy as np
import pytest

from fdjax.rollout.curriculum import Curriculum, Settings, in_epochs
from fdjax.runtime.metrics import Timers
from fdjax.training import sources as stages
from fdjax.types import Theorem, Verdict

THEOREMS = [
    Theorem(f"t{i}", "t", ": " + "p → " * i + "p", tags=(("easy", "hard")[i % 2],))
    for i in range(12)
]


def curriculum(batch=4, depth=0, **settings):
    return Curriculum(THEOREMS, batch, 0, Settings(**settings), depth)


def group(i, statuses):
    return [(THEOREMS[i], None, Verdict(status), None) for status in statuses]


def rated(of, rates, step=0, samples=10):
    """`of` after a visit of every theorem, solved as often as `rates` say."""
    of.note(
        step,
        [
            group(i, ["proved"] * round(samples * r) + ["failed"] * round(samples * (1 - r)))
            for i, r in enumerate(rates)
        ],
    )
    return of


RATES = [0.0, 1.0, 0.5, 0.1, 0.9, 0.0, 1.0, 0.4, 0.6, 0.2, 0.8, 0.3]


def test_epochs_are_the_default_and_leave_nothing_to_save():
    plain = rated(curriculum(), RATES)
    steps = [plain.choose(step) for step in range(6)]
    assert steps == [in_epochs(12, 4, step, (0, 1)) for step in range(6)]
    assert sorted(steps[0] + steps[1] + steps[2]) == list(range(12))
    assert plain.history == {} and plain.metrics(3) == {}


def test_what_is_solved_or_hopeless_gives_its_place_to_others():
    some = rated(curriculum(window=1, again=0.0), RATES)
    assert some.passed_over(1) == {0, 1, 5, 6} and some.metrics(1) == {"passed_over": 4 / 12}
    for step in range(1, 40):
        chosen, plain = some.choose(step), in_epochs(12, 4, step, (0, 1))
        assert not {0, 1, 5, 6} & set(chosen) and len(set(chosen)) == 4
        assert all(a == b for a, b in zip(chosen, plain) if b not in {0, 1, 5, 6})
        assert chosen == some.choose(step)  # a function of step and history


def test_bounds_and_window_count_visits_of_judged_attempts():
    some = rated(curriculum(window=2, min_solve_rate=0.15, solved=0.85, again=0.0), RATES)
    assert some.passed_over(1) == set()  # one visit is no window
    rated(some, RATES[::-1], step=1)
    mean = (np.array(RATES) + RATES[::-1]) / 2
    assert some.passed_over(2) == {i for i, r in enumerate(mean) if not 0.15 < r < 0.85}
    unjudged = curriculum(window=1, again=0.0)
    unjudged.note(0, [group(0, ["timeout", "crashed"]), group(1, ["proved", "timeout"])])
    assert unjudged.passed_over(1) == {1}  # of the first nothing is known
    rated(some, [0.5] * 12, step=2), rated(some, [0.5] * 12, step=3)
    assert some.passed_over(4) == set()  # forgotten
    assert all(len(visits) == 2 for visits in some.history.values())


def test_a_theorem_met_twice_in_a_step_is_one_visit():
    some = curriculum(window=2)
    some.note(0, [group(0, ["proved"]), group(0, ["failed", "proved"])])
    assert some.history == {"t0": [[0, 2, 3]]}


def test_now_and_then_they_are_tried_again():
    some = rated(curriculum(window=1, again=0.3), RATES)
    taken = [i for step in range(1, 1501) for i in some.choose(step)]
    plain = [i for step in range(1, 1501) for i in in_epochs(12, 4, step, (0, 1))]
    shares = collections.Counter(taken)
    for i in (0, 1, 5, 6):
        assert shares[i] / plain.count(i) == pytest.approx(0.3, abs=0.07)


def test_where_all_are_passed_over_they_are_taken_all_the_same():
    some = rated(curriculum(window=1, again=0.0), [0.0] * 11 + [0.5])
    for step in range(1, 10):
        chosen = some.choose(step)
        assert 11 in chosen and len(chosen) == 4
    alone = rated(curriculum(window=1, again=0.0), [1.0] * 12)
    assert alone.choose(5) == in_epochs(12, 4, 5, (0, 1))


@pytest.mark.parametrize("visits, most", [(1, 2), (2, 3), (9, 3)])
def test_the_last_ones_in_between_are_not_all_that_is_trained_on(visits, most):
    rates = [float(i % 2) for i in range(12)]
    rates[7] = rates[8] = 0.5
    some = rated(curriculum(window=1, again=0.0, visits=visits), rates)
    for epoch in range(1, 9):
        taken = []
        for step in range(3 * epoch, 3 * epoch + 3):
            chosen = some.choose(step)
            assert len(set(chosen)) == 4
            taken += chosen
            said = {0.0: ["failed"], 0.5: ["proved", "failed"], 1.0: ["proved"]}
            some.note(step, [group(i, said[rates[i]]) for i in chosen])
        assert 1 <= taken.count(7) <= most and 1 <= taken.count(8) <= most
        assert len(set(taken)) >= 12 - 2 * (most - 1)  # the others keep their places
    easy = curriculum(ramp="length", ramp_start=0.17, ramp_steps=99, again=0.0, visits=1)
    for step in range(3):  # what is too hard never does
        assert {0, 1} <= set(easy.choose(step)) and len(set(easy.choose(step))) == 4
        easy.note(step, [group(i, ["failed"]) for i in easy.choose(step)])


def test_refills_are_new_to_the_step_and_end():
    """In an order of their own, with what is passed over last."""
    step, of = 3, rated(curriculum(window=1), RATES)
    met, last = of.choose(step), of.passed_over(step)
    first, second, third = (of.refill(step, number) for number in (1, 2, 3))
    assert sorted(met + first + second) == list(range(12)) and third == []
    assert not last & set(first) and last - set(met) <= set(second)
    assert of.refill(step, 1) == first != of.refill(step + 1, 1)


def test_ramps():
    by_length = curriculum(ramp="length", ramp_start=0.25, ramp_steps=10, again=0.0)
    assert by_length.passed_over(0) == set(range(4, 12))
    assert by_length.passed_over(5) == set(range(8, 12)) and by_length.passed_over(10) == set()
    assert set(by_length.choose(0)) <= set(range(4))
    by_tag = curriculum(ramp="easy, hard", ramp_start=0.0, ramp_steps=4, again=0.0)
    assert by_tag.passed_over(1) == {1, 3, 5, 7, 9, 11} and by_tag.passed_over(2) == set()
    by_rate = curriculum(
        ramp="solve_rate",
        window=1,
        min_solve_rate=-1,
        solved=2,
        ramp_start=0.5,
        ramp_steps=5,
        again=0.0,
    )
    assert by_rate.passed_over(0) == set()  # nothing is known
    rated(by_rate, RATES, step=0)
    assert by_rate.passed_over(1) == {i for i, r in enumerate(RATES) if 1 - r > 0.6}


@pytest.mark.parametrize(
    "settings, told",
    [
        ({"window": -1}, "window is -1"),
        ({"min_solve_rate": 0.5, "solved": 0.5}, "hopeless is 0.5, must be below solved = 0.5"),
        ({"again": 1.5}, "again is 1.5"),
        ({"visits": 0}, "visits is 0"),
        ({"ramp": "length"}, "needs ramp_steps"),
        ({"ramp": "solve_rate", "ramp_steps": 3}, "needs a window"),
        ({"ramp": "lenght", "ramp_steps": 3}, "no theorem has the tag 'lenght'; known are length"),
    ],
)
def test_settings_that_cannot_be(settings, told):
    with pytest.raises(ValueError, match=told):
        curriculum(**settings)


# --- The loop ------------------------------------------------------------------------------------


class RolloutWorker:
    """Rolls out what the curriculum says; what it attempted is journaled before it is used."""

    def __init__(self, of, journal):
        self.curriculum, self.journal, self.timers = of, journal, Timers()
        self.cost = lambda groups: {}

    def launch(self, step, state):
        if step not in self.journal:
            self.journal[step] = self.curriculum.choose(step)
        groups = [
            group(
                i,
                [
                    "proved" if v else "failed"
                    for v in np.random.default_rng([step, i]).random(4) < RATES[i]
                ],
            )
            for i in self.journal[step]
        ]
        return lambda state: groups


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("stops", [(1,), (7,), (2, 3, 11)])
def test_a_resumed_run_takes_the_same_theorems(depth, stops, monkeypatch):
    """Also where the journal lost what a run had launched ahead."""
    monkeypatch.setattr(stages, "rollout_metrics", lambda groups: {})
    settings = dict(window=2, again=0.1, ramp="length", ramp_start=0.5, ramp_steps=6)

    def run(journal, start, end, history):
        of = curriculum(depth=depth, **settings)
        of.history.update(history)
        to_batch = lambda *_: stages.Step(None, {})  # noqa: E731
        source = stages.from_rollouts(RolloutWorker(of, journal), to_batch, steps=20, depth=depth)
        for step in range(start, end):
            source(step, None)
        return json.loads(json.dumps(of.history))  # as a checkpoint keeps it

    whole, resumed = {}, {}
    end = run(whole, 0, 20, {})
    history, start = {}, 0
    for stop in (*stops, 20):
        history, start = run(resumed, start, stop, history), stop
        for step in [s for s in resumed if s >= stop + depth // 2]:
            del resumed[step]
    run(resumed, 20, 20, history)
    assert {s: whole[s] for s in resumed} == resumed and history == end
    assert any(whole[s] != in_epochs(12, 4, s, (0, 1)) for s in whole)
