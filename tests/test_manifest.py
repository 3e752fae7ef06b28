"""What decides the result of a stage, and what a workdir is refused or reused by."""

import dataclasses
import math

import pytest
from tiny_runs import Lean, config_of_files, set_up

from fdjax.config import ConfigError, read
from fdjax.runtime.files import CorruptFile
from fdjax.training import evaluation, setup
from fdjax.training.manifest import Policy, check_manifest, stage_manifest, write_manifest


@pytest.fixture
def config(tmp_path, monkeypatch):
    return config_of_files(tmp_path, monkeypatch)


def test_manifests_name_what_changed_and_leave_out_what_has_no_effect(config, tmp_path):
    with setup.set_up(config, tmp_path / "w") as run:
        write_manifest(tmp_path / "fd", stage_manifest(run, "fd", "x"))
        config.fd.update(save_every=99, show_every=99, min_gap=math.pi)
        check_manifest(
            tmp_path / "fd", stage_manifest(run._replace(config=read(config)), "fd", "x")
        )
        config.tokenizer.vocab_size = 999
        config.data.seed = 7
        config.feedback.shuffle = True
        run = run._replace(config=read(config))
        sft = stage_manifest(run, "sft", "random")
        assert "shuffle" not in sft["feedback"]  # supervised stages serve the control, too
        with pytest.raises(ConfigError) as error:
            check_manifest(tmp_path / "fd", stage_manifest(run, "fd", "x"))
    lines = str(error.value).splitlines()[1:-1]
    assert [line.split(":")[0].strip() for line in lines] == [
        "vocab_size",
        "data.seed",
        "feedback.shuffle",
    ]


def test_every_other_field_of_a_stage_has_an_effect(config, tmp_path):
    run, *_ = set_up(config, tmp_path / "w")
    fields = {field.name for field in dataclasses.fields(run.config.blocks["fd"])}
    manifest = stage_manifest(run, "fd", "x")
    assert fields - manifest["stage"].keys() == {"show_every", "save_every", "min_gap"}


def test_fields_that_came_later_are_recorded_where_they_are_set(config, tmp_path, monkeypatch):
    """The stages of runs before them keep their fingerprints."""
    reward = "own_reward_of_manifest:one"
    (tmp_path / "own_reward_of_manifest.py").write_text("def one(theorem, attempt, verdict): ...")
    monkeypatch.chdir(tmp_path)
    config.stages = ("sft", "grpo")
    run, *_ = set_up(config, tmp_path / "w")
    off = stage_manifest(run, "grpo", "x")
    later = {"turn_discount": 0.9, "process_reward": 0.5, "process_credit": "all"}
    assert "reward" not in off["stage"] and not later.keys() & off["stage"]["variants"].keys()
    config.grpo.update(reward=reward)
    config.grpo.variants.update(process_reward=0.5, process_credit="all")
    on = stage_manifest(run._replace(config=read(config)), "grpo", "x")
    assert on["stage"]["reward"] == reward and on["stage"]["variants"]["process_reward"] == 0.5
    source = on["reward_source"]
    (tmp_path / "own_reward_of_manifest.py").write_text("def one(theorem, attempt, verdict): 1")
    again = stage_manifest(run._replace(config=read(config)), "grpo", "x")
    assert again["reward_source"] != source and again["fingerprint"] != on["fingerprint"]


def test_expert_iteration_with_replay_is_as_before_there_was_a_choice(config, tmp_path):
    config.stages, config.expert_iteration.prompts_per_step = ("sft", "expert_iteration"), 4
    run, *_ = set_up(config, tmp_path / "w")
    assert "replay" not in stage_manifest(run, "expert_iteration", "x")["stage"]
    config.expert_iteration.replay = False
    off = stage_manifest(run._replace(config=read(config)), "expert_iteration", "x")
    assert off["stage"]["replay"] is False


def test_a_stage_that_reads_no_feedback_is_not_of_its_config(config, tmp_path):
    config.stages, config.sft.feedback_fraction = ("sft", "grpo"), 0.0
    config.feedback.provider = "none"
    run, *_ = set_up(config, tmp_path / "w")
    assert stage_manifest(run, "sft", "x")["feedback"] == {}


def test_an_evaluation_is_reused_only_of_the_same_lean(config, tmp_path, monkeypatch):
    run, *_ = set_up(config, tmp_path / "w")
    measured = []

    def figures():
        def measure():
            measured.append(1)
            return {"times": len(measured)}

        policy = Policy("sft", None, "x")
        return evaluation.once(run, "sft", policy, {"split": "train"}, [], measure)["times"]

    assert [figures(), figures()] == [1, 1]
    run.farm.allow_helpers = True
    assert figures() == 2
    run.farm.allow_helpers = False
    run.farm.timeout *= 2
    assert [figures(), figures()] == [3, 3]
    run.farm.timeout /= 2
    for field in ("version", "name", "limits"):
        monkeypatch.setattr(Lean, field, "other")
        assert figures() == len(measured) and figures() == len(measured)
    assert len(measured) == 6
    monkeypatch.undo()
    assert figures() == 1


def test_the_error_of_a_damaged_workdir_says_what_helps(config, tmp_path):
    workdir = tmp_path / "w"
    with setup.set_up(config, workdir) as run:
        write_manifest(workdir / "sft", stage_manifest(run, "sft", "random"))
    statements, manifest = workdir / "statements.jsonl", workdir / "sft" / "config.json"
    whole = manifest.read_text()
    manifest.write_text(whole[:-20])
    with pytest.raises(CorruptFile, match=rf"^{manifest} is no JSON: .* remove {manifest.parent} "):
        set_up(config, workdir)
    manifest.write_text(whole)
    lines = statements.read_text()
    statements.write_text(lines[: len(lines) // 2])  # torn: Lean checks them again
    set_up(config, workdir)
    assert statements.read_text() == lines
    statements.write_text("{}{}\n" + lines)
    with pytest.raises(CorruptFile, match=rf"^{statements}:1 is no JSON.* remove it$"):
        set_up(config, workdir)
