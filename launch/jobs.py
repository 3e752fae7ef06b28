"""Jobs, and where they run, in the manner of xmanager: a script names its jobs and an executor.

A job is a recipe with flags and a workdir of its own. What was stopped goes on where it was, so an
executor simply runs the command again.
"""

import argparse
import concurrent.futures
import dataclasses
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pods import Pod

ROOT = Path(__file__).parent.parent


@dataclasses.dataclass(frozen=True)
class Job:
    name: str  # of its folder
    config: str
    flags: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # --config.FIELD=VALUE
    begins_at: str = ""  # JOB/STAGE that must be there before: its init_from

    def arguments(self, folder: str) -> list[str]:
        """Of `python -m fdjax.main`; workdirs are in `folder`."""
        flags = dict(self.flags)
        if self.begins_at:
            flags["init_from"] = f"{folder}/{self.begins_at}"
        return [
            f"--config={self.config}",
            f"--workdir={folder}/{self.name}",
            *(f"--config.{field}={value}" for field, value in flags.items()),
        ]


def run(jobs: Sequence[Job], description: str) -> None:
    """The command line of a script of jobs. Raises SystemExit if one fails."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", help="of the workdirs; for pods in /mnt/fdjax")
    parser.add_argument("--on", choices=("local", "pods"), default="local")
    parser.add_argument("--only", nargs="+", metavar="JOB", help="names of jobs")
    Pod.add_flags(parser)
    args = parser.parse_args()
    names = [job.name for job in jobs]
    if unknown := set(args.only or ()) - set(names):
        parser.error(f"no job is named {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    chosen = [job for job in jobs if not args.only or job.name in args.only]
    if args.on == "local":
        for job in chosen:
            _run_locally(job, args.folder)
    else:
        pods = {job.name: Pod.from_flags(parser, args, job.name) for job in chosen}
        for wave in waves(chosen):
            with concurrent.futures.ThreadPoolExecutor(len(wave)) as pool:
                running = pool.map(lambda job: pods[job.name].run(job.arguments(args.folder)), wave)
                try:
                    list(running)
                except RuntimeError as error:
                    raise SystemExit(f"error: {error}") from None


def waves(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs that may run side by side, those that others of `jobs` begin with before these."""
    found: list[list[Job]] = []
    left = list(jobs)
    while left:
        waiting = {job.name for job in left}
        ready = [job for job in left if job.begins_at.split("/")[0] not in waiting]
        if not ready:
            raise ValueError(f"{', '.join(sorted(waiting))} wait for each other")
        found.append(ready)
        left = [job for job in left if job not in ready]
    return found


def _run_locally(job: Job, folder: str) -> None:
    print(f"=== {job.name}", flush=True)
    command = [sys.executable, "-m", "fdjax.main", *job.arguments(folder)]
    if code := subprocess.run(command, cwd=ROOT).returncode:
        raise SystemExit(f"{job.name} ended with exit code {code}")
