"""Whole runs of the command line in processes of their own, and comparisons of what they leave."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp

from fdjax.runtime.files import read_lines

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
    steps = [f for f in (workdir / stage / "checkpoints").iterdir() if f.name.isdigit()]
    folder = max(steps, key=lambda f: int(f.name))
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
    if name in ("from_cache", "device_idle", "mfu", "decode_bandwidth"):
        return True
    return name.startswith(("time/", "lean/")) or name.endswith("seconds")


def assert_same_costs(workdir, other, stages=STAGES):
    for stage in stages:
        ours, theirs = (
            json.loads((w / "summary.json").read_text())["stages"][stage]["spent"]
            for w in (workdir, other)
        )
        assert ours.keys() == theirs.keys() and ours["flops"] > 0
        assert all(ours[k] == theirs[k] for k in ours if not of_the_clock(k))


# --- docs/metrics.md -----------------------------------------------------------------------------


def documented(file):
    """The keys in the section of docs/metrics.md on `file`."""
    page = (ROOT / "docs" / "metrics.md").read_text()
    section = page.split(f"\n## {file}\n")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")]
    return [key for cell in cells for key in re.findall("`([^`]+)`", cell)]


def is_documented(key, page_keys):
    """Words in capitals, such as NAME, stand for anything."""
    patterns = [re.sub("[A-Z]{2,}", ".+", re.escape(page_key)) for page_key in page_keys]
    return any(re.fullmatch(pattern, key) for pattern in patterns)


def written_keys(workdir):
    """File -> the keys that a run wrote; of summary.json as paths, but figures of an evaluation as
    keys of evals.jsonl.
    """
    metrics = [x for f in workdir.glob("*/metrics.jsonl") for x in read_lines(f)]
    evals = [x["figures"] for f in workdir.glob("*/evals.jsonl") for x in read_lines(f)]
    keys = {
        "metrics.jsonl": {key for line in metrics for key in line},
        "evals.jsonl": {key for figures in evals for key in figures},
        "summary.json": set(),
    }
    summary = json.loads((workdir / "summary.json").read_text())
    for part, blocks in summary.items():
        for name, block in blocks.items():
            path, in_stage = f"{part}.{name}", part == "stages"
            # The page has one line on low_temperature: it is as the stages are.
            keys["summary.json"] |= {f"{path}.{key}" for key in block} if in_stage else {path}
            for split in ("train", "heldout"):
                figures = set(block.get(split, {}))
                keys["evals.jsonl"] |= figures - {"minus_start"}
                if in_stage and "minus_start" in figures:
                    keys["summary.json"].add(f"{path}.{split}.minus_start")
            keys["metrics.jsonl"] |= {f"cost/{kind}" for kind in block.get("spent", {})}
            keys["evals.jsonl"] |= set(block.get("teacher_solve_rate", {}))
    return keys


def assert_documented(workdir):
    """Every key that the run wrote is in docs/metrics.md."""
    for file, keys in written_keys(workdir).items():
        page_keys = documented(file)
        assert not [key for key in keys if not is_documented(key, page_keys)], file
