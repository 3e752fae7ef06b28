"""Runs that are killed while they generate."""

import os
import random
import signal

import pytest
from runs import assert_same, assert_same_costs, start

SHORT_CHUNKS = ("--config.generation.chunk=2", "--config.generation.slots=6")


@pytest.mark.slow
def test_killed_at_ten_moments_of_generation_a_run_ends_the_same(tmp_path):
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "CHUNKS": str(tmp_path / "chunks"),
    }

    def run(folder, number, seconds):
        dying = environment | {"DYING": f"{number} {seconds}"}
        process = start(tmp_path / folder, dying, *SHORT_CHUNKS, module="tests.dying")
        output, _ = process.communicate(timeout=600)
        return process.returncode, output

    code, output = run("whole", 0, 0)
    assert code == 0, output
    total, rng = int((tmp_path / "chunks").read_text()), random.Random()
    moments = [(rng.randint(1, total // 6), round(rng.uniform(0, 0.01), 4)) for _ in range(10)]
    for moment in moments:
        code, output = run("killed", *moment)
        assert code == -signal.SIGKILL, (moments, output)
    code, output = run("killed", 0, 0)
    assert code == 0, (moments, output)
    assert int((tmp_path / "chunks").read_text()) < total  # the killed ones had made some way
    assert_same(tmp_path / "whole", tmp_path / "killed")
    assert_same_costs(tmp_path / "whole", tmp_path / "killed")
