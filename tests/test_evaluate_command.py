"""`fdjax evaluate`: evaluates what is trained, and trains nothing."""

from types import SimpleNamespace

import pytest
from tiny_runs import config_of_files, finished_stage

from fdjax import cli, main
from fdjax.runtime.files import read_lines
from fdjax.runtime.preemption import Preemption
from fdjax.training import build, evaluation, experiment

FIGURES = {
    "pass_at_k": {"1": {"mean": 1.0, "low": 1.0, "high": 1.0}},
    "entropy": 0.5,
    "distinct_proofs": 1.0,
    "unique_ratio": 1.0,
    "distinct_2": 1.0,
    "response_tokens": 3.0,
    "truncated": 0.0,
    "unverified": 0,
    "temperature": 1.0,
}


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A supervised stage of 2 steps."""
    config = config_of_files(tmp_path, monkeypatch)
    config.stages = ("sft",)
    config.model.num_layers = 1
    config.sft.update(steps=2, batch_size=8, feedback_start=2, save_every=1)
    config.evaluation.update(theorems=2, train_samples=2, heldout_samples=2, low_temperature=None)
    return config


@pytest.fixture
def evaluate(config, tmp_path, monkeypatch):
    """Runs the command with `config` in tmp_path / "w"."""
    flags = SimpleNamespace(
        config=config, workdir=str(tmp_path / "w"), coordinator=None, profile=range(0)
    )
    monkeypatch.setattr(main, "parse", lambda *_: flags)

    def train(*_):
        raise AssertionError("it trains")

    def command():
        monkeypatch.setattr(experiment, "train", train)
        return cli.main(["evaluate"])

    return command


def test_a_finished_run_is_evaluated_with_other_settings(config, evaluate, tmp_path, monkeypatch):
    stage = finished_stage(config, tmp_path / "w")
    files = [*stage.rglob("checkpoints/**/*"), stage / "config.json"]
    trained = {file: file.stat().st_mtime_ns for file in files if file.is_file()}
    evaluated, parts = [], []

    def figures(generator, params, farm, theorems, sampling):
        assert params["embedding"].shape[0] == generator.model.vocab_size
        evaluated.append((theorems[0].signature, sampling.samples))
        parts.append((sampling.top_p, sampling.min_p))
        solved = {t.id: 1 for t in theorems}
        return FIGURES | {"solved": solved, "samples": sampling.samples}

    monkeypatch.setattr(evaluation, "evaluate", figures)
    train, heldout = "(h : P0) : P0", "(h : Q0) : Q0"
    assert evaluate() == 0
    assert evaluated == [(train, 2), (heldout, 2)]
    config.evaluation.train_samples = 3
    assert evaluate() == 0
    assert evaluated[2:] == [(train, 3)]
    assert [line["key"]["samples"] for line in read_lines(stage / "evals.jsonl")] == [2, 2, 3]
    config.evaluation.update(top_p=0.9, min_p=0.05)
    assert evaluate() == 0
    assert evaluated[3:] == [(train, 3), (heldout, 2)]
    assert parts == [(None, None)] * 3 + [(0.9, 0.05)] * 2
    keys = [line["key"] for line in read_lines(stage / "evals.jsonl")]
    assert [(k.get("top_p"), k.get("min_p")) for k in keys] == [(None, None)] * 3 + [
        (0.9, 0.05)
    ] * 2
    assert {file: file.stat().st_mtime_ns for file in trained} == trained
    assert not (stage / "metrics.jsonl").exists() and (tmp_path / "w" / "summary.json").exists()


@pytest.mark.parametrize("steps", [0, 1])
def test_an_unfinished_run_is_refused_in_one_line(config, evaluate, tmp_path, monkeypatch, steps):
    def stop(self):
        self.requested = True
        return True

    if steps:
        monkeypatch.setattr(
            build, "make_batch_update", lambda *_: lambda state, batch: (state, {"loss": 1.0})
        )
        monkeypatch.setattr(Preemption, "should_stop", stop)
        with pytest.raises(SystemExit, match="the same command goes on from here"):
            experiment.run_experiment(config, tmp_path / "w")
    with pytest.raises(SystemExit) as ended:
        evaluate()
    folder = tmp_path / "w" / "sft"
    assert ended.value.code == f"error: {folder} has no checkpoint of step 2: train it first"
    assert not (folder / "evals.jsonl").exists()
