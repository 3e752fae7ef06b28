"""Many candidates in one file for one short-lived Lean process, and what that says of each.

Each candidate is a theorem of its own under a name that no neighbour can guess, followed by its own
`#print axioms`: the positive evidence. Lean goes on after errors, so a batch costs a few
milliseconds a candidate instead of a process each.
"""

import bisect
import contextlib
import json
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from fdjax.lean import sandbox as sandbox
from fdjax.lean.backend import Submission
from fdjax.lean.evidence import STARTED, Item, context_error, is_start, split_context, write
from fdjax.types import Message, Status, Verdict

MAX_OUTPUT = 32 << 20  # bytes of one batch; more is a flood
MAX_COMPLAINT = 100_000  # bytes kept of standard error: the kernel's begins with what matters


class Processes:
    """One process at a time, for one thread. `close`, from any thread, kills it for good."""

    def __init__(self) -> None:
        self.child: subprocess.Popen | None = None
        self._lock = threading.Lock()  # of child and _closed
        self._closed = False

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self.child:
                _kill(self.child)

    @contextlib.contextmanager
    def started(
        self, argv: Sequence[str], environment: Mapping[str, str]
    ) -> Iterator[subprocess.Popen]:
        with self._lock:
            if self._closed:
                raise RuntimeError("this worker has been closed")
            # a session of its own: Ctrl-C is for us to handle, and a kill reaches the whole group
            child = self.child = subprocess.Popen(
                argv,
                env=environment,
                start_new_session=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        try:
            yield child
        finally:
            with self._lock:
                self.child = None
                _kill(child)
            for pipe in (child.stdin, child.stdout, child.stderr):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
            child.wait()


def _kill(child: subprocess.Popen) -> None:
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


class Ending(NamedTuple):
    """How a process ended, or was given up."""

    status: Status  # for a candidate that it was at
    told: str
    code: int | None = None  # its exit code, if it ended by itself; below 0: a signal
    complaint: str = ""  # what it last said on standard error


def cpu_seconds(candidates: int, timeout: float, start_seconds: float) -> int:
    """The limit that holds without us; wall time is what `run` watches."""
    return int(start_seconds + timeout * candidates) + 1


def run(
    child: subprocess.Popen,
    text: str,
    take: Callable[[list[bytes]], bool],
    timeout: float,
    start_seconds: float,
) -> Ending:
    """Feeds `text` to a process, and lines of its output to `take`, which says whether they are
    progress: so long as there is some every `timeout` seconds, the process may go on. The first
    may take `start_seconds` more. Raises sandbox.NotStarted.
    """
    with contextlib.suppress(BrokenPipeError):  # it died: the end of its output will say so
        child.stdin.write(text.encode())
        child.stdin.close()
    said, complaint, size = bytearray(), b"", 0
    deadline = time.monotonic() + start_seconds + timeout
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        selector.register(child.stderr, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready and time.monotonic() >= deadline:
                return Ending("timeout", f"no result after {timeout:g} seconds")
            for key, _ in ready:
                chunk = os.read(key.fd, 1 << 16)
                size += len(chunk)
                if not chunk:
                    selector.unregister(key.fileobj)
                elif key.fileobj is child.stderr:
                    complaint = (complaint + chunk)[-MAX_COMPLAINT:]
                else:
                    said += chunk
                    if b"\n" in chunk:
                        *lines, said = said.split(b"\n")
                        if take(lines):
                            deadline = time.monotonic() + timeout
            if size > MAX_OUTPUT:
                return Ending("crashed", "more output than any proof needs")
    try:
        code = child.wait(timeout=start_seconds)
    except subprocess.TimeoutExpired:
        return Ending("crashed", "Lean closed its output and hung")
    words = complaint.decode(errors="replace").strip()
    if code == sandbox.NOT_LOADED:
        raise sandbox.NotStarted(words)
    if code == -signal.SIGXCPU:
        return Ending("timeout", "the limit on CPU time was reached")
    ended = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    told = f"Lean ended with {ended} and no report on this theorem"
    return Ending("crashed", told + (f": {words[-1000:]}" if words else ""), code, words)


class BatchFile:
    """The Lean file of a batch, and the reading of Lean's messages about it. `top`: of the file,
    ends with a newline; `backend`: whose verdicts these are."""

    def __init__(self, batch: Sequence[Submission], top: str, max_heartbeats: int, backend: str):
        context, head = split_context(batch[0][0].context, max_heartbeats)
        # the report at its top says that Lean has started: the clock of the first candidate
        parts = [f"{top}{STARTED}\n\n"]
        self._top, self._backend = top.count("\n"), backend
        if context:
            parts.append(context + "\n\n")
        line = 1 + "".join(parts).count("\n")
        self.items: list[Item] = []
        self._starts: list[int] = []  # first line of each
        for theorem, candidate in batch:
            text, item = write(theorem, candidate, head, line)
            self._starts.append(line)
            self.items.append(item)
            parts.append(text)
            line += text.count("\n")
        self.text = "".join(parts)
        self._started = False
        self._context_errors: list[Message] = []
        self._clock = time.monotonic()

    def read(self, lines: Iterable[bytes]) -> bool:
        """Takes lines of Lean's output. Did one of them end the start or bring a report?"""
        progress = False
        for line in lines:
            try:
                said = json.loads(line)
                item = self._about(said)
                if item is None:
                    progress |= self._read_context(said)
                elif item.read(said):
                    now = time.monotonic()
                    item.seconds, self._clock = now - self._clock, now
                    progress = True
            except (ValueError, KeyError, TypeError):
                continue  # not a message of Lean's: whom it was about lacks it, and is asked again
        return progress

    def verdicts(self, ending: Ending) -> list[Verdict | None]:
        """As `Worker.check`. `ending`: what `run` says of how Lean ended."""
        verdicts = []
        alone = len(self.items) == 1
        blamed = False
        for item in self.items:
            verdict = item.decide(self._context_errors, alone, self._backend)
            if not item.reported and not blamed:
                # Lean was at this one; of those that follow nothing is known
                last = Message("error", ending.told, ending.status)
                verdict = item.verdict(ending.status, [*item.messages, last], self._backend)
                blamed = True
            verdicts.append(verdict)
        return verdicts

    def _about(self, said: dict) -> Item | None:
        line = said["pos"]["line"]
        if self._started and line <= self._top:
            # what has no place is told at the file's start: it is about whom Lean is at
            return next((item for item in self.items if not item.reported), None)
        index = bisect.bisect_right(self._starts, line) - 1
        return self.items[index] if index >= 0 else None

    def _read_context(self, said: dict) -> bool:
        if is_start(said):
            self._started = True
            self._clock = time.monotonic()
            return True
        if said["severity"] == "error":
            self._context_errors.append(context_error(said["data"]))
        return False
