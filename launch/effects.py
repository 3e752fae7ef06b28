"""What each field of an ablation does: tables in markdown, of the runs of launch/ablations.py.

    python launch/effects.py runs/ablations

The effect of a value is the mean difference, over all pairs of runs that are alike but for it, to
the field's default. Intervals are over theorems (bootstrap, 95 %), the runs being what they are;
differences of entropy stand with their least and largest.
"""

import argparse
import itertools
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ablations import CONTROL, FIELDS

from fdjax.reporting.compare import Run, markdown_rows, read_runs
from fdjax.reporting.pass_at_k import bootstrap, estimate
from fdjax.reporting.summary import minus_start

KS = (1, 16, 64)
SETTINGS = (*FIELDS, *CONTROL, "seed")
DEFAULTS = {f: values[0] for f, values in FIELDS.items()} | {f: False for f in CONTROL}


class Judged(NamedTuple):
    name: str
    settings: dict[str, Any]  # of SETTINGS
    figures: dict[str, Any]  # of the end, on the pool at temperature 1
    start: dict[str, Any]  # the same of what it began with


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="of launch/ablations.py")
    folders = sorted(f.parent for f in parser.parse_args().folder.glob("*/summary.json"))
    if not folders:
        parser.error("the folder holds no finished run")
    runs = [judged(run) for run in read_runs(folders)]
    print(*(markdown_rows(*table) for table in (effects(runs), absolute(runs))), sep="\n\n")
    return 0


def judged(run: Run) -> Judged:
    record = run.stages[-1].record
    blocks = {"fd": record["stage"], "feedback": record["feedback"]}
    settings = {"seed": record["seed"]}
    for path in (*FIELDS, *CONTROL):
        block, field = path.split(".")
        settings[path] = blocks[block][field]
    figures = {
        line["key"]["policy"]: line["figures"]
        for line in run.evaluations
        if line["key"]["split"] == "train" and line["key"]["temperature"] == 1
    }
    return Judged(run.name, settings, figures[run.end], figures[run.start])


def effects(runs: list[Judged]) -> tuple[list[str], list[list[str]]]:
    rows = []
    for field, default in DEFAULTS.items():
        values = sorted({r.settings[field] for r in runs} - {default}, key=str)
        for value in values:
            pairs = [
                (a, b)
                for a, b in itertools.product(runs, runs)
                if a.settings == b.settings | {field: value} and b.settings[field] == default
            ]
            if not pairs:
                continue
            cells = [
                _interval(np.mean([_passed(a, k) - _passed(b, k) for a, b in pairs], axis=0))
                for k in KS
            ]
            of_pairs = [a.figures["entropy"] - b.figures["entropy"] for a, b in pairs]
            entropy = f"{np.mean(of_pairs):+.3f}"
            if len(pairs) > 1:
                entropy += f" ({min(of_pairs):+.3f} to {max(of_pairs):+.3f})"
            rows.append([f"`{field}={value}`", str(default), str(len(pairs)), *cells, entropy])
    head = ["value", "in place of", "pairs", *(f"pass@{k}" for k in KS), "entropy"]
    return head, rows


def absolute(runs: list[Judged]) -> tuple[list[str], list[list[str]]]:
    """The start first, then the runs by pass@1, the best first."""
    rows = [["start", *_figures(runs[0].start), ""]]
    for run in sorted(runs, key=lambda r: -r.figures["pass_at_k"]["1"]["mean"]):
        gain = minus_start(run.figures, run.start)["1"]
        change = "{mean:+.3f} [{low:+.3f}, {high:+.3f}]".format(**gain)
        rows.append([run.name, *_figures(run.figures), change])
    return ["run", *(f"pass@{k}" for k in KS), "entropy", "pass@1 minus start"], rows


def _passed(run: Judged, k: int) -> np.ndarray:
    """f64[T]: pass@k of each theorem."""
    solved_T = np.array([run.figures["solved"][t] for t in sorted(run.figures["solved"])])
    return estimate(np.full(len(solved_T), run.figures["samples"]), solved_T, k)


def _interval(values_T: np.ndarray) -> str:
    (low,), (high,) = bootstrap(values_T[:, None])
    text = f"{values_T.mean():+.3f} [{low:+.3f}, {high:+.3f}]"
    return f"**{text}**" if low > 0 or high < 0 else text


def _figures(figures: dict) -> list[str]:
    rates = [figures["pass_at_k"][str(k)]["mean"] for k in KS]
    return [f"{value:.3f}" for value in (*rates, figures["entropy"])]


if __name__ == "__main__":
    sys.exit(main())
