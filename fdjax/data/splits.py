"""The theorems of each split: generated, or read from a file and cleaned of repetitions."""

import tempfile
from pathlib import Path

from fdjax import benchmark
from fdjax.benchmark.dialects import spoken
from fdjax.config import ConfigError, DataConfig, naming_field
from fdjax.data.dedup import Dropped, clean
from fdjax.data.published import read_file
from fdjax.data.theorems import read_theorems, write_theorems
from fdjax.runtime.files import cache_folder, digest
from fdjax.types import Theorem

SPLITS = ("sft", "train", "validation", "test")


def file_splits(data: DataConfig) -> list[str]:
    """The splits that are read from files: `data` gives a path and not a number of theorems."""
    return [name for name in SPLITS if not getattr(data, name).isdigit()]


def load_splits(data: DataConfig) -> tuple[dict[str, list[Theorem]], dict[str, list[Dropped]]]:
    """(split -> theorems, split read from a file -> what was dropped of it).

    No training split holds a theorem twice, or one that validation or test state too. Generated
    splits are disjoint up to renaming as they come. Raises ConfigError naming the field.
    """
    for name in SPLITS:
        if getattr(data, name).startswith("-") and getattr(data, name)[1:].isdigit():
            raise ConfigError(f"data.{name} is {getattr(data, name)}, must not be negative")
    files = file_splits(data)
    counts = {name: 0 if name in files else int(getattr(data, name)) for name in SPLITS}
    splits: dict[str, list[Theorem]] = {name: [] for name in SPLITS}
    dropped = {}
    if any(counts.values()):
        with naming_field("data", ValueError, OSError):
            splits |= _generated(data.seed, counts)
    for name in files:
        with naming_field(f"data.{name}", ValueError, OSError):
            splits[name], dropped[name] = read_file(getattr(data, name))
    if files:
        evaluated = {name: splits[name] for name in ("validation", "test")}
        for name in ("sft", "train"):
            splits[name], repeated = clean(splits[name], evaluated)
            dropped[name] = dropped.get(name, []) + repeated
            if repeated and not splits[name]:
                raise ConfigError(f"data.{name}: nothing is left of it; {repeated[0].reason}")
    return splits, dropped


def learned_proof(data: DataConfig, theorem: Theorem) -> str:
    """What supervised learning shows as the theorem's proof: its reference, in data.dialect where
    one is set. Feedback, and whatever Lean is to accept, keeps to the reference.
    """
    if data.dialect is None:
        return theorem.reference or ""
    return spoken(theorem, data.dialect, data.dialect_share, data.seed)[0]


def _generated(seed: int, counts: dict[str, int]) -> dict[str, list[Theorem]]:
    """`benchmark.splits`, kept in the user's cache folder because generation takes minutes. The
    name of the file changes with the source of the generator."""
    sources = [file.read_text() for file in sorted(Path(benchmark.__path__[0]).glob("*.py"))]
    folder = cache_folder() / "theorems"
    file = folder / f"{digest([seed, counts, sources])}.jsonl"
    if not file.exists():
        generated = benchmark.splits(seed, **counts)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            path = Path(scratch) / file.name
            write_theorems(path, [t for split in generated.values() for t in split])
            path.replace(file)
    theorems = read_theorems(file)
    return {name: [t for t in theorems if t.split == name] for name in counts}
