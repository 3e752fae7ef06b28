"""Files of theorems as they are published: JSON lines, JSON, CSV and parquet of the Hugging Face
hub, and Lean files.

The tables below hold the fields of published sets. Files of our own form (fdjax/data/theorems.py)
are read too. Published files hold statements that were commented out or never finished: a row that
makes no theorem is reported, and the rest of the file is read.
"""

import collections
import csv
import dataclasses
import io
import json
import os
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fdjax.data.dedup import Dropped, definitions
from fdjax.data.lean_files import theorems_in
from fdjax.data.theorems import parse_theorems, read_text
from fdjax.lean.statements import lexemes, normal_text, strip_comments
from fdjax.types import Theorem

Row = Mapping[str, Any]

# The first field of each table that is not empty in a row is used.
STATEMENT = (
    "formal_statement",  # miniF2F, DeepSeek's ProofNet, NuminaMath-LEAN, Lean Workbook, CombiBench
    "lean4_formalization",  # ProofNet#
    "lean4_statement",  # PutnamBench
    "formal_theorem",  # Herald
    "autoformalization",  # FormalMATH
    "lean4_code",  # MathOlympiadBench
    "lean_code",  # FineLeanCorpus
    "formal",  # a miniF2F
    "full_proof",  # Goedel-Prover's proofs of Lean Workbook
)
HEADER = ("header", "lean4_src_header")
ID = ("id", "name", "problem_name", "theorem_name", "theorem_names", "problem_id", "uuid")
INFORMAL = (
    "informal_prefix",
    "informal_stmt",
    "informal_statement",
    "informal_theorem",
    "natural_language_statement",
    "natural_language",
    "natural",
    "nl_statement",
    "refined_statement",
    "problem",
)
WHOLE_FILES = ("formal_ground_truth", "formal_proof")  # the statement again, and its proof

# Some sets have no header. DeepSeek-Prover and Goedel-Prover put these opens before the statements
# of Lean Workbook.
_OPENS = "import Mathlib\nopen BigOperators Real Nat Topology Rat"
_HEADERS = {
    "natural_language_statement": _OPENS,
    "formal": _OPENS,
    "lean4_statement": "import Mathlib",
}
_EMPTY = "it holds no theorem"
_ROWS = (".jsonl", ".json", ".csv", ".parquet")
_LEFT_ALONE = ("build", "lake-packages")  # folders of other people's files; also `.lake`, `.git`

Read = tuple[list[Theorem], list[Dropped]]


def read_file(path: str | Path) -> Read:
    """The theorems of a file or of all files in a folder, and what makes none. Repeated ids are
    numbered. A `~` is expanded.

    Raises OSError if the file cannot be read; ValueError if it is of another kind or holds no
    theorem, if a line of our own form is bad, and for parquet without pyarrow.
    """
    path = Path(path).expanduser()
    theorems, dropped = _read_folder(path) if path.is_dir() else _read_one(path)
    if not theorems:
        told = sorted(dropped, key=lambda entry: entry.reason == _EMPTY)[:1]
        reason = "".join(f"; {entry.id}: {entry.reason}" for entry in told)
        raise ValueError(f"{path} holds no theorem{reason}")
    return with_unique_ids(theorems), dropped


def _read_one(path: Path) -> Read:
    """Raises as `read_file` does, but for a published file without theorems."""
    if path.suffix == ".lean":
        try:
            found = theorems_in(read_text(path))
        except ValueError as error:
            raise ValueError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
        theorems = [each for each in found if isinstance(each, Theorem)]
        return theorems, [each for each in found if isinstance(each, Dropped)]
    if path.suffix == ".parquet":
        rows = _parquet(path)
    else:
        text = read_text(path)
        if path.name.removesuffix(".gz").endswith(".csv"):
            csv.field_size_limit(1 << 30)
            rows = csv.DictReader(io.StringIO(text))
        elif _is_published(text):
            rows = _json_rows(text, path)
        else:
            return parse_theorems(text, path), []
    theorems, dropped = [], []
    for number, row in enumerate(rows, 1):
        try:
            theorems.append(theorem_of(row))
        except ValueError as error:
            dropped.append(Dropped(_first(row, ID) or f"row {number}", str(error)))
    return theorems, dropped


def _read_folder(folder: Path) -> Read:
    """Its Lean files; without any, its files of rows; in the order of their names. An id that two
    files have gets the file's name before it; a file that cannot be read is reported.

    Raises OSError if the folder cannot be read.
    """
    files = list(_files(folder))
    lean = [path for path in files if path.suffix == ".lean"]
    read: list[tuple[str, Read]] = []
    for path in lean or [path for path in files if path.name.removesuffix(".gz").endswith(_ROWS)]:
        name = path.relative_to(folder).as_posix()
        try:
            theorems, dropped = _read_one(path)
            reason = _EMPTY
        except ValueError as error:
            theorems, dropped, reason = [], [], str(error)
        if not theorems and not dropped:
            dropped = [Dropped(name, reason)]
        read.append((name.rsplit(".", 1)[0], (theorems, dropped)))
    files_of = collections.Counter(i for _, (ts, _) in read for i in {t.id for t in ts})
    return [
        dataclasses.replace(t, id=f"{name}/{t.id}") if files_of[t.id] > 1 else t
        for name, (theorems, _) in read
        for t in theorems
    ], [entry for _, (_, dropped) in read for entry in dropped]


