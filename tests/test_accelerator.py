"""benchmarks/accelerator.py on a CPU, at sizes whose figures say nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILE = ROOT / "benchmarks" / "accelerator.py"


def accelerator(*flags):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    return subprocess.run(
        [sys.executable, str(FILE), *flags],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.mark.slow
def test_every_part_runs():
    ended = accelerator("--tiny", "0.6b")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    names = ["attention 4/2 x 64", *(f"0.6b {x}" for x in ("fd, xla", "grpo, xla"))]
    assert [*names, "0.6b generation", "0.6b logprobs"] == list(found)[3:]
    for kernel in ("xla", "cudnn"):
        of_kernel = found["attention 4/2 x 64"][kernel]
        assert 0 < of_kernel["out_apart"] < 0.02 and 0 < of_kernel["gradients_apart"] < 0.02
    assert all(found[name]["tokens_per_second"] > 0 for name in names[1:])
    assert found["0.6b fd, xla"]["mfu"] is None  # nobody knows the peak of a CPU
    assert 0 < found["0.6b logprobs"]["mean_apart"] < found["0.6b logprobs"]["most_apart"] < 0.3


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        ((), 0, "not measured: there is no accelerator"),
        (("--tiny", "9b"), 2, "no such size: 9b; known are 0.6b, 1.7b"),
    ],
)
def test_what_it_does_not_measure(flags, code, message):
    ended = accelerator(*flags)
    assert ended.returncode == code and message in ended.stdout + ended.stderr


def test_no_part_begins_after_the_minutes():
    ended = accelerator("--tiny", "--minutes=-1")
    found = json.loads(ended.stdout.splitlines()[-1])
    assert ended.returncode == 0 and found["1.7b logprobs"] == {"left_out": "after -1 minutes"}
