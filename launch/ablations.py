"""Ablations of Feedback Distillation on the built-in benchmark: short runs from one warm start.

    fdjax train --config=configs/sft.py:pool --workdir=runs/pool               # the warm start
    python launch/ablations.py runs/ablations --init_from=runs/pool/sft          # a field at a time
    python launch/ablations.py runs/ablations --init_from=runs/pool/sft --grid=corners
    python launch/ablations.py runs/recipes --init_from=runs/pool/sft --grid=recipes
    python launch/effects.py runs/ablations                                    # the tables
    fdjax compare runs/recipes/*

Grids: `fields`, a field at a time; `corners`, the first two values of each field in all
combinations; `product`, all values in all combinations; `recipes`, the published methods of
configs/. Every run has the same budget of attempts, except dapo, which refills its steps (it used
35,072 instead of 7,680), and is evaluated on the theorems that it trained on. What has ended is
reused, a run that was stopped is resumed, and one of other arguments is refused.
"""

import argparse
import itertools
import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from fdjax.config import ConfigError, default
from fdjax.lean.backend import BackendUnavailable
from fdjax.runtime.files import CorruptFile
from fdjax.training.experiment import run_experiment

LEVELS = {  # of the feedback, with the config fields that set them
    "correction": {},
    "proof": {"feedback.oracle.level": "proof"},
    "step": {"feedback.oracle.level": "step"},
    "error": {"feedback.provider": "lean_messages"},
    "verdict": {"feedback.provider": "lean_messages", "feedback.lean_messages.level": "verdict"},
}
# The first value of each is the default.
FIELDS = {
    "fd.alpha": (0.0, 1.0, 0.5),
    "fd.distill_attempts": ("all", "failed"),
    "fd.teacher": ("ema", "frozen", "live"),
    "feedback.level": tuple(LEVELS),
}
CONTROL = {"feedback.shuffle": True}
RECIPES = (
    "sdpo",
    "opsd",
    "sdft",
    "gkd",
    "grpo",
    "dr_grpo",
    "dapo",
    "gspo",
    "cispo",
    "fd_grpo",
    "fd_grpo alternating",
    "fd_grpo weighted",
    "expert_iteration",
)
BOTH = ("grpo", "fd_grpo", "expert_iteration")  # of RECIPES: also for the other benchmark
CONFIGS = Path(__file__).parent.parent / "configs"
FULL_STEPS = 100  # of 16 x 8 attempts, in the recipes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", help="of the workdirs, one for each run")
    parser.add_argument("--init_from", required=True, help="the sft stage that all runs start from")
    parser.add_argument(
        "--grid", choices=("fields", "corners", "product", "recipes"), default="fields"
    )
    parser.add_argument("--steps", type=int, default=60, help="of 16 x 8 attempts")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    args = parser.parse_args()
    folder = Path(args.folder).expanduser()
    runs = recipes(args.steps) if args.grid == "recipes" else ablations(args.grid, args.steps)
    for (name, config), seed in itertools.product(runs, args.seeds):
        workdir = folder / f"{name} seed={seed}"
        config.update(seed=seed, init_from=args.init_from)
        config.evaluation.heldout = config.evaluation.train  # measured once for both
        try:
            run_experiment(config, workdir)
        except (ConfigError, CorruptFile, BackendUnavailable) as error:
            raise SystemExit(f"error: {error}") from None


def ablations(grid: str, steps: int) -> Iterator[tuple[str, ConfigDict]]:
    """Names and configs of the runs of a grid."""
    for changes in variants(grid):
        name = " ".join(f"{field.split('.')[1]}={value}" for field, value in changes.items())
        config = default()
        config.fd.steps = steps
        config.update_from_flattened_dict(config_fields(changes))
        yield name or "default", config


def variants(grid: str) -> list[dict[str, Any]]:
    """The fields that each run changes, with their values; the control is last."""
    if grid == "fields":
        chosen = [{}, *({f: v} for f, values in FIELDS.items() for v in values[1:])]
    else:
        levels = 2 if grid == "corners" else None
        products = itertools.product(*(values[:levels] for values in FIELDS.values()))
        chosen = [
            {f: v for f, v in zip(FIELDS, values) if v != FIELDS[f][0]} for values in products
        ]
    return [*chosen, CONTROL]


def config_fields(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the config: `feedback.level` stands for those of LEVELS."""
    fields = dict(changes)
    return fields | LEVELS[fields.pop("feedback.level", "correction")]


def recipes(steps: int) -> Iterator[tuple[str, ConfigDict]]:
    """Names and configs; the stages after the first have steps / FULL_STEPS of their steps."""
    for name in RECIPES:
        file, _, stage = name.partition(" ")
        get_config = runpy.run_path(str(CONFIGS / f"{file}.py"))["get_config"]
        config = get_config("pool") if file in BOTH else get_config()
        if stage:
            config.stages = ("sft", stage)
        for trained in config.stages[1:]:
            config[trained].steps = round(config[trained].steps * steps / FULL_STEPS)
        yield name, config


if __name__ == "__main__":
    main()
