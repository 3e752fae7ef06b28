"""The figures of a whole run: what summary.json holds, and the last lines that a run prints."""

from collections.abc import Mapping

import numpy as np

from fdjax.reporting.costs import KINDS, amount
from fdjax.reporting.pass_at_k import Figures, paired_difference

SPLITS = ("train", "heldout")
_STAGE_FIGURES = (
    "pass_at_k",
    "entropy",
    "distinct_proofs",
    "unique_ratio",
    "distinct_2",
    "response_tokens",
    "truncated",
    "unverified",
)


def summarise(
    evaluations: Mapping[str, Mapping[str, dict]], spent: Mapping[str, Mapping[str, float]]
) -> dict:
    """`evaluations`: stage -> "pool" | "heldout" | "pool at T" | ... -> figures of `evaluate`.
    `spent`: stage -> sums of fdjax.reporting.costs, of its own training alone.

    stages: each stage's figures; `minus_start` are differences to the first stage, paired by
    theorem. sharper: the same at the lower temperature, against the first stage at that
    temperature: what is left of a gain that is not only sharpening. The first stage's own is
    against itself at the full temperature: what sharpening alone gains.
    """
    start = next(iter(evaluations.values()))
    summary: dict = {"stages": {}, "low_temperature": {}}
    for name, figures in evaluations.items():
        stage = {s: _figures(figures[s], start[s]) for s in SPLITS}
        if spent.get(name):
            stage["spent"] = dict(spent[name])
        if "teacher_solve_rate" in figures:
            stage["teacher_solve_rate"] = figures["teacher_solve_rate"]
        summary["stages"][name] = stage
        for what in figures:
            split, _, temperature = what.partition(" at ")
            if temperature:
                low_temperature = summary["low_temperature"].setdefault(
                    name, {"temperature": float(temperature)}
                )
                low_temperature[split] = _figures(
                    figures[what], start[split if figures is start else what]
                )
    return summary


def _figures(figures: dict, start: dict) -> dict:
    kept = {name: figures[name] for name in _STAGE_FIGURES}
    if figures is not start:
        kept["minus_start"] = minus_start(figures, start)
    return kept


def minus_start(figures: Mapping, start: Mapping) -> Figures:
    """pass@k of `evaluate`'s figures minus the start's, paired by theorem."""
    theorems = list(start["solved"])
    counts = [np.array([f["solved"][t] for t in theorems]) for f in (figures, start)]
    tries = [np.full(len(theorems), f["samples"]) for f in (figures, start)]
    return paired_difference(tries[0], counts[0], tries[1], counts[1])


def summary_lines(summary: dict) -> list[str]:
    """A table that can be read at a glance; the JSON of it follows."""
    lines = [
        "",
        "pass@k over theorems [95 % interval], and its paired difference to the start at the same "
        "temperature (the start sharpened: to the start)",
    ]
    for split in SPLITS:
        for name, stage in summary["stages"].items():
            lines.append(_line(f"{split:8s} {name}", stage[split]))
            if name in summary["low_temperature"]:
                low_temperature = summary["low_temperature"][name]
                label = f"{split:8s} {name} at temperature {low_temperature['temperature']}"
                lines.append(_line(label, low_temperature[split]))
    for name, stage in summary["stages"].items():
        if "spent" in stage:
            costs = {title: v for k, title in KINDS.items() if (v := stage["spent"].get(k))}
            told = ", ".join(f"{amount(value)} {kind}" for kind, value in costs.items())
            lines.append(f"spent by {name}: {told}")
    for name, stage in summary["stages"].items():
        if "teacher_solve_rate" in stage:
            rates = ", ".join(f"{r:.3f} {w}" for w, r in stage["teacher_solve_rate"].items())
            lines.append(f"teacher of {name} on failed attempts: {rates}")
    return lines


def _line(label: str, figures: dict) -> str:
    cells = []
    for k in ("1", "4", "16", "64"):
        value = figures["pass_at_k"].get(k)
        if value is None:
            continue
        cell = f"@{k} {value['mean']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
        difference = figures.get("minus_start", {}).get(k)
        if difference:
            cell += " {mean:+.3f} [{low:+.3f}, {high:+.3f}]".format(**difference)
        cells.append(cell)
    return f"{label:32s} {'  '.join(cells)}  entropy {figures['entropy']:.3f}"
