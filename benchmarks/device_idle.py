"""How long the device of a small FD run waits while Lean takes seconds for each candidate.

    python benchmarks/device_idle.py [--seconds=2] [--workers=384] [--steps=12] [--depth=1]

Trains the laptop model for some steps with `pipeline_depth` 1 and a Lean that sleeps `--seconds`
on each candidate, then accepts half of them. Prints the device's idle share (`device_idle` of
docs/metrics.md) of each step that compiles nothing, and that of all of them. Exit
code 1 if that is above 5 %.
"""

import argparse
import sys
import tempfile
import time
import zlib
from pathlib import Path

from fdjax.config import default
from fdjax.runtime.files import read_lines
from fdjax.training import setup
from fdjax.training.experiment import run_experiment
from fdjax.types import Message, Verdict

AT_MOST = 0.05
COMPILING = 3  # first steps: prompts, responses and rows get their shapes


class SlowLean:
    """A backend, and its own worker."""

    name, version, limits = "slow", "1", ""
    max_heartbeats, max_batch = 1, 1

    def __init__(self, seconds: float):
        self.seconds = seconds

    def missing(self, imports):
        return None

    def pool(self, theorem):
        return ""

    def worker(self):
        return self

    def close(self):
        pass

    def check(self, batch, timeout):
        time.sleep(self.seconds)
        return [self._verdict(candidate) for _, candidate in batch]

    def _verdict(self, candidate):
        if zlib.crc32(candidate.text.encode()) % 2:
            return Verdict("proved", seconds=self.seconds)
        return Verdict("failed", (Message("error", "unsolved goals"),), seconds=self.seconds)


def make_config(args):
    config = default()
    config.stages = ("sft", "fd")
    config.data.update(sft="1000", train="96", validation="2", test="2")
    config.lean.update(workers=args.workers, timeout=60.0)
    config.feedback.provider = "lean_messages"
    config.sft.update(steps=150, batch_size=32, feedback_start=200)  # answers end
    config.fd.update(steps=args.steps, save_every=args.steps, pipeline_depth=args.depth)
    config.fd.update(prompts_per_step=48, samples_per_prompt=8)
    config.evaluation.update(theorems=2, train_samples=1, heldout_samples=1, low_temperature=None)
    return config


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="of Lean for each candidate")
    parser.add_argument("--workers", type=int, default=384, help="candidates at a time")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--depth", type=int, default=1)
    args = parser.parse_args()
    setup.make_backend = lambda name, options: SlowLean(args.seconds)
    with tempfile.TemporaryDirectory() as folder:
        run_experiment(make_config(args), folder)
        lines = list(read_lines(Path(folder) / "fd" / "metrics.jsonl"))

    lines = lines[COMPILING:-1]  # the last step has nothing to sample
    for line in lines:
        print(
            f"step {line['step']}: {line['time/step']:.2f} s, of which updating "
            f"{line['time/update']:.2f}, sampling {line['time/sample']:.2f}, waiting "
            f"{line['time/wait']:.2f}; device idle {line['device_idle']:.1%}"
        )
    total = sum(line["time/step"] for line in lines)
    share = sum(line["time/step"] * line["device_idle"] for line in lines) / total
    lean = sum(line["time/lean"] for line in lines)
    print(
        f"a step takes {total / len(lines):.2f} s, and {lean / len(lines):.2f} s of waiting for "
        f"Lean beside it; device idle {share:.1%}, must be at most {AT_MOST:.0%}"
    )
    return 0 if share <= AT_MOST else 1


if __name__ == "__main__":
    sys.exit(main())
