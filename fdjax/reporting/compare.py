"""Runs side by side: what each learner saw, what it spent, and what came of it.

    python -m fdjax.reporting.compare RUN [RUN ...] [--out=FOLDER]

A run is a workdir, finished or not. It is compared with the policy that it began with: the last
one of its supervised stages, or the one that `init_from` names. Where stages branch from one policy
each branch is a run of its own. The tables go to the console and, with the curves, to
comparison.md, comparison.html and comparison.png in FOLDER.
"""

import argparse
import functools
import itertools
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rich.table

from fdjax.reporting import costs as costs
from fdjax.reporting.figures import COMPARED_PER_ROW, draw_comparison, png, svg
from fdjax.reporting.page import esc, page, section, table
from fdjax.reporting.summary import minus_start
from fdjax.runtime.files import read_lines, read_object, write_atomically
from fdjax.runtime.metrics import console

Line = Mapping[str, Any]


class Stage(NamedTuple):
    name: str
    record: dict[str, Any]  # its config.json
    metrics: list[dict[str, Any]]


class Run(NamedTuple):
    name: str
    stages: list[Stage]  # those after the start
    start: str  # the fingerprint of the policy that it began with
    evaluations: list[dict[str, Any]]  # lines of evals.jsonl that attempt a split

    @property
    def end(self) -> str:
        return self.stages[-1].record["fingerprint"]

    def measured(self, fingerprint: str) -> dict[str, dict]:
        """What of -> figures, of the policy with that fingerprint. See `_measure`."""
        lines = [e for e in self.evaluations if e["key"]["policy"] == fingerprint]
        return {_measure(line["key"]): line["figures"] for line in lines}


