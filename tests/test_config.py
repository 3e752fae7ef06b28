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
from fdjax.config.describe import main, markdown, rows
from fdjax.config.flags import read_recipe
from tests.tiny_config import change

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
        ("fd.variants.support", "student", "are about the top_k"),
        ("fd.variants.estimator", "k1", "has the gradient of alpha=1.0"),
        ("feedback.provider", "oracle,oracle", "name each provider once"),
        ("feedback.provider", "oracel", "did you mean oracle?"),
        ("feedback.provider", "llm", "feedback.llm.model is not set"),
        ("feedback.provider", "llmm", "must be one of lean_messages, oracle, llm, policy, "),
        ("lean.allow_helpers", True, "set lean.replay, too"),
        ("stages", (), "stages is (), must name at least one"),
        ("stages", ("keep_checkpoints",), "the config has no block named keep_checkpoints"),
        ("seed", 2**31, "seed is 2147483648, must be below 2147483648"),
        ("keep_checkpoints", 0, "keep_checkpoints is 0, must be at least 1"),
        ("data.seed", -1, "data.seed is -1, must be at least 0"),
        ("mesh.fsdp", 0, "mesh.fsdp is 0, must be at least 1"),
        ("mesh.tensor", None, "mesh: one axis may be None"),
        ("tokenizer.vocab_size", -1, "tokenizer.vocab_size is -1, must be at least 1"),
        ("prompt.response_length", 0, "prompt.response_length is 0, must be at least 1"),
        ("prompt.teacher_buckets", (0,), "prompt.teacher_buckets is (0,), must be at least 1"),
        ("prompt.thinking", "yes", "prompt.thinking is 'yes', must be one of on, off"),
        ("lean.backend", "coq", "lean.backend is 'coq', must be one of embedded, lean_interact, k"),
        ("lean.workers", 0, "lean.workers is 0, must be at least 1"),
        ("lean.timeout", 0.0, "lean.timeout is 0.0, must be above 0"),
        ("lean.kimina.patience", -1.0, "lean.kimina.patience is -1.0, must be at least 0"),
        ("feedback.oracle.level", "x", "must be one of step, prose, correction, proof"),
        ("feedback.lean_messages.level", "x", "must be one of verdict, error"),
        ("feedback.reference.max_requests", -1, "max_requests is -1, must be at least 0"),
        ("generation.slots", 0, "generation.slots is 0, must be at least 1"),
        ("generation.memory_gb", 0.0, "generation.memory_gb is 0.0, must be above 0"),
        ("generation.chunk", 0, "generation.chunk is 0, must be at least 1"),
        ("generation.head_dtype", "float16", "generation.head_dtype is 'float16', must be one of"),
        ("evaluation.top_p", 0.0, "evaluation.top_p is 0.0, must be above 0"),
        ("evaluation.top_p", 1.1, "evaluation.top_p is 1.1, must be at most 1"),
        ("evaluation.min_p", 0.0, "evaluation.min_p is 0.0, must be above 0"),
        ("evaluation.min_p", 1.1, "evaluation.min_p is 1.1, must be at most 1"),
        ("evaluation.theorems", 0, "evaluation.theorems is 0, must be at least 1"),
        ("evaluation.train_samples", 0, "evaluation.train_samples is 0, must be at least 1"),
        ("evaluation.temperature", 0.0, "evaluation.temperature is 0.0, must be above 0"),
        ("sft.feedback_fraction", 1.5, "sft.feedback_fraction is 1.5, must be at most 1"),
        ("sft.feedback_start", -1, "sft.feedback_start is -1, must be at least 0"),
        ("sft.optimizer.clip_norm", 0.0, "sft.optimizer.clip_norm is 0.0, must be above 0"),
        ("sft.optimizer.warmup", -1, "sft.optimizer.warmup is -1, must be at least 0"),
        (
            "sft.optimizer.microbatch_tokens",
            0,
            "sft.optimizer.microbatch_tokens is 0, must be at least 1",
        ),
        ("fd.variants.ema_per", "x", "fd.variants.ema_per is 'x', must be one of update, batch"),
        ("fd.ema_rate", 2.0, "fd.ema_rate is 2.0, must be at most 1"),
        ("fd.pipeline_depth", -1, "fd.pipeline_depth is -1, must be at least 0"),
        ("fd.variants.skip_tokens", -1, "fd.variants.skip_tokens is -1, must be at least 0"),
        ("fd.distill_attempts", "x", "fd.distill_attempts is 'x', must be one of all, failed"),
        ("fd.temperature", 0.0, "fd.temperature is 0.0, must be above 0"),
        ("fd.save_every", 0, "fd.save_every is 0, must be at least 1"),
        ("fd.minibatches", 0, "fd.minibatches is 0, must be at least 1"),
        ("fd.epochs", 0, "fd.epochs is 0, must be at least 1"),
        ("fd.curriculum.keep_probability", 2.0, "keep_probability is 2.0, must be at most 1"),
        ("fd.curriculum.min_solve_rate", 1.0, "is 1.0, must be below max_solve_rate = 1.0"),
        ("fd.curriculum.window", -1, "fd.curriculum.window is -1, must be at least 1"),
        ("expert_iteration.steps_per_round", 0, "steps_per_round is 0, must be at least 1"),
        ("expert_iteration.proofs_per_theorem", 0, "proofs_per_theorem is 0, must be at least 1"),
        ("expert_iteration.batch_size", 0, "expert_iteration.batch_size is 0, must be at least 1"),
        ("grpo.aggregation", "x", "grpo.aggregation is 'x', must be one of token_mean, sequence"),
        ("grpo.surrogate", "x", "grpo.surrogate is 'x', must be one of ppo, gspo, cispo"),
        ("grpo.variants.dual_clip", 1.1, "dual_clip is 1.1, must be above 1 + clip_high = 1.28"),
        ("grpo.variants.kl", "x", "grpo.variants.kl is 'x', must be one of k1, k2, k3"),
        ("grpo.variants.overlong_buffer", 29, "must be at most prompt.response_length = 28"),
        ("grpo.variants.overlong_penalty", -1.0, "overlong_penalty is -1.0, must be at least 0"),
        ("grpo.variants.max_refills", -1, "max_refills is -1, must be at least 0"),
        ("grpo.samples_per_prompt", 1, "grpo.samples_per_prompt is 1, must be at least 2"),
        ("grpo.optimizer.decay_fraction", 2.0, "decay_fraction is 2.0, must be at most 1"),
        ("grpo.optimizer.moments", "float16", "must be one of float32, bfloat16"),
        ("fd.teacher_dtype", "float16", "must be one of float32, bfloat16"),
    ],
)
def test_what_cannot_be_is_refused_by_name(path, value, message):
    config = every_stage()
    change(config, path, value)
    with pytest.raises(ConfigError) as error:
        read(config)
    assert message in str(error.value)


