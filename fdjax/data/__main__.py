"""`python -m fdjax.data FILE... [--against=FILE...] --out=FILE`: published theorems, cleaned.

Reads files as they are published (JSON lines, JSON, parquet), drops repetitions and what the files
in --against state too, and writes JSON lines for `data.train` and its neighbours. What was dropped,
and why, stands beside them in OUT.dropped.json.
"""

import argparse
import sys
from pathlib import Path

from fdjax.data.cleaning import clean, summary, write_report
from fdjax.data.published import Dropped, read_file, with_ids_of_their_own
from fdjax.data.theorems import write_theorems


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m fdjax.data", description=__doc__)
    parser.add_argument("files", nargs="+", help="theorems to keep")
    parser.add_argument("--against", nargs="+", default=[], help="files of evaluation theorems")
    parser.add_argument("--proofs", action="store_true", help="only theorems with a known proof")
    parser.add_argument("--out", required=True, help="file of JSON lines to write")
    args = parser.parse_args(argv)
    try:
        read = [read_file(name) for name in args.files]
        against = {name: read_file(name)[0] for name in args.against}
    except (OSError, ValueError) as error:
        print(f"python -m fdjax.data: {error}", file=sys.stderr)
        return 2
    theorems = with_ids_of_their_own(t for found, _ in read for t in found)
    kept, dropped = clean(theorems, against)
    dropped = [d for _, unread in read for d in unread] + dropped
    if args.proofs:  # as a supervised stage needs them
        dropped += [Dropped(t.id, "no proof is known") for t in kept if t.reference is None]
        kept = [t for t in kept if t.reference is not None]
    report = Path(f"{args.out}.dropped.json")
    try:
        write_theorems(args.out, kept)
        write_report(report, {args.out: dropped})
    except OSError as error:
        print(f"python -m fdjax.data: {error}", file=sys.stderr)
        return 2
    print(summary(args.out, kept, dropped))
    if dropped:
        print(f"each with its reason: {report}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
