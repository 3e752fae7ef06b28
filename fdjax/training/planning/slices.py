"""Slices of chips by name: devices that need not exist."""

import importlib.util
import math
import os
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from fdjax.config import ConfigError
from fdjax.config.read import nearest
from fdjax.runtime.chips import CHIPS, Chip

# For TPU's compiler: there is none that could be asked, none that would be in use, and no complaint
# about that.
NO_TPU = {
    "TPU_SKIP_MDS_QUERY": "1",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_HOST_BOUNDS": "1,1,1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_STDERR_LOG_LEVEL": "3",
}
INSTALL = "pip install -e '.[tpu]' (libtpu compiles for a slice without one)"


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
    for variable, value in NO_TPU.items():
        os.environ.setdefault(variable, value)
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
