"""Traces: which steps they hold, the names in them, and when there is none."""

import json

import jax
import jax.numpy as jnp
import pytest
from tiny_runs import config_of_files

from fdjax.config import ConfigError
from fdjax.runtime.profile import annotated, annotation, tracing
from fdjax.training.experiment import run_experiment


def sessions(folder):
    return sorted(f.name for f in folder.glob("plugins/profile/*"))


def read_trace(folder, session):
    """(names on the host's threads, numbers of the steps)"""
    [file] = (folder / "plugins" / "profile" / session).glob("*.xplane.pb")
    planes = jax.profiler.ProfileData.from_file(str(file)).planes
    events = [e for p in planes if p.name.startswith("/host") for x in p.lines for e in x.events]
    numbers = [dict(event.stats).get("step_num") for event in events]
    return {event.name for event in events}, [n for n in numbers if n is not None]


@annotated("named function")
def work():
    with annotation("named block"):
        return jax.block_until_ready(jnp.ones(3) + 1)


def loop(folder, steps, start=0, end=6):
    with tracing(folder, "fd", steps) as traced:
        for step in range(start, end):
            with traced(step):
                work()


def test_a_trace_has_its_steps_and_no_others(tmp_path):
    loop(tmp_path, range(2, 4))
    assert sessions(tmp_path) == ["fd_2"]
    names, numbers = read_trace(tmp_path, "fd_2")
    assert numbers == [2, 3] and {"named function", "named block", "fd"} <= names


def test_a_loop_that_ends_early_leaves_a_trace(tmp_path):
    loop(tmp_path, range(4, 9))
    assert read_trace(tmp_path, "fd_4")[1] == [4, 5]


def test_a_step_that_fails_leaves_a_trace(tmp_path):
    with pytest.raises(KeyError), tracing(tmp_path, "fd", range(0, 9)) as traced, traced(0):
        raise KeyError
    assert read_trace(tmp_path, "fd_0")[1] == [0]


@pytest.mark.parametrize(("steps", "start"), [(range(1, 4), 2), (range(8, 9), 0), (range(0), 0)])
def test_no_trace_of_steps_that_are_not_all_to_come(tmp_path, steps, start):
    loop(tmp_path, steps, start)
    assert not sessions(tmp_path)


# --- Runs ----------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path, monkeypatch):
    config = config_of_files(tmp_path, monkeypatch)
    config.stages = ("sft", "fd")
    config.feedback.provider = "lean_messages"
    config.sft.update(steps=2, feedback_start=5)
    config.fd.steps = 3
    config.evaluation.update(theorems=1, train_samples=1, heldout_samples=1, low_temperature=None)
    return config


def test_a_run_traces_each_stage_and_measures_its_use_of_the_device(config, tmp_path):
    config.mesh.update(peak_flops=1e12, peak_bandwidth=1e11)
    run_experiment(config, tmp_path / "w", profile=range(1, 3))
    assert sessions(tmp_path / "w" / "profile") == ["fd_1", "sft_1"]
    names, numbers = read_trace(tmp_path / "w" / "profile", "fd_1")
    assert numbers == [1, 2]
    parts = {"generate", "verify", "feedback", "wait", "batch", "update"}
    assert parts <= names
    names, numbers = read_trace(tmp_path / "w" / "profile", "sft_1")
    assert numbers == [1] and parts & names == {"batch", "update"}
    lines = [json.loads(x) for x in (tmp_path / "w" / "fd" / "metrics.jsonl").open()]
    assert lines[0]["rows"] and [0 < line.get("mfu", 0) < 1 for line in lines] == [
        line["rows"] > 0 for line in lines
    ]
    # Where attempts were generated: one step ahead, and none in the last step.
    found = [0 < line.get("decode_bandwidth", 0) < 1 for line in lines]
    assert found == [True, True, False]


def test_steps_that_no_stage_has_are_refused(config, tmp_path):
    with pytest.raises(ConfigError, match=r"^--profile=3:1: no stage has a step 3, counted from 0"):
        run_experiment(config, tmp_path / "w", profile=range(3, 4))
    assert not (tmp_path / "w").exists()
