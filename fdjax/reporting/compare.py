"""Compares runs: the information that each learned from, its cost, and its results.

A run is a workdir, finished or not. It is compared with the policy that it started from: that of
its last supervised stage, or of `init_from`. Where stages branch from one policy, each branch is a
run of its own. The tables go to the console and, with figures, to comparison.md and comparison.html
in the folder --out.
"""

import argparse
import functools
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rich.table

from fdjax.reporting import costs
from fdjax.reporting.figures import LEGEND_COLUMNS, draw_comparison, pass_at_k_figure, png, svg
from fdjax.reporting.page import esc, page, section, standalone, table
from fdjax.reporting.results import Table, as_summary, in_words, result_tables
from fdjax.reporting.workdir import RunFolder, read_runs
from fdjax.runtime.files import write_atomically
from fdjax.runtime.metrics import console

EXAMPLE = """example:
  fdjax compare runs/fd runs/grpo runs/control --out=comparison
"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="fdjax compare",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="workdirs")
    parser.add_argument("--out", metavar="FOLDER", default="comparison", help="default: comparison")
    args = parser.parse_args(argv)
    try:
        runs = read_runs(args.runs)
    except (OSError, ValueError) as error:
        print(f"fdjax compare: {error}", file=sys.stderr)
        return 2
    folder = write(runs, args.out)
    for content in tables(runs):
        show(content)
    for line in in_words(runs):
        console.print(line, markup=False)
    print(f"\nalso in {folder}/comparison.html and .md")
    return 0


# --- Tables --------------------------------------------------------------------------------------


def tables(runs: Sequence[RunFolder]) -> list[Table]:
    """Those that have rows."""
    candidates = (sources_table(runs), cost_table(runs), budget_table(runs), *result_tables(runs))
    return [t for t in candidates if t.rows]


def sources_table(runs: Sequence[RunFolder]) -> Table:
    rows = [
        [
            run.name,
            " → ".join(f"{s.name} ({len(s.metrics)} steps)" for s in run.stages),
            "; then ".join(dict.fromkeys(learning_source(s.config) for s in run.stages)),
        ]
        for run in runs
    ]
    note = "All runs start from the same policy."
    if len({run.start for run in runs}) > 1:
        note = "The runs start from different policies: each is compared with its own."
    return Table("What each run learned from", note, ["run", "stages", "learned from"], rows)


def learning_source(config: Mapping[str, Any]) -> str:
    """What a stage learns from beside theorems and its own attempts. `config`: its config.json."""
    match config["stage"]["objective"]:
        case "supervised":
            return "reference proofs"
        case "policy_gradient":
            return "verdicts only"
        case "expert_iteration" if not config["stage"].get("corrections"):
            return "verdicts, through its own verified proofs"
        case "expert_iteration":
            verdicts = "proofs, learned as they are, from "
        case "combined":
            verdicts = "verdicts, and "
        case _:
            verdicts = ""
    feedback = config["feedback"]
    contents = [_feedback_content(n.strip(), feedback) for n in feedback["provider"].split(",")]
    kind = "feedback on other theorems (shuffled)" if feedback.get("shuffle") else "feedback"
    return f"{verdicts}{kind}: {', or else '.join(contents)}"


def _feedback_content(provider: str, feedback: Mapping[str, Any]) -> str:
    match provider:
        case "lean_messages" | "oracle":
            return _LEVELS[feedback[provider]["level"]]
        case "llm":
            reads = ", which reads a reference proof" if feedback["llm"]["show_reference"] else ""
            return f"the text of {feedback['llm']['model']}{reads}"
        case "policy":
            return "the policy's own text"
        case "reference":
            return "a reference proof"
        case "peers":
            return "verified proofs of its group"
    return provider


_LEVELS = {
    "verdict": "the verdict",
    "error": "Lean's first error",
    "hint": "Lean's first error, with Lean 4's form of Lean 3's syntax and names",
    "step": "the right next step, found by a search",
    "prose": "the right next step in a sentence, with Lean 4's form of Lean 3's syntax",
    "correction": "the attempt corrected to a whole proof, found by a search",
    "proof": "a whole proof",
}


def cost_table(runs: Sequence[RunFolder]) -> Table:
    totals = [costs.total(line for s in run.stages for line in s.metrics) for run in runs]
    titles, amounts = costs.cost_columns(totals, costs.KINDS | costs.PARTS)
    rows = [[run.name, *cells] for run, cells in zip(runs, amounts)] if titles else []
    note = (
        "Since the start, without evaluations. Lean's seconds are wall time summed over "
        "candidates; docs/method.md says how FLOPs are counted."
    )
    return Table("What each run cost", note, ["run", *titles], rows)


def budget_table(runs: Sequence[RunFolder]) -> Table:
    """The mean of the last tenth of the steps within the smallest of the runs' budgets."""
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
            after = f"{costs.amount(budget)} {title}"
            rows.append([after, name, str(len(within)), *(f"{rate:.3f}" for rate in rates)])
    note = (
        "While training, on the theorems that the run rolled out: the mean of the last tenth "
        "of its rollouts before the budget. No checkpoint is evaluated for this."
    )
    head = ["after", "run", "rollout steps", "solve rate", "entropy"]
    return Table("At equal budgets", note, head, rows)


