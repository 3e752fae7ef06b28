"""Which theorems a step takes: all in turn, or those that are proved neither always nor never."""

import collections
import json

import numpy as np
import pytest
from rollouts import FakeWorker, Steps

from fdjax.config import ConfigError, CurriculumConfig, PolicyGradientStage, default, read
from fdjax.rollout.curriculum import MAX_VISITS, Curriculum, in_epochs
from fdjax.training import sources
from fdjax.types import Theorem, Verdict

THEOREMS = [Theorem(f"t{i}", "t", ": " + "p → " * i + "p") for i in range(12)]


def make_curriculum(batch=4, depth=0, **fields):
    return Curriculum(THEOREMS, batch, 0, CurriculumConfig(**fields), depth)


def group(i, statuses):
    return [(THEOREMS[i], None, Verdict(status), None) for status in statuses]


def rated(curriculum, rates, step=0, samples=10):
    """`curriculum` after a visit of every theorem, proved as often as `rates` say."""
    curriculum.note(
        step,
        [
            group(i, ["proved"] * round(samples * r) + ["failed"] * round(samples * (1 - r)))
            for i, r in enumerate(rates)
        ],
    )
    return curriculum


RATES = [0.0, 1.0, 0.5, 0.1, 0.9, 0.0, 1.0, 0.4, 0.6, 0.2, 0.8, 0.3]


def test_an_epoch_takes_every_item_once():
    taken = [i for step in range(6) for i in in_epochs(12, 4, step, (0, 1))]
    assert sorted(taken[:12]) == sorted(taken[12:]) == list(range(12))
    assert taken[:12] != taken[12:]
    assert in_epochs(12, 4, 4, (0, 1)) == taken[16:20] != in_epochs(12, 4, 4, (1, 1))
    assert len(in_epochs(3, 8, 0, (0,))) == 8  # a batch may be larger than an epoch


def test_epochs_are_the_default_and_leave_nothing_to_save():
    plain = rated(make_curriculum(), RATES)
    steps = [plain.choose(step) for step in range(6)]
    assert steps == [in_epochs(12, 4, step, (0, 1)) for step in range(6)]
    assert sorted(steps[0] + steps[1] + steps[2]) == list(range(12))
    assert plain.history == {} and plain.metrics(3) == {}


def test_what_is_always_or_never_proved_gives_its_place_to_others():
    curriculum = rated(make_curriculum(window=1, keep_probability=0.0), RATES)
    assert curriculum.passed_over(1) == {0, 1, 5, 6}
    assert curriculum.metrics(1) == {"passed_over": 4 / 12}
    for step in range(1, 40):
        chosen, plain = curriculum.choose(step), in_epochs(12, 4, step, (0, 1))
        assert not {0, 1, 5, 6} & set(chosen) and len(set(chosen)) == 4
        assert all(x == y for x, y in zip(chosen, plain) if y not in {0, 1, 5, 6})
        assert chosen == curriculum.choose(step)  # a function of step and history


def test_bounds_and_window_count_visits_of_decided_attempts():
    curriculum = rated(
        make_curriculum(window=2, min_solve_rate=0.15, max_solve_rate=0.85, keep_probability=0.0),
        RATES,
    )
    assert curriculum.passed_over(1) == set()  # one visit is no window
    rated(curriculum, RATES[::-1], step=1)
    mean = (np.array(RATES) + RATES[::-1]) / 2
    assert curriculum.passed_over(2) == {i for i, r in enumerate(mean) if not 0.15 < r < 0.85}
    undecided = make_curriculum(window=1, keep_probability=0.0)
    undecided.note(0, [group(0, ["timeout", "crashed"]), group(1, ["proved", "timeout"])])
    assert undecided.passed_over(1) == {1}  # of the first theorem nothing was decided
    rated(curriculum, [0.5] * 12, step=2), rated(curriculum, [0.5] * 12, step=3)
    assert curriculum.passed_over(4) == set()  # forgotten
    assert all(len(visits) == 2 for visits in curriculum.history.values())


def test_a_theorem_met_twice_in_a_step_is_one_visit():
    curriculum = make_curriculum(window=2)
    curriculum.note(0, [group(0, ["proved"]), group(0, ["failed", "proved"])])
    assert curriculum.history == {"t0": [[0, 2, 3]]}


