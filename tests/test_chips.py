"""Peaks: of chips that the table knows, and of those that a config describes."""

from types import SimpleNamespace

import numpy as np
import pytest

from fdjax.runtime.chips import CHIPS, Peaks, find, peaks, share


def mesh_of(kind, count=4):
    devices = [SimpleNamespace(device_kind=kind) for _ in range(count)]
    return SimpleNamespace(devices=np.array(devices).reshape(1, -1, 1))


@pytest.mark.parametrize(
    ("kind", "name"),
    [("TPU v5 lite", "v5e"), ("TPU v6 lite", "v6e"), ("TPU v5", "v5p"), ("NVIDIA H200", "h200")],
)
def test_devices_are_known_by_what_jax_calls_them(kind, name):
    assert find(kind) is CHIPS[name]
    assert peaks(mesh_of(kind)) == Peaks(4 * CHIPS[name].flops, 4 * CHIPS[name].hbm)


def test_a_kind_names_one_chip():
    kinds = [kind for chip in CHIPS.values() for kind in chip.kinds]
    assert len(kinds) == len(set(kinds))
    assert find("cpu") is None and find("NVIDIA H100 PCIe") is None  # slower than SXM


def test_figures_of_the_config_go_before_the_table():
    assert peaks(mesh_of("cpu")) == Peaks(None, None)
    assert peaks(mesh_of("cpu"), flops=3.0) == Peaks(12.0, None)
    assert peaks(mesh_of("TPU v5 lite"), bandwidth=3.0) == Peaks(4 * CHIPS["v5e"].flops, 12.0)


def test_no_share_of_what_is_not_known():
    assert share("mfu", 6.0, 2.0, 12.0) == {"mfu": 0.25}
    assert share("mfu", 6.0, 2.0, None) == share("mfu", 0, 2.0, 12.0) == {}
    assert share("mfu", 6.0, 0, 12.0) == {}
