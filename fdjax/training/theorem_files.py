"""Theorems from files: statements that Lean refuses and prompts that are too long are left out, and
the console and the workdir report it."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

from fdjax.config import ConfigError, DataConfig
from fdjax.data.dedup import TOO_LONG, Dropped, summary, write_report
from fdjax.data.splits import file_splits
from fdjax.data.theorems import theorems_digest
from fdjax.lean.farm import Farm
from fdjax.rollout.prompts import Prompts, Template
from fdjax.runtime import hosts
from fdjax.runtime.files import append_line, read_lines
from fdjax.runtime.metrics import console, status
from fdjax.types import Theorem

STATEMENTS = "statements.jsonl"  # in the workdir
NAMED = 20  # theorems that the console names


def leave_out_too_long(
    data: DataConfig,
    prompts: Prompts,
    splits: dict[str, list[Theorem]],
    dropped: dict[str, list[Dropped]],
) -> None:
    """Moves theorems of files whose prompt is over the student's budget from `splits` to `dropped`,
    in place. Raises ConfigError if nothing is left of a split, and for data.too_long=refuse at the
    first of them.
    """
    longest = max(prompts.student_buckets)
    for name in file_splits(data):
        lengths = [prompts.length(theorem) for theorem in splits[name]]
        long = [
            Dropped(t.id, f"{TOO_LONG}: {length:,} tokens, the longest bucket holds {longest:,}")
            for t, length in zip(splits[name], lengths, strict=True)
            if length > longest
        ]
        if long and (data.too_long == "refuse" or len(long) == len(splits[name])):
            refused = data.too_long == "refuse"
            why = "data.too_long=refuse" if refused else "nothing is left of it"
            raise ConfigError(f"data.{name}: {why}; theorem {long[0].id}: {long[0].reason}")
        dropped[name] += long
        kept = [t for t, length in zip(splits[name], lengths, strict=True) if length <= longest]
        splits[name][:] = kept


def leave_out_invalid(
    data: DataConfig,
    workdir: Path,
    farm: Farm,
    splits: dict[str, list[Theorem]],
    dropped: dict[str, list[Dropped]],
) -> list[dict[str, Any]]:
    """Moves theorems of files whose statement Lean does not accept from `splits` to `dropped`, in
    place. Every attempt at one would fail, whatever its proof.

    The result of the workdir's first start is kept, since a statement near the time limit may be
    decided differently another time. Returns new results, to be written by `report_dropped`.
    Raises ConfigError if nothing is left of a split.
    """
    lean = [farm.backend.name, farm.backend.version, farm.backend.limits]
    new: list[dict[str, Any]] = []

    def invalid_statements(name: str) -> dict[str, str]:
        """Theorem id -> Lean's error."""
        key = {"theorems": theorems_digest(splits[name]), "lean": lean}
        for line in read_lines(workdir / STATEMENTS) + new:
            if line["key"] == key:
                return line["invalid_statements"]
        with status(f"statements of {name}"):
            errors = {t.id: error.text for t, error in farm.invalid_statements(splits[name])}
        new.append({"key": key, "invalid_statements": errors})
        return errors

    for name in file_splits(data):
        bad = hosts.broadcast("statements", functools.partial(invalid_statements, name))
        dropped[name] += [Dropped(i, f"Lean does not accept it: {why}") for i, why in bad.items()]
        if len(bad) == len(splits[name]) > 0:
            raise ConfigError(f"data.{name}: nothing is left of it; {dropped[name][-1].reason}")
        splits[name][:] = [t for t in splits[name] if t.id not in bad]
    return new


def report_dropped(
    workdir: Path,
    splits: dict[str, list[Theorem]],
    dropped: dict[str, list[Dropped]],
    statements: list[dict[str, Any]],
) -> None:
    """Writes data.json with every reason and appends `statements`, the new results of
    `leave_out_invalid`, to the workdir; prints a line for each split."""
    workdir.mkdir(parents=True, exist_ok=True)
    for line in statements:
        append_line(workdir / STATEMENTS, line)
    write_report(workdir / "data.json", dropped)
    for name, entries in dropped.items():
        console.print(summary(f"data.{name}", splits[name], entries), markup=False)
        if long := [entry.id for entry in entries if entry.reason.startswith(TOO_LONG)]:
            named = ", ".join(long[:NAMED]) + (", ..." if len(long) > NAMED else "")
            report = f"all in {workdir / 'data.json'}"
            console.print(f"  left out as too long: {named} ({report})", markup=False)


def warn_of_missing_goals(
    template: Template, splits: dict[str, list[Theorem]], has_source: bool
) -> None:
    """Where prompts show the goal, a theorem without one is shown by its signature, which a model
    that learned from goals does not read. Nothing where no theorem that is learned from has a goal.
    """
    example = Theorem(id="", name="t", signature=": True")
    if template.text(example) == template.text(dataclasses.replace(example, goal="⊢ False")):
        return
    if not has_source and all(t.goal is None for t in splits["sft"]):
        return
    for name, theorems in splits.items():
        if without := sum(t.goal is None for t in theorems):
            console.print(
                f"[bold]warning[/]: data.{name}: {without} of {len(theorems)} theorems have no "
                "`goal`, which prompts show; their signatures stand in for it, and a model that "
                "learned from goals fails at those. Give each its goal as Lean prints it."
            )
