"""Lean on the command line: `fdjax lean check FILE.jsonl` gives verdicts for theorems and
proofs in JSON lines, `doctor` reports what a backend lacks on this machine, `bench` its speed;
`index` and `search` find declarations.
"""

import argparse
import functools
import json
import os
import queue
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path

from fdjax.lean import bench, doctor
from fdjax.lean.backend import Backend
from fdjax.lean.backends.ray_cluster import RayCluster
from fdjax.lean.backends.registry import BACKENDS, make_backend
from fdjax.lean.cache import VerdictCache
from fdjax.lean.extract import parse_candidate
from fdjax.lean.farm import Farm
from fdjax.lean.replay import replaying_farm
from fdjax.lean.search.declarations import open_index
from fdjax.lean.statements import normal_text, parse_statement
from fdjax.types import Message, Theorem, Verdict

AHEAD = 10_000  # lines read before the first of them has its verdict

Id = str | int | float | None


class BadLine(ValueError):
    """A line of input that cannot be checked: (reason, its id or None)."""


def parse_line(line: bytes) -> tuple[Id, Theorem, str]:
    """Id, theorem and proof of one line of input. Raises BadLine(reason, id)."""
    try:
        row = json.loads(line.decode("utf-8-sig"))
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
    context, imports = row.get("context") or "", row.get("imports") or []
    texts = {"statement": row["statement"], "context": context, "proof": row["proof"]}
    for field, text in texts.items():
        if not isinstance(text, str):
            raise BadLine(f"`{field}` must be a string", name)
        if field != "proof" and any("\ud800" <= c <= "\udfff" or c == "\0" for c in text):
            raise BadLine(f"`{field}` holds a NUL or a lone surrogate", name)
    if not isinstance(imports, list) or not all(isinstance(module, str) for module in imports):
        raise BadLine("`imports` must be a list of strings", name)
    try:
        theorem, signature = parse_statement(normal_text(row["statement"]))
    except ValueError as error:
        raise BadLine(f"`statement`: {error}", name) from None
    return (
        name,
        Theorem(str(name), theorem, signature, tuple(imports), normal_text(context)),
        row["proof"],
    )


def check(source: Iterable[bytes], farm: Farm) -> int:
    """Prints a line of JSON for each line of `source`. Returns the exit code."""
    with farm:
        try:
            for name, verdict in answers(source, farm):
                print(json.dumps(_row(name, verdict), ensure_ascii=False), flush=True)
        except KeyboardInterrupt:
            return 130
        except BrokenPipeError:  # the reader is gone; Python must not flush to it at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
    return 0


def answers(source: Iterable[bytes], farm: Farm) -> Iterator[tuple[Id, Verdict]]:
    """(id, verdict) for each line of `source`, in order, each as soon as it is known.

    A thread reads ahead, so that a program may wait for an answer before it writes more lines.
    """
    submitted: queue.Queue = queue.Queue(AHEAD)

    def submit_all() -> None:
        try:
            for line in source:
                submitted.put(_submit(line, farm))
            submitted.put(None)
        except Exception as error:
            submitted.put(error)

    threading.Thread(target=submit_all, daemon=True).start()
    while (item := submitted.get()) is not None:
        if isinstance(item, Exception):
            raise item
        name, answer = item
        yield name, answer if isinstance(answer, Verdict) else answer.result()


def _submit(line: bytes, farm: Farm) -> tuple[Id, Verdict | Future]:
    try:
        name, theorem, proof = parse_line(line)
        if reason := farm.backend.missing(theorem.imports):
            raise BadLine(reason, name)
    except BadLine as bad:
        reason, name = bad.args
        return name, Verdict("rejected", (Message("error", reason, "input"),))
    candidate = parse_candidate(proof, theorem, farm.allow_helpers)
    return name, farm.submit(theorem, candidate, urgent=True)  # urgent: `second` replays it


