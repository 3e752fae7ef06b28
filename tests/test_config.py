import dataclasses
from pathlib import Path

import pytest

from fdjax.config import (
    CombinedStage,
    Config,
    ConfigError,
    DistillationStage,
    LossWeights,
    as_config_dict,
    default,
    distillation_part,
    policy_gradient_part,
    read,
)
from fdjax.config.describe import main, markdown, read_recipe, rows

RECIPES = sorted(Path("configs").glob("*.py"))


def test_the_default_reads_back_as_it_was():
    assert read(default()) == Config()


def test_docs_are_what_the_command_prints():
    assert Path("docs/config.md").read_text() == markdown(), (
        "run `fdjax config --markdown > docs/config.md`"
    )


def test_every_field_has_a_meaning():
    for row in rows(Config()):
        assert row.meaning, row.path


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipes_read(recipe):
    config = read_recipe(str(recipe))
    if recipe.stem == "fd_llm":  # its model is for the user to name
        with pytest.raises(ConfigError, match=r"feedback\.llm\.model is not set"):
            read(config)
        config.feedback.llm.model = "m"
    read(config)


def change(path, value):
    config = block = default()
    *blocks, field = path.split(".")
    for name in blocks:
        block = block[name]
    with block.unlocked(), block.ignore_type():
        block[field] = value
    return config


@pytest.mark.parametrize(
    "path, value, message",
    [
        ("seed", -1, "seed is -1, must be at least 0"),
        ("fd.steps", 0, "fd.steps is 0, must be at least 1"),
        ("fd.steps", "x", "fd.steps is 'x', must be of type int"),
        ("fd.steps", None, "fd.steps is None, must be of type int"),
        ("fd.alpha", 2.0, "fd.alpha is 2.0, must be at most 1"),
        ("fd.teacher", "x", "fd.teacher is 'x', must be one of ema, frozen, live, trust_region"),
        ("fd.stepz", 3, "fd.stepz: there is no such field; did you mean steps?"),
        ("fdd", 3, "fdd: there is no such field"),
        ("fd.objective", "x", "fd.objective is 'x', must be one of supervised"),
        ("fd.optimizer", 3, "fd.optimizer is 3, must hold fields"),
        ("prompt.student_buckets", (), "prompt.student_buckets is (), must hold at least one"),
        ("prompt.student_buckets", (8, 0), r"prompt.student_buckets is (8, 0), must be at least 1"),
        ("stages", ("sft", "fx"), "stages: the config has no block named fx"),
        ("stages", ("sft", "sft"), "must name at least one, and each once"),
        ("fd.row_buckets", (64,), "must hold prompts_per_step * samples_per_prompt = 128 rows"),
        ("fd.minibatches", 3, "do not split into minibatches=3"),
        ("fd.variants.support", "student", "are about the top_k"),
        ("fd.variants.estimator", "k1", "has the gradient of alpha=1.0"),
        ("feedback.provider", "oracle,oracle", "name each provider once"),
        ("feedback.provider", "oracel", "did you mean oracle?"),
        ("feedback.provider", "llm", "feedback.llm.model is not set"),
        ("lean.allow_helpers", True, "set lean.replay, too"),
    ],
)
def test_what_cannot_be_is_refused_by_name(path, value, message):
    with pytest.raises(ConfigError) as error:
        read(change(path, value))
    assert message in str(error.value)


def test_settings_of_stages_that_do_not_run_are_not_compared():
    config = default()
    config.grpo.row_buckets = (4,)
    assert read(config).blocks["grpo"].row_buckets == (4,)


def test_parts_of_a_combined_stage():
    stage = CombinedStage(loss_weights=LossWeights(policy_gradient=0.5))
    config = default()
    config.both = as_config_dict(stage)
    config.both.distillation.alpha = 1.0
    read_back = read(config).blocks["both"]
    assert read_back.loss_weights == LossWeights(policy_gradient=0.5)
    assert distillation_part(read_back).alpha == 1.0
    assert policy_gradient_part(read_back) == stage.policy_gradient


def test_a_stage_has_the_fields_of_its_own_objective_alone():
    stage = DistillationStage()
    assert distillation_part(stage) is stage and policy_gradient_part(stage) is None
    assert "clip_low" not in {f.name for f in dataclasses.fields(stage)}


def test_off_is_none_and_comes_back():
    config = default()
    config.fd.is_clip = None
    config.evaluation.low_temperature = None
    config.model.width = 64
    read_back = read(config)
    assert read_back.blocks["fd"].is_clip is None and read_back.evaluation.low_temperature is None
    assert read_back.model == {"width": 64}


def test_the_command_marks_what_a_recipe_changes(capsys):
    assert main(["--config=configs/fd_heldout.py"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("* fd.steps = 64 ") for line in lines)
    assert any(line.startswith("  grpo.steps = 100 ") for line in lines)
    with pytest.raises(SystemExit) as end:
        main(["--config=configs/none.py"])
    assert end.value.code == 2 and "no recipe in Python" in capsys.readouterr().err
