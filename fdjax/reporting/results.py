"""What runs came to: pass@k of each start and end, and in words which intervals exclude 0."""

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fdjax.reporting.pass_at_k import Figures, bold_difference, excludes_zero, format_rate
from fdjax.reporting.summary import minus_start
from fdjax.reporting.workdir import RunFolder


class Table(NamedTuple):
    """Text between ** is bold."""

    title: str
    note: str
    head: list[str]
    rows: list[list[str]]


class Result(NamedTuple):
    """A policy on the theorems of one evaluation."""

    name: str  # of the run, or START
    key: str  # of the evaluation: results of one key can be paired
    figures: dict[str, Any]
    start: dict[str, Any] | None  # the figures of the policy that the run started from

    @property
    def split(self) -> str:
        return json.loads(self.key)["split"]

    @property
    def sampling(self) -> str:
        """How the attempts were sampled and judged."""
        key = json.loads(self.key)
        cuts = "".join(f", {name} {key[name]:g}" for name in ("top_p", "min_p") if name in key)
        replayed = ", replayed" if key.get("replayed") else ""
        return f"temperature {key['temperature']:g}{cuts}{replayed}"

    def count(self) -> str:
        return f"{len(self.figures['solved'])} {self.split}"


START = "start"


def results(runs: Sequence[RunFolder]) -> list[Result]:
    """Each start once, then the end of each run; of each policy first the theorems that no run
    trained on, at the highest temperature first.
    """
    starts: list[Result] = []
    ends: list[Result] = []
    for run in runs:
        before = run.figures(run.start)
        for key, figures in before.items():
            if (result := Result(START, key, figures, None)) not in starts:
                starts.append(result)
        ends += [Result(run.name, k, f, before.get(k)) for k, f in run.figures(run.end).items()]
    seen = trained_splits(runs)

    def order(result: Result) -> tuple:
        return -json.loads(result.key)["temperature"], result.sampling

    def side(result: Result) -> tuple:
        return result.split in seen, result.split

    names = [START, *(run.name for run in runs)]
    return sorted(starts + ends, key=lambda r: (*order(r), names.index(r.name), *side(r)))


def trained_splits(runs: Sequence[RunFolder]) -> set[str]:
    return {stage.config["stage"]["theorems"] for run in runs for stage in run.stages}


def result_tables(runs: Sequence[RunFolder]) -> list[Table]:
    """A table for each way of sampling: a policy's figures on the splits side by side. Then the
    first run against each of the others.
    """
    found = results(runs)
    groups = [(title, list(g)) for title, g in itertools.groupby(found, lambda r: r.sampling)]
    tables = [_result_table(title, group) for title, group in groups]
    return tables + [t for title, group in groups if (t := _against_first(title, group))]


def _result_table(title: str, found: Sequence[Result]) -> Table:
    ks = _ks(found)
    rows = []
    for result in found:
        changes = minus_start(result.figures, result.start) if result.start else {}
        cells = [_cell(result.figures["pass_at_k"].get(k), changes.get(k)) for k in ks]
        rows.append([result.name, result.count(), *cells, f"{result.figures['entropy']:.3f}"])
    samples = sorted({json.loads(result.key)["samples"] for result in found})
    note = (
        f"{' or '.join(map(str, samples))} attempts at each theorem, 95 % intervals over theorems; "
        "the difference to the start is paired by theorem, bold where its interval excludes 0. "
        "Entropy in nats per token."
    )
    head = ["run", "theorems", *(f"pass@{k}" for k in ks), "entropy"]
    return Table(f"Results, {title}", note, head, rows)


def _against_first(title: str, found: Sequence[Result]) -> Table | None:
    pairs = _pairs(found)
    if not pairs:
        return None
    ks = _ks(found)
    rows = [
        [other.name, other.count(), *(_bold(changes.get(k)) for k in ks)]
        for _, other, changes in pairs
    ]
    head = ["minus", "theorems", *(f"pass@{k}" for k in ks)]
    note = "Paired by theorem; the ends alone, whatever the runs started from."
    return Table(f"{pairs[0][0].name} minus the others, {title}", note, head, rows)


def _pairs(found: Sequence[Result]) -> list[tuple[Result, Result, Figures]]:
    """(the first run's result, another's on the same theorems, the one minus the other)."""
    ends = [result for result in found if result.name != START]
    return [
        (first, other, minus_start(first.figures, other.figures))
        for first in ends
        if first.name == ends[0].name
        for other in ends
        if other.name != first.name and other.key == first.key
    ]


def as_summary(runs: Sequence[RunFolder]) -> dict[str, Any]:
    """Start and ends in the form of `summarise`, at the highest temperature, for its figure."""
    seen, stages = trained_splits(runs), {}
    found = results(runs)
    for result in found:
        if result.sampling == found[0].sampling:
            side = "train" if result.split in seen else "heldout"
            stages.setdefault(result.name, {})[side] = result.figures
    return {"stages": stages}


def in_words(runs: Sequence[RunFolder]) -> list[str]:
    """Sentences on the theorems that no run trained on, at the highest temperature: at which k an
    interval is above 0, below it, or includes it.
    """
    seen = trained_splits(runs)
    found = [result for result in results(runs) if result.split not in seen]
    found = [result for result in found if result.sampling == found[0].sampling]
    ends = [result for result in found if result.start]
    if not ends:
        return []
    lines = [f"On {ends[0].count()} theorems, which no run trained on, {ends[0].sampling}:"]
    for result in ends:
        entropy = f"entropy {result.start['entropy']:.3f} -> {result.figures['entropy']:.3f}"
        changes = minus_start(result.figures, result.start)
        lines.append(f"{result.name} against its start: {direction(changes)}; {entropy}.")
    for first, other, changes in _pairs(found):
        lines.append(f"{first.name} against {other.name}: {direction(changes)}.")
    seeds = {json.loads(result.key)["seed"] for result in ends}
    lines.append(
        "Undecided: the 95 % interval over theorems includes 0."
        + (" One seed; another may differ." if len(seeds) == 1 else "")
    )
    return lines


def direction(changes: Figures) -> str:
    """`higher at k = 4, 16; undecided at k = 1`."""
    groups: dict[str, list[str]] = {"higher": [], "lower": [], "undecided": []}
    for k, change in changes.items():
        decided = "higher" if change["low"] > 0 else "lower"
        groups[decided if excludes_zero(change) else "undecided"].append(k)
    return "; ".join(f"{word} at k = {', '.join(ks)}" for word, ks in groups.items() if ks)


def _ks(found: Sequence[Result]) -> list[str]:
    return sorted({k for result in found for k in result.figures["pass_at_k"]}, key=int)


def _cell(value: Mapping | None, change: Mapping | None) -> str:
    if value is None:
        return "–"
    return f"{format_rate(value)} {_bold(change)}" if change else format_rate(value)


def _bold(change: Mapping | None) -> str:
    return "–" if change is None else bold_difference(change)
