"""The Lean farm against one process per candidate, and the CPU time it spends outside Lean.

    python benchmarks/lean_farm.py [--count=2000] [--sample=100] [--runs=5] [--workers=2]

Candidates are distinct, half of them wrong, and the cache is empty. Each run checks all of them on
the farm, and a sample of them (fresh ones) in a process each, with as many workers; the runs of the
two alternate and medians are printed. Exit code 1 if a figure is missed: 8 times the rate, and 15 %
of Lean's CPU time.
"""

import argparse
import itertools
import json
import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from fdjax.lean.backends.embedded.backend import EmbeddedBackend
from fdjax.lean.bench import Item, candidates, wrong_verdicts
from fdjax.lean.farm import Farm


def timed(check, items: list[Item]) -> tuple[float, float, float]:
    """Seconds of the wall clock, of CPU in this process, of CPU in its children; per candidate."""
    before, began = os.times(), time.perf_counter()
    verdicts = check([item[:2] for item in items])
    wall, after = time.perf_counter() - began, os.times()
    if wrong := wrong_verdicts(items, verdicts):
        sys.exit(f"{len(wrong)} wrong verdicts, for instance {wrong[0]}")
    outside = after.user + after.system - before.user - before.system
    lean = (
        after.children_user + after.children_system - before.children_user - before.children_system
    )
    return wall / len(items), outside / len(items), lean / len(items)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=2000, help="candidates per run of the farm")
    parser.add_argument("--sample", type=int, default=100, help="candidates with a process each")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    flags = parser.parse_args()
    backend = EmbeddedBackend()
    numbers = itertools.count()

    def fresh(count: int):
        return candidates(itertools.islice(numbers, count))

    def on_farm(pairs):
        with Farm(backend, flags.workers) as farm:
            return farm.check(pairs)

    def process_each(pairs):
        def alone(pair):
            return backend.worker().check([pair], 60.0)[0]

        with ThreadPoolExecutor(flags.workers) as pool:
            return list(pool.map(alone, pairs))

    on_farm([c[:2] for c in fresh(2)])  # the first use may compile the library
    ratios, shares = [], []
    for run in range(flags.runs):
        single, *_ = timed(process_each, fresh(flags.sample))
        farm, outside, lean = timed(on_farm, fresh(flags.count))
        ratios.append(single / farm)
        shares.append(outside / lean)
        print(
            f"run {run + 1}: {1 / single:6.1f}/s with a process each, {1 / farm:6.1f}/s on the"
            f" farm ({flags.count} candidates, {flags.workers} workers): {ratios[-1]:.1f} times;"
            f" CPU outside Lean {100 * shares[-1]:.1f} % of Lean's",
            flush=True,
        )
    ratio, share = statistics.median(ratios), statistics.median(shares)
    print(
        json.dumps(
            {
                "ratio": round(ratio, 2),
                "cpu_outside_lean": round(share, 4),
                "workers": flags.workers,
                "count": flags.count,
                "runs": flags.runs,
            }
        )
    )
    return 0 if ratio >= 8 and share <= 0.15 else 1


if __name__ == "__main__":
    sys.exit(main())
