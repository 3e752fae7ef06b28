"""The theorems of each split: generated, or read from files and cleaned of what repeats."""

import functools
import tempfile
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from fdjax import benchmark as synthetic
from fdjax.config import ConfigError, naming_field
from fdjax.data.cleaning import clean, summary, write_report
from fdjax.data.published import Dropped, read_file
from fdjax.data.theorems import read_theorems, write_theorems
from fdjax.lean.backends.embedded.library import cache_folder
from fdjax.lean.farm import Farm
from fdjax.runtime import hosts
from fdjax.runtime.files import append_line, read_lines
from fdjax.runtime.metrics import console, status
from fdjax.training.fingerprints import digest, split_digest
from fdjax.types import Theorem

SPLITS = ("sft", "train", "validation", "test")
STATEMENTS = "statements.jsonl"  # in the workdir


def load_splits(data: ConfigDict) -> tuple[dict[str, list[Theorem]], dict[str, list[Dropped]]]:
    """Each split from its file, or generated, and what was left out of the files.

    Training splits hold no theorem twice and none that validation or test state too; generated
    ones are disjoint up to renaming as they come.
    """
    given = {name: str(data[name]) for name in SPLITS}
    for name, x in given.items():
        if x.startswith("-") and x[1:].isdigit():
            raise ConfigError(f"data.{name} is {x}, must not be negative")
    files = [name for name, x in given.items() if not x.isdigit()]
    counts = {name: 0 if name in files else int(x) for name, x in given.items()}
    with naming_field("data", ValueError, OSError):
        splits = _generated(data.seed, counts) if any(counts.values()) else {}
    dropped = {}
    for name in files:
        with naming_field(f"data.{name}", ValueError, OSError):
            splits[name], dropped[name] = read_file(given[name])
    splits = {name: splits.get(name, []) for name in SPLITS}
    if files:
        evaluated = {name: splits[name] for name in ("validation", "test")}
        for name in ("sft", "train"):
            splits[name], repeated = clean(splits[name], evaluated)
            dropped[name] = dropped.get(name, []) + repeated
            if repeated and not splits[name]:
                raise ConfigError(f"data.{name}: nothing is left of it; {repeated[0].reason}")
    return splits, dropped


def leave_out_invalid(
    data: ConfigDict,
    workdir: Path,
    farm: Farm,
    splits: dict[str, list[Theorem]],
    dropped: dict[str, list[Dropped]],
) -> list[dict[str, Any]]:
    """Moves from `splits` to `dropped` what files hold and Lean does not accept as a statement: an
    attempt at it would be blamed for that.

    What the workdir's first start was told stands, since on another day a statement near the time
    limit may come out the other way. Returns what is new, to be kept by `tell_dropped`.
    """
    lean = [farm.backend.name, farm.backend.version, farm.backend.limits]
    new: list[dict[str, Any]] = []

    def invalid_statements(name: str) -> dict[str, str]:
        key = {"theorems": split_digest(splits[name]), "lean": lean}
        for line in read_lines(workdir / STATEMENTS) + new:
            if line["key"] == key:
                return line["invalid_statements"]
        with status(f"statements of {name}"):
            wrong = {t.id: error.text for t, error in farm.invalid_statements(splits[name])}
        new.append({"key": key, "invalid_statements": wrong})
        return wrong

    for name in (name for name in SPLITS if not str(data[name]).isdigit()):
        bad = hosts.broadcast("statements", functools.partial(invalid_statements, name))
        dropped[name] += [Dropped(i, f"Lean does not accept it: {why}") for i, why in bad.items()]
        if len(bad) == len(splits[name]) > 0:
            raise ConfigError(f"data.{name}: nothing is left of it; {dropped[name][-1].reason}")
        splits[name][:] = [t for t in splits[name] if t.id not in bad]
    return new


def tell_dropped(
    workdir: Path,
    splits: dict[str, list[Theorem]],
    dropped: dict[str, list[Dropped]],
    statements: list[dict[str, Any]],
) -> None:
    """data.json in the workdir, with every reason, and a line for each split on the console; and
    what Lean said of the files' statements.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    for line in statements:
        append_line(workdir / STATEMENTS, line)
    write_report(workdir / "data.json", dropped)
    for name, some in dropped.items():
        console.print(summary(f"data.{name}", splits[name], some), markup=False)


def _generated(seed: int, counts: dict[str, int]) -> dict[str, list[Theorem]]:
    """Generating takes minutes, so the user's cache folder keeps what this generator made."""
    sources = [file.read_text() for file in sorted(Path(synthetic.__path__[0]).glob("*.py"))]
    folder = cache_folder() / "theorems"
    file = folder / f"{digest([seed, counts, sources])}.jsonl"
    if not file.exists():
        made = synthetic.splits(seed, **counts)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            write_theorems(Path(scratch) / file.name, [t for s in made.values() for t in s])
            (Path(scratch) / file.name).replace(file)
    theorems = read_theorems(file)
    return {name: [t for t in theorems if t.split == name] for name in counts}
