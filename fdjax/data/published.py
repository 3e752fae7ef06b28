"""Files of theorems as they are published on the Hugging Face hub: JSON lines, JSON and parquet.

The tables below hold the fields of miniF2F, ProofNet, PutnamBench, NuminaMath-LEAN and Lean
Workbook. Files of our own form (fdjax/data/theorems.py) are read too. Published files hold
statements that were commented out or never finished: a row that makes no theorem is reported, and
the rest of the file is read.
"""

import ast
import collections
import dataclasses
import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fdjax.data.dedup import Dropped, definitions
from fdjax.data.theorems import read_theorems
from fdjax.lean.statements import lexemes, split_statement, strip_comments
from fdjax.types import Theorem

Row = Mapping[str, Any]

# The first field of each table that is not empty in a row is used.
STATEMENT = (
    "formal_statement",  # miniF2F, DeepSeek's ProofNet, NuminaMath-LEAN, Lean Workbook
    "lean4_formalization",  # ProofNet#
    "lean4_statement",  # PutnamBench
)
HEADER = ("header", "lean4_src_header")
ID = ("id", "name", "problem_name", "uuid")
INFORMAL = (
    "informal_prefix",
    "informal_stmt",
    "informal_statement",
    "natural_language_statement",
    "nl_statement",
    "problem",
)
TAGS = ("tags", "problem_type")
WHOLE_FILES = ("formal_ground_truth", "formal_proof")  # the statement again, and its proof

# Two sets have no header. DeepSeek-Prover and Goedel-Prover put these opens before the statements
# of Lean Workbook.
_HEADERS = {
    "natural_language_statement": "import Mathlib\nopen BigOperators Real Nat Topology Rat",
    "lean4_statement": "import Mathlib",
}


def read_file(path: str | Path) -> tuple[list[Theorem], list[Dropped]]:
    """The theorems of one file, and the rows that make none. Repeated ids are numbered. A `~` is
    expanded.

    Raises OSError if the file cannot be read; ValueError if it is of another kind or holds no
    theorem, if a line of our own form is bad, and for parquet without pyarrow.
    """
    path = Path(path).expanduser()
    if path.suffix != ".parquet" and not _is_published(path):
        return read_theorems(path), []
    theorems, dropped = [], []
    for number, row in enumerate(_rows(path), 1):
        try:
            theorems.append(theorem_of(row))
        except ValueError as error:
            dropped.append(Dropped(_first(row, ID) or f"row {number}", str(error)))
    if not theorems:
        reason = f"; {dropped[0].id}: {dropped[0].reason}" if dropped else ""
        raise ValueError(f"{path} holds no theorem{reason}")
    return with_unique_ids(theorems), dropped


def with_unique_ids(theorems: Iterable[Theorem]) -> list[Theorem]:
    """The second theorem of an id gets `#2` after it, and so on."""
    uses: collections.Counter[str] = collections.Counter()
    unique = []
    for theorem in theorems:
        uses[theorem.id] += 1
        if (count := uses[theorem.id]) > 1:
            theorem = dataclasses.replace(theorem, id=f"{theorem.id}#{count}")
        unique.append(theorem)
    return unique


# --- Rows to theorems ----------------------------------------------------------------------------


def theorem_of(row: Row) -> Theorem:
    """The theorem of a published row. Raises ValueError with the reason if the row makes none."""
    field = next((name for name in STATEMENT if _first(row, (name,))), None)
    if field is None:
        raise ValueError(f"it has none of the fields {', '.join(STATEMENT)}")
    text = strip_comments(with_answers(row[field]))
    header = _first(row, HEADER)
    if re.search(r"^\s*import\b", text, re.M):
        header = ""  # the statement is a whole file
    elif header is None:
        header = next((_HEADERS[name] for name in _HEADERS if name in row), "")
    imports, text = split_header(f"{strip_comments(header)}\n{text}")
    context, name, signature = split_statement(text)
    if re.search(r"\bsorry\b", context):
        raise ValueError("the text before the theorem holds a sorry: no proof would count")
    theorem = Theorem(
        id=_first(row, ID) or name,
        name=name,
        signature=signature,
        imports=imports,
        context=re.sub(r"\n\s*\n", "\n\n", context),
        goal=_first(row, ("goal",)),
        informal=_informal(row),
        split=_first(row, ("split",)),
        tags=_tags(row),
    )
    return dataclasses.replace(theorem, reference=_reference(row, theorem))


def split_header(header: str) -> tuple[tuple[str, ...], str]:
    """(modules imported, the rest of a file's header). Raises ValueError for a late import."""
    imports, context = [], []
    for line in header.splitlines():
        words = line.split()
        if words[:1] != ["import"]:
            context.append(line)
        elif any(part.strip() for part in context):
            raise ValueError(f"{line.strip()!r} stands after other commands")
        else:
            imports.extend(words[1:])
    return tuple(imports), "\n".join(context).strip()


