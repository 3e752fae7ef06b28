"""Whole runs of the command line in processes of their own, and comparisons of what they leave."""

import json
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp

ROOT = Path(__file__).parent.parent
STAGES = ("sft", "fd", "grpo")


def command(workdir, *flags, module="fdjax.main"):
    return [
        sys.executable,
        "-m",
        module,
        f"--config={ROOT / 'tests' / 'tiny_config.py'}",
        f"--workdir={workdir}",
        *flags,
    ]


def start(workdir, environment, *flags, **how):
    return subprocess.Popen(
        command(workdir, *flags, **how),
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def wait_for(path, process, timeout=300):
    """Until `path` exists; the process must not end before."""
    deadline = time.monotonic() + timeout
    while not path.exists():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def arrays(workdir, stage):
    """Path -> array of the stage's last checkpoint: parameters, teacher, moments."""
    folder = sorted((workdir / stage / "checkpoints").iterdir(), key=lambda f: int(f.name))[-1]
    found = {}
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    handler = ocp.StandardCheckpointHandler()
    for item in ("params", "state"):
        target = jax.tree.map(
            lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=here),
            handler.metadata(folder / item).tree,
        )
        tree = handler.restore(folder / item, args=ocp.args.StandardRestore(target))
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            found[item + jax.tree_util.keystr(path)] = np.asarray(leaf)
    return folder.name, found


def assert_same(workdir, other, stages=STAGES):
    for stage in stages:
        (step, ours), (other_step, theirs) = arrays(workdir, stage), arrays(other, stage)
        assert step == other_step and ours.keys() == theirs.keys()
        for name in ours:
            np.testing.assert_array_equal(ours[name], theirs[name], f"{stage} {name}")


def of_the_clock(name):
    """Or of what the cache of verdicts happened to know."""
    return name.startswith(("time/", "lean/")) or name.endswith("seconds") or name == "from_cache"


def assert_same_costs(workdir, other):
    for stage in STAGES:
        ours, theirs = (
            json.loads((w / "summary.json").read_text())["stages"][stage]["spent"]
            for w in (workdir, other)
        )
        assert ours.keys() == theirs.keys() and ours["flops"] > 0
        assert all(ours[k] == theirs[k] for k in ours if not of_the_clock(k))
