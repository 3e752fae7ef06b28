"""The lean_interact backend against lean-interact's own LeanServerPool, same candidates.

    python benchmarks/lean_repls.py [--count=60] [--runs=5] [--workers=2] [--project=DIR]

The pool imports the same header once per REPL and answers each candidate on top of it; it is asked
for no axioms and verifies nothing. The runs of the two alternate, with fresh candidates; the median
ratio is printed. Exit code 1 below 1. Both wait for Lean most of the time, and single runs differ
by about 5 %: make several. Without a toolchain the REPLs are those of the tests: the
embedded Lean behind the real protocol.
"""

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from lean_interact import Command, LeanREPLConfig, LeanServerPool, LocalProject
from lean_interact.interface import CommandResponse

from fdjax.lean.backend import BackendUnavailable
from fdjax.lean.backends.lean_interact import toolchain
from fdjax.lean.backends.lean_interact.backend import LeanInteractBackend
from fdjax.lean.bench import candidates, wrong_verdicts
from fdjax.lean.evidence import import_lines, options
from fdjax.lean.farm import Farm
from fdjax.lean.statements import lean_text

TIMEOUT = 60.0


def find_lean(project: str, folder: Path) -> tuple[LeanInteractBackend, LeanREPLConfig]:
    """The same Lean for both."""
    try:
        lake = toolchain.find_lake("lake")
    except BackendUnavailable as error:
        print(f"{error}\nSo the REPLs are those of the tests.", file=sys.stderr)
        sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
        import lean_repl

        chosen = lean_repl.toolchain(folder)
        return LeanInteractBackend(**chosen), LeanREPLConfig(
            local_repl_path=chosen["repl"], build_repl=False, lake_path=chosen["lake"]
        )
    backend = LeanInteractBackend(project=project)
    local = LocalProject(directory=project, auto_build=False) if project else None
    return backend, LeanREPLConfig(
        project=local,
        lake_path=lake,
        local_repl_path=Path(backend.installed.program).parents[3],
        build_repl=False,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=60, help="candidates per run")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--project", default="", help="a Lake project; Mathlib is imported")
    flags = parser.parse_args()
    imports = ("Mathlib",) if flags.project else ()
    numbers = itertools.count()

    def fresh(count: int):
        return candidates(itertools.islice(numbers, count), imports)

    with tempfile.TemporaryDirectory() as folder:
        backend, config = find_lean(flags.project, Path(folder))
        header = import_lines(imports) + options(backend.max_heartbeats)
        ratios = []
        with (
            Farm(backend, flags.workers, TIMEOUT) as farm,
            LeanServerPool(config, flags.workers) as pool,
        ):
            environment = pool.run(Command(cmd=header)).env

            def on_farm(items) -> int:
                return len(wrong_verdicts(items, farm.check([item[:2] for item in items])))

            def on_pool(items) -> int:
                texts = [
                    lean_text(theorem, candidate.text).removeprefix(import_lines(imports))
                    for theorem, candidate, _ in items
                ]
                responses = pool.run_batch(
                    [Command(cmd=text, env=environment) for text in texts], timeout_per_cmd=TIMEOUT
                )
                return sum(
                    not isinstance(answer, CommandResponse)
                    or answer.lean_code_is_valid(allow_sorry=False) != right
                    for answer, (*_, right) in zip(responses, items, strict=True)
                )

            for check in (on_farm, on_pool):  # every REPL has its imports
                check(fresh(2 * flags.workers))
            for run in range(flags.runs):
                rates = []
                for check in (on_farm, on_pool):
                    items, began = fresh(flags.count), time.perf_counter()
                    if wrong := check(items):
                        print(f"{check.__name__}: {wrong} of {flags.count} are wrong")
                        return 1
                    rates.append(flags.count / (time.perf_counter() - began))
                ratios.append(rates[0] / rates[1])
                print(
                    f"run {run + 1}: {rates[0]:.2f}/s here, {rates[1]:.2f}/s in the pool",
                    flush=True,
                )
    ratio = statistics.median(ratios)
    print(
        json.dumps(
            {
                "ratio": round(ratio, 3),
                "workers": flags.workers,
                "count": flags.count,
                "lean": backend.version,
                "ratios": [round(r, 2) for r in ratios],
            }
        )
    )
    return 0 if ratio >= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
