"""Runs that are killed in mid-episode go on as if they had not been."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from episode_worker import rollout
from killing import kill_at_ten_moments
from runs import assert_same, assert_same_costs
from toy_episodes import Toy

from fdjax.rollout.journal import Journal
from fdjax.runtime.files import read_lines

HERE = Path(__file__).parent


def test_a_killed_rollout_goes_on_bit_by_bit(tmp_path):
    """No turn is stepped again that the journal has, though answers come at other times."""
    toy = Toy(delay=0.003)
    whole = rollout(tmp_path / "whole", toy)
    total, last = len(toy.steps), random.randint(1, len(toy.steps) // 2)
    killed = subprocess.run(
        [sys.executable, str(HERE / "episode_worker.py"), str(tmp_path / "killed"), str(last)],
        env=os.environ | {"PYTHONPATH": f"{HERE}:{HERE.parent}"},
    )
    assert killed.returncode == -signal.SIGKILL
    record = Journal(tmp_path / "killed").read(0)
    assert list(record) == ["steps"] and last <= len(record["steps"]) < total
    toy.steps.clear()
    assert rollout(tmp_path / "killed", toy) == whole
    assert len(toy.steps) == total - len(record["steps"])
    lines = [read_lines(tmp_path / name / "000000.jsonl") for name in ("whole", "killed")]
    assert lines[0] == lines[1]


REPAIR = (
    "--config.stages=sft,fd",
    "--config.environment.name=repair",
    "--config.environment.turn_tokens=24",
    "--config.environment.answer_tokens=24",
    "--config.prompt.response_length=120",
    "--config.generation.chunk=3",
    "--config.generation.slots=6",
    "--config.feedback.provider=lean_messages",
    "--config.evaluation.train_samples=1",
    "--config.evaluation.heldout_samples=1",
    "--config.evaluation.low_temperature=None",
)


@pytest.mark.slow
def test_killed_at_ten_moments_of_episodes_a_run_ends_the_same(tmp_path):
    """With Lean's own verdicts, whenever they come. Each is killed while it keeps steps."""
    kill_at_ten_moments(tmp_path, *REPAIR, timeout=1200, DYING_OF="steps")
    assert_same(tmp_path / "whole", tmp_path / "killed", ("sft", "fd"))
    assert_same_costs(tmp_path / "whole", tmp_path / "killed", ("sft", "fd"))
