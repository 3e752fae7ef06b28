"""`make run`: FD, then GRPO, against GRPO and FD alone at the same number of attempts, all
from one warm start. Prints what came of it.

    python launch/first_run.py runs

What was stopped goes on with the same command.
"""

import argparse
import sys

import jobs

from fdjax.reporting import compare

WARM = "sft/sft"
RUNS = [  # the longest first
    jobs.Job("fd_grpo", "configs/fd_grpo.py", init_from=WARM),
    jobs.Job("fd", "configs/fd.py", init_from=WARM),
    jobs.Job("grpo", "configs/grpo.py", init_from=WARM),
]
COMPARED = ("fd_grpo", "grpo", "fd")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", help="of the workdirs")
    parser.add_argument("--at_once", type=int, default=len(RUNS), help="runs side by side")
    args = parser.parse_args()
    jobs.run_locally([jobs.Job("sft", "configs/sft.py"), *RUNS], args.folder, args.at_once)
    workdirs = [f"{args.folder}/{name}" for name in COMPARED]
    return compare.main([*workdirs, f"--out={args.folder}/comparison"])


if __name__ == "__main__":
    sys.exit(main())
