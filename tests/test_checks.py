"""What config, theorems and devices together make impossible is refused before any work."""

import pytest
from tiny_runs import config_of_files, set_up, theorems

from fdjax.config import CombinedStage, ConfigError, as_config_dict
from fdjax.data.theorems import write_theorems
from fdjax.types import Theorem
from tests.tiny_config import change


@pytest.fixture
def config(tmp_path, monkeypatch):
    return config_of_files(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt.teacher": "{goal}\n"}, "^fd: the teacher would not read .* has no {feedback}"),
        ({"prompt.prefill": " by\n    "}, "^sft: theorem t0 .* has no reference .*prefill "),
        (
            {"prompt.student_buckets": (4,)},
            r"^data\.sft: nothing is left of it; theorem t0: prompt over prompt\.student_buckets: ",
        ),
        (
            {
                "feedback.provider": "policy",
                "feedback.policy.response_length": 999,
                "model.max_positions": 500,
            },
            r"^prompt: .*feedback\.policy\.response_length",
        ),
        ({"data.test": "0"}, r"^evaluation\.heldout='test' has no theorems"),
        ({"evaluation.train": "x"}, r"^evaluation\.train='x' has no theorems"),
        ({"fd.theorems": "x"}, r"^fd\.theorems='x' has no theorems"),
        (
            {"grpo.variants.max_refills": 1, "grpo.prompts_per_step": 8},
            r"^grpo\.variants\.max_refills=1: with prompts_per_step=8 no theorem of 'train' is lef",
        ),
    ],
)
def test_bad_values_are_refused_by_name(config, tmp_path, changes, message):
    for path, value in changes.items():
        change(config, path, value)
    with pytest.raises(ConfigError, match=message):
        set_up(config, tmp_path / "w")


def test_any_number_of_rows_is_split_over_the_devices(config, tmp_path):
    config.mesh.fsdp = 2
    config.sft.batch_size = config.fd.prompts_per_step = 3
    set_up(config, tmp_path / "good")


def test_supervised_stages_need_references(config, tmp_path):
    """Of theorems that fit the budget: the others are left out anyway."""
    long = Theorem("b", "b", f"(h : {'x ' * 99}P) : P")
    write_theorems(tmp_path / "theorems.jsonl", [*theorems("P"), long])
    config.data.train, config.stages = "3", ("sft",)
    set_up(config, tmp_path / "v")
    write_theorems(tmp_path / "theorems.jsonl", [*theorems("P"), Theorem("b", "b", ": P")])
    with pytest.raises(ConfigError, match=r"^sft: theorem b .* has no reference proof"):
        set_up(config, tmp_path / "w")


def test_a_combined_stage(config, tmp_path):
    config.both = as_config_dict(CombinedStage(prompts_per_step=4, samples_per_prompt=4))
    config.stages = ("sft", "grpo", "both")
    assert set_up(config, tmp_path / "w")[2] == config.stages
    # The start, which the trust region is around, is the KL's reference, too.
    config.both.distillation.teacher = "trust_region"
    config.both.policy_gradient.kl_coefficient = 0.1
    assert set_up(config, tmp_path / "v")[2] == config.stages
