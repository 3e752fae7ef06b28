"""The effect of each field in the runs of launch/ablations.py: two tables in markdown.

    python launch/effects.py runs/ablations

The effect of a value is the mean difference to the field's default over all pairs of runs that
differ in this field alone. Intervals are over theorems (bootstrap, 95 %), for the given runs;
differences of entropy are printed with their smallest and largest.
"""

import argparse
import itertools
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ablations import CONTROL, FIELDS

from fdjax.reporting.compare import markdown_rows
from fdjax.reporting.pass_at_k import bold_difference, bootstrap, estimate, format_difference
from fdjax.reporting.summary import minus_start
from fdjax.reporting.workdir import RunFolder, read_runs

KS = (1, 16, 64)
DEFAULTS = {field: values[0] for field, values in FIELDS.items()} | {f: False for f in CONTROL}


class Result(NamedTuple):
    name: str
    settings: dict[str, Any]  # values of FIELDS, CONTROL and seed
    figures: dict[str, Any]  # of the end, on the train split at temperature 1
    start: dict[str, Any]  # the same of the policy that it started from


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", help="of launch/ablations.py")
    folder = Path(parser.parse_args().folder).expanduser()
    workdirs = sorted(file.parent for file in folder.glob("*/summary.json"))
    if not workdirs:
        parser.error("the folder holds no finished run")
    results = [read_result(run) for run in read_runs(workdirs)]
    print(*(markdown_rows(*table) for table in (effects(results), absolute(results))), sep="\n\n")
    return 0


def read_result(run: RunFolder) -> Result:
    config = run.stages[-1].config
    feedback = config["feedback"]
    blocks = {
        "fd": config["stage"],
        "feedback": feedback | {"level": feedback[feedback["provider"]]["level"]},
    }
    settings = {"seed": config["seed"]}
    for path in DEFAULTS:
        block, field = path.split(".")
        settings[path] = blocks[block][field]
    figures = {
        line["key"]["policy"]: line["figures"]
        for line in run.evaluations
        if line["key"]["split"] == "train" and line["key"]["temperature"] == 1
    }
    return Result(run.name, settings, figures[run.end], figures[run.start])


def effects(results: list[Result]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: a row for each value of a field that some run has, except the default."""
    rows = []
    for field, default in DEFAULTS.items():
        values = sorted({r.settings[field] for r in results} - {default}, key=str)
        for value in values:
            pairs = [
                (a, b)
                for a, b in itertools.product(results, results)
                if a.settings == b.settings | {field: value} and b.settings[field] == default
            ]
            if not pairs:
                continue
            cells = [
                _interval(np.mean([_pass_at_k(a, k) - _pass_at_k(b, k) for a, b in pairs], axis=0))
                for k in KS
            ]
            changes = [a.figures["entropy"] - b.figures["entropy"] for a, b in pairs]
            entropy = f"{np.mean(changes):+.3f}"
            if len(pairs) > 1:
                entropy += f" ({min(changes):+.3f} to {max(changes):+.3f})"
            rows.append([f"`{field}={value}`", str(default), str(len(pairs)), *cells, entropy])
    head = ["value", "in place of", "pairs", *(f"pass@{k}" for k in KS), "entropy"]
    return head, rows


def absolute(results: list[Result]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: the start, then the runs by pass@1, the best first."""
    rows = [["start", *_figures(results[0].start), ""]]
    for result in sorted(results, key=lambda r: -r.figures["pass_at_k"]["1"]["mean"]):
        gain = minus_start(result.figures, result.start)["1"]
        rows.append([result.name, *_figures(result.figures), format_difference(gain)])
    return ["run", *(f"pass@{k}" for k in KS), "entropy", "pass@1 minus start"], rows


def _pass_at_k(result: Result, k: int) -> np.ndarray:
    """f64[T]: of each theorem."""
    solved = result.figures["solved"]
    solved_T = np.array([solved[theorem] for theorem in sorted(solved)])
    return estimate(np.full(len(solved_T), result.figures["samples"]), solved_T, k)


def _interval(values_T: np.ndarray) -> str:
    (low,), (high,) = bootstrap(values_T[:, None])
    return bold_difference({"mean": values_T.mean(), "low": low, "high": high})


def _figures(figures: dict) -> list[str]:
    rates = [figures["pass_at_k"][str(k)]["mean"] for k in KS]
    return [f"{value:.3f}" for value in (*rates, figures["entropy"])]


if __name__ == "__main__":
    sys.exit(main())
