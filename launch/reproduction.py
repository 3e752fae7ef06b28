"""The page docs/reproduction.md, its figures, and the numbers behind them, from the runs of
launch/paper.py.

    python launch/reproduction.py runs/paper docs      # reproduction.{md,json}, reproduction_*.svg
    python launch/reproduction.py --add runs/more docs # with the runs that are on the page already
    python launch/reproduction.py --again docs         # the page from reproduction.json alone

Runs that are not finished are left out, and the page says which. `--add` joins runs of several
machines. They must be of one commit: a run that both have must have the same numbers.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import paper
from claims import Claim, claims, evaluation, method, over_both, over_seeds
from reproduction_figures import figures

from fdjax.reporting.compare import learning_source, markdown_rows, points
from fdjax.reporting.costs import total
from fdjax.reporting.figures import svg
from fdjax.reporting.page import standalone
from fdjax.reporting.pass_at_k import KS, bold_difference
from fdjax.reporting.workdir import read_runs

START = "start (sft)"
SPLIT = "test"
MAIN = "The main comparison: 97 % of the places"
HALF = ", its first half"  # behind the name of a run of two stages
CURVE = 64  # points of a run's curve in the JSON, at most
Runs = dict[str, dict[str, Any]]  # name of the job -> its numbers
OfMethod = dict[int, dict[str, Any]]  # seed -> the numbers of its run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folders", nargs="+", help="of the runs, and of the page")
    parser.add_argument("--again", action="store_true", help="take the numbers of the page")
    parser.add_argument("--add", action="store_true", help="keep the runs that the page has")
    args = parser.parse_args()
    if len(args.folders) != (1 if args.again else 2):
        parser.error("it takes the folder of the runs and that of the page; with --again the last")
    folder = Path(args.folders[-1])
    file = folder / "reproduction.json"
    if (args.again or args.add) and not file.exists():
        parser.error(f"{file} is missing: leave out --again and --add")
    runs = json.loads(file.read_text()) if args.again or args.add else {}
    if not args.again:
        try:
            runs = joined(runs, collect(Path(args.folders[0])))
        except ValueError as error:
            parser.error(f"{args.folders[0]} and {file}: {error}")
    if not runs:
        parser.error(f"{args.folders[0]} holds no finished run of launch/paper.py")
    if not args.again:
        file.write_text(json.dumps(runs, separators=(",", ":")) + "\n")
    (folder / "reproduction.md").write_text(page(runs))
    for name, draw, height in figures(by_method(runs)):
        text = standalone(svg(draw, name, height=height))
        (folder / f"reproduction_{name}.svg").write_text(text)
    return 0


# --- The numbers ---------------------------------------------------------------------------------


def collect(folder: Path) -> Runs:
    """Of the finished runs of launch/paper.py in `folder`, with those of their starts, and of the
    policies between two stages.
    """
    found: Runs = {}
    for job in paper.comparison():
        if not job.init_from or not (folder / job.name / "summary.json").exists():
            continue
        [run] = read_runs([folder / job.name])
        curve = points(run)
        spent = total(line for stage in run.stages for line in stage.metrics)
        steps = sorted({round(i) for i in np.linspace(0, len(curve) - 1, min(CURVE, len(curve)))})
        found.setdefault(job.begins_with, evaluation(run.figures(run.start), SPLIT))
        if len(run.stages) > 1:
            between = run.figures(run.stages[0].config["fingerprint"])
            found[job.name + HALF] = evaluation(between, SPLIT)
        found[job.name] = evaluation(run.figures(run.end), SPLIT) | {
            "learned from": "; then ".join(
                dict.fromkeys(learning_source(stage.config) for stage in run.stages)
            ),
            "rollouts": spent["rollouts"],
            "flops": spent["flops"],
            "curve": [_rounded(curve[i]) for i in steps],
        }
    return found


def joined(runs: Runs, further: Runs) -> Runs:
    """Both. Raises ValueError if they have a run in common whose numbers differ, or if two runs
    were evaluated on different theorems.
    """
    for name in sorted(runs.keys() & further.keys()):
        if runs[name] != further[name]:
            raise ValueError(f"{name} has other numbers; are both of one commit?")
    both = runs | further
    one_of_each = {run["theorems"]: name for name, run in both.items()}
    if len(one_of_each) > 1:
        names = ", ".join(sorted(one_of_each.values()))
        raise ValueError(f"these runs were evaluated on different theorems: {names}")
    return both


def _rounded(point: Mapping[str, float | None]) -> list[float | None]:
    """[rollouts, FLOPs, solve rate, entropy]"""
    values = (point[name] for name in ("rollouts", "flops", "solve_rate", "entropy"))
    return [value if value is None else float(f"{value:.4g}") for value in values]


def by_method(runs: Runs, setting: str = "") -> dict[str, OfMethod]:
    """Method -> seed -> its run. START comes first, then the methods of the claims, all at the
    seeds that all of them have, but for a method without runs; then the others, at those of these
    seeds that they have. Empty for a setting that has no run of its own.
    """
    if setting and not any(name.startswith(f"{setting}-") for name in runs):
        return {}
    methods = paper.SETTINGS[setting].methods if setting else (*paper.CLAIMED, *paper.OTHERS)
    names = {START: "sft"} | {name: name for name in methods}

    def of_seeds(method: str) -> OfMethod:
        found = {s: runs.get(paper.job_of(method, s, setting).name) for s in paper.SEEDS}
        return {seed: run for seed, run in found.items() if run}

    there = {title: of_seeds(method) for title, method in names.items()}
    claimed = [there[name] for name in (START, *paper.CLAIMED) if there[name]]
    seeds = set.intersection(*map(set, claimed)) if claimed else set()
    common = {t: {s: run for s, run in there[t].items() if s in seeds} for t in names}
    return {title: of_method for title, of_method in common.items() if of_method}


def first_halves(
    runs: Runs, found: Mapping[str, OfMethod], setting: str = ""
) -> dict[str, OfMethod]:
    """The same of the methods in `found` that have two stages, after the first one."""
    halves = {
        name + HALF: {
            seed: half
            for seed in of_method
            if (half := runs.get(paper.job_of(name, seed, setting).name + HALF))
        }
        for name, of_method in found.items()
        if name != START
    }
    return {title: of_method for title, of_method in halves.items() if of_method}


# --- The page ------------------------------------------------------------------------------------


def page(runs: Runs) -> str:
    """Without the results of what has no seed that all methods of the claims have."""
    found = by_method(runs)
    sections = {MAIN: found} | {
        setting.title: by_method(runs, name) for name, setting in paper.SETTINGS.items()
    }
    decided = {title: _claims(of_methods) for title, of_methods in sections.items() if of_methods}
    parts = [
        INTRODUCTION.format(
            seeds=len(found.get(START, ())), theorems=len(next(iter(runs.values()))["solved"])
        ),
        missing(runs),
    ]
    if len(decided) > 1:
        parts += ["## The verdicts", markdown_rows(*verdicts_table(decided))]
    if found:
        parts += [f"## {MAIN}", *_main_section(runs, found, decided[MAIN])]
    for name, setting in paper.SETTINGS.items():
        if further := sections[setting.title]:
            parts += [f"## {setting.title}", setting.note]
            parts += _setting_section(runs, name, found, further, decided[setting.title])
    return "\n\n".join(part for part in parts if part) + "\n"


def _main_section(
    runs: Runs, found: Mapping[str, OfMethod], decided: Sequence[Claim]
) -> Iterator[str]:
    yield markdown_rows(*results_table(found | first_halves(runs, found)))
    yield "![pass@k](reproduction_pass.svg)"
    yield "Bands are 95 % intervals of each method alone. Differences in the tables are paired."
    yield from map(_claim_text, decided)
    if found.keys() & paper.OTHERS.keys():
        yield from ("### Against the other methods", markdown_rows(*against_table(found)))
    yield from ("### What each method saw, and what it cost", markdown_rows(*sources_table(found)))
    yield "![while training](reproduction_training.svg)"
    yield (
        "The second half of `fd_grpo` and of `corrections_grpo` attempts the theorems of the first "
        "half again; those of the other methods are new."
    )


def _setting_section(
    runs: Runs,
    name: str,
    found: Mapping[str, OfMethod],
    further: Mapping[str, OfMethod],
    decided: Sequence[Claim],
) -> Iterator[str]:
    """`found`: of the main comparison."""
    yield markdown_rows(*results_table(further | first_halves(runs, further, name)))
    yield from map(_claim_text, decided)
    shared = paper.SETTINGS[name].shared
    if "sft" in shared:
        apart = {method: of for method, of in further.items() if method not in (START, *shared)}
        yield markdown_rows(*changes_table(apart, found))
    if further.keys() & paper.OTHERS.keys():
        yield markdown_rows(*against_table(further))


INTRODUCTION = """# The paper's claims, tested on the benchmark of habits

