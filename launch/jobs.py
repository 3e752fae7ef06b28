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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pods import ROOT, Pod

PODS_AT_ONCE = 4
ENDED_ON_PODS = ROOT / "runs" / "pods"  # by share and folder: the launcher need not mount them


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
    parser.add_argument(
        "--at_once", type=int, help=f"jobs side by side: 1, or {PODS_AT_ONCE} slices, if not given"
    )
    Pod.add_flags(parser)
    args = parser.parse_args()
    names = [job.name for job in jobs]
    if unknown := set(args.only or ()) - set(names):
        parser.error(f"no job is named {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    chosen = [job for job in jobs if not args.only or job.name in args.only]
    if args.on == "local":
        run_locally(chosen, args.folder, args.at_once or 1)
        return args.folder
    pods = {job.name: Pod.from_flags(parser, args, job.name) for job in chosen}
    run_jobs(
        chosen,
        args.folder,
        args.at_once or PODS_AT_ONCE,
        start=lambda job: pods[job.name].run(job.arguments(args.folder)),
        ended_in=ENDED_ON_PODS / f"{args.share}{args.folder}",
    )
    return args.folder


def run_locally(jobs: Sequence[Job], folder: str, at_once: int = 1) -> None:
    folder = os.path.abspath(folder)  # jobs run in the root of the repository
    run_jobs(jobs, folder, at_once, lambda job: _run_locally(job, folder), Path(folder))


def run_jobs(
    jobs: Sequence[Job], folder: str, at_once: int, start: Callable[[Job], None], ended_in: Path
) -> None:
    """Up to `at_once` jobs side by side, in order, each after the job that it starts from.
    `start(job)` returns when the job has ended, and raises an exception if it fails. Then nothing
    else begins, and SystemExit is raised once the jobs beside it have ended. ValueError for jobs
    that wait for each other.

    A job that has ended with the same arguments, by its file in `ended_in`, is not begun again.
    """
    check_order(jobs)
    waiting = [job for job in jobs if not has_ended(job, folder, ended_in)]
    if ended := len(jobs) - len(waiting):
        print(f"{ended} of {len(jobs)} jobs have ended, by {_ended('*', ended_in)}", flush=True)
    running: dict[concurrent.futures.Future, Job] = {}
    took: dict[str, list[float]] = {}  # config -> seconds of its jobs
    failed = []
    with concurrent.futures.ThreadPoolExecutor(at_once) as threads:
        try:
            while waiting or running:
                unfinished = {job.name for job in (*waiting, *running.values())}
                ready = [job for job in waiting if job.begins_with not in unfinished]
                for job in ready[: at_once - len(running)]:
                    waiting.remove(job)
                    running[threads.submit(_run, job, folder, start, ended_in)] = job
                done, _ = concurrent.futures.wait(
                    running, return_when=concurrent.futures.FIRST_COMPLETED
                )
                for future in done:
                    job = running.pop(future)
                    try:
                        seconds = future.result()
                    except Exception as error:  # the jobs beside it may take hours more
                        print(f"error: {job.name}: {error}", file=sys.stderr, flush=True)
                        failed.append(job.name)
                        waiting.clear()
                        continue
                    took.setdefault(job.config, []).append(seconds)
                    left = [*waiting, *running.values()]
                    minutes = expected(left, took) / at_once / 60
                    print(
                        f"{job.name}: done after {seconds / 60:.1f} minutes; "
                        f"{len(left)} jobs left, about {minutes:.0f} minutes",
                        flush=True,
                    )
        except KeyboardInterrupt:  # local jobs have got it, too; those on pods are waited for
            raise SystemExit(130) from None
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def check_order(jobs: Sequence[Job]) -> None:
    """Raises ValueError for jobs that wait for each other."""
    left = {job.name: job.begins_with for job in jobs}
    while ready := [name for name, first in left.items() if first not in left]:
        for name in ready:
            del left[name]
    if left:
        raise ValueError(f"{', '.join(sorted(left))} wait for each other")


def expected(jobs: Sequence[Job], took: Mapping[str, Sequence[float]]) -> float:
    """Seconds that the jobs will take, one after the other: each as long as those of its config
    `took` on average, or as those of all configs where it is the first.
    """
    all_of_them = [seconds for of_config in took.values() for seconds in of_config]
    return sum(statistics.fmean(took.get(job.config, all_of_them)) for job in jobs)


def has_ended(job: Job, folder: str, ended_in: Path) -> bool:
    """Has it ended well, with the same arguments?"""
    file = _ended(job.name, ended_in)
    return file.is_file() and file.read_text().splitlines() == job.arguments(folder)


def _ended(name: str, ended_in: Path) -> Path:
    return ended_in / name / "job_ended"


def _run(job: Job, folder: str, start: Callable[[Job], None], ended_in: Path) -> float:
    """Seconds."""
    begin = time.monotonic()
    start(job)
    file = _ended(job.name, ended_in)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(job.arguments(folder)))
    return time.monotonic() - begin


def _run_locally(job: Job, folder: str) -> None:
    """What the job prints is printed behind its name, without the summary in JSON at its end."""
    command = [sys.executable, "-m", "fdjax.main", *job.arguments(folder)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout:
            if line.strip() and not line.startswith("{"):
                print(f"{job.name}: {line}", end="", flush=True)
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode}")
