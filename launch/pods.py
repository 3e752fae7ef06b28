"""Runs a job on a Cloud TPU pod slice: requests it, waits for it, sets it up, runs, deletes it.

    gcloud auth login; gcloud config set project NAME     # once

All hosts of the slice run one command, `python -m fdjax.main --coordinator=auto ...`, and share a
file system (Filestore or any NFS export) that holds the workdir. After a preemption another slice
is requested, and the same command resumes from the last checkpoint.
"""

import argparse
import dataclasses
import os
import re
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
MOUNT = "/mnt/fdjax"
# A program that a launcher left behind when it died is ended first: it would write the same
# workdir. This script's own command line contains the program's name, too, hence the `^`.
SETUP = """set -e
pkill -f '^[^ ]*python -m fdjax.main' || true
for i in $(seq 60); do pgrep -f '^bash job.sh' > /dev/null || break; sleep 1; done
pkill -9 -f '^[^ ]*python -m fdjax.main' || true
sudo apt-get -qq update && sudo apt-get -qq install -y nfs-common python3.11-venv
sudo mkdir -p {mount} && (mountpoint -q {mount} || sudo mount -t nfs {share} {mount})
mkdir -p fdjax && tar -xzf fdjax.tar.gz -C fdjax && cd fdjax
python3.11 -m venv .venv
.venv/bin/python -m pip install --quiet --constraint constraints.txt '.[{extras}]'
"""
# The program runs on if the connection breaks; STATUS reads the exit status that it leaves.
START = """set -e
cd fdjax && rm -f exit_status
sudo mkdir -p {folder}/hosts && sudo chown "$USER" {folder} {folder}/hosts
cat > job.sh <<'END_OF_JOB'
{environment} .venv/bin/python -m fdjax.main --coordinator=auto {arguments}
echo $? > exit_status
END_OF_JOB
setsid nohup bash job.sh > {folder}/hosts/$(hostname).log 2>&1 < /dev/null &
"""
STATUS = "cat fdjax/exit_status 2>/dev/null || true"
TRIES = 10
TIMEOUT = 600.0  # seconds of a command; a connection to a preempted slice may hang for ever
SETUP_TIMEOUT = 3600.0
PATIENCE = 5  # polls in which a state that is late may still come
# Errors of gcloud that a retry can overcome. Others (project, permission, type) would come again.
TEMPORARY = re.compile(
    r"unavailable|unreachable|internal|deadline.exceeded|resource.exhausted|aborted|timed? ?out|"
    r"connection|retries exceeded|name resolution|find the server|\b(429|50\d)\b|"
    r"return code \[255\]",  # ssh's own
    re.IGNORECASE,
)
ERROR_LINES = 10  # of gcloud's error output
GONE = ("SUSPENDING", "SUSPENDED", "FAILED", "DELETING")


class SliceUnavailable(Exception):
    """The slice was preempted, or a command could not reach it."""


