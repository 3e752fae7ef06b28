"""report.html: what a run did, in one file that needs no network. Built from the workdir alone.

python -m fdjax.reporting.report WORKDIR
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fdjax.reporting.costs import KINDS, amount
from fdjax.reporting.figures import SPLITS, pass_at_k_figure, timing_figure, training_figure
from fdjax.reporting.page import esc, page, section, table
from fdjax.rollout.journal import Journal
from fdjax.runtime.files import CorruptFile, read_lines, read_object, write_atomically
from fdjax.types import Attempt, Feedback, Message, Theorem, Verdict


class Stage(NamedTuple):
    name: str
    config: dict[str, Any]
    metrics: list[dict[str, Any]]
    journal: Journal | None


class Shown(NamedTuple):
    """An attempt in the report."""

    stage: str
    step: int
    theorem: Theorem | None
    attempt: Attempt
    verdict: Verdict
    feedback: Feedback | None


def write(workdir: str | Path, attempts: int = 30) -> Path:
    """Writes report.html from whatever the workdir holds so far; returns its path.

    Raises FileNotFoundError where the folder holds no stage of a run, Damaged.
    """
    workdir = Path(workdir)
    file = workdir / "summary.json"
    remedy = "Remove it: the run's command writes it again"
    summary = read_object(file, remedy) if file.exists() else {}
    names = list(summary.get("stages", {}))
    stages = read_stages(workdir, names)
    if not stages and not summary:
        raise FileNotFoundError(f"{workdir} holds no summary.json and no folder of a stage")
    metrics = {stage.name: stage.metrics for stage in stages}
    shown = choose_attempts(stages, attempts)
    sections = [
        header(workdir, summary, stages),
        section(
            "How often k attempts solve a theorem",
            pass_at_k_figure(summary),
            "Mean over theorems of pass@k; bands: 95 % bootstrap intervals over theorems. "
            "Dashed: the same policy sampled at a lower temperature.",
        ),
        section(
            "All figures",
            figures_table(summary) + teacher_table(summary),
            "95 % intervals in brackets. Δ is the difference to the first stage at the same "
            "temperature, paired by theorem; bold where its interval excludes 0. The first "
            "stage at the lower temperature is compared with itself at the full one.",
        ),
        section(
            "What it cost",
            cost_table(summary),
            "Of each stage's own training, evaluations aside. FLOPs are the model's on real "
            "tokens: sampling, training and a teacher's reading (fdjax/reporting/costs.py). Lean's "
            "seconds are wall time summed over candidates; what was known already costs none.",
        ),
        section(
            "While training",
            training_figure(metrics, names),
            "Faint: each step. Bold: mean of the last tenth of the steps so far.",
        ),
        section(
            "Where a step's time goes",
            timing_figure(metrics),
            "Median seconds of the parts of a step; the mark is the step's own median. Parts "
            "that run at the same time add up to more than the step.",
        ),
        section(
            f"{len(shown)} attempts" if shown else "",
            "".join(map(card, shown)),
            "What the policy wrote while training, what Lean said, what the feedback was. "
            "Marked: the first error. ▾: where the attempt departs, as the feedback sees it.",
        ),
        section("Config", "".join(map(config_block, stages))),
    ]
    write_atomically(workdir / "report.html", page(f"fdjax: {workdir.resolve().name}", sections))
    return workdir / "report.html"


# --- Reading -------------------------------------------------------------------------------------


def read_stages(workdir: Path, order: Sequence[str]) -> list[Stage]:
    """The folders that a stage wrote, in the summary's order, then as they came to be."""
    configs = sorted(workdir.glob("*/config.json"), key=lambda f: (f.stat().st_mtime, f))
    names = [file.parent.name for file in configs]
    names.sort(key=lambda n: order.index(n) if n in order else len(order))
    return [_read_stage(workdir / name) for name in names]


def _read_stage(folder: Path) -> Stage:
    rollouts = folder / "rollouts"
    journal = Journal(rollouts) if rollouts.is_dir() else None
    config, metrics = read_object(folder / "config.json"), read_lines(folder / "metrics.jsonl")
    return Stage(folder.name, config, metrics, journal)


