"""A Cloud TPU pod slice for one job: ask for it, wait, set it up, run, and give it back.

    gcloud auth login; gcloud config set project NAME     # once

All hosts of the slice run one command, `python -m fdjax.main --coordinator=auto ...`, and share a
file system (Filestore or any NFS export) that holds the workdir. When the slice is preempted it is
asked for again, and the same command goes on from the last checkpoint.
"""

import argparse
import dataclasses
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
MOUNT = "/mnt/fdjax"
# A program that a lost launcher left behind is ended first: it goes on from its last checkpoint.
# This very text names the program, too, hence the pattern's `^`.
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
# The program outlives the connection that began it; its exit status is all that is asked for.
BEGIN = """set -e
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
# Of gcloud's errors those that pass: the rest (a project, a permission, a type) comes again.
PASSES = re.compile(
    r"unavailable|unreachable|internal|deadline.exceeded|resource.exhausted|aborted|timed? ?out|"
    r"connection|retries exceeded|name resolution|find the server|\b(429|50\d)\b",
    re.IGNORECASE,
)
LINES = 10  # of what gcloud says of an error
GONE = ("SUSPENDING", "SUSPENDED", "FAILED", "DELETING")


class BackendUnavailable(Exception):
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
    environment: tuple[str, ...] = ()  # NAME=VALUE for the hosts
    poll: float = 30.0  # seconds between questions

    @staticmethod
    def add_flags(parser: argparse.ArgumentParser) -> None:
        pods = parser.add_argument_group("pods", "for --on=pods")
        pods.add_argument("--accelerator", help="such as v5litepod-16")
        pods.add_argument("--zone")
        pods.add_argument("--share", help=f"SERVER:/PATH of an NFS export, mounted at {MOUNT}")
        pods.add_argument("--runtime", default=Pod.runtime, help="the hosts' image")
        pods.add_argument("--spot", action="store_true", help="cheaper, and preempted at times")
        pods.add_argument("--extras", default=Pod.extras, help="of the package")
        pods.add_argument("--environment", nargs="+", default=[], metavar="NAME=VALUE")
        pods.add_argument("--poll", type=float, default=Pod.poll, help="seconds")

    @staticmethod
    def from_flags(parser: argparse.ArgumentParser, args: argparse.Namespace, name: str) -> "Pod":
        missing = [f for f in ("accelerator", "zone", "share") if not getattr(args, f)]
        if missing:
            parser.error("--on=pods takes " + ", ".join(f"--{field}" for field in missing))
        if not args.folder.startswith(MOUNT + "/"):
            parser.error(f"the hosts share {MOUNT}: take a folder in it, not {args.folder}")
        return Pod(
            f"fdjax-{name.replace('_', '-')}",
            args.accelerator,
            args.zone,
            args.share,
            args.runtime,
            args.spot,
            args.extras,
            tuple(args.environment),
            args.poll,
        )

    def run(self, arguments: Sequence[str]) -> None:
        """Until the program has ended; then the slice is given back.

        Raises RuntimeError if it failed: then the slice stays, to be looked at.
        """
        while True:
            try:
                self._obtain()
                self._set_up()
                self._begin(arguments)
                status = self._wait()
                break
            except BackendUnavailable as lost:
                self._tell(f"{lost}; asking for another slice")
        if status != 0:
            raise RuntimeError(
                f"{self.name}: exit status {status}. The logs are in the workdir's hosts/; the "
                f"slice is still there: gcloud compute tpus queued-resources delete {self.name} "
                f"--zone={self.zone} --force"
            )
        self._delete()
        self._tell("done")

    def _obtain(self) -> None:
        state = self._state()
        if state in GONE:
            self._delete()
            state = ""
        if not state:
            self._tell(f"asks for {self.accelerator} in {self.zone}")
            self._gcloud(
                "queued-resources",
                "create",
                self.name,
                f"--node-id={self.name}",
                f"--accelerator-type={self.accelerator}",
                f"--runtime-version={self.runtime}",
                *(["--spot"] if self.spot else []),
            )
        while (state := self._state()) != "ACTIVE":
            if state in GONE:
                raise BackendUnavailable(f"the slice is {state}")
            time.sleep(self.poll)

    def _set_up(self) -> None:
        self._tell("sets up its hosts")
        with tempfile.TemporaryDirectory() as folder:
            code = Path(folder) / "fdjax.tar.gz"
            subprocess.run(["git", "archive", "--output", code, "HEAD"], cwd=ROOT, check=True)
            self._reach("scp", str(code), f"{self.name}:", "--worker=all")
        self._on_hosts(SETUP.format(mount=MOUNT, share=self.share, extras=self.extras))

    def _begin(self, arguments: Sequence[str]) -> None:
        folder = next(a.partition("=")[2] for a in arguments if a.startswith("--workdir="))
        self._tell(f"runs; logs in {folder}/hosts")
        self._on_hosts(
            BEGIN.format(
                folder=shlex.quote(folder),
                arguments=shlex.join(arguments),
                environment=shlex.join(["env", *self.environment]),
            )
        )

    def _wait(self) -> int:
        """The exit status of the first host's program: the others end with it."""
        while True:
            time.sleep(self.poll)
            if (state := self._state()) != "ACTIVE":
                raise BackendUnavailable(f"the slice is {state or 'gone'}")
            if answer := self._on_hosts(STATUS, worker="0").split():
                return int(answer[-1])

    def _state(self) -> str:
        """Empty where there is no such resource. Asked again after errors that pass."""
        question = (
            "queued-resources",
            "list",
            f"--filter=name~/{self.name}$",
            "--format=value(state.state)",
        )
        for _ in range(TRIES - 1):
            try:
                return self._gcloud(*question).strip()
            except RuntimeError as error:
                if not PASSES.search(str(error)):
                    raise
                time.sleep(self.poll)
        return self._gcloud(*question).strip()

    def _delete(self) -> None:
        self._gcloud("queued-resources", "delete", self.name, "--force", "--quiet")

    def _on_hosts(self, command: str, worker: str = "all") -> str:
        return self._reach("ssh", self.name, f"--worker={worker}", f"--command={command}")

    def _reach(self, how: str, *args: str) -> str:
        try:
            return self._gcloud("tpu-vm", how, *args)
        except RuntimeError as error:
            if self._state() == "ACTIVE":  # the command itself is what failed
                raise
            raise BackendUnavailable(f"the slice went away ({error})") from error

    def _gcloud(self, *args: str) -> str:
        command = ["gcloud", "compute", "tpus", *args, f"--zone={self.zone}"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = "\n".join(done.stderr.strip().splitlines()[-LINES:]) or "nothing"
            raise RuntimeError(f"{shlex.join(command[:5])} ... failed: {said}")
        return done.stdout

    def _tell(self, what: str) -> None:
        print(f"{self.name}: {what}", flush=True)
