"""`fdjax data clean`: published theorems without repetitions. `fdjax data generate`: new ones."""

import argparse
import sys
from pathlib import Path

from fdjax.benchmark import FAMILIES, generate
from fdjax.data.dedup import Dropped, clean, summary, write_report
from fdjax.data.published import read_file, with_unique_ids
from fdjax.data.theorems import to_json, write_theorems
from fdjax.types import Candidate, Theorem

CLEAN = """Reads files as they are published (.lean, JSON lines, JSON, CSV, parquet, folders of
them), drops repetitions and what the files of --against state too, and writes JSON lines for
data.train and the other splits. What was dropped, and why, is in OUT.dropped.json."""
GENERATE = """Writes theorems with reference proofs as JSON lines. With --check, Lean verifies every
reference; the exit code is 1 if it refuses one."""


def main(argv: list[str] | None = None) -> int:
    """Runs one subcommand. Returns the exit code: 2 for files and values that cannot be used."""
    parser = argparse.ArgumentParser(
        prog="fdjax data",
        description=__doc__,
        epilog="example: fdjax data generate --count=5 --check",
    )
    commands = parser.add_subparsers(required=True, dest="command")

    command = commands.add_parser("clean", description=CLEAN)
    command.set_defaults(run=_clean)
    command.add_argument("files", nargs="+", help="theorems to keep")
    command.add_argument("--against", nargs="+", default=[], help="files of evaluation theorems")
    command.add_argument("--proofs", action="store_true", help="only theorems with a known proof")
    command.add_argument("--out", required=True, help="file of JSON lines to write")

    command = commands.add_parser("generate", description=GENERATE)
    command.set_defaults(run=_generate)
    command.add_argument("--count", type=int, required=True, help="how many theorems")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--difficulty", type=int, default=2, help="1, 2 or 3")
    command.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    command.add_argument("--out", help="file to write; standard output without it")
    command.add_argument("--check", action="store_true", help="verify the references with Lean")
    command.add_argument("--workers", type=int, help="Lean processes; one per core without it")

    args = parser.parse_args(argv)
    try:
        return args.run(args)
    except (OSError, ValueError) as error:
        print(f"fdjax data {args.command}: {error}", file=sys.stderr)
        return 2


def _clean(args: argparse.Namespace) -> int:
    read = [read_file(name) for name in args.files]
    against = {name: read_file(name)[0] for name in args.against}
    kept, dropped = clean(with_unique_ids(t for found, _ in read for t in found), against)
    dropped = [d for _, unread in read for d in unread] + dropped
    if args.proofs:  # as a supervised stage needs them
        dropped += [Dropped(t.id, "no proof is known") for t in kept if t.reference is None]
        kept = [t for t in kept if t.reference is not None]
    out = Path(args.out).expanduser()
    report = Path(f"{out}.dropped.json")
    write_theorems(out, kept)
    write_report(report, {str(out): dropped})
    print(summary(str(out), kept, dropped))
    if dropped:
        print(f"each with its reason: {report}")
    return 0


def _generate(args: argparse.Namespace) -> int:
    if args.count < 1:
        raise ValueError(f"--count: {args.count} is not above 0")
    families = {name: FAMILIES[name] for name in args.families}
    theorems = generate(args.seed, args.count, difficulty=args.difficulty, families=families)
    if args.out:
        write_theorems(Path(args.out).expanduser(), theorems)
    else:
        print("\n".join(map(to_json, theorems)))
    if not args.check:
        return 0
    refused = refused_references(theorems, args.workers)
    for theorem, error in refused:
        proof = f"{theorem.id}: {theorem.signature} :={theorem.reference}"
        print(f"{proof}\n{error}\n", file=sys.stderr)
    accepted = len(theorems) - len(refused)
    print(f"{accepted} of {len(theorems)} references accepted by Lean", file=sys.stderr)
    return 1 if refused else 0


def refused_references(
    theorems: list[Theorem], workers: int | None = None
) -> list[tuple[Theorem, str]]:
    """The theorems whose reference proof Lean does not accept, each with Lean's first error or
    the verdict's status."""
    # Imported here: all other work on theorems needs no Lean.
    from fdjax.lean.backends.embedded.backend import EmbeddedBackend
    from fdjax.lean.farm import Farm

    with Farm(EmbeddedBackend(), workers) as farm:
        verdicts = farm.check((theorem, Candidate(theorem.reference)) for theorem in theorems)
    return [
        (theorem, error.text if (error := verdict.first_error_message) else verdict.status)
        for theorem, verdict in zip(theorems, verdicts)
        if not verdict.proved
    ]


if __name__ == "__main__":
    sys.exit(main())
