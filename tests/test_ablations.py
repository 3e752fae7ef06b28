"""The grids of launch/ablations.py, and the effects that launch/effects.py finds in such runs."""

import importlib
import itertools
import sys
from pathlib import Path

import pytest

from fdjax.config import read
from fdjax.reporting.workdir import RunFolder, StageFolder

LAUNCH = Path(__file__).parent.parent / "launch"


@pytest.fixture(scope="module")
def ablations():
    sys.path.insert(0, str(LAUNCH))
    yield importlib.import_module("ablations")
    sys.path.remove(str(LAUNCH))


@pytest.fixture(scope="module")
def effects(ablations):
    return importlib.import_module("effects")


def test_one_field_at_a_time(ablations):
    variants = ablations.variants("fields")
    assert variants[0] == {} and variants[-1] == ablations.CONTROL
    assert all(len(changes) == 1 for changes in variants[1:])
    assert len(variants) == 2 + sum(len(values) - 1 for values in ablations.FIELDS.values())


def test_the_product_holds_each_combination_once(ablations):
    variants = ablations.variants("product")
    assert len({tuple(sorted(v.items())) for v in variants}) == len(variants) == 3 * 2 * 3 * 5 + 1
    assert all(v in variants for v in ablations.variants("fields"))
    corners = ablations.variants("corners")
    assert len(corners) == 2**4 + 1 and all(v in variants for v in corners)


def test_each_run_differs_from_the_default_in_its_fields_alone(ablations):
    configs = [config for _, config in ablations.ablations("product", 60)]
    base = configs[0]
    assert base.fd.steps == 60
    for changes, config in zip(ablations.variants("product"), configs, strict=True):
        fields = ablations.config_fields(changes)
        assert len(fields) >= len(changes)
        for field, value in fields.items():
            *blocks, name = field.split(".")
            changed, default = config, base
            for block in blocks:
                changed, default = changed[block], default[block]
            assert changed[name] == value != default[name]
            changed[name] = default[name]
        assert config.to_dict() == base.to_dict()


def test_levels_of_feedback_are_those_of_the_config(ablations):
    levels = {}
    for name, config in ablations.ablations("fields", 60):
        feedback = read(config).feedback
        levels[name] = getattr(feedback, feedback.provider).level
    assert levels.pop("default") == "correction"
    assert [f"level={level}" for level in ablations.LEVELS][1:] == [
        name for name, level in levels.items() if name == f"level={level}"
    ]


def test_recipes_make_equally_many_attempts(ablations):
    configs = dict(ablations.recipes(60))
    assert set(configs) == set(ablations.RECIPES)
    assert configs["fd_grpo"].stages == ("sft", "fd", "grpo")
    assert configs["fd_grpo weighted"].stages == ("sft", "weighted")
    for name, config in configs.items():
        attempts = 0
        for stage in (config[s] for s in config.stages[1:]):
            a_round = stage.get("steps_per_round", 1)
            rounds = -(-stage.steps // a_round)
            attempts += rounds * stage.prompts_per_step * stage.samples_per_prompt
        assert attempts == 60 * 16 * 8, name


def result(effects, name, solved, entropy, **changes):
    fields = {f.replace("_", ".", 1): v for f, v in changes.items()}
    settings = effects.DEFAULTS | {"seed": 0} | fields
    figures = {
        "solved": solved,
        "samples": 64,
        "entropy": entropy,
        "pass_at_k": {k: {"mean": 0.0} for k in ("1", "16", "64")},
    }
    return effects.Result(name, settings, figures, figures)


def test_results_are_read_from_runs(effects):
    feedback = {"provider": "lean_messages", "lean_messages": {"level": "error"}, "shuffle": False}
    stage = {"alpha": 0.5, "distill_attempts": "all", "teacher": "ema"}
    config = {"seed": 3, "stage": stage, "feedback": feedback, "fingerprint": "end"}
    evaluations = [
        {"key": {"policy": p, "split": split, "temperature": t}, "figures": (p, split, t)}
        for p, split, t in itertools.product(("start", "end"), ("train", "test"), (1.0, 0.6))
    ]
    run = RunFolder("a", [StageFolder("fd", config, [], None)], "start", evaluations)
    name, settings, figures, start = effects.read_result(run)
    assert (name, figures, start) == ("a", ("end", "train", 1.0), ("start", "train", 1.0))
    assert settings == effects.DEFAULTS | {"seed": 3, "fd.alpha": 0.5, "feedback.level": "error"}


def test_an_effect_is_the_mean_over_pairs_that_differ_in_nothing_else(effects):
    """Four corners by hand: alpha = 1 adds 8 of 64 to theorem a for all attempts and 16
    for failed ones."""
    runs = [
        result(effects, "1", {"a": 16, "b": 0}, 0.3),
        result(effects, "2", {"a": 24, "b": 0}, 0.2, fd_alpha=1.0),
        result(effects, "3", {"a": 32, "b": 0}, 0.5, fd_distill_attempts="failed"),
        result(effects, "4", {"a": 48, "b": 0}, 0.1, fd_alpha=1.0, fd_distill_attempts="failed"),
        result(effects, "5", {"a": 64, "b": 64}, 0.1, fd_alpha=0.5, feedback_level="step"),
    ]
    head, rows = effects.effects(runs)
    assert head[:4] == ["value", "in place of", "pairs", "pass@1"]
    assert [row[:3] for row in rows] == [
        ["`fd.alpha=1.0`", "0.0", "2"],
        ["`fd.distill_attempts=failed`", "all", "2"],
    ]
    assert rows[0][3].split()[0] == f"{(8 + 16) / 2 / 64 / 2:+.3f}"  # two pairs, two theorems
    assert rows[1][3].split()[0] == f"{(16 + 24) / 2 / 64 / 2:+.3f}"
    assert rows[0][-1] == "-0.250 (-0.400 to -0.100)"
