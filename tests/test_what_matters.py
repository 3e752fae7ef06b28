"""What matters on the benchmark of habits: its jobs are valid runs, its table tells differences."""

import importlib
import json
import re
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from fdjax.config import read
from fdjax.config.flags import load

ROOT = Path(__file__).parent.parent


@pytest.fixture
def matters(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "launch"))
    return importlib.import_module("what_matters")


def config_of(job) -> ConfigDict:
    return load(str(ROOT / job.config), [(f, str(value)) for f, value in job.flags.items()])


def test_every_run_is_valid_and_has_the_same_budget(matters):
    jobs = matters.all_jobs()
    assert len({job.name for job in jobs}) == len(jobs)
    assert all(re.fullmatch("[a-z0-9_-]+", job.name) for job in jobs)  # as a slice may be named
    for job in jobs:
        config = read(config_of(job))
        if job.init_from:
            stages = [config.blocks[name] for name in config.stages[1:]]
            assert sum(s.steps * s.prompts_per_step * s.samples_per_prompt for s in stages) == (
                64 * 32 * 8
            )
            assert config.evaluation.heldout == "validation"


def test_table_of_what_has_ended(matters, tmp_path):
    def ended(job, solved, entropy):
        folder = tmp_path / job.name / "fd"
        folder.mkdir(parents=True)
        stage = {"stage": {"objective": "distillation"}, "fingerprint": "f", "before": "s"}
        (folder / "config.json").write_text(json.dumps(stage))
        (folder / "metrics.jsonl").write_text(json.dumps({"step": 0}) + "\n")
        lines = [
            {
                "key": {
                    "split": "validation",
                    "temperature": temperature,
                    "policy": policy,
                    "theorems": "t",
                },
                "figures": {"solved": of, "samples": 64, "entropy": entropy},
            }
            for temperature, policy, of in (
                (1.0, "f", solved),
                (0.6, "f", {"a": 2 * solved["a"], "b": 0}),
                (1.0, "s", {"a": 8, "b": 0}),
                (0.6, "s", {"a": 16, "b": 0}),
            )
        ]
        (folder / "evals.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
        (folder.parent / "summary.json").write_text("{}")

    runs = matters.runs()
    for seed, (first, other) in enumerate(
        zip(runs["fd", "as it is"], runs["fd", "reverse KL"], strict=True)
    ):
        ended(first, {"a": 16, "b": 0}, 0.3 + 0.01 * seed)
        ended(other, {"a": 32, "b": 16}, 0.2 + 0.01 * seed)
    ended(runs["fd", "all tokens"][0], {"a": 32, "b": 32}, 0.5)  # one of two seeds
    header, rows = matters.table(tmp_path)
    assert header[0] == "" and header[-2:] == ["pass@1 at 0.6", "entropy"]
    start, recipe, change = rows
    assert start[:2] == ["**start**", "0.062"] and start[-2:] == ["0.125", "0.305"]
    assert recipe[:2] == ["**fd**", "0.125"] and recipe[-2:] == ["0.250", "0.305"]
    assert change[0] == "reverse KL" and change[1].strip("*").startswith("+0.250")
    assert change[-2].strip("*").startswith("+0.250")
    assert change[-1].strip("*").startswith("-0.100")