def _row(name: Id, verdict: Verdict) -> dict:
    return {
        "id": name,
        "status": verdict.status,
        "messages": [vars(message) for message in verdict.messages],
        "axioms": list(verdict.axioms),
        "seconds": round(verdict.seconds, 6),
    }


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code."""
    flags = parse_flags(argv)
    # Proofs and messages are full of ∀ and →, whatever the locale is.
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    options = {o: value for o in OPTIONS if (value := getattr(flags, o)) is not None}
    if flags.command == "doctor":
        return doctor.main(flags.backend, options)
    try:
        if flags.command in ("index", "search"):
            return search(make_backend(flags.backend, options), flags)
        if flags.ray_address:
            backend = RayCluster(flags.backend, options, flags.ray_address)
        else:
            backend = make_backend(flags.backend, options)
        if flags.command == "bench":
            imports = tuple(flags.imports)
            return bench.main(backend, flags.workers, flags.timeout, flags.count, imports)
        source = sys.stdin.buffer if flags.file == "-" else Path(flags.file).expanduser().open("rb")
        cache = VerdictCache(flags.cache)
        second = None
        if flags.replay:
            local, workers = backend, flags.workers
            if flags.ray_address:  # --workers is for the cluster; replay runs on this machine
                local, workers = make_backend(flags.backend, options), None
            second = replaying_farm(local, workers, flags.timeout, cache)
        farm = Farm(backend, flags.workers, flags.timeout, cache, second=second)
    except (OSError, ValueError, RuntimeError) as error:
        print(f"fdjax lean {flags.command}: {error}", file=sys.stderr)
        return 2
    return check(source, farm)


def search(backend: Backend, flags: argparse.Namespace) -> int:
    """Prints what is found, or the path of the index."""
    words = " ".join(getattr(flags, "words", []))
    with open_index(
        backend, tuple(flags.imports), functools.partial(print, file=sys.stderr)
    ) as index:
        if not words:
            print(f"{index.path}: {index.count:,} declarations")
            return 0
        found = index.search(words, flags.limit)
    print("\n".join(map(str, found)) or "nothing found", flush=True)
    return 0 if found else 1


# Fields of the backends' classes that have a flag.
OPTIONS = {
    "project": "lean_interact: folder of a Lake project, with Mathlib for instance",
    "lean_version": "lean_interact without a project: such as v4.35.0",
    "repl": "lean_interact: folder of a REPL that has been built",
    "url": "kimina: of the server, such as http://localhost:8000",
}


def parse_flags(argv: list[str] | None) -> argparse.Namespace:
    """Exits with 2 and a message for bad flags."""
    parser = argparse.ArgumentParser(
        prog="fdjax lean",
        epilog="example: fdjax lean check proofs.jsonl --backend=lean_interact --project=mine",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    check_flags = commands.add_parser(
        "check",
        help="verdicts for a file of theorems and proofs",
        description='Each line {"id", "statement", "proof", "context"?, "imports"?} gets one line'
        ' {"id", "status", "messages", "axioms", "seconds"}, in the same order.',
    )
    check_flags.add_argument("file", help="JSON lines; - for standard input")
    check_flags.add_argument("--cache", help="a file that keeps verdicts between runs")
    check_flags.add_argument(
        "--replay",
        action="store_true",
        help="Lean's kernel must accept each success again, in a separate process",
    )
    doctor_flags = commands.add_parser(
        "doctor",
        help="what the backends lack on this machine, and the remedy",
        description="Exits with 0 if the backend works; without --backend, if any of them does.",
    )
    bench_flags = commands.add_parser(
        "bench",
        help="how many candidates per second a backend verifies on this machine",
        description="Theorems of core Lean, every second proof wrong. Exits with 1 if a verdict is"
        " wrong.",
    )
    bench_flags.add_argument("--count", type=int, default=500, help="candidates; default: 500")
    bench_flags.add_argument("--imports", nargs="*", default=[], help="modules, such as Mathlib")
    index_flags = commands.add_parser(
        "index",
        help="list the declarations of a backend's environment, for `search`",
        description="Prints the path of the index. It is built on first use, in seconds for"
        " the embedded library; a large one takes much longer.",
    )
    search_flags = commands.add_parser(
        "search",
        help="find declarations by name, by words, or by a part of a type",
        description="Exits with 1 if nothing is found.",
        epilog="example: fdjax lean search 'n + m = m + n'",
    )
    search_flags.add_argument("words", nargs="+", help="of names, types and docstrings")
    search_flags.add_argument("--limit", type=int, default=10, help="default: 10")
    for command in (index_flags, search_flags):
        command.add_argument("--imports", nargs="*", default=[], help="modules, such as Mathlib")
    for command in (check_flags, doctor_flags, bench_flags, index_flags, search_flags):
        default = None if command is doctor_flags else "embedded"
        command.add_argument(
            "--backend",
            default=default,
            help=f"one of {', '.join(BACKENDS)}; default: {default or 'all'}",
        )
        for option, text in OPTIONS.items():
            command.add_argument(f"--{option.replace('_', '-')}", help=text)
    for command in (check_flags, bench_flags):
        command.add_argument("--workers", type=int, help="Leans at once; default: CPU cores")
        command.add_argument("--timeout", type=float, default=20.0, help="seconds for one proof")
        command.add_argument("--ray-address", help="of a Ray cluster that runs the Leans")
    flags = parser.parse_args(argv)
    if flags.command == "bench" and flags.count < 1:
        bench_flags.error(f"--count: {flags.count} is not above 0")
    if flags.command == "search" and flags.limit < 1:
        search_flags.error(f"--limit: {flags.limit} is not above 0")
    return flags


if __name__ == "__main__":
    sys.exit(main())