@dataclasses.dataclass(frozen=True)
class Pod:
    name: str
    accelerator: str
    zone: str
    share: str
    runtime: str = "v2-alpha-tpuv5-lite"
    spot: bool = False
    extras: str = "tpu,embedded,hf"
    environment: Sequence[str] = ()  # NAME=VALUE for the hosts
    poll: float = 30.0  # seconds between requests for the state

    @staticmethod
    def add_flags(parser: argparse.ArgumentParser) -> None:
        pods = parser.add_argument_group("pods", "for --on=pods")
        pods.add_argument("--accelerator", help="such as v5litepod-16")
        pods.add_argument("--zone")
        pods.add_argument("--share", help=f"SERVER:/PATH of an NFS export, mounted at {MOUNT}")
        pods.add_argument("--runtime", default=Pod.runtime, help="the hosts' image")
        pods.add_argument("--spot", action="store_true", help="cheaper, may be preempted")
        pods.add_argument("--extras", default=Pod.extras, help="of the package")
        pods.add_argument("--environment", nargs="+", default=[], metavar="NAME=VALUE")
        pods.add_argument("--poll", type=float, default=Pod.poll, help="seconds")

    @staticmethod
    def from_flags(parser: argparse.ArgumentParser, args: argparse.Namespace, name: str) -> "Pod":
        missing = [f for f in ("accelerator", "zone", "share") if not getattr(args, f)]
        if missing:
            parser.error("--on=pods takes " + ", ".join(f"--{field}" for field in missing))
        if not args.folder.startswith(MOUNT + "/"):
            parser.error(f"the hosts share {MOUNT}: choose a folder in it, not {args.folder}")
        fields = {f.name for f in dataclasses.fields(Pod)} - {"name"}
        flags = {field: getattr(args, field) for field in fields}
        return Pod(f"fdjax-{name.replace('_', '-')}", **flags)

    def run(self, arguments: Sequence[str]) -> None:
        """Returns when the program has ended and the slice is deleted.

        Raises RuntimeError if the program failed; then the slice is kept for inspection.
        """
        while True:
            try:
                self._obtain()
                self._retried(self._begin, arguments)
                status = self._wait()
                break
            except SliceUnavailable as error:
                self._log(f"{error}; requesting another slice")
        if status != 0:
            raise RuntimeError(
                f"exit status {status}. The logs are in the workdir's hosts/; the "
                f"slice is still there: gcloud compute tpus queued-resources delete {self.name} "
                f"--zone={self.zone} --force"
            )
        self._retried(self._release)
        self._log("done")

    def _obtain(self) -> None:
        self._retried(self._request)
        unlisted = 0  # polls in a row: a new request is not listed at once
        while (state := self._state()) != "ACTIVE":
            unlisted = 0 if state else unlisted + 1
            if state in GONE or unlisted > PATIENCE:
                raise SliceUnavailable(f"the slice is {state or 'gone'}")
            time.sleep(self.poll)

    def _request(self) -> None:
        state = self._state()
        if state in GONE:
            self._delete()
            state = ""
        if not state:
            self._log(f"requesting {self.accelerator} in {self.zone}")
            self._gcloud(
                "queued-resources",
                "create",
                self.name,
                f"--node-id={self.name}",
                f"--accelerator-type={self.accelerator}",
                f"--runtime-version={self.runtime}",
                *(["--spot"] if self.spot else []),
            )

    def _begin(self, arguments: Sequence[str]) -> None:
        """May be repeated: the set-up ends a program that was started. A start alone may not."""
        self._set_up()
        self._start(arguments)

    def _set_up(self) -> None:
        self._log("setting up the hosts")
        with tempfile.TemporaryDirectory() as folder:
            code = Path(folder) / "fdjax.tar.gz"
            subprocess.run(["git", "archive", "--output", code, "HEAD"], cwd=ROOT, check=True)
            self._reach("scp", str(code), f"{self.name}:", "--worker=all")
        command = SETUP.format(mount=MOUNT, share=self.share, extras=self.extras)
        self._on_hosts(command, timeout=SETUP_TIMEOUT)

    def _start(self, arguments: Sequence[str]) -> None:
        folder = next(a.partition("=")[2] for a in arguments if a.startswith("--workdir="))
        self._log(f"running; logs in {folder}/hosts")
        self._on_hosts(
            START.format(
                folder=shlex.quote(folder),
                arguments=shlex.join(arguments),
                environment=shlex.join(["env", *self.environment]),
            )
        )

    def _wait(self) -> int:
        """The exit status of the first host's program; the others end with it.

        A preemption ends the program before it is seen in the slice's state. That is waited for
        after a failure.
        """
        self._poll_active()
        while not (answer := self._retried(self._on_hosts, STATUS, "0").split()):
            self._poll_active()
        status = int(answer[-1])
        for _ in range(PATIENCE if status else 0):
            self._poll_active()
        return status

    def _poll_active(self) -> None:
        time.sleep(self.poll)
        if (state := self._state()) != "ACTIVE":
            raise SliceUnavailable(f"the slice is {state or 'gone'}")

    def _state(self) -> str:
        """Empty where there is no such resource."""
        arguments = (f"--filter=name~/{self.name}$", "--format=value(state.state)")
        return self._retried(self._gcloud, "queued-resources", "list", *arguments).strip()

    def _release(self) -> None:
        if self._state():
            self._delete()

    def _delete(self) -> None:
        self._gcloud("queued-resources", "delete", self.name, "--force", "--quiet")

    def _retried(self, call: Callable[..., Any], *args: Any) -> Any:
        """`call(*args)`, again after temporary errors. It may have had its effect before one."""
        for _ in range(TRIES - 1):
            try:
                return call(*args)
            except RuntimeError as error:
                if not TEMPORARY.search(str(error)):
                    raise
            time.sleep(self.poll)
        return call(*args)

    def _on_hosts(self, command: str, worker: str = "all", timeout: float | None = None) -> str:
        where = (self.name, f"--worker={worker}")
        return self._reach("ssh", *where, f"--command={command}", timeout=timeout)

    def _reach(self, *args: str, timeout: float | None = None) -> str:
        try:
            return self._gcloud("tpu-vm", *args, timeout=timeout)
        except RuntimeError as error:
            if self._state() == "ACTIVE":  # the command itself failed
                raise
            raise SliceUnavailable(f"the slice went away ({error})") from error

    def _gcloud(self, *args: str, timeout: float | None = None) -> str:
        command = ["gcloud", "compute", "tpus", *args, f"--zone={self.zone}"]
        what = f"{shlex.join(command[:5])} ..."
        timeout = timeout or TIMEOUT
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        ) as process:
            try:
                output, errors = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                raise RuntimeError(f"{what} timed out after {timeout:g} s") from None
            finally:
                if process.returncode is None:  # the ssh that it has begun ends with it
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode:
            errors = "\n".join(errors.strip().splitlines()[-ERROR_LINES:]) or "no message"
            raise RuntimeError(f"{what} failed: {errors}")
        return output

    def _log(self, message: str) -> None:
        print(f"{self.name}: {message}", flush=True)
