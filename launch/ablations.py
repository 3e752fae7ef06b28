"""Ablations of Feedback Distillation on the built-in benchmark: short runs from one warm start.

    python launch/ablations.py runs/ablations --init_from=runs/fd/sft          # a field at a time
    python launch/ablations.py runs/ablations --init_from=runs/fd/sft --grid=corners
    python launch/ablations.py runs/recipes --init_from=runs/fd/sft --grid=recipes
    python launch/effects.py runs/ablations                                    # the tables
    python -m fdjax.reporting.compare runs/recipes/*

Grids: `fields`, a field at a time; `corners`, the first two values of each field in all
combinations; `product`, all values in all combinations; `recipes`, the published methods of
configs/. Every run has the same budget of attempts, but for dapo, which refills its steps (it made
35,072 in place of 7,680), and is judged on the theorems that it trained on. A run that is there
already is not run again; one that was killed goes on.
"""

import argparse
import itertools
import runpy
from collections.abc import Iterator
from pathlib import Path

from ml_collections import ConfigDict

from fdjax.config import default
from fdjax.lean.backend import BackendUnavailable
from fdjax.runtime.files import CorruptFile
from fdjax.training import experiment

# The first value of each is the default.
FIELDS = {
    "fd.alpha": (0.0, 1.0, 0.5),
    "fd.distill_attempts": ("all", "failed"),
    "fd.teacher": ("ema", "frozen", "live"),
    "feedback.help": ("correction", "proof", "step", "error", "verdict"),
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
CONFIGS = Path(__file__).parent.parent / "configs"
FULL = 100  # the steps of 16 x 8 attempts that recipes make in full


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="a workdir for each run is made in it")
    parser.add_argument("--init_from", required=True, help="the sft stage that all runs begin with")
    parser.add_argument(
        "--grid", choices=("fields", "corners", "product", "recipes"), default="fields"
    )
    parser.add_argument("--steps", type=int, default=60, help="of 16 x 8 attempts")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    args = parser.parse_args()
    named = recipes(args.steps) if args.grid == "recipes" else changed(args.grid, args.steps)
    for (name, config), seed in itertools.product(list(named), args.seeds):
        workdir = args.folder / f"{name} seed={seed}"
        if not (workdir / "summary.json").exists():
            config.update(seed=seed, init_from=args.init_from)
            config.evaluation.heldout = config.evaluation.train  # measured once for both
            try:
                experiment.run(config, workdir)
            except (experiment.ConfigError, CorruptFile, BackendUnavailable) as error:
                raise SystemExit(f"error: {error}") from None


def changed(grid: str, steps: int) -> Iterator[tuple[str, ConfigDict]]:
    for changes in variants(grid):
        name = " ".join(f"{field.split('.')[1]}={value}" for field, value in changes.items())
        config = default()
        config.fd.steps = steps
        config.update_from_flattened_dict(changes)
        yield name or "default", config


def variants(grid: str) -> list[dict]:
    """What each run changes of the default, the control last."""
    if grid == "fields":
        chosen = [{}, *({f: v} for f, values in FIELDS.items() for v in values[1:])]
    else:
        levels = 2 if grid == "corners" else None
        products = itertools.product(*(values[:levels] for values in FIELDS.values()))
        chosen = [
            {f: v for f, v in zip(FIELDS, values) if v != FIELDS[f][0]} for values in products
        ]
    return [*chosen, CONTROL]


def recipes(steps: int) -> Iterator[tuple[str, ConfigDict]]:
    """Each with the share of its stages' steps that `steps` is of the full ones."""
    for name in RECIPES:
        file, _, stage = name.partition(" ")
        config = runpy.run_path(CONFIGS / f"{file}.py")["get_config"]()
        if stage:
            config.stages = ("sft", stage)
        for learning in config.stages[1:]:
            config[learning].steps = round(config[learning].steps * steps / FULL)
        yield name, config


if __name__ == "__main__":
    main()
