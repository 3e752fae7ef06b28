"""`python -m fdjax.benchmark --count=N [--check]`: theorems as lines of JSON.

`--check` also has every reference proof verified by Lean, says on standard error what came of it,
and exits with 1 if Lean refuses any.
"""

import argparse
import sys

from fdjax.benchmark.generator import DIFFICULTIES, FAMILIES, generate
from fdjax.data.theorems import to_json, write_theorems
from fdjax.types import Candidate, Theorem


def refused(theorems: list[Theorem], workers: int | None = None) -> list[tuple[Theorem, str]]:
    """The theorems whose reference proof Lean does not accept, each with what it says."""
    # Only here: everything else of this package works without Lean.
    from fdjax.lean.backends.embedded.backend import EmbeddedBackend
    from fdjax.lean.farm import Farm

    with Farm(EmbeddedBackend(), workers) as farm:
        verdicts = farm.check((theorem, Candidate(theorem.reference)) for theorem in theorems)
    return [
        (
            theorem,
            verdict.first_error_message.text if verdict.first_error_message else verdict.status,
        )
        for theorem, verdict in zip(theorems, verdicts)
        if not verdict.proved
    ]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m fdjax.benchmark", description=__doc__)
    parser.add_argument("--count", type=int, required=True, help="how many theorems")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--difficulty", type=int, default=2, choices=DIFFICULTIES)
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), help="only these")
    parser.add_argument("--out", help="file to write; standard output without it")
    parser.add_argument("--check", action="store_true", help="verify the references with Lean")
    parser.add_argument("--workers", type=int, help="Lean processes; one per core without it")
    args = parser.parse_args(argv)
    if args.count < 1:
        parser.error(f"--count: {args.count} is not above 0")
    families = {name: FAMILIES[name] for name in args.families or FAMILIES}
    try:
        theorems = generate(args.seed, args.count, difficulty=args.difficulty, families=families)
    except ValueError as error:
        parser.error(str(error))
    if args.out:
        write_theorems(args.out, theorems)
    else:
        for theorem in theorems:
            print(to_json(theorem))
    if not args.check:
        return 0
    wrong = refused(theorems, args.workers)
    for theorem, reason in wrong:
        told = f"{theorem.id}: {theorem.signature} :={theorem.reference}\n{reason}\n"
        print(told, file=sys.stderr)
    accepted = f"{len(theorems) - len(wrong)} of {len(theorems)} references accepted by Lean"
    print(accepted, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
