"""Ablations of Feedback Distillation on the built-in benchmark: short runs from one warm start.

    python launch/ablations.py runs/ablations --init_from=runs/fd/sft          # a field at a time
    python launch/ablations.py runs/ablations --init_from=runs/fd/sft --full   # their product
    python -m fdjax.compare runs/ablations/*                                   # the table

Every run has the same budget of attempts and is judged on the theorems that it trained on. A run
that is there already is not run again; one that was killed goes on.
"""

import argparse
import itertools
from pathlib import Path

from fdjax import experiment
from fdjax.config import default

# The first value of each is the default.
FIELDS = {
    "fd.alpha": (0.0, 0.5, 1.0),
    "fd.gate": ("all", "failed"),
    "fd.teacher": ("ema", "frozen", "live"),
    "feedback.help": ("correction", "proof", "step", "error", "verdict"),
}
CONTROL = {"feedback.shuffle": True}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="a workdir for each run is made in it")
    parser.add_argument("--init_from", required=True, help="the sft stage that all runs begin with")
    parser.add_argument("--full", action="store_true", help="all combinations of the fields")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    args = parser.parse_args()
    for changes, seed in itertools.product(variants(full=args.full), args.seeds):
        name = " ".join(f"{field.split('.')[1]}={value}" for field, value in changes.items())
        workdir = args.folder / f"{name or 'default'} seed={seed}"
        if not (workdir / "summary.json").exists():
            experiment.run(make_config(changes, seed, args.init_from, args.steps), workdir)


def variants(*, full: bool) -> list[dict]:
    """What each run changes of the default, the control last."""
    others = {field: values[1:] for field, values in FIELDS.items()}
    if full:
        products = itertools.product(*FIELDS.values())
        chosen = [
            {f: v for f, v in zip(FIELDS, values) if v in others[f]} for values in products
        ]
    else:
        chosen = [{}, *({field: v} for field, values in others.items() for v in values)]
    return [*chosen, CONTROL]


def make_config(changes: dict, seed: int, init_from: str, steps: int):
    config = default()
    config.update(seed=seed, init_from=init_from)
    config.fd.steps = steps
    config.evaluation.heldout = config.evaluation.pool  # measured once for both
    config.update_from_flattened_dict(changes)
    return config


if __name__ == "__main__":
    main()
