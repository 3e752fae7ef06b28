"""Runs that are killed while they generate."""

import pytest
from killing import kill_at_ten_moments
from runs import assert_same, assert_same_costs

SHORT_CHUNKS = ("--config.generation.chunk=2", "--config.generation.slots=6")


@pytest.mark.slow
def test_killed_at_ten_moments_of_generation_a_run_ends_the_same(tmp_path):
    kill_at_ten_moments(tmp_path, *SHORT_CHUNKS, timeout=600)
    assert_same(tmp_path / "whole", tmp_path / "killed")
    assert_same_costs(tmp_path / "whole", tmp_path / "killed")
