"""`python -m fdjax.lean check FILE.jsonl`: verdicts for theorems and proofs in JSON lines."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import BinaryIO, TextIO

from fdjax.data.theorems import Theorem, parse_statement
from fdjax.lean.backend import Backend, make_backend
from fdjax.lean.cache import VerdictCache
from fdjax.lean.farm import Farm
from fdjax.lean.verdict import Message, Verdict

FIELDS = {"id", "statement", "proof", "context", "imports"}


class BadLine(ValueError):
    """A line of input that asks for nothing that could be checked: (reason, its id if it has one)."""


def parse_line(line: bytes) -> tuple[Theorem, str]:
    """Theorem and proof of one line of input. Raises BadLine with the reason and the line's id."""
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadLine(f"not UTF-8: byte {error.start + 1} of the line", None) from None
    except (ValueError, RecursionError) as error:
        raise BadLine(f"not JSON: {error}", None) from None
    if not isinstance(row, dict):
        raise BadLine('a line must be an object {"id", "statement", "proof"}', None)
    name = row.get("id")
    if name is not None and not isinstance(name, str | int | float):
        raise BadLine("`id` must be a string or a number", None)
    for field in ("id", "statement", "proof"):
        if row.get(field) is None:
            raise BadLine(f"`{field}` is missing", name)
    for field in ("statement", "proof", "context"):
        if not isinstance(row.get(field, ""), str):
            raise BadLine(f"`{field}` must be a string", name)
    imports = row.get("imports", [])
    if not isinstance(imports, list) or not all(isinstance(module, str) for module in imports):
        raise BadLine("`imports` must be a list of strings", name)
    if unknown := sorted(row.keys() - FIELDS):
        raise BadLine(f"unknown field `{unknown[0]}`; known: {', '.join(sorted(FIELDS))}", name)
    try:
        for field in ("statement", "context"):
            row.get(field, "").encode()
        theorem, signature = parse_statement(row["statement"])
    except UnicodeEncodeError:
        raise BadLine(f"`{field}` holds a lone surrogate", name) from None
    except ValueError as error:
        raise BadLine(f"`statement`: {error}", name) from None
    return Theorem(id=str(name), name=theorem, signature=signature, imports=tuple(imports),
                   context=row.get("context", "")), row["proof"]


def check(source: BinaryIO, sink: TextIO, farm: Farm) -> None:
    """Writes one line for each line of `source`, in their order, each as soon as it is known."""
    asked = list(_submit_all(source, farm))
    for name, answer in asked:
        verdict = answer if isinstance(answer, Verdict) else answer.result()
        print(json.dumps(_row(name, verdict), ensure_ascii=False), file=sink, flush=True)


def _submit_all(source: Iterable[bytes], farm: Farm) -> Iterator[tuple[object, Verdict | Future]]:
    for line in source:
        if not line.strip():
            continue
        try:
            theorem, proof = parse_line(line)
            name = json.loads(line)["id"]
            if reason := farm.backend.missing(theorem.imports):
                raise BadLine(reason, name)
        except BadLine as bad:
            reason, name = bad.args
            yield name, Verdict("rejected", (Message("error", reason, "input"),))
        else:
            yield name, farm.submit(theorem, proof)


def _row(name: object, verdict: Verdict) -> dict:
    messages = [{"severity": m.severity, "text": m.text, "kind": m.kind,
                 "start": m.start, "end": m.end} for m in verdict.messages]
    return {"id": name, "status": verdict.status, "messages": messages,
            "axioms": list(verdict.axioms), "seconds": round(verdict.seconds, 4)}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m fdjax.lean")
    commands = parser.add_subparsers(dest="command", required=True)
    checker = commands.add_parser(
        "check", help="verdicts for a file of theorems and proofs",
        description='Each line {"id", "statement", "proof", "context"?, "imports"?} gets one line'
                    ' {"id", "status", "messages", "axioms", "seconds"}, in the same order.')
    checker.add_argument("file", help="JSON lines; - for standard input")
    checker.add_argument("--backend", default="embedded", help="default: embedded")
    checker.add_argument("--workers", type=int, help="Lean processes at once; default: CPU cores")
    checker.add_argument("--timeout", type=float, default=20.0, help="seconds for one proof")
    checker.add_argument("--cache", help="a file that keeps verdicts between runs")
    flags = parser.parse_args(argv)
    # Proofs and messages are full of ∀ and →, whatever the locale says.
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        source = sys.stdin.buffer if flags.file == "-" else open(flags.file, "rb")  # noqa: SIM115
        backend: Backend = make_backend(flags.backend)
        farm = Farm(backend, flags.workers, flags.timeout, VerdictCache(flags.cache))
    except (OSError, ValueError, RuntimeError) as error:
        print(f"python -m fdjax.lean check: {error}", file=sys.stderr)
        return 2
    with farm, source:
        try:
            check(source, sys.stdout, farm)
        except KeyboardInterrupt:
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
