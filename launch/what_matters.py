"""What matters on the benchmark of habits: a field at a time, at two seeds, from the warm starts of
launch/paper.py, with figures of the validation theorems. Learning rates are tried for FD and GRPO.

    python launch/what_matters.py runs/paper --at_once=2     # in the folder of launch/paper.py

Every run makes as many attempts as FD's 64 steps. Prints a table in markdown at the end. With two
seeds its intervals of pass@k are too narrow, as docs/lab_notes.md says.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jobs
from claims import Method, evaluation, method, over_both, over_seeds

from fdjax.reporting.compare import markdown_rows
from fdjax.reporting.pass_at_k import KS, bold_difference
from fdjax.reporting.workdir import read_runs

SEEDS = (0, 1)
SPLIT = "validation"
FD, GRPO, BOTH = "configs/fd.py", "configs/grpo.py", "configs/fd_grpo.py"
CORRECTIONS = "configs/expert_iteration.py", {"expert_iteration.corrections": True}


def steps(fd: int) -> dict[str, Any]:
    return {"fd.steps": fd, "grpo.steps": 64 - fd}


# Method -> {what differs: (config, flags)}; the first of each method is the recipe itself.
CHANGES: Mapping[str, Mapping[str, tuple[str, dict[str, Any]]]] = {
    "fd": {
        "as it is": (FD, {}),
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
    },
    "corrections": {
        "as it is": CORRECTIONS,
        "each step's alone": (CORRECTIONS[0], CORRECTIONS[1] | {"expert_iteration.replay": False}),
    },
}


def runs() -> dict[tuple[str, str], list[jobs.Job]]:
    """(method, what differs) -> its jobs, one for each seed."""
    common = {"evaluation.heldout": SPLIT}
    return {
        (name, change): [
            jobs.Job(
                f"matters-{name}-{number}-{seed}",
                config,
                flags | common | {"seed": seed},
                init_from=f"sft-{seed}/sft",
            )
            for seed in SEEDS
        ]
        for name, changes in CHANGES.items()
        for number, (change, (config, flags)) in enumerate(changes.items())
    }


def all_jobs() -> list[jobs.Job]:
    """By seed, after the warm starts."""
    warm = [jobs.Job(f"sft-{seed}", "configs/sft.py", {"seed": seed}) for seed in SEEDS]
    return warm + [of_seed[i] for i in range(len(SEEDS)) for of_seed in runs().values()]


def table(folder: Path) -> tuple[list[str], list[list[str]]]:
    """Of each method the recipe itself, and what each change adds: means over seeds and theorems,
    intervals over both, as in claims.py. A change that has not ended at all seeds is left out.
    """
    found = {
        key: method([_figures(folder / job.name) for job in of_seeds])
        for key, of_seeds in runs().items()
        if all((folder / job.name / "summary.json").exists() for job in of_seeds)
    }
    rows = []
    for (name, change), one in found.items():
        recipe = found.get((name, "as it is"))
        if recipe is one:
            means = [f"{mean:.3f}" for mean in one.pass_STK.mean((0, 1))]
            rows.append([f"**{name}**", *means, f"{one.entropy_S.mean():.3f}"])
        elif recipe:
            rows.append([change, *_differences(one, recipe)])
    return ["", *(f"pass@{k}" for k in KS), "entropy"], rows


def _differences(one: Method, recipe: Method) -> list[str]:
    gains = over_both(one.pass_STK - recipe.pass_STK)
    return [
        *map(bold_difference, gains),
        bold_difference(over_seeds(one.entropy_S - recipe.entropy_S)),
    ]


def _figures(workdir: Path) -> dict[str, Any]:
    [run] = read_runs([workdir])
    return evaluation(run.figures(run.end), SPLIT)


if __name__ == "__main__":
    folder = jobs.run(all_jobs(), __doc__.split("\n\n")[0])
    print(markdown_rows(*table(Path(folder))))
