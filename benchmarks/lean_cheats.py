"""Fake proofs on every backend: how many are accepted, and how many honest proofs are refused?

    python benchmarks/lean_cheats.py [--honest=300] [--workers=2] [--backends embedded kimina ...]

The cheats are those of tests/cheats.py and tests/helper_cheats.py, each checked with the audit, and
those that the evidence must catch also without it. Where a backend can replay, all are checked
without the audit but with replay, and honest proofs with replay. lean_interact and kimina are
reached through programs of the tests: their protocols, with the embedded Lean behind them. Prints a
line of counts for each backend; exit code 1 if a cheat was accepted or an honest proof refused.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import cheats
import checking
import helper_cheats

from fdjax.lean.backends.registry import BACKENDS
from fdjax.lean.cache import VerdictCache
from fdjax.lean.farm import Farm
from fdjax.lean.replay import Compiler, replaying_farm

THEOREMS = (cheats.FALSE, cheats.NOT_YET, cheats.AUXILIARY)
TIMEOUT = 3.0  # seconds for a cheat
HONEST_TIMEOUT = 60.0


def with_helpers(groups) -> list[tuple]:
    return [
        (case[0], helper_cheats.with_helpers(*case)) for group in groups.values() for case in group
    ]


def accepted(
    backend, workers: int, pairs, timeout: float = TIMEOUT, replay: bool = False
) -> list[tuple]:
    second = None
    if replay:
        second = replaying_farm(backend, workers, timeout, VerdictCache(), allow_helpers=True)
    with Farm(backend, workers, timeout, allow_helpers=True, second=second) as farm:
        verdicts = checking.check(farm, pairs)
    return [pair for pair, verdict in zip(pairs, verdicts, strict=True) if verdict.proved]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--honest", type=int, default=300, help="honest proofs")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--backends", nargs="*", default=BACKENDS, choices=BACKENDS)
    flags = parser.parse_args()
    refused = [proof for group in cheats.CHEATS.values() for proof in group]
    caught = [proof for group in cheats.EVIDENCE.values() for proof in group]
    endless = [(cheats.FALSE, proof) for proof in cheats.ENDLESS]
    helped_refused = with_helpers(helper_cheats.HELPER_CHEATS)
    helped_caught = with_helpers(helper_cheats.HELPER_EVIDENCE)
    failed = False
    for name in flags.backends:
        with (
            tempfile.TemporaryDirectory() as folder,
            cheats.backend_named(name, Path(folder)) as backend,
        ):
            began = time.monotonic()
            audited = [(cheats.FALSE, proof) for proof in refused + caught]
            audited += endless + helped_refused + helped_caught
            with_audit = accepted(backend, flags.workers, audited)
            pairs = [(theorem, proof) for theorem in THEOREMS for proof in caught]
            pairs += helped_caught
            replay = isinstance(backend, Compiler)
            with mock.patch("fdjax.lean.farm.audit", lambda *_: None):
                without_audit = accepted(backend, flags.workers, pairs)
                unseen = audited if replay else []
                replayed = accepted(backend, flags.workers, unseen, replay=True) if replay else []
            honest = cheats.honest_proofs(flags.honest)
            kept = accepted(backend, flags.workers, honest, HONEST_TIMEOUT, replay)
            lost = len(honest) - len(kept)
        for theorem, proof in with_audit + without_audit + replayed:
            print(f"{name} accepted for {theorem.name}: {proof}", file=sys.stderr)
        print(
            json.dumps(
                {
                    "backend": name,
                    "cheats": len(audited),
                    "without_audit": len(pairs),
                    "replayed_without_audit": len(unseen),
                    "accepted": len(with_audit + without_audit + replayed),
                    "honest": len(honest),
                    "honest_refused": lost,
                    "seconds": round(time.monotonic() - began, 1),
                }
            ),
            flush=True,
        )
        failed |= bool(with_audit or without_audit or replayed or lost)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