def _files(folder: Path) -> Iterator[Path]:
    """All files below `folder`, in the same order on every machine, without hidden folders and
    what Lake builds or downloads."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [n for n in folders if n not in _LEFT_ALONE and not n.startswith(".")]
        found += [Path(place) / name for name in names if not name.startswith(".")]
    return iter(sorted(found, key=lambda path: path.relative_to(folder).as_posix()))


def with_unique_ids(theorems: Iterable[Theorem]) -> list[Theorem]:
    """The second theorem of an id gets `#2` after it, and so on; numbers that make an id which
    another theorem has are left out. The first theorem of each id keeps it."""
    theorems = list(theorems)
    taken = {theorem.id for theorem in theorems}
    uses: collections.Counter[str] = collections.Counter()
    unique = []
    for theorem in theorems:
        name = theorem.id
        uses[name] += 1
        if uses[name] > 1:
            while (free := f"{name}#{uses[name]}") in taken:
                uses[name] += 1
            taken.add(free)
            theorem = dataclasses.replace(theorem, id=free)
        unique.append(theorem)
    return unique


# --- Rows to theorems ----------------------------------------------------------------------------


def theorem_of(row: Row) -> Theorem:
    """The theorem of a published row. Raises ValueError with the reason if the row makes none."""
    field = next((name for name in STATEMENT if _first(row, (name,))), None)
    if field is None:
        raise ValueError(f"it has none of the fields {', '.join(STATEMENT)}")
    text, header = _first(row, (field,)), _first(row, HEADER)
    if re.search(r"^\s*(?:(?:public|meta)\s+)*import\b", text, re.M):
        header = ""  # the statement is a whole file
    elif header is None:
        header = next((_HEADERS[name] for name in _HEADERS if name in row), "")
    found = theorems_in(f"{header}\n{text}", _first(row, ("answer",)))
    if not found:
        raise ValueError(f"expected `theorem NAME ... : TYPE`, found {text.strip()[:60]!r}")
    if isinstance(theorem := found[-1], Dropped):
        raise ValueError(theorem.reason)
    theorem = dataclasses.replace(
        theorem,
        id=_first(row, ID) or theorem.id,
        goal=_first(row, ("goal",)),
        informal=_informal(row) or theorem.informal,
        split=_first(row, ("split",)),
    )
    return dataclasses.replace(theorem, reference=_reference(row, theorem, text))


def _informal(row: Row) -> str | None:
    text = _first(row, INFORMAL)
    return text and text.strip().removeprefix("/--").removesuffix("-/").strip()


def _first(row: Row, names: Sequence[str]) -> str | None:
    """The first of the named fields that is a text and not blank."""
    texts = (row.get(name) for name in names)
    found = next((text for text in texts if isinstance(text, str) and text.strip()), None)
    return found and normal_text(found)


# --- Reference proofs ----------------------------------------------------------------------------


def _reference(row: Row, theorem: Theorem, text: str) -> str | None:
    """The shortest published proof of exactly this theorem (what follows `:=`), not verified."""
    proofs = [theorem.reference]
    bodies = row["proof"] if isinstance(row.get("proof"), list) else []  # Lean Workbook: tactics
    for whole in (_first(row, (name,)) for name in WHOLE_FILES):
        if whole and re.search(r"\b(?:theorem|lemma|example)\b", whole):
            proofs.append(_proof_in(whole, theorem))
        elif whole and re.search(r":=\s*by\s*\Z", text):
            bodies = [*bodies, whole]  # DeepSeek-Prover: what follows the statement
    for body in (normal_text(b) for b in bodies if isinstance(b, str) and _is_lean(b)):
        proofs.append(
            f" by\n{textwrap.indent(textwrap.dedent(body.strip(chr(10))), '  ').rstrip()}"
        )
    complete = [p for p in proofs if p and "sorry" not in p]
    return min(complete, key=len, default=None)


def _is_lean(body: str) -> bool:
    try:
        return bool(strip_comments(body).strip())
    except ValueError:
        return False


def _proof_in(text: str, theorem: Theorem) -> str | None:
    """The proof of `theorem` in a whole file; None if the file states something else."""
    try:
        theorems = [t for t in theorems_in(text) if isinstance(t, Theorem)]
    except ValueError:
        return None

    def stated(t: Theorem) -> tuple:
        return t.name, lexemes(t.signature), lexemes(definitions(t.context))

    return next((t.reference for t in theorems if stated(t) == stated(theorem)), None)


# --- Files ---------------------------------------------------------------------------------------


def _is_published(text: str) -> bool:
    """Whether it is a JSON list, or its first line has a field of published statements."""
    text = text.lstrip()
    if text.startswith("["):
        return True
    try:
        row = json.loads(text.split("\n", 1)[0])
    except ValueError:
        return False
    return isinstance(row, dict) and not set(STATEMENT).isdisjoint(row)


def _json_rows(text: str, path: Path) -> list[Row]:
    """Those of a list, or one a line. Raises ValueError naming the file."""
    try:  # a list may be called .jsonl, and lines .json
        if text.lstrip().startswith("["):
            rows = json.loads(text)
        else:
            rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{path}: expected JSON objects, one for each theorem")
    return rows


def _parquet(path: Path) -> Iterator[Row]:
    try:
        import pyarrow.parquet
    except ImportError:
        raise ValueError(f"{path}: parquet needs pyarrow: pip install -e '.[hf]'") from None
    try:
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches():
            yield from batch.to_pylist()
    except pyarrow.ArrowInvalid as error:
        raise ValueError(f"{path} is not a parquet file: {error}") from None
