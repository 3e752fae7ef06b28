"""How long an evaluation waits for Lean while training's candidates are in the queue.

    python benchmarks/lean_latency.py [--waiting=2000] [--probes=30] [--workers=2]

At a random moment, with --waiting candidates in the queue of the embedded backend, one more is
submitted that is urgent, as evaluations are; timed until its verdict. Prints the median and
the maximum in seconds; exit code 1 if the maximum is 1 or more.
"""

import argparse
import itertools
import json
import os
import random
import statistics
import sys
import time

from fdjax.lean.backends.embedded.backend import EmbeddedBackend
from fdjax.lean.bench import candidates
from fdjax.lean.farm import Farm


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--waiting", type=int, default=2000, help="candidates in the queue")
    parser.add_argument("--probes", type=int, default=30, help="urgent candidates, one by one")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    flags = parser.parse_args()
    numbers, rng = itertools.count(), random.Random(0)
    seconds = []
    with Farm(EmbeddedBackend(), flags.workers) as farm:
        while len(seconds) < flags.probes:
            time.sleep(0.3 * rng.random())
            # candidates that workers are checking do not wait
            busy = flags.workers * farm.backend.max_batch
            short = flags.waiting + busy - farm.counters.queued
            for theorem, candidate, _ in candidates(itertools.islice(numbers, max(0, short))):
                farm.submit(theorem, candidate)
            [(theorem, candidate, right)] = candidates(itertools.islice(numbers, 1))
            start = time.perf_counter()
            verdict = farm.submit(theorem, candidate, urgent=True).result()
            seconds.append(time.perf_counter() - start)
            if verdict.proved != right:
                sys.exit(f"a wrong verdict: {verdict}")
    print(
        json.dumps(
            {
                "median": round(statistics.median(seconds), 3),
                "max": round(max(seconds), 3),
                "waiting": flags.waiting,
                "probes": flags.probes,
                "workers": flags.workers,
            }
        )
    )
    return 0 if max(seconds) < 1 else 1


if __name__ == "__main__":
    sys.exit(main())