def points(run: RunFolder) -> list[dict[str, float | None]]:
    """Of each step with rollouts: the costs before it, its solve rate and entropy."""
    path, rollouts, flops = [], 0.0, 0.0
    for line in (line for stage in run.stages for line in stage.metrics):
        if "solve_rate" in line:
            rates = {"solve_rate": line["solve_rate"], "entropy": line.get("policy_entropy")}
            path.append({"rollouts": rollouts, "flops": flops} | rates)
        rollouts += line.get("cost/rollouts", 0)
        flops += line["cost/flops"]
    return path


# --- Writing -------------------------------------------------------------------------------------


def show(content: Table) -> None:
    """Prints the table: on a narrow console in parts, each with the first column, so that no word
    or number is broken.
    """
    longest = [
        max(len(word) for cell in cells for word in cell.replace("**", "").split() or [""])
        for cells in zip(content.head, *content.rows)
    ]
    parts = [[0]]
    for i in range(1, len(content.head)):
        width = 1 + sum(longest[j] + 3 for j in (*parts[-1], i))  # with the lines between them
        if width > console.width and len(parts[-1]) > 1:
            parts.append([0])
        parts[-1].append(i)
    for part in parts:
        shown = rich.table.Table(
            title=content.title if part is parts[0] else None,
            title_justify="left",
            caption=content.note if part is parts[-1] else None,
            caption_justify="left",
        )
        for i in part:
            shown.add_column(content.head[i], min_width=longest[i], style="" if i else "bold")
        for row in content.rows:
            shown.add_row(*(_bold(rich.markup.escape(row[i]), "[bold]{}[/]") for i in part))
        console.print(shown)


def _bold(text: str, template: str) -> str:
    plain, *rest = text.split("**")
    return plain + "".join(template.format(t) if i % 2 == 0 else t for i, t in enumerate(rest))


def write(runs: Sequence[RunFolder], folder: str | Path) -> Path:
    """comparison.md, comparison.html; pass_at_k.svg once there are evaluations, comparison.png once
    there were rollouts.
    """
    folder = Path(folder).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    names = ", ".join(run.name for run in runs)
    text, sections = [f"# {names}"], [f"<header><h1>{esc(names)}</h1></header>"]
    for content in tables(runs):
        text.append(markdown(content))
        sections.append(section(content.title, html(content), content.note))
    if lines := in_words(runs):
        text.append("## In words\n\n" + "\n".join(f"* {line}" for line in lines))
        items = "".join(f"<li>{esc(line)}</li>" for line in lines)
        sections.append(section("In words", f"<ul>{items}</ul>"))
    if figure := pass_at_k_figure(as_summary(runs)):
        write_atomically(folder / "pass_at_k.svg", standalone(figure))
        text.append("## pass@k\n\n![pass@k](pass_at_k.svg)")
        sections.append(section("pass@k", figure))
    if curves := {run.name: path for run in runs if (path := points(run))}:
        draw = functools.partial(draw_comparison, curves=curves)
        height = 6 + 0.2 * math.ceil(len(curves) / LEGEND_COLUMNS)
        title = "Equal rollouts, equal FLOPs"
        note = (
            "Faint: each step's rollouts. Bold: the mean of the last tenth of the steps so far. "
            "Solve rates are those of the theorems that the run rolled out, while it trained."
        )
        write_atomically(folder / "comparison.png", png(draw, height=height))
        text.append(f"## {title}\n\n{note}\n\n![{title}](comparison.png)")
        sections.append(section(title, svg(draw, "comparison", height=height), note))
    write_atomically(folder / "comparison.md", "\n\n".join(text) + "\n")
    write_atomically(folder / "comparison.html", page("fdjax: comparison", sections))
    return folder


def markdown(content: Table) -> str:
    rows = markdown_rows(content.head, content.rows)
    return f"## {content.title}\n\n{content.note}\n\n{rows}"


def markdown_rows(head: list[str], rows: list[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in rows)


def html(content: Table) -> str:
    """A difference goes below its figure."""
    rows = [[_bold(esc(c).replace("] ", "]<br>"), "<b>{}</b>") for c in r] for r in content.rows]
    return table(content.head, rows)


if __name__ == "__main__":
    sys.exit(main())
