"""What matters on the benchmark of habits: a field at a time, at two seeds, from the warm starts of
launch/paper.py, with figures of the validation theorems. Learning rates are tried for FD and GRPO.

    python launch/what_matters.py runs/paper --at_once=2     # in the folder of launch/paper.py

Every run makes as many attempts as FD's 64 steps. Prints a table in markdown at the end. With two
seeds its intervals of pass@k are too narrow, as docs/lab_notes.md says.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jobs
import paper
from claims import Method, evaluation, method, over_both, over_seeds

from fdjax.reporting.compare import markdown_rows
from fdjax.reporting.pass_at_k import KS, bold_difference
from fdjax.reporting.workdir import read_runs

SEEDS = (0, 1)
SPLIT = "validation"
LOW = 0.6  # a temperature: is a gain more than a sharper policy?
FD, GRPO, BOTH = "configs/fd.py", "configs/grpo.py", "configs/fd_grpo.py"
CORRECTIONS, OF_CORRECTIONS = paper.OTHERS["corrections"]


def steps(fd: int) -> dict[str, Any]:
    return {"fd.steps": fd, "grpo.steps": 64 - fd}


# Method -> {what differs: (config, flags)}; the first of each method is the recipe itself.
CHANGES: Mapping[str, Mapping[str, tuple[str, dict[str, Any]]]] = {
    "fd": {
        "as it is": (FD, {}),
        "learning rate 1.25e-5": (FD, {"fd.optimizer.learning_rate": 1.25e-5}),
        "learning rate 2.5e-5": (FD, {"fd.optimizer.learning_rate": 2.5e-5}),
        "learning rate 5e-5": (FD, {"fd.optimizer.learning_rate": 5e-5}),
        "learning rate 2e-4": (FD, {"fd.optimizer.learning_rate": 2e-4}),
        "reverse KL": (FD, {"fd.alpha": 1.0}),
        "Jensen-Shannon": (FD, {"fd.alpha": 0.5}),
        "successes count nothing": (FD, {"fd.success_weight": 0.0}),
        "successes count fully": (FD, {"fd.success_weight": 1.0}),
        "all tokens": (FD, {"fd.learn_tokens": "all"}),
        "frozen teacher": (FD, {"fd.teacher": "frozen"}),
        "whole proofs": (FD, {"feedback.oracle.level": "proof"}),
        "the next step": (FD, {"feedback.oracle.level": "step"}),
    },
    "grpo": {
        "as it is": (GRPO, {}),
        "learning rate 5e-5": (GRPO, {"grpo.optimizer.learning_rate": 5e-5}),
        "learning rate 2e-4": (GRPO, {"grpo.optimizer.learning_rate": 2e-4}),
        "learning rate 3e-4": (GRPO, {"grpo.optimizer.learning_rate": 3e-4}),
    },
    "fd_grpo": {
        "as it is": (BOTH, {}),
        "16 steps of FD, 48 of GRPO": (BOTH, steps(16)),
        "48 steps of FD, 16 of GRPO": (BOTH, steps(48)),
        "in turns": (BOTH, {"stages": "('sft','alternating')"}),
        "both losses": (BOTH, {"stages": "('sft','weighted')"}),
        "FD's learning rate 2.5e-5": (BOTH, {"fd.optimizer.learning_rate": 2.5e-5}),
    },
    "corrections": {
        "as it is": (CORRECTIONS, OF_CORRECTIONS),
        "each step's alone": (CORRECTIONS, OF_CORRECTIONS | {"expert_iteration.replay": False}),
        "whole proofs": (CORRECTIONS, OF_CORRECTIONS | {"feedback.oracle.level": "proof"}),
    },
}


def runs() -> dict[tuple[str, str], list[jobs.Job]]:
    """(method, what differs) -> its jobs, one for each seed."""
    common = {
        "evaluation.heldout": SPLIT,
        "evaluation.train_theorems": 1,  # they are in no table
        "evaluation.low_temperature": LOW,
    }
    return {
        (name, change): [
            jobs.Job(
                f"matters-{name}-{re.sub('[^a-z0-9]+', '-', change.lower())}-{seed}",
                config,
                flags | common | {"seed": seed},
                init_from=f"{paper.job_of('sft', seed).name}/sft",
            )
            for seed in SEEDS
        ]
        for name, changes in CHANGES.items()
        for change, (config, flags) in changes.items()
    }


def all_jobs() -> list[jobs.Job]:
    """By seed, after the warm starts."""
    warm = [paper.job_of("sft", seed) for seed in SEEDS]
    return warm + [of_seed[i] for i in range(len(SEEDS)) for of_seed in runs().values()]


class Figures(NamedTuple):
    """Of all seeds."""

    full: Method  # at temperature 1
    low: Method  # at LOW


def table(folder: Path) -> tuple[list[str], list[list[str]]]:
    """The start, of each method the recipe itself, and what each change adds to it: means over
    seeds and theorems, intervals over both, as in claims.py. A change that has not ended at all
    seeds is left out.
    """
    rows, start = [], None
    found: dict[tuple[str, str], Figures] = {}
    for key, of_seeds in runs().items():
        workdirs = [folder / job.name for job in of_seeds]
        if all((workdir / "summary.json").exists() for workdir in workdirs):
            ended = read_runs(workdirs)
            found[key] = _figures([run.figures(run.end) for run in ended])
            start = start or _figures([run.figures(run.start) for run in ended])
    if start:
        rows.append(["**start**", *_means(start)])
    for (name, change), one in found.items():
        recipe = found.get((name, "as it is"))
        if recipe is one:
            rows.append([f"**{name}**", *_means(one)])
        elif recipe:
            rows.append([change, *_differences(one, recipe)])
    return ["", *(f"pass@{k}" for k in KS), f"pass@1 at {LOW}", "entropy"], rows


def _figures(evaluations: Sequence[Mapping[str, Mapping]]) -> Figures:
    """`evaluations`: of each seed's policy, as RunFolder.figures gives them."""
    by_temperature = (
        method([evaluation(of_seed, SPLIT, temperature) for of_seed in evaluations])
        for temperature in (1.0, LOW)
    )
    return Figures(*by_temperature)


def _means(one: Figures) -> list[str]:
    rates = [*one.full.pass_STK.mean((0, 1)), one.low.pass_STK[:, :, 0].mean()]
    return [f"{mean:.3f}" for mean in (*rates, one.full.entropy_S.mean())]


def _differences(one: Figures, recipe: Figures) -> list[str]:
    changes = over_both(one.full.pass_STK - recipe.full.pass_STK)
    changes += over_both(one.low.pass_STK[:, :, :1] - recipe.low.pass_STK[:, :, :1])
    changes.append(over_seeds(one.full.entropy_S - recipe.full.entropy_S))
    return [bold_difference(change) for change in changes]


if __name__ == "__main__":
    folder = jobs.run(all_jobs(), __doc__.split("\n\n")[0])
    print(markdown_rows(*table(Path(folder))))