def every_stage():
    """The default with a combined stage. All of its stages run."""
    config = default()
    config.both = as_config_dict(CombinedStage())
    config.stages = ("sft", "fd", "grpo", "expert_iteration", "both")
    return config


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"grpo.surrogate": "cispo", "grpo.variants.dual_clip": 3.0},
            "grpo.variants.dual_clip: surrogate='cispo' is bounded already",
        ),
        (
            {
                "grpo.kl_coefficient": 0.1,
                "grpo.variants.kl": "k1",
                "grpo.variants.mask_truncated": True,
            },
            "grpo.variants: kl='k1' is part of every attempt's reward, and mask_truncated leaves",
        ),
        (
            {"both.turns": ("fd", "grpo")},
            "both.turns is ('fd', 'grpo'), must be one of distillation, policy_gradient",
        ),
        (
            {"both.loss_weights.policy_gradient": 0.0},
            "both.loss_weights.policy_gradient is 0.0, must be above 0",
        ),
        (
            {"both.policy_gradient.variants.max_refills": 1},
            "both.policy_gradient.variants.max_refills is 1, must be 0",
        ),
        (
            {"both.policy_gradient.kl_coefficient": 0.1},
            "both.distillation.teacher is 'ema', must be 'frozen' or 'trust_region'",
        ),
        (
            {"both.distillation.distill_attempts": "x"},
            "both.distillation.distill_attempts is 'x', must be one of",
        ),
        (
            {"both.policy_gradient.surrogate": "x"},
            "both.policy_gradient.surrogate is 'x', must be one of",
        ),
        (
            {"fd.is_clip": None, "fd.variants.ratio_mean": "sequence"},
            "fd.variants.ratio_mean=sequence is a mean of clipped ratios: set fd.is_clip",
        ),
        (
            {"fd.alpha": 1.0, "fd.variants.estimator": "k1", "fd.variants.top_k": 8},
            "fd.variants.estimator=k1 sees one token",
        ),
        (
            {
                "feedback.provider": "llm",
                "feedback.llm.model": "m",
                "feedback.llm.options": {"n": 2},
            },
            "feedback.llm.options cannot set n",
        ),
    ],
)
def test_what_makes_no_sense_together_is_refused(changes, message):
    config = every_stage()
    read(config)
    for path, value in changes.items():
        change(config, path, value)
    with pytest.raises(ConfigError) as error:
        read(config)
    assert message in str(error.value)


def test_the_start_that_a_teacher_keeps_is_the_reference_of_a_combined_stage():
    for teacher in ("frozen", "trust_region"):
        config = every_stage()
        config.both.distillation.teacher = teacher
        config.both.policy_gradient.kl_coefficient = 0.1
        read(config)


def test_settings_of_stages_that_do_not_run_are_not_compared():
    config = default()
    config.grpo.update(kl_coefficient=0.1)
    config.grpo.variants.update(kl="k1", mask_truncated=True)
    assert read(config).blocks["grpo"].variants.mask_truncated


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
    assert end.value.code == 2 and "there is no such file" in capsys.readouterr().err