Made by `make reproduce` (`launch/paper.py`, then `launch/reproduction.py`); the numbers are in
[reproduction.json](reproduction.json). {seeds} seeds, each with a warm start of its own, {theorems}
theorems that no run trained on, 64 attempts at each at temperature 1. A seed sets all random
numbers of a run; the theorems are the same at all seeds. `fd` and `grpo` take 64 steps; a step
makes 8 attempts at each of 32 new theorems, 2,048 theorems in all. `fd_grpo` takes 32 steps of FD,
then 32 of GRPO on the same 1,024 theorems; `corrections_grpo` has supervised learning of the
corrections in FD's place. `corrections` and `expert_iteration` learn at each step from proofs of
all steps so far. FD's feedback is a proof found by a search, if a section says nothing else; no
language model writes it. The learning rate is 1e-4 for every method.

Intervals are at 95 %. Those of pass@k come from a bootstrap of two levels: each of 10,000 resamples
draws theorems and, independently, one seed fewer than there are; differences are paired by seed and
theorem. Those of entropy are Student's over seeds. A method with fewer seeds than the start is
compared with the start at its own seeds. A claim is supported where all its intervals are above 0,
not supported where one is below 0. The intervals are not corrected for their number. With fewer
than three seeds no claim is decided, and intervals are too narrow."""


def missing(runs: Runs) -> str:
    """Which runs are not there, and which have no figures of their first half."""
    names = [job.name for job in paper.comparison() if job.init_from]
    left_out = [name for name in names if name not in runs]
    ends_alone = [
        name
        for name in names
        if "; then " in runs.get(name, {}).get("learned from", "") and name + HALF not in runs
    ]
    sentences = {"Left out, since they have not ended": left_out, "First halves lost": ends_alone}
    return " ".join(f"{what}: {_with_seeds(of)}." for what, of in sentences.items() if of)


def _with_seeds(names: Sequence[str]) -> str:
    """`fd (seeds 0, 2), grpo (seed 1)` of fd-0, fd-2, grpo-1."""
    seeds: dict[str, list[str]] = {}
    for name, seed in (name.rsplit("-", 1) for name in names):
        seeds.setdefault(name, []).append(seed)
    return ", ".join(
        f"{name} (seed{'s' * (len(of_name) > 1)} {', '.join(of_name)})"
        for name, of_name in seeds.items()
    )


def _claims(found: Mapping[str, OfMethod]) -> list[Claim]:
    return claims({name: method(of_method.values()) for name, of_method in found.items()})


def _claim_text(claim: Claim) -> str:
    lines = [f"* {name}: {bold_difference(value)}" for name, value in claim.statistics.items()]
    lines += [
        f"* {name}, beside the claim: {bold_difference(value)}"
        for name, value in claim.beside.items()
    ]
    return "\n".join([f"**{claim.text}** {claim.verdict.capitalize()}.", "", *lines])


_COLUMNS = ["seeds", *(f"pass@{k}" for k in KS), "entropy"]


def verdicts_table(
    decided: Mapping[str, Sequence[Claim]],
) -> tuple[list[str], list[list[str]]]:
    """Without sections in which a claim has no verdict."""
    texts = [claim.text for claim in max(decided.values(), key=len)]
    rows = [
        [title, *(claim.verdict for claim in of_section)]
        for title, of_section in decided.items()
        if len(of_section) == len(texts)
    ]
    return ["section", *texts], rows


def results_table(found: Mapping[str, OfMethod]) -> tuple[list[str], list[list[str]]]:
    """A method's differences are to the start at the method's own seeds."""
    rows = []
    for name, of_method in found.items():
        one = method(of_method.values())
        cells = [f"{mean:.3f}" for mean in (*one.pass_STK.mean((0, 1)), one.entropy_S.mean())]
        if name != START:
            changes = _minus(of_method, found[START])
            cells = [f"{cell} {change}" for cell, change in zip(cells, changes)]
        rows.append([name, str(len(of_method)), *cells])
    return ["method", *_COLUMNS], rows


def against_table(found: Mapping[str, OfMethod]) -> tuple[list[str], list[list[str]]]:
    """Each method of the claims minus each of the others, at that one's seeds. And expert iteration
    minus the GRPO whose FLOPs are nearest.
    """
    pairs = [*itertools.product(paper.CLAIMED, paper.OTHERS), ("expert_iteration", "grpo_twice")]
    rows = [
        [f"{name} minus {other}", str(len(found[other])), *_minus(found[name], found[other])]
        for name, other in pairs
        if name in found and other in found
    ]
    return ["difference", *_COLUMNS], rows


def changes_table(
    of_setting: Mapping[str, OfMethod], found: Mapping[str, OfMethod]
) -> tuple[list[str], list[list[str]]]:
    """Each method of a setting minus itself in the main comparison, from the same warm starts."""
    rows = [
        [f"{name}, minus {name} of the main comparison", str(len(runs)), *_minus(runs, found[name])]
        for name, runs in of_setting.items()
        if name in found
    ]
    return ["difference", *_COLUMNS], rows


def _minus(runs: OfMethod, others: OfMethod) -> list[str]:
    """Differences of pass@k and of entropy at the seeds that both have."""
    seeds = [seed for seed in runs if seed in others]
    one, other = (method([of[seed] for seed in seeds]) for of in (runs, others))
    changes = over_both(one.pass_STK - other.pass_STK)
    changes.append(over_seeds(one.entropy_S - other.entropy_S))
    return [bold_difference(change) for change in changes]


def sources_table(found: Mapping[str, OfMethod]) -> tuple[list[str], list[list[str]]]:
    rows = []
    for name, of_method in found.items():
        if name != START:
            runs = list(of_method.values())
            flops = float(np.mean([run["flops"] for run in runs]))
            rows.append(
                [name, runs[0]["learned from"], f"{runs[0]['rollouts']:,.0f}", f"{flops:.3g}"]
            )
    return ["method", "learned from", "rollouts", "FLOPs"], rows


if __name__ == "__main__":
    sys.exit(main())
