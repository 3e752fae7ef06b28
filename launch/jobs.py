"""Jobs and where they run, as in xmanager: a script lists jobs, flags choose the place.

A job is a recipe with flags and a workdir. A job that was stopped is resumed by the same command.
"""

import argparse
import concurrent.futures
import dataclasses
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pods import ROOT, Pod


@dataclasses.dataclass(frozen=True)
class Job:
    name: str  # also of its workdir
    config: str
    flags: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # --config.FIELD=VALUE
    init_from: str = ""  # JOB/STAGE: that job must be finished before

    @property
    def begins_with(self) -> str:
        """The name of the job that it starts from; empty where there is none."""
        return self.init_from.split("/")[0]

    def arguments(self, folder: str) -> list[str]:
        """Of `fdjax train`; `folder` holds the workdirs of all jobs."""
        flags = dict(self.flags)
        if self.init_from:
            flags["init_from"] = f"{folder}/{self.init_from}"
        return [
            f"--config={self.config}",
            f"--workdir={folder}/{self.name}",
            *(f"--config.{field}={value}" for field, value in flags.items()),
        ]


def run(jobs: Sequence[Job], description: str) -> str:
    """The command line of a script of jobs. Returns the folder of their workdirs; raises SystemExit
    if a job fails.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "folder", type=os.path.expanduser, help="of the workdirs; for pods in /mnt/fdjax"
    )
    parser.add_argument("--on", choices=("local", "pods"), default="local")
    parser.add_argument("--only", nargs="+", metavar="JOB", help="names of jobs")
    parser.add_argument("--at_once", type=int, default=1, help="jobs side by side on this machine")
    Pod.add_flags(parser)
    args = parser.parse_args()
    names = [job.name for job in jobs]
    if unknown := set(args.only or ()) - set(names):
        parser.error(f"no job is named {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    chosen = [job for job in jobs if not args.only or job.name in args.only]
    if args.on == "local":
        run_locally(chosen, args.folder, args.at_once)
        return args.folder
    pods = {job.name: Pod.from_flags(parser, args, job.name) for job in chosen}
    for wave in waves(chosen):
        with concurrent.futures.ThreadPoolExecutor(len(wave)) as threads:
            try:
                list(threads.map(lambda j: pods[j.name].run(j.arguments(args.folder)), wave))
            except RuntimeError as error:
                raise SystemExit(f"error: {error}") from None
    return args.folder


def waves(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs that can run at the same time; each is in a later wave than the job it starts from.

    Raises ValueError for jobs that wait for each other.
    """
    result: list[list[Job]] = []
    left = list(jobs)
    while left:
        waiting = {job.name for job in left}
        ready = [job for job in left if job.begins_with not in waiting]
        if not ready:
            raise ValueError(f"{', '.join(sorted(waiting))} wait for each other")
        result.append(ready)
        left = [job for job in left if job not in ready]
    return result


def run_locally(jobs: Sequence[Job], folder: str, at_once: int = 1) -> None:
    """Up to `at_once` jobs side by side, in order, each after the job that it starts from. Raises
    SystemExit if one fails, once those beside it have ended; ValueError for jobs that wait for each
    other. A job that has ended with the same arguments is not begun again.
    """
    waves(jobs)
    waiting = [job for job in jobs if not has_ended(job, folder)]
    running: dict[concurrent.futures.Future, Job] = {}
    took: dict[str, list[float]] = {}  # config -> seconds of its jobs
    with concurrent.futures.ThreadPoolExecutor(at_once) as threads:
        try:
            while waiting or running:
                unfinished = {job.name for job in (*waiting, *running.values())}
                ready = [job for job in waiting if job.begins_with not in unfinished]
                for job in ready[: at_once - len(running)]:
                    waiting.remove(job)
                    running[threads.submit(_run_locally, job, folder)] = job
                done, _ = concurrent.futures.wait(
                    running, return_when=concurrent.futures.FIRST_COMPLETED
                )
                for future in done:
                    job = running.pop(future)
                    code, seconds = future.result()
                    if code:
                        raise SystemExit(f"{job.name} failed with exit code {code}")
                    took.setdefault(job.config, []).append(seconds)
                    left = [*waiting, *running.values()]
                    minutes = expected(left, took) / at_once / 60
                    print(
                        f"{job.name}: done after {seconds / 60:.1f} minutes; "
                        f"{len(left)} jobs left, about {minutes:.0f} minutes",
                        flush=True,
                    )
        except KeyboardInterrupt:  # which the jobs have got, too
            raise SystemExit(130) from None


def expected(jobs: Sequence[Job], took: Mapping[str, Sequence[float]]) -> float:
    """Seconds that the jobs will take, one after the other: each as long as those of its config
    `took` on average, or as those of all configs where it is the first.
    """
    all_of_them = [seconds for of_config in took.values() for seconds in of_config]
    return sum(statistics.fmean(took.get(job.config, all_of_them)) for job in jobs)


def has_ended(job: Job, folder: str) -> bool:
    """Has it ended well, with the same arguments?"""
    file = _ended(job, folder)
    return file.is_file() and file.read_text().splitlines() == job.arguments(folder)


def _ended(job: Job, folder: str) -> Path:
    return Path(folder) / job.name / "job_ended"


def _run_locally(job: Job, folder: str) -> tuple[int, float]:
    """(exit code, seconds). What the job prints is printed behind its name, without the summary in
    JSON at its end.
    """
    command, begin = [sys.executable, "-m", "fdjax.main", *job.arguments(folder)], time.monotonic()
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout:
            if line.strip() and not line.startswith("{"):
                print(f"{job.name}: {line}", end="", flush=True)
    if process.returncode == 0:
        _ended(job, folder).write_text("\n".join(job.arguments(folder)))
    return process.returncode, time.monotonic() - begin
