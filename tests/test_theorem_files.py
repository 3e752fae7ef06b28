"""Theorems from files: what Lean refuses is left out and reported, once and for all."""

import dataclasses
import json
import re
import shutil

import pytest
from tiny_runs import Lean, config_of_files, set_up, theorems

from fdjax.config import ConfigError
from fdjax.data.splits import SPLITS
from fdjax.data.theorems import write_theorems
from fdjax.training.manifest import stage_manifest
from fdjax.types import Theorem, Verdict


@pytest.fixture
def config(tmp_path, monkeypatch):
    return config_of_files(tmp_path, monkeypatch)


def test_what_lean_does_not_accept_is_left_out_and_reported(config, tmp_path):
    write_theorems(tmp_path / "theorems.jsonl", theorems("P") + [Theorem("b", "b", ": Bad")])
    run, *_ = set_up(config, tmp_path / "w")
    assert [len(run.theorems[name]) for name in SPLITS] == [8] * 4
    report = json.loads((tmp_path / "w" / "data.json").read_text())
    left_out = [{"id": "b", "reason": "Lean does not accept it: what is Bad?"}]
    assert report == {"sft": left_out, "train": left_out, "validation": [], "test": []}
    write_theorems(tmp_path / "theorems.jsonl", [Theorem("b", "b", ": Bad")])
    with pytest.raises(ConfigError, match=r"data\.sft: nothing is left.*what is Bad"):
        set_up(config, tmp_path / "v")


def test_prompts_over_the_budget_are_left_out_and_named(config, tmp_path, capsys):
    chain = "P ∧ " * 400
    long = [Theorem(f"long{i}", "b", f": {chain}Q{i}", reference=" x") for i in range(22)]
    write_theorems(tmp_path / "theorems.jsonl", theorems("P") + long)
    run, *_ = set_up(config, tmp_path / "w")
    assert [len(run.theorems[name]) for name in SPLITS] == [8] * 4
    report = json.loads((tmp_path / "w" / "data.json").read_text())
    assert [entry["id"] for entry in report["train"]] == [t.id for t in long]
    reason = r"prompt over prompt\.student_buckets: [\d,]+ tokens, the longest bucket holds 64"
    assert all(re.fullmatch(reason, entry["reason"]) for entry in report["train"])
    said = " ".join(capsys.readouterr().out.split())
    assert "data.train: 8 theorems, left out: 22 prompt over prompt.student_buckets" in said
    assert f"left out as too long: {', '.join(t.id for t in long[:20])}, ..." in said
    config.data.too_long = "refuse"
    with pytest.raises(
        ConfigError, match=rf"data\.sft: data\.too_long=refuse; theorem long0: {reason}"
    ):
        set_up(config, tmp_path / "v")


def test_theorems_without_a_goal_are_warned_of(config, tmp_path, capsys):
    """Where prompts show goals and the model has learned, or learns, from theorems with goals."""

    def warnings():
        capsys.readouterr()
        set_up(config, tmp_path / "w")
        shutil.rmtree(tmp_path / "w")
        lines = capsys.readouterr().out.splitlines()
        return [line.split(" have no")[0] for line in lines if line.startswith("warning")]

    assert warnings() == []  # none has any: prompts show the signatures of all
    with_goals = [dataclasses.replace(t, goal="⊢ P") for t in theorems("P")]
    write_theorems(tmp_path / "theorems.jsonl", [*with_goals[:6], *theorems("P")[6:]])
    without = {"sft": 2, "train": 2, "validation": 8, "test": 8}
    assert warnings() == [f"warning: data.{n}: {k} of 8 theorems" for n, k in without.items()]
    write_theorems(tmp_path / "theorems.jsonl", with_goals)
    evaluated = [dataclasses.replace(t, goal="⊢ Q") for t in theorems("Q")]
    write_theorems(tmp_path / "evaluation.jsonl", evaluated)
    assert warnings() == []
    write_theorems(tmp_path / "evaluation.jsonl", theorems("Q"))
    config.prompt.student = "{signature}\n"
    assert warnings() == []


def test_what_lean_decided_of_statements_stands(config, tmp_path, monkeypatch):
    """A statement near the time limit: it is refused at one start and undecided at the next."""
    bad = Theorem("b", "b", ": Bad", reference=" by\n  exact")
    write_theorems(tmp_path / "theorems.jsonl", [*theorems("P"), bad])
    first, *_ = set_up(config, tmp_path / "w")
    (tmp_path / "w" / "data.json").unlink()
    checked = []

    def check(self, batch, timeout):
        checked.extend(t.id for t, _ in batch)
        return [Verdict("timeout") for _ in batch]

    monkeypatch.setattr(Lean, "check", check)
    again, *_ = set_up(config, tmp_path / "w")
    assert again.theorems == first.theorems and not checked
    assert json.loads((tmp_path / "w" / "data.json").read_text())["train"][0]["id"] == "b"
    for name in config.stages:
        assert stage_manifest(again, name, "x") == stage_manifest(first, name, "x")
    other, *_ = set_up(config, tmp_path / "v")  # a new workdir checks for itself
    assert len(other.theorems["train"]) == 9 and "b" in checked
    assert len(set_up(config, tmp_path / "v")[0].theorems["train"]) == 9
    checked.clear()
    write_theorems(tmp_path / "evaluation.jsonl", theorems("R"))
    set_up(config, tmp_path / "w")  # checks only what is new
    assert sorted(checked) == sorted(2 * [t.id for t in theorems("R")])  # twice, alone
