"""Chips: their peaks as the vendors state them, and slices of them by name."""

import importlib.util
import math
import os
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from fdjax.config import ConfigError
from fdjax.config.read import nearest


class Chip(NamedTuple):
    flops: float  # a second, in bf16, dense
    hbm: float  # bytes a second
    ici: float  # bytes a second over all links to other chips, both directions' sum of one way
    memory: float  # bytes that a program can have
    per_host: int  # chips
    maker: str = "tpu"


# Google: cloud.google.com/tpu/docs/v5e, v6e, v5p (bf16 peak, HBM bandwidth, interchip bandwidth);
# a program on v5e and v6e may have 15.75 and 31.25 GiB, as TPU's compiler says. NVIDIA: data sheets
# of H100 SXM and A100 80 GB SXM (bf16 without sparsity, memory, NVLink).
CHIPS = {
    "v5e": Chip(197e12, 819e9, 200e9, 16.9e9, 4),
    "v6e": Chip(918e12, 1640e9, 448e9, 33.5e9, 4),
    "v5p": Chip(459e12, 2765e9, 600e9, 95e9, 4),
    "h100": Chip(989e12, 3350e9, 900e9, 80e9, 8, "gpu"),
    "a100": Chip(312e12, 2039e9, 600e9, 80e9, 8, "gpu"),
    # No vendor's figure: a simulated device of a laptop, so that parts can be put in order.
    "cpu": Chip(10e9, 2e9, 2e9, math.inf, 1024, "cpu"),
}
INSTALL = "pip install 'fdjax[tpu]' (libtpu compiles for a slice without one)"


class Slice(NamedTuple):
    name: str  # "v5e:4x4"
    chip: Chip
    devices: Sequence[Any]  # TPUs and GPUs that need not exist

    @property
    def compiles(self) -> bool:
        """Is there a compiler for it here?"""
        return self.chip.maker != "gpu"

    @property
    def hosts(self) -> int:
        return -(-len(self.devices) // self.chip.per_host)


class Absent:
    """A device that is only counted: meshes and shardings can be made of it."""

    process_index, client = 0, None

    def __init__(self, place: int, kind: str):
        self.id, self.platform, self.device_kind = place, "gpu", kind


def has_compiler() -> bool:
    """Is TPU's compiler there?"""
    return importlib.util.find_spec("libtpu") is not None


def find_slice(name: str) -> Slice:
    """Of "v5e:4x4", "h100:8" or "cpu:8". Raises ConfigError saying what is unknown or missing."""
    kind, _, shape = name.partition(":")
    if kind not in CHIPS:
        raise ConfigError(
            f"--topology={name}: unknown kind of chip, known are {', '.join(CHIPS)}"
            f"{nearest(kind, CHIPS)}"
        )
    if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*){0,2}", shape):
        raise ConfigError(f"--topology={name}: write {kind}:4x4 or {kind}:8, its shape or number")
    chip, count = CHIPS[kind], math.prod(int(n) for n in shape.split("x"))
    if chip.maker == "gpu":
        return Slice(name, chip, [Absent(i, kind) for i in range(count)])
    if chip.maker == "cpu":
        return Slice(name, chip, _simulated(name, count))
    return Slice(name, chip, _described(name))


def _described(name):
    if not has_compiler():
        raise ConfigError(f"--topology={name}: TPU's compiler is missing: {INSTALL}")
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # there is no TPU that could be asked
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")  # nor that would be in use
    os.environ.setdefault("TPU_STDERR_LOG_LEVEL", "3")
    jax.config.update("jax_platforms", "cpu")
    from jax.experimental import topologies

    try:
        return topologies.get_topology_desc(name, "tpu").devices
    except (RuntimeError, ValueError, NotImplementedError) as error:
        said = str(error).strip().splitlines()[0][:200]
        raise ConfigError(f"--topology={name}: there is no such slice: {said}") from None


def _simulated(name, count):
    try:
        jax.config.update("jax_num_cpu_devices", count)
        jax.config.update("jax_platforms", "cpu")
    except RuntimeError:
        pass  # JAX has begun: it has the devices that it has
    if len(jax.devices("cpu")) < count:
        raise ConfigError(
            f"--topology={name}: JAX has begun with {len(jax.devices('cpu'))} CPU devices: set "
            f"JAX_NUM_CPU_DEVICES={count}"
        )
    return jax.devices("cpu")[:count]
