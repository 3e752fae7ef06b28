"""The figures of a whole run: the content of summary.json, and the last lines that a run prints."""

from collections.abc import Iterator, Mapping

import numpy as np

from fdjax.reporting.costs import cost_columns
from fdjax.reporting.pass_at_k import Figures, format_difference, format_rate, paired_difference

SPLITS = {"train": "train", "heldout": "held-out"}  # with their titles
FIGURES = {  # of an evaluation, beside pass@k
    "entropy": "entropy, nats per token",
    "distinct_proofs": "distinct proofs per theorem",
    "unique_ratio": "distinct share of all attempts",
    "distinct_2": "distinct-2 of all attempts",
    "response_tokens": "tokens per attempt",
    "truncated": "truncated share of attempts",
    "unverified": "attempts not verified",
}


def summarise(
    evaluations: Mapping[str, Mapping[str, dict]], spent: Mapping[str, Mapping[str, float]]
) -> dict:
    """`evaluations`: stage -> "train" | "heldout" | "train at T" | ... -> figures of `evaluate`; T
    is the low temperature. `spent`: stage -> sums of its own costs (fdjax.reporting.costs).

    stages: the figures of each stage; `minus_start` are differences to the first stage, paired by
    theorem. low_temperature: the same at T, against the first stage at T: a gain that is more than
    a sharper distribution is still there. The first stage at T is compared with itself at the full
    temperature: what a sharper distribution alone gains.
    """
    start = next(iter(evaluations.values()))
    summary: dict = {"stages": {}, "low_temperature": {}}
    for name, figures in evaluations.items():
        stage: dict = {split: _figures(figures[split], start[split]) for split in SPLITS}
        if spent.get(name):
            stage["spent"] = dict(spent[name])
        if "teacher_solve_rate" in figures:
            stage["teacher_solve_rate"] = figures["teacher_solve_rate"]
        summary["stages"][name] = stage
        for key in figures:
            split, _, temperature = key.partition(" at ")
            if temperature:
                low = summary["low_temperature"].setdefault(
                    name, {"temperature": float(temperature)}
                )
                reference = start[split if figures is start else key]
                low[split] = _figures(figures[key], reference)
    return summary


def _figures(figures: dict, start: dict) -> dict:
    kept = {name: figures[name] for name in ("pass_at_k", *FIGURES)}
    kept |= {name: figures[name] for name in ("episodes",) if name in figures}
    if figures is not start:
        kept["minus_start"] = minus_start(figures, start)
    return kept


def minus_start(figures: Mapping, start: Mapping) -> Figures:
    """pass@k of `evaluate`'s figures minus the start's, paired by theorem."""

    def counts(f: Mapping) -> tuple[np.ndarray, np.ndarray]:
        solved = np.array([f["solved"][theorem] for theorem in start["solved"]])
        return np.full(len(solved), f["samples"]), solved

    return paired_difference(*counts(figures), *counts(start))


def evaluated(summary: Mapping) -> Iterator[tuple[str, str, float | None, dict]]:
    """(split, stage, low temperature or None, figures), by split, then by stage."""
    for split in SPLITS:
        for name, stage in summary.get("stages", {}).items():
            if split in stage:
                yield split, name, None, stage[split]
            low = summary.get("low_temperature", {}).get(name, {})
            if split in low:
                yield split, name, low["temperature"], low[split]


def summary_lines(summary: Mapping) -> list[str]:
    """A table for the console."""
    lines = [
        "",
        "pass@k over theorems [95 % interval], and its paired difference to the first stage at the "
        "same temperature (the first stage at the low temperature: to itself at the full one)",
    ]
    for split, name, temperature, figures in evaluated(summary):
        suffix = "" if temperature is None else f" at temperature {temperature}"
        lines.append(_line(f"{split:8s} {name}{suffix}", figures))
    for name, stage in summary["stages"].items():
        if "spent" in stage:
            titles, [amounts] = cost_columns([stage["spent"]])
            costs = ", ".join(f"{value} {title}" for value, title in zip(amounts, titles))
            lines.append(f"spent by {name}: {costs}")
    for name, stage in summary["stages"].items():
        if stage.get("teacher_solve_rate"):
            rates = ", ".join(f"{r:.3f} {w}" for w, r in stage["teacher_solve_rate"].items())
            lines.append(f"teacher of {name} on failed attempts: {rates}")
    return lines


def _line(label: str, figures: Mapping) -> str:
    cells = []
    for k, value in figures["pass_at_k"].items():
        cell = f"@{k} {format_rate(value)}"
        if change := figures.get("minus_start", {}).get(k):
            cell += f" {format_difference(change)}"
        cells.append(cell)
    return f"{label:32s} {'  '.join(cells)}  entropy {figures['entropy']:.3f}"
