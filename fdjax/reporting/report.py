"""Writes report.html and pass_at_k.svg from a run's workdir. The run may be under way.

report.html holds the figures and some attempts, in one file that loads nothing from a network.
"""

import argparse
import collections
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fdjax.models.tokenizer import Tokenizer
from fdjax.reporting.costs import cost_columns
from fdjax.reporting.dialogue import Turns, counted, dialogue, stage_tokenizer, turns_of
from fdjax.reporting.figures import pass_at_k_figure, timing_figure, training_figure
from fdjax.reporting.page import esc, page, section, standalone, table
from fdjax.reporting.pass_at_k import excludes_zero, format_difference, format_rate
from fdjax.reporting.summary import FIGURES, SPLITS, evaluated
from fdjax.reporting.workdir import StageFolder, read_stages
from fdjax.runtime.files import CorruptFile, read_object, write_atomically
from fdjax.types import Attempt, Feedback, Message, Theorem, Verdict

EXAMPLE = """example:
  fdjax report runs/fd      writes runs/fd/report.html and runs/fd/pass_at_k.svg
"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="fdjax report",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("workdir", help="of a run, finished or not")
    workdir = Path(parser.parse_args(argv).workdir).expanduser()
    try:
        if not workdir.is_dir():
            raise FileNotFoundError(f"{workdir} is no folder")
        print(write(workdir))
    except (FileNotFoundError, CorruptFile) as error:
        print(f"fdjax report: {error}", file=sys.stderr)
        return 1
    return 0


class ShownAttempt(NamedTuple):
    stage: str
    step: int
    theorem: Theorem | None
    attempt: Attempt
    verdict: Verdict
    feedback: Feedback | None
    turns: Turns = ()  # of an attempt with several


def write(workdir: str | Path, attempts: int = 30) -> Path:
    """Writes report.html, and pass_at_k.svg if there are evaluations; returns report.html's path.

    Raises FileNotFoundError where the folder holds no stage of a run, CorruptFile.
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
    if figure := pass_at_k_figure(summary):
        write_atomically(workdir / "pass_at_k.svg", standalone(figure))
    sections = [
        header(workdir, summary, stages),
        section(
            "pass@k: how often k attempts prove a theorem",
            figure,
            "Mean over theorems; bands: 95 % bootstrap intervals over theorems. "
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
            "By budget of turns and tokens",
            budget_table(summary),
            "Of attempts with several turns. Solve rate within so many turns, and below it the "
            "difference to as many independent attempts. Then the solve rate of as many "
            "independent attempts as write the same tokens, and below it what the attempts with "
            "several turns solve more. Differences are paired by theorem.",
        ),
        section(
            "Costs",
            cost_table(summary),
            "Of each stage's own training, without evaluations. FLOPs are the model's on real "
            "tokens: sampling, training and the teacher's forward pass (docs/method.md). Lean's "
            "seconds are wall time summed over candidates; cached verdicts cost none.",
        ),
        section(
            "Training",
            training_figure(metrics, names),
            "Faint: each step. Bold: mean of the last tenth of the steps so far.",
        ),
        section(
            "Seconds of a step",
            timing_figure(metrics),
            "Medians over steps of the parts of a step; the mark is the median of the whole step. "
            "Parts that run at the same time add up to more than the step.",
        ),
        section(
            f"{len(shown)} attempts" if shown else "",
            "".join(map(card, shown)),
            "Attempts of the policy while training, Lean's messages and the feedback. "
            "Highlighted: Lean's first error. ▾: the first error according to the feedback.",
        ),
        section("Config", "".join(map(config_block, stages))),
    ]
    write_atomically(workdir / "report.html", page(f"fdjax: {workdir.resolve().name}", sections))
    return workdir / "report.html"


# --- Attempts ------------------------------------------------------------------------------------


