"""Chips and their peaks, as vendors state them: what plans and the metrics of runs divide by."""

import math
from typing import NamedTuple

import jax


class Chip(NamedTuple):
    flops: float  # a second, in bf16, dense
    hbm: float  # bytes a second
    ici: float  # bytes a second that a chip sends over all its links
    memory: float  # bytes that a program can have
    per_host: int  # chips
    maker: str = "tpu"
    kinds: tuple[str, ...] = ()  # what JAX calls it: `device_kind`


# Google: cloud.google.com/tpu/docs/v5e, v6e, v5p (bf16 peak, HBM bandwidth, interchip bandwidth);
# a program on v5e and v6e may have 15.75 and 31.25 GiB, as TPU's compiler says. NVIDIA: data sheets
# of H100 SXM, H200 SXM and A100 80 GB SXM (bf16 without sparsity, memory, half of NVLink's figure,
# which is of both directions).
CHIPS = {
    "v5e": Chip(197e12, 819e9, 200e9, 16.9e9, 4, "tpu", ("TPU v5 lite", "TPU v5e")),
    "v6e": Chip(918e12, 1640e9, 448e9, 33.5e9, 4, "tpu", ("TPU v6 lite", "TPU v6e")),
    "v5p": Chip(459e12, 2765e9, 600e9, 95e9, 4, "tpu", ("TPU v5", "TPU v5p")),
    "h100": Chip(989e12, 3350e9, 450e9, 80e9, 8, "gpu", ("NVIDIA H100 80GB HBM3",)),
    "h200": Chip(989e12, 4800e9, 450e9, 141e9, 8, "gpu", ("NVIDIA H200",)),
    "a100": Chip(312e12, 2039e9, 300e9, 80e9, 8, "gpu", ("NVIDIA A100-SXM4-80GB",)),
    # No vendor's figure: a simulated device of a laptop, so that parts can be put in order.
    "cpu": Chip(10e9, 2e9, 2e9, math.inf, 1024, "cpu"),
}


class Peaks(NamedTuple):
    """Of all chips of a run together; None: not known."""

    flops: float | None  # a second
    bandwidth: float | None  # bytes of memory a second


def find(kind: str) -> Chip | None:
    """The chip that JAX calls `kind`; None where the table has none, as for a CPU."""
    return next((chip for chip in CHIPS.values() if kind in chip.kinds), None)


def peaks(
    mesh: jax.sharding.Mesh, flops: float | None = None, bandwidth: float | None = None
) -> Peaks:
    """`flops` and `bandwidth`: of one chip, instead of the table's."""
    chip, count = find(mesh.devices.flat[0].device_kind), mesh.devices.size
    flops = flops or (chip and chip.flops)
    bandwidth = bandwidth or (chip and chip.hbm)
    return Peaks(flops and flops * count, bandwidth and bandwidth * count)


def share(name: str, amount: float, seconds: float, peak: float | None) -> dict[str, float]:
    """{name: share of the peak that `amount` in `seconds` is}; empty where no peak is known, or
    nothing was done.
    """
    return {name: amount / (seconds * peak)} if peak and amount and seconds else {}