class Table(NamedTuple):
    """Cells between ** are clear: in bold."""

    title: str
    note: str
    head: list[str]
    rows: list[list[str]]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m fdjax.reporting.compare",
        description=__doc__.split("\n\n", 2)[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", nargs="+", help="workdirs")
    parser.add_argument("--out", metavar="FOLDER", default="comparison", help="default: comparison")
    args = parser.parse_args(argv)
    try:
        runs = read_runs(args.runs)
    except (OSError, ValueError) as error:
        print(f"python -m fdjax.reporting.compare: {error}", file=sys.stderr)
        return 2
    folder = write(runs, args.out)
    for told in tables(runs):
        show(told)
    print(f"\nalso in {folder}/comparison.html and .md")
    return 0


# --- Reading -------------------------------------------------------------------------------------


def read_runs(folders: Sequence[str | Path]) -> list[Run]:
    """Runs that share a folder's name are told apart by more of their paths.

    Raises ValueError for a folder that holds no run, or none that learns after a warm start.
    """
    paths = [Path(folder).resolve() for folder in folders]
    if missing := [str(p) for p in paths if not p.is_dir()]:
        raise ValueError(f"{missing[0]} is no folder")
    if repeated := [str(p) for p in paths if paths.count(p) > 1]:
        raise ValueError(f"{repeated[0]} is named twice")
    parts = 1
    while len({p.parts[-parts:] for p in paths}) < len(paths):
        parts += 1
    return [run for path in paths for run in read_workdir(path, "/".join(path.parts[-parts:]))]


def read_workdir(folder: Path, name: str) -> list[Run]:
    """One run, or where stages branch one for each last stage, with that in its name."""
    stages = [
        Stage(file.parent.name, read_object(file), read_lines(file.parent / "metrics.jsonl"))
        for file in sorted(folder.glob("*/config.json"))
    ]
    evaluations = [
        line
        for file in sorted(folder.glob("*/evals.jsonl"))
        for line in read_lines(file)
        if "split" in line["key"]
    ]
    gone_on_with = {stage.record["before"] for stage in stages}
    lasts = [stage for stage in stages if stage.record["fingerprint"] not in gone_on_with]
    chains = [chain for last in lasts if (chain := _learning(stages, last))]
    if not chains:
        raise ValueError(f"{folder} holds no stage that learns after a warm start")
    return [
        Run(
            name if len(chains) == 1 else f"{name}/{chain[-1].name}",
            chain,
            chain[0].record["before"],
            evaluations,
        )
        for chain in chains
    ]


def _learning(stages: Sequence[Stage], last: Stage) -> list[Stage]:
    """The stages up to `last`, without those of a warm start."""
    made_by = {stage.record["fingerprint"]: stage for stage in stages}
    chain = [last]
    while before := made_by.get(chain[0].record["before"]):
        chain.insert(0, before)
    warm = itertools.takewhile(lambda s: s.record["stage"]["objective"] == "supervised", chain)
    return chain[len(list(warm)) :]


def _measure(key: Line) -> str:
    """Equal for evaluations that can be paired: the same theorems, prompts, seed, ..., whichever
    Lean was the judge.
    """
    of_what = {k: v for k, v in key.items() if k not in ("policy", "lean")}
    return json.dumps(of_what, sort_keys=True)


# --- Tables --------------------------------------------------------------------------------------


def tables(runs: Sequence[Run]) -> list[Table]:
    return [t for t in (seen(runs), spent(runs), at_equal(runs), *measured(runs)) if t.rows]


def seen(runs: Sequence[Run]) -> Table:
    rows = [
        [
            run.name,
            " → ".join(f"{s.name} ({len(s.metrics)} steps)" for s in run.stages),
            "; then ".join(dict.fromkeys(what_it_saw(s.record) for s in run.stages)),
        ]
        for run in runs
    ]
    note = "All begin with the same policy."
    if len({run.start for run in runs}) > 1:
        note = "The runs begin with different policies: each is compared with its own."
    return Table("What each learner saw", note, ["run", "stages", "saw"], rows)


def what_it_saw(record: Line) -> str:
    """Beside theorems and its own attempts."""
    match record["stage"]["objective"]:
        case "supervised":
            return "reference proofs"
        case "policy_gradient":
            return "verdicts only"
        case "expert_iteration":
            return "verdicts, through its own verified proofs"
    both = "verdicts, and " if record["stage"]["objective"] == "combined" else ""
    feedback = record["feedback"]
    names = [name.strip() for name in feedback["provider"].split(",")]
    written = [_WRITTEN[name](feedback) if name in _WRITTEN else name for name in names]
    of = "feedback on other theorems (shuffled)" if feedback.get("shuffle") else "feedback"
    return f"{both}{of}: {', or else '.join(written)}"


_LEVELS = {
    "verdict": "the verdict",
    "error": "Lean's first error",
    "step": "the right next step, found by a search",
    "correction": "the attempt mended to a whole proof, found by a search",
    "proof": "a whole proof",
}
_WRITTEN = {
    "lean_messages": lambda f: _LEVELS[f["lean_messages"]["level"]],
    "oracle": lambda f: _LEVELS[f["oracle"]["level"]],
    "llm": lambda f: (
        f"what {f['llm']['model']} writes"
        + (", who sees a reference proof" if f["llm"]["show_reference"] else "")
    ),
    "policy": lambda f: "what the policy itself writes",
    "reference": lambda f: "a reference proof",
    "peers": lambda f: "verified proofs of its group",
}


def spent(runs: Sequence[Run]) -> Table:
    totals = [costs.total(line for s in run.stages for line in s.metrics) for run in runs]
    parts = {f"flops_{part}": f"FLOPs: {part}" for part in costs.PARTS}
    kinds = {
        k: title
        for k, title in (costs.KINDS | parts).items()
        if any(total.get(k) for total in totals)
    }
    rows = [
        [run.name, *(costs.amount(total[k]) if k in total else "–" for k in kinds)]
        for run, total in zip(runs, totals)
        if kinds
    ]
    note = (
        "Since the start, evaluations aside. Lean's seconds are wall time summed over "
        "candidates; docs/method.md says how FLOPs are counted."
    )
    return Table("What each run spent", note, ["run", *kinds.values()], rows)


def at_equal(runs: Sequence[Run]) -> Table:
    """The mean of the last tenth of the steps before the least of the runs' budgets is spent."""
    paths = {run.name: path for run in runs if (path := points(run))}
    rows = []
    for cost, title in {"rollouts": "rollouts", "flops": "FLOPs"}.items():
        if len(paths) < 2:
            break
        budget = min(path[-1][cost] for path in paths.values())
        for name, path in paths.items():
            within = [p for p in path if p[cost] <= budget]
            last = within[-max(1, len(within) // 10) :]
            rates = [
                np.mean([p[k] for p in last if p[k] is not None]) for k in ("solve_rate", "entropy")
            ]
            rows.append(
                [
                    f"{costs.amount(budget)} {title}",
                    name,
                    str(len(within)),
                    *(f"{rate:.3f}" for rate in rates),
                ]
            )
    note = (
        "While training, on the theorems that the run rolled out: the mean of the last tenth "
        "of its rollouts before the budget. No checkpoint is evaluated for this."
    )
    head = ["after", "run", "rollout steps", "solve rate", "entropy"]
    return Table("At equal budgets", note, head, rows)


def points(run: Run) -> list[dict[str, float | None]]:
    """Of each step with rollouts: what had been spent before it, its solve rate and entropy.

    Empty for a run from before costs were counted.
    """
    found, rollouts, flops = [], 0.0, 0.0
    for line in (line for stage in run.stages for line in stage.metrics):
        if "cost/flops" not in line:
            return []
        if "solve_rate" in line:
            found.append(
                {
                    "rollouts": rollouts,
                    "flops": flops,
                    "solve_rate": line["solve_rate"],
                    "entropy": line.get("policy_entropy"),
                }
            )
        rollouts += line.get("cost/rollouts", 0)
        flops += line["cost/flops"]
    return found


def measured(runs: Sequence[Run]) -> list[Table]:
    """A table for each split and temperature: each run's end, and each start once."""
    found: dict[str, list[tuple[str, dict, dict | None]]] = {}
    for run in runs:
        starts, ends = run.measured(run.start), run.measured(run.end)
        for what, figures in starts.items():
            rows = found.setdefault(what, [])
            if all(figures is not f and figures != f for _, f, _ in rows):
                rows.insert(0, ("start", figures, None))
        for what, figures in ends.items():
            found.setdefault(what, []).append((run.name, figures, starts.get(what)))
    return [_results(json.loads(what), rows) for what, rows in sorted(found.items(), key=_order)]


def _order(item: tuple[str, list]) -> tuple:
    key = json.loads(item[0])
    return key["split"] != "train", key["split"], -key["temperature"]


def _results(key: Line, rows: Iterable[tuple[str, dict, dict | None]]) -> Table:
    rows = list(rows)
    ks = sorted({k for _, figures, _ in rows for k in figures["pass_at_k"]}, key=int)
    body = []
    for name, figures, start in rows:
        against = minus_start(figures, start) if start else {}
        cells = [_cell(figures["pass_at_k"].get(k), against.get(k)) for k in ks]
        body.append([name, *cells, f"{figures['entropy']:.3f}"])
    theorems = len(rows[0][1]["solved"])
    note = (
        f"{theorems} theorems, {key['samples']} attempts each, 95 % intervals over theorems; "
        "the difference to the start is paired by theorem, bold where its interval excludes 0. "
        "Entropy in nats per token."
    )
    replayed = ", replayed" if key.get("replayed") else ""
    title = f"{key['split']}, temperature {key['temperature']:g}{replayed}"
    return Table(title, note, ["run", *(f"pass@{k}" for k in ks), "entropy"], body)


def _cell(value: Line | None, against: Line | None) -> str:
    if value is None:
        return "–"
    text = "{mean:.3f} [{low:.3f}, {high:.3f}]".format(**value)
    if against is None:
        return text
    change = "{mean:+.3f} [{low:+.3f}, {high:+.3f}]".format(**against)
    clear = against["low"] > 0 or against["high"] < 0
    return f"{text} {f'**{change}**' if clear else change}"


# --- Writing -------------------------------------------------------------------------------------


def show(told: Table) -> None:
    """On a narrow console in parts, each with the first column: no word or number is broken."""
    longest = [
        max(len(word) for cell in cells for word in cell.replace("**", "").split() or [""])
        for cells in zip(told.head, *told.rows)
    ]
    parts = [[0]]
    for i in range(1, len(told.head)):
        width = 1 + sum(longest[j] + 3 for j in (*parts[-1], i))  # with the lines between them
        if width > console.width and len(parts[-1]) > 1:
            parts.append([0])
        parts[-1].append(i)
    for part in parts:
        shown = rich.table.Table(
            title=told.title if part is parts[0] else None,
            title_justify="left",
            caption=told.note if part is parts[-1] else None,
            caption_justify="left",
        )
        for i in part:
            shown.add_column(told.head[i], min_width=longest[i], style="" if i else "bold")
        for row in told.rows:
            shown.add_row(*(_marked(rich.markup.escape(row[i]), "[bold]{}[/]") for i in part))
        console.print(shown)


def _marked(text: str, bold: str) -> str:
    plain, *rest = text.split("**")
    return plain + "".join(bold.format(t) if i % 2 == 0 else t for i, t in enumerate(rest))


def write(runs: Sequence[Run], folder: str | Path) -> Path:
    """comparison.md, comparison.html and, where costs are known, comparison.png."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    curves = {run.name: path for run in runs if (path := points(run))}
    draw = functools.partial(draw_comparison, curves=curves)
    height = 6 + 0.2 * math.ceil(len(curves) / COMPARED_PER_ROW)  # inches
    title, note = (
        "Equal rollouts, equal FLOPs",
        (
            "Faint: each step's rollouts. Bold: the mean of the last tenth of the steps so far. Solve "
            "rates are those of the theorems that the run rolled out, while it trained."
        ),
    )
    told = tables(runs)
    text = ["# " + ", ".join(run.name for run in runs), *map(markdown, told)]
    sections = [
        f"<header><h1>{esc(', '.join(r.name for r in runs))}</h1></header>",
        *(section(t.title, html(t), t.note) for t in told),
    ]
    if curves:
        write_atomically(folder / "comparison.png", png(draw, height=height))
        text.append(f"## {title}\n\n{note}\n\n![{title}](comparison.png)")
        sections.append(section(title, svg(draw, "comparison", height=height), note))
    write_atomically(folder / "comparison.md", "\n\n".join(text) + "\n")
    write_atomically(folder / "comparison.html", page("fdjax: comparison", sections))
    return folder


def markdown(told: Table) -> str:
    return f"## {told.title}\n\n{told.note}\n\n{markdown_rows(told.head, told.rows)}"


def markdown_rows(head: list[str], rows: list[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in rows)


def html(told: Table) -> str:
    rows = [  # a difference goes below its figure
        [_marked(esc(c).replace("] ", "]<br>"), "<b>{}</b>") for c in row] for row in told.rows
    ]
    body = [
        f"<tr><th>{name}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        for name, *cells in rows
    ]
    return table(told.head, body)


if __name__ == "__main__":
    sys.exit(main())