def choose_attempts(stages: Sequence[Stage], count: int) -> list[Shown]:
    """Evenly over stages with rollouts, the last one first, and over their steps; two failed ones
    for a proved one.
    """
    told = [(stage, steps) for stage in stages if (steps := _judged(stage))]
    chosen = []
    for index, (stage, steps) in enumerate(reversed(told)):
        share, known = (count + index) // len(told), {}
        for i in range(share):
            step = steps[i * len(steps) // share]
            if step not in known:
                known[step] = _of_step(stage, step)
            wanted = [s for s in known[step] if s.verdict.proved == (i % 3 == 2)] or known[step]
            if wanted:
                taken = wanted[i * 7 % len(wanted)]  # not always the first theorem
                known[step].remove(taken)
                chosen.append(taken)
    return chosen


def _judged(stage: Stage) -> list[int]:
    """The steps in its journal, less the last ones if they still wait for Lean."""
    steps = stage.journal.steps() if stage.journal else []
    while steps and "verdicts" not in stage.journal.read(steps[-1]):
        steps.pop()
    return steps


def _of_step(stage: Stage, step: int) -> list[Shown]:
    record = stage.journal.read(step)
    theorems = {t.id: t for t in record.get("theorems", [])}
    attempts = [a for group in record["attempts"] for a in group]
    verdicts = [v for group in record["verdicts"] for v in group]
    feedback = [f for group in record.get("feedback") or [] for f in group]
    feedback = feedback or [None] * len(attempts)
    return [
        Shown(stage.name, step, theorems.get(a.theorem_id), a, v, f)
        for a, v, f in zip(attempts, verdicts, feedback)
    ]


# --- Text ----------------------------------------------------------------------------------------


def header(workdir: Path, summary: Mapping, stages: Sequence[Stage]) -> str:
    names = dict.fromkeys([*summary.get("stages", {}), *(s.name for s in stages)])
    facts = {"stages": " → ".join(names)}
    if stages:
        config = stages[-1].config
        model = config.get("model", {})
        facts |= {"seed": config.get("seed"), "fingerprint": config.get("fingerprint")}
        words = {"num_layers": "{} layers", "width": "width {}", "vocab_size": "{} tokens"}
        facts["model"] = ", ".join(w.format(model[k]) for k, w in words.items() if k in model)
    facts["steps"] = " + ".join(f"{len(s.metrics)} {s.name}" for s in stages if s.metrics)
    rows = "".join(
        f"<div><dt>{esc(k)}</dt><dd>{esc(v)}</dd></div>"
        for k, v in facts.items()
        if v not in (None, "")
    )
    return f"<header><h1>{esc(workdir.resolve().name)}</h1><dl>{rows}</dl></header>" + tiles(
        summary
    )


def tiles(summary: Mapping) -> str:
    """First stage -> last stage at the smallest and largest k, in large letters."""
    names = list(summary.get("stages", {}))
    found = []
    for split, title in SPLITS.items():
        first, last = (
            (summary["stages"][n].get(split, {}) for n in (names[0], names[-1]))
            if names
            else ({}, {})
        )
        ks = sorted(last.get("pass_at_k", {}), key=int)
        for k in dict.fromkeys(ks[:1] + ks[-1:]):
            start, end = first["pass_at_k"].get(k), last["pass_at_k"][k]
            arrow = f"<small>{start['mean']:.3f} →</small> " if start and len(names) > 1 else ""
            found.append(
                f"<div class=tile><b>{arrow}{end['mean']:.3f}</b>"
                f"<span>pass@{esc(k)}, {esc(title)}</span></div>"
            )
    return f"<div class=tiles>{''.join(found)}</div>" if found else ""


def figures_table(summary: Mapping) -> str:
    """pass@k of every stage, and below it what else was measured of the same attempts."""
    rows = []
    for split, title in SPLITS.items():
        for name, stage in summary.get("stages", {}).items():
            if split in stage:
                rows.append((title, name, stage[split]))
            low_temperature = summary.get("low_temperature", {}).get(name, {})
            if split in low_temperature:
                rows.append(
                    (
                        title,
                        f"{name} at T = {low_temperature.get('temperature')}",
                        low_temperature[split],
                    )
                )
    if not rows:
        return ""
    ks = sorted({k for _, _, f in rows for k in f.get("pass_at_k", {})}, key=int)
    others = [n for n in _OTHERS if any(n in f for _, _, f in rows)]
    heads = [f"pass@{k}" for k in ks], [_OTHERS[n] for n in others]
    solved, varied = [], []
    for i, (title, name, figures) in enumerate(rows):
        first = i == 0 or rows[i - 1][0] != title
        start = (
            f"<tr{' class=first' if first else ''}>"
            f"<th>{esc(title) if first else ''}</th><th>{esc(name)}</th>"
        )
        cells = [
            f"<td>{interval(figures.get('pass_at_k', {}).get(k))}"
            f"{difference(figures.get('minus_start', {}).get(k))}</td>"
            for k in ks
        ]
        solved.append(f"{start}{''.join(cells)}</tr>")
        varied.append(
            start + "".join(f"<td>{number(figures.get(n))}</td>" for n in others) + "</tr>"
        )
    return "<br>".join(
        table(["", "stage", *head], body) for head, body in zip(heads, (solved, varied)) if head
    )


_OTHERS = {
    "entropy": "entropy, nats per token",
    "distinct_proofs": "different proofs per theorem",
    "unique_ratio": "different among all attempts",
    "distinct_2": "distinct-2 of all attempts",
    "response_tokens": "tokens per attempt",
    "truncated": "share unfinished",
    "unverified": "attempts not verified",
}


def teacher_table(summary: Mapping) -> str:
    rates = {
        n: s["teacher_solve_rate"]
        for n, s in summary.get("stages", {}).items()
        if s.get("teacher_solve_rate")
    }
    if not rates:
        return ""
    kinds = list(dict.fromkeys(kind for rate in rates.values() for kind in rate))
    body = [
        f"<tr><th>{esc(name)}</th>"
        + "".join(f"<td>{number(rate.get(kind))}</td>" for kind in kinds)
        + "</tr>"
        for name, rate in rates.items()
    ]
    return "<h3>The teacher's solve rate on failed attempts, by the feedback it reads</h3>" + table(
        ["stage", *kinds], body
    )


def cost_table(summary: Mapping) -> str:
    spent = {n: s["spent"] for n, s in summary.get("stages", {}).items() if s.get("spent")}
    kinds = [kind for kind in KINDS if any(costs.get(kind) for costs in spent.values())]
    body = [
        f"<tr><th>{esc(name)}</th>"
        + "".join(f"<td>{amount(costs.get(kind, 0))}</td>" for kind in kinds)
        + "</tr>"
        for name, costs in spent.items()
    ]
    return table(["stage", *(KINDS[kind] for kind in kinds)], body) if kinds else ""


def interval(value: Mapping | None) -> str:
    if not value:
        return "–"
    return f"{value['mean']:.3f} <small>[{value['low']:.3f}, {value['high']:.3f}]</small>"


def difference(value: Mapping | None) -> str:
    if not value:
        return ""
    text = f"Δ {value['mean']:+.3f} [{value['low']:+.3f}, {value['high']:+.3f}]"
    clear = value["low"] > 0 or value["high"] < 0
    return f"<br><small>{f'<b>{text}</b>' if clear else text}</small>"


def number(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else esc(value)


def config_block(stage: Stage) -> str:
    text = json.dumps(stage.config, indent=1, ensure_ascii=False)
    return f"<details><summary>{esc(stage.name)}</summary><pre>{esc(text)}</pre></details>"


def card(shown: Shown) -> str:
    verdict, feedback, theorem = shown.verdict, shown.feedback, shown.theorem
    statement = (
        f"theorem {theorem.name} {theorem.signature}"
        if theorem
        else f"theorem {shown.attempt.theorem_id}"
    )
    first_error_token = feedback.first_error if feedback else None
    meta = (
        f"<b class='{esc(verdict.status)}'>{esc(verdict.status)}</b> {esc(shown.stage)}, "
        f"step {shown.step + 1}, sample {shown.attempt.sample}"
    )
    if not shown.attempt.finished:
        meta += ", unfinished"
    proof = marked(shown.attempt.candidate.text, verdict.first_error_message, first_error_token)
    if not shown.attempt.candidate.has_helpers:  # with helper lemmas it states the theorem itself
        proof = f"{esc(statement)} :={proof}"
    said = [
        f"<p class=meta>Lean{place(m, shown.attempt.candidate.text)}</p>"
        f"<pre class='said {esc(m.severity)}'>{esc(m.text)}</pre>"
        for m in verdict.messages
    ]
    if feedback and feedback.messages:
        said.append(
            f"<p class=meta>feedback ({esc(feedback.provider)})</p>"
            f"<pre class='said feedback'>{esc(feedback.text)}</pre>"
        )
    return (
        f"<article><div><p class=meta>{meta}</p><pre>{proof}</pre></div>"
        f"<div>{''.join(said)}</div></article>"
    )


def place(message: Message, proof: str) -> str:
    """The words that a message is about, as far as they stand on one line."""
    if message.start is None:
        return ""
    words = proof[message.start : message.end].strip().partition("\n")
    if not words[0]:
        return " at the end" if not proof[message.start :].strip() else ""
    return f" at <code>{esc(words[0] + ' …' * bool(words[1]))}</code>"


def marked(proof: str, error: Message | None, first_error: int | None) -> str:
    """The proof as HTML; the error's place marked, and a sign where the attempt departs."""
    start = error.place if error else None
    end = max(error.end or start, start) if start is not None else None
    out = []
    for i in range(len(proof) + 1):
        if i == end and i != start:
            out.append("</mark>")
        if i == first_error:
            out.append("<i>▾</i>")
        if i == start:
            out.append("<mark>" if end > start else "<mark class=point></mark>")
        out.append(esc(proof[i : i + 1]))
    if end is not None and start <= len(proof) < end:
        out.append("</mark>")
    return "".join(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m fdjax.reporting.report", description=__doc__.split("\n")[0]
    )
    parser.add_argument("workdir", help="of a run, finished or not")
    workdir = parser.parse_args().workdir
    if not Path(workdir).is_dir():
        sys.exit(f"python -m fdjax.reporting.report: {workdir} is no folder")
    try:
        print(write(workdir))
    except (FileNotFoundError, CorruptFile) as error:
        sys.exit(f"python -m fdjax.reporting.report: {error}")