def choose_attempts(stages: Sequence[StageFolder], count: int) -> list[ShownAttempt]:
    """`count` attempts, equally many of each stage with rollouts, the last stage first, spread over
    its steps: two failed ones for a proved one.
    """
    with_rollouts = [(stage, steps) for stage in stages if (steps := _verified_steps(stage))]
    chosen = []
    for index, (stage, steps) in enumerate(reversed(with_rollouts)):
        share, unused = (count + index) // len(with_rollouts), {}
        tokenizer = stage_tokenizer(stage)
        for i in range(share):
            step = steps[i * len(steps) // share]
            if step not in unused:
                unused[step] = _attempts(stage, step, tokenizer)
            proved = i % 3 == 2
            candidates = [s for s in unused[step] if s.verdict.proved == proved] or unused[step]
            if candidates:
                attempt = candidates[i * 7 % len(candidates)]  # not always of the first theorem
                unused[step].remove(attempt)
                chosen.append(attempt)
    return chosen


def _verified_steps(stage: StageFolder) -> list[int]:
    """The steps in its journal; the last ones may have no verdicts yet."""
    steps = stage.journal.steps() if stage.journal else []
    while steps and "verdicts" not in stage.journal.read(steps[-1]):
        steps.pop()
    return steps


def _attempts(stage: StageFolder, step: int, tokenizer: Tokenizer | None) -> list[ShownAttempt]:
    record = stage.journal.read(step)
    theorems = {t.id: t for t in record.get("theorems", [])}
    attempts = [a for group in record["attempts"] for a in group]
    verdicts = [v for group in record["verdicts"] for v in group]
    feedback = [f for group in record.get("feedback") or [] for f in group]
    feedback = feedback or [None] * len(attempts)
    return [
        ShownAttempt(stage.name, step, theorems.get(a.theorem_id), a, v, f, turns_of(tokenizer, a))
        for a, v, f in zip(attempts, verdicts, feedback)
    ]


# --- HTML ----------------------------------------------------------------------------------------


def header(workdir: Path, summary: Mapping, stages: Sequence[StageFolder]) -> str:
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
    title = esc(workdir.resolve().name)
    return f"<header><h1>{title}</h1><dl>{rows}</dl></header>{tiles(summary)}"


def tiles(summary: Mapping) -> str:
    """pass@k of the first and the last stage at the smallest and largest k, in large letters."""
    stages = list(summary.get("stages", {}).values())
    cells = []
    for split, title in SPLITS.items() if stages else ():
        first, last = (
            stage.get(split, {}).get("pass_at_k", {}) for stage in (stages[0], stages[-1])
        )
        for k in dict.fromkeys([*last][:1] + [*last][-1:]):
            before = ""
            if k in first and len(stages) > 1:
                before = f"<small>{first[k]['mean']:.3f} →</small> "
            cells.append(
                f"<div class=tile><b>{before}{last[k]['mean']:.3f}</b>"
                f"<span>pass@{esc(k)}, {esc(title)}</span></div>"
            )
    return f"<div class=tiles>{''.join(cells)}</div>" if cells else ""


def figures_table(summary: Mapping) -> str:
    """pass@k of every stage, and below it the other figures of the same attempts."""
    rows = labelled(evaluated(summary))
    if not rows:
        return ""
    ks = sorted({k for _, figures in rows for k in figures["pass_at_k"]}, key=int)
    others = {n: title for n, title in FIGURES.items() if any(n in f for _, f in rows)}
    rates = [[*labels, *(rate(figures, k) for k in ks)] for labels, figures in rows]
    rest = [[*labels, *(number(figures.get(n)) for n in others)] for labels, figures in rows]
    return (
        table(["", "stage", *(f"pass@{k}" for k in ks)], rates, headers=2)
        + "<br>"
        + table(["", "stage", *others.values()], rest, headers=2)
    )


def labelled(found: Iterable[tuple]) -> list[tuple[list[str], Mapping]]:
    """[([the split where it is another than above, the stage], figures)] of
    (split, stage, temperature, figures).
    """
    rows, split_before = [], None
    for split, name, temperature, figures in found:
        suffix = "" if temperature is None else f" at T = {temperature}"
        title = SPLITS[split] if split != split_before else ""
        rows.append(([esc(title), esc(name + suffix)], figures))
        split_before = split
    return rows


def budget_table(summary: Mapping) -> str:
    found = labelled([(*e[:3], e[3]["episodes"]) for e in evaluated(summary) if "episodes" in e[3]])
    turns = sorted({k for *_, episodes in found for k in episodes["within_turns"]}, key=int)
    counts = {"turns": "turns", "calls": "calls", "malformed": "malformed share of calls"}
    if not any(episodes["calls"] for *_, episodes in found):
        counts = {"turns": "turns"}
    counts["tool_seconds"] = "tools' share of Lean's seconds"
    rows = []
    for labels, episodes in found:
        within, minus = episodes["within_turns"], episodes.get("minus_attempts", {})
        equal = episodes.get("equal_tokens")
        rows.append(
            [
                *labels,
                *(rate_cell(within[k], minus.get(k)) if k in within else "–" for k in turns),
                rate_cell(equal["attempts_rate"], equal["difference"]) if equal else "–",
                number(equal and equal["attempts"]),
                *(number(episodes[count]) for count in counts),
            ]
        )
    head = ["", "stage", *(f"within {k} turn{'s' * (k != '1')}" for k in turns)]
    head += ["attempts at equal tokens", "how many of them", *counts.values()]
    return table(head, rows, headers=2) if rows else ""


def teacher_table(summary: Mapping) -> str:
    rates = {
        name: stage["teacher_solve_rate"]
        for name, stage in summary.get("stages", {}).items()
        if stage.get("teacher_solve_rate")
    }
    if not rates:
        return ""
    kinds = list(dict.fromkeys(kind for of_stage in rates.values() for kind in of_stage))
    rows = [[esc(name), *(number(r.get(kind)) for kind in kinds)] for name, r in rates.items()]
    title = "<h3>The teacher's solve rate on failed attempts, by the feedback it reads</h3>"
    return title + table(["stage", *kinds], rows)


def cost_table(summary: Mapping) -> str:
    spent = {n: s["spent"] for n, s in summary.get("stages", {}).items() if s.get("spent")}
    titles, amounts = cost_columns(list(spent.values()))
    rows = [[esc(name), *cells] for name, cells in zip(spent, amounts)]
    return table(["stage", *titles], rows) if titles else ""


def rate(figures: Mapping, k: str) -> str:
    """pass@k, and below it the difference to the start, if there is one."""
    if k not in figures["pass_at_k"]:
        return "–"
    return rate_cell(figures["pass_at_k"][k], figures.get("minus_start", {}).get(k))


def rate_cell(value: Mapping, change: Mapping | None) -> str:
    """A rate, and below it a difference, bold where its interval excludes 0."""
    text = format_rate(value).replace(" ", " <small>", 1) + "</small>"
    if change:
        difference = f"Δ {format_difference(change)}"
        bold = f"<b>{difference}</b>" if excludes_zero(change) else difference
        text += f"<br><small>{bold}</small>"
    return text


def number(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else esc(value)


def config_block(stage: StageFolder) -> str:
    text = json.dumps(stage.config, indent=1, ensure_ascii=False)
    return f"<details><summary>{esc(stage.name)}</summary><pre>{esc(text)}</pre></details>"


def card(shown: ShownAttempt) -> str:
    attempt, verdict, feedback = shown.attempt, shown.verdict, shown.feedback
    meta = (
        f"<b class='{esc(verdict.status)}'>{esc(verdict.status)}</b> {esc(shown.stage)}, "
        f"step {shown.step + 1}, sample {attempt.sample}{counted(attempt)}"
    )
    if not attempt.finished:
        meta += ", truncated"
    first_error = feedback.first_error if feedback else None
    proof = marked(attempt.candidate.text, verdict.first_error_message, first_error)
    if not attempt.candidate.has_helpers:  # with helper lemmas the proof contains the statement
        theorem = shown.theorem
        statement = f"{theorem.name} {theorem.signature}" if theorem else attempt.theorem_id
        proof = f"theorem {esc(statement)} :={proof}"
    turns = f"{dialogue(shown.turns)}<p class=meta>judged</p>" if shown.turns else ""
    messages = [
        f"<p class=meta>Lean{place(m, attempt.candidate.text)}</p>"
        f"<pre class='message {esc(m.severity)}'>{esc(m.text)}</pre>"
        for m in verdict.messages
    ]
    if feedback and feedback.messages:
        messages.append(
            f"<p class=meta>feedback ({esc(feedback.provider)})</p>"
            f"<pre class='message feedback'>{esc(feedback.text)}</pre>"
        )
    return (
        f"<article><div><p class=meta>{meta}</p>{turns}<pre>{proof}</pre></div>"
        f"<div>{''.join(messages)}</div></article>"
    )


def place(message: Message, proof: str) -> str:
    """Where the message points to: the text there, as far as it is on one line."""
    if message.start is None:
        return ""
    line, _, rest = proof[message.start : message.end].strip().partition("\n")
    if not line:
        return " at the end" if not proof[message.start :].strip() else ""
    return f" at <code>{esc(line + ' …' * bool(rest))}</code>"


def marked(proof: str, error: Message | None, first_error: int | None) -> str:
    """The proof as HTML, with Lean's `error` highlighted and a sign at `first_error`."""
    inserted = collections.defaultdict(str)
    if first_error is not None:
        inserted[first_error] = "<i>▾</i>"
    start = error.place if error else None
    if start is not None and start <= len(proof):
        end = min(error.end or start, len(proof))
        if end > start:
            inserted[start] += "<mark>"
            inserted[end] = f"</mark>{inserted[end]}"
        else:
            inserted[start] += "<mark class=point></mark>"
    return "".join(inserted[i] + esc(proof[i : i + 1]) for i in range(len(proof) + 1))


if __name__ == "__main__":
    sys.exit(main())
