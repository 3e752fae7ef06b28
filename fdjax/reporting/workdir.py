"""What runs left in their workdirs, finished or not, read back for reports and comparisons."""

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fdjax.rollout.journal import Journal
from fdjax.runtime.files import read_lines, read_object


class StageFolder(NamedTuple):
    name: str
    config: dict[str, Any]  # its config.json; "before": the fingerprint that it starts from
    metrics: list[dict[str, Any]]  # the lines of its metrics.jsonl
    journal: Journal | None  # None for a stage without rollouts


class RunFolder(NamedTuple):
    name: str
    stages: list[StageFolder]  # those after the start, in the order of training
    start: str  # the fingerprint of the policy that the first of them begins with
    evaluations: list[dict[str, Any]]  # the lines of evals.jsonl that evaluate a split

    @property
    def end(self) -> str:
        return self.stages[-1].config["fingerprint"]

    def figures(self, fingerprint: str) -> dict[str, dict]:
        """`evaluation_key` -> figures of the policy with that fingerprint."""
        lines = [e for e in self.evaluations if e["key"]["policy"] == fingerprint]
        return {evaluation_key(line["key"]): line["figures"] for line in lines}


def evaluation_key(key: Mapping[str, Any]) -> str:
    """Equal for evaluations that can be paired: the same split, theorems, prompt, seed, ... The
    version of Lean may differ.
    """
    kept = {k: v for k, v in key.items() if k not in ("policy", "lean")}
    return json.dumps(kept, sort_keys=True)


def read_stage(folder: Path) -> StageFolder:
    """Raises OSError and CorruptFile, as do all functions below."""
    rollouts = folder / "rollouts"
    journal = Journal(rollouts) if rollouts.is_dir() else None
    config, metrics = read_object(folder / "config.json"), read_lines(folder / "metrics.jsonl")
    return StageFolder(folder.name, config, metrics, journal)


def _stages(workdir: Path) -> list[Path]:
    """The folders of stages: others, such as an exported model, have a config.json, too."""
    files = workdir.glob("*/config.json")
    return [file.parent for file in files if "stage" in read_object(file)]


def read_stages(workdir: Path, order: Sequence[str]) -> list[StageFolder]:
    """The stages in `order`, then the others by the age of their folders."""
    folders = sorted(_stages(workdir), key=lambda f: ((f / "config.json").stat().st_mtime, f))
    names = [folder.name for folder in folders]
    names.sort(key=lambda n: order.index(n) if n in order else len(order))
    return [read_stage(workdir / name) for name in names]


def read_runs(workdirs: Sequence[str | Path]) -> list[RunFolder]:
    """Workdirs with the same last part of their paths get names with more parts.

    Raises ValueError for a folder without a run, or whose run has no stage after the warm start.
    """
    paths = [Path(workdir).expanduser().resolve() for workdir in workdirs]
    if missing := [str(p) for p in paths if not p.is_dir()]:
        raise ValueError(f"{missing[0]} is no folder")
    if repeated := [str(p) for p in paths if paths.count(p) > 1]:
        raise ValueError(f"{repeated[0]} is named twice")
    parts = 1
    while len({p.parts[-parts:] for p in paths}) < len(paths):
        parts += 1
    return [run for path in paths for run in _read_runs(path, "/".join(path.parts[-parts:]))]


def _read_runs(workdir: Path, name: str) -> list[RunFolder]:
    """One run; where stages branch from one policy, a run for the last stage of each branch."""
    stages = [read_stage(folder) for folder in sorted(_stages(workdir))]
    lines = itertools.chain(*(read_lines(f) for f in sorted(workdir.glob("*/evals.jsonl"))))
    evaluations = [line for line in lines if "split" in line["key"]]
    continued = {stage.config["before"] for stage in stages}
    last_stages = [stage for stage in stages if stage.config["fingerprint"] not in continued]
    branches = [branch for last in last_stages if (branch := _branch(stages, last))]
    if not branches:
        raise ValueError(f"{workdir} holds no stage that learns after a warm start")
    return [
        RunFolder(
            name if len(branches) == 1 else f"{name}/{branch[-1].name}",
            branch,
            branch[0].config["before"],
            evaluations,
        )
        for branch in branches
    ]


def _branch(stages: Sequence[StageFolder], last: StageFolder) -> list[StageFolder]:
    """The stages up to `last`, without the supervised ones that they begin with."""
    by_fingerprint = {stage.config["fingerprint"]: stage for stage in stages}
    branch = [last]
    while before := by_fingerprint.get(branch[0].config["before"]):
        branch.insert(0, before)
    objectives = (stage.config["stage"]["objective"] for stage in branch)
    warm = list(itertools.takewhile(lambda objective: objective == "supervised", objectives))
    return branch[len(warm) :]