def test_now_and_then_they_are_tried_again():
    curriculum = rated(make_curriculum(window=1, keep_probability=0.3), RATES)
    taken = [i for step in range(1, 1501) for i in curriculum.choose(step)]
    plain = [i for step in range(1, 1501) for i in in_epochs(12, 4, step, (0, 1))]
    shares = collections.Counter(taken)
    for i in (0, 1, 5, 6):
        assert shares[i] / plain.count(i) == pytest.approx(0.3, abs=0.07)


def test_where_all_are_passed_over_they_are_taken_all_the_same():
    curriculum = rated(make_curriculum(window=1, keep_probability=0.0), [0.0] * 11 + [0.5])
    for step in range(1, 10):
        chosen = curriculum.choose(step)
        assert 11 in chosen and len(chosen) == 4
    alone = rated(make_curriculum(window=1, keep_probability=0.0), [1.0] * 12)
    assert alone.choose(5) == in_epochs(12, 4, 5, (0, 1))


def test_the_last_ones_in_between_are_not_all_that_is_trained_on():
    rates = [float(i % 2) for i in range(12)]
    rates[7] = rates[8] = 0.5
    curriculum = rated(make_curriculum(window=1, keep_probability=0.0), rates)
    # A theorem may fill MAX_VISITS places of an epoch before its turn comes.
    most = MAX_VISITS + 1
    for epoch in range(1, 9):
        taken = []
        for step in range(3 * epoch, 3 * epoch + 3):
            chosen = curriculum.choose(step)
            assert len(set(chosen)) == 4
            taken += chosen
            statuses = {0.0: ["failed"], 0.5: ["proved", "failed"], 1.0: ["proved"]}
            curriculum.note(step, [group(i, statuses[rates[i]]) for i in chosen])
        assert 1 <= taken.count(7) <= most and 1 <= taken.count(8) <= most
        assert len(set(taken)) >= 12 - 2 * (most - 1)  # the others keep their places


def test_refills_are_new_to_the_step_and_end():
    """In an order of their own, with what is passed over last."""
    step, curriculum = 3, rated(make_curriculum(window=1), RATES)
    met, last = curriculum.choose(step), curriculum.passed_over(step)
    first, second, third = (curriculum.refill(step, number) for number in (1, 2, 3))
    assert sorted(met + first + second) == list(range(12)) and third == []
    assert not last & set(first) and last - set(met) <= set(second)
    assert curriculum.refill(step, 1) == first != curriculum.refill(step + 1, 1)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"window": -1}, "window is -1, must be at least 1"),
        (
            {"min_solve_rate": 0.5, "max_solve_rate": 0.5},
            "min_solve_rate is 0.5, must be below max_solve_rate = 0.5",
        ),
        ({"keep_probability": 1.5}, "keep_probability is 1.5, must be at most 1"),
    ],
)
def test_settings_that_cannot_be(fields, message):
    config = default()
    config.grpo.curriculum.update(fields)
    config.stages = ("grpo",)
    with pytest.raises(ConfigError, match=f"grpo.curriculum.{message}"):
        read(config)


# --- The loop ------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("stops", [(1,), (7,), (2, 3, 11)])
def test_a_resumed_run_takes_the_same_theorems(depth, stops, monkeypatch):
    """Also where the journal lost what a run had begun ahead."""
    monkeypatch.setattr(sources, "rollout_metrics", lambda groups: {})
    monkeypatch.setattr(sources, "rollout_costs", lambda generator, groups: {})
    monkeypatch.setattr(sources, "make_to_batch", lambda *_: lambda *_: (None, {}))

    def run(journal, start, end, history):
        curriculum = make_curriculum(depth=depth, window=2, keep_probability=0.1)
        curriculum.history.update(history)

        def groups_of(step, refill):
            """What was attempted is journaled before it is used."""
            if step not in journal:
                journal[step] = curriculum.choose(step)
            rolls = {i: np.random.default_rng([step, i]).random(4) for i in journal[step]}
            return [
                group(i, ["proved" if roll < RATES[i] else "failed" for roll in rolls[i]])
                for i in journal[step]
            ]

        worker = FakeWorker(None, groups_of, curriculum=curriculum)
        stage = PolicyGradientStage(steps=20, pipeline_depth=depth)
        steps = Steps(sources.from_rollouts(stage, worker, None, start), worker)
        for step in range(start, end):
            steps(step)
        return json.loads(json.dumps(curriculum.history))  # as a checkpoint keeps it

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
