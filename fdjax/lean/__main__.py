"""Lean on the command line: `python -m fdjax.lean check FILE.jsonl` gives verdicts for theorems and
proofs in JSON lines, `doctor` says what a backend lacks on this machine, `bench` how fast it is.
"""

import argparse
import json
import os
import queue
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future

from fdjax.lean import bench, doctor
from fdjax.lean.backends.ray_cluster import RayCluster
from fdjax.lean.backends.registry import BACKENDS, make_backend
from fdjax.lean.cache import VerdictCache
from fdjax.lean.extract import parse_candidate
from fdjax.lean.farm import Farm
from fdjax.lean.replay import replaying_farm
from fdjax.lean.statements import parse_statement
from fdjax.types import Message, Theorem, Verdict

AHEAD = 10_000  # lines read before the first of them is answered

Id = str | int | float | None


class BadLine(ValueError):
    """A line that asks for nothing that could be checked: the reason, and its id if it has one."""


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
    for field, text in (
        ("statement", row["statement"]),
        ("context", context),
        ("proof", row["proof"]),
    ):
        if not isinstance(text, str):
            raise BadLine(f"`{field}` must be a string", name)
        if field != "proof" and any("\ud800" <= c <= "\udfff" or c == "\0" for c in text):
            raise BadLine(f"`{field}` holds a NUL or a lone surrogate", name)
    if not isinstance(imports, list) or not all(isinstance(module, str) for module in imports):
        raise BadLine("`imports` must be a list of strings", name)
    try:
        theorem, signature = parse_statement(row["statement"])
    except ValueError as error:
        raise BadLine(f"`statement`: {error}", name) from None
    return name, Theorem(str(name), theorem, signature, tuple(imports), context), row["proof"]


def answers(source: Iterable[bytes], farm: Farm) -> Iterator[tuple[Id, Verdict]]:
    """For each line of `source`, in order: its id and its verdict, as soon as that is known.

    A thread reads ahead, so that answers also come while whoever writes `source` waits for them.
    """
    asked: queue.Queue = queue.Queue(AHEAD)

    def submit_all() -> None:
        try:
            for line in source:
                asked.put(_submit(line, farm))
            asked.put(None)
        except Exception as error:
            asked.put(error)

    threading.Thread(target=submit_all, daemon=True).start()
    while (item := asked.get()) is not None:
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
    return name, farm.submit(theorem, candidate, urgent=True)  # whatever is, may be replayed


def _row(name: Id, verdict: Verdict) -> dict:
    messages = [
        {"severity": m.severity, "text": m.text, "kind": m.kind, "start": m.start, "end": m.end}
        for m in verdict.messages
    ]
    return {
        "id": name,
        "status": verdict.status,
        "messages": messages,
        "axioms": list(verdict.axioms),
        "seconds": round(verdict.seconds, 6),
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m fdjax.lean")
    commands = parser.add_subparsers(dest="command", required=True)
    checker = commands.add_parser(
        "check",
        help="verdicts for a file of theorems and proofs",
        description='Each line {"id", "statement", "proof", "context"?, "imports"?} gets one line'
        ' {"id", "status", "messages", "axioms", "seconds"}, in the same order.',
    )
    checker.add_argument("file", help="JSON lines; - for standard input")
    checker.add_argument("--cache", help="a file that keeps verdicts between runs")
    checker.add_argument(
        "--replay",
        action="store_true",
        help="what is proved must stand a second check by Lean's kernel, in a process of its own",
    )
    healer = commands.add_parser(
        "doctor",
        help="what the backends lack on this machine, and what to do about it",
        description="Ends with 0 if the backend works; without --backend, if any of them does.",
    )
    timer = commands.add_parser(
        "bench",
        help="how many candidates a second a backend judges on this machine",
        description="Theorems of core Lean, every second proof wrong. Ends with 1 if a verdict is.",
    )
    timer.add_argument("--count", type=int, default=500, help="candidates; default: 500")
    timer.add_argument("--imports", nargs="*", default=[], help="modules, such as Mathlib")
    for command in (checker, timer):
        command.add_argument("--workers", type=int, help="Leans at once; default: CPU cores")
        command.add_argument("--timeout", type=float, default=20.0, help="seconds for one proof")
        command.add_argument("--ray-address", help="of a Ray cluster that runs the Leans")
    for command, default in ((checker, "embedded"), (healer, None), (timer, "embedded")):
        command.add_argument(
            "--backend",
            default=default,
            help=f"one of {', '.join(BACKENDS)}; default: {default or 'all'}",
        )
        for option, text in OPTIONS.items():
            command.add_argument(f"--{option.replace('_', '-')}", help=text)
    flags = parser.parse_args(argv)
    if flags.command == "bench" and flags.count < 1:
        timer.error(f"--count: {flags.count} is not above 0")
    # Proofs and messages are full of ∀ and →, whatever the locale says.
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    options = {o: value for o in OPTIONS if (value := getattr(flags, o)) is not None}
    if flags.command == "doctor":
        return doctor.main(flags.backend, options)
    try:
        if flags.ray_address:
            backend = RayCluster(flags.backend, options, flags.ray_address)
        else:
            backend = make_backend(flags.backend, options)
        if flags.command == "bench":
            imports = tuple(flags.imports)
            return bench.main(backend, flags.workers, flags.timeout, flags.count, imports)
        source = sys.stdin.buffer if flags.file == "-" else open(flags.file, "rb")  # noqa: SIM115
        cache = VerdictCache(flags.cache)
        second = None
        if flags.replay:
            here, workers = backend, flags.workers
            if flags.ray_address:  # what its nodes can take says nothing of this machine
                here, workers = make_backend(flags.backend, options), None
            second = replaying_farm(here, workers, flags.timeout, cache)
        farm = Farm(backend, flags.workers, flags.timeout, cache, second=second)
    except (OSError, ValueError, RuntimeError) as error:
        print(f"python -m fdjax.lean {flags.command}: {error}", file=sys.stderr)
        return 2
    return check(source, farm)


# Fields of the backends' classes that have a flag of their own.
OPTIONS = {
    "project": "lean_interact: folder of a Lake project, with Mathlib for instance",
    "lean_version": "lean_interact without a project: such as v4.24.0",
    "repl": "lean_interact: folder of a REPL that has been built",
    "url": "kimina: of the server, such as http://localhost:8000",
}


def check(source: Iterable[bytes], farm: Farm) -> int:
    with farm:
        try:
            for name, verdict in answers(source, farm):
                print(json.dumps(_row(name, verdict), ensure_ascii=False), flush=True)
        except KeyboardInterrupt:
            return 130
        except BrokenPipeError:  # nobody reads on; nor shall Python try to, at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