def with_answers(text: str) -> str:
    """PutnamBench's `abbrev NAME : TYPE := sorry`, completed by the answer in the comment below it
    as in PutnamBench's rewrite_solutions.py.
    """

    def complete(match: re.Match) -> str:
        lines = [line.strip().removeprefix("--").strip() for line in match[2].splitlines()]
        return f"{match[1]}{' '.join(lines)}\n"

    return _UNANSWERED.sub(complete, text)


_UNANSWERED = re.compile(
    r"^((?:noncomputable +)?(?:abbrev|def) [^\n]*:=\s*)sorry[ \t]*\n"
    r"((?:[ \t]*--[^\n]*(?:\n|\Z))+)",
    re.M,
)


def _informal(row: Row) -> str | None:
    text = _first(row, INFORMAL)
    return text and text.strip().removeprefix("/--").removesuffix("-/").strip()


def _tags(row: Row) -> tuple[str, ...]:
    """A list, its Python text (PutnamBench's CSV), or one word."""
    value = next((row[name] for name in TAGS if row.get(name)), ())
    if isinstance(value, str) and value.startswith("["):
        try:
            value = ast.literal_eval(value)
        except (SyntaxError, ValueError):
            value = [value]
    return (value,) if isinstance(value, str) else tuple(str(tag) for tag in value)


def _first(row: Row, names: Sequence[str]) -> str | None:
    """The first of the named fields that is a text and not blank."""
    texts = (row.get(name) for name in names)
    return next((text for text in texts if isinstance(text, str) and text.strip()), None)


# --- Reference proofs ----------------------------------------------------------------------------


def _reference(row: Row, theorem: Theorem) -> str | None:
    """The shortest published proof of exactly this theorem (what follows `:=`), not verified."""
    proofs = [_proof_in(row[name], theorem) for name in WHOLE_FILES if _first(row, (name,))]
    if isinstance(row.get("proof"), list):  # Lean Workbook: bodies of tactics
        bodies = [p for p in row["proof"] if isinstance(p, str) and p.strip()]
        proofs += [f" by\n{textwrap.indent(textwrap.dedent(b.strip()), '  ')}" for b in bodies]
    complete = [p for p in proofs if p and "sorry" not in p]
    return min(complete, key=len, default=None)


def _proof_in(text: str, theorem: Theorem) -> str | None:
    """What follows `:=` of `theorem` in a whole file; None if the file states something else."""
    try:
        text = strip_comments(text)
    except ValueError:
        return None
    head = re.search(rf"^\s*(?:theorem|lemma)\s+{re.escape(theorem.name)}(?![\w.'])", text, re.M)
    if head is None or lexemes(definitions(text[: head.start()])) != lexemes(
        definitions(theorem.context)
    ):
        return None
    statement, rest = [*lexemes(theorem.signature), ":", "="], text[head.end() :]
    ends = (match.end() for match in re.finditer(r":=", rest))
    end = next((end for end in ends if lexemes(rest[:end]) == statement), None)
    if end is None or re.search(r"\n\S", proof := rest[end:].rstrip()):
        return None  # another statement, or more than its proof
    lines = [line.rstrip() for line in proof.splitlines() if line.strip()]
    if len(lines) == 1:
        return re.sub(r"^\s*by\s+", " by\n  ", proof)
    return "\n".join(lines)


# --- Files ---------------------------------------------------------------------------------------


def _is_published(path: Path) -> bool:
    """Whether the file is a JSON list, or its first line holds a published statement."""
    with open(path, encoding="utf-8") as lines:
        first = next((line for line in lines if line.strip()), "")
    if first.lstrip().startswith("["):
        return True
    try:
        row = json.loads(first)
    except ValueError:
        return False
    return isinstance(row, dict) and _first(row, STATEMENT) is not None


def _rows(path: Path) -> Iterator[Row]:
    if path.suffix == ".parquet":
        yield from _parquet(path)
        return
    text = path.read_text(encoding="utf-8")
    try:  # a list may be called .jsonl, and lines .json
        if text.lstrip().startswith("["):
            rows = json.loads(text)
        else:
            rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{path}: expected JSON objects, one for each theorem")
    yield from rows


def _parquet(path: Path) -> Iterator[Row]:
    try:
        import pyarrow.parquet
    except ImportError:
        raise ValueError(f"{path}: parquet needs pyarrow: pip install 'fdjax[hf]'") from None
    try:
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches():
            yield from batch.to_pylist()
    except pyarrow.ArrowInvalid as error:
        raise ValueError(f"{path} is not a parquet file: {error}") from None
