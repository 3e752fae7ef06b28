"""Many candidates in one file for one short-lived Lean process, and a verdict for each.

Lean goes on after errors, so that a candidate costs a few milliseconds instead of a process.
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

from fdjax.lean import sandbox
from fdjax.lean.backend import Pair
from fdjax.lean.evidence import (
    STARTED,
    CandidateReader,
    context_error,
    is_start,
    render,
    split_context,
)
from fdjax.types import Message, Status, Verdict

MAX_OUTPUT = 32 << 20  # bytes of one batch
MAX_STDERR = 100_000  # bytes kept, the last ones; enough for the whole of a kernel's refusal


class Processes:
    """At most one process at a time, started by one thread. `close`, from any thread, kills it and
    prevents others."""

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
            # a new session: Ctrl-C does not reach it, and a kill reaches its whole group
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
    """How a process ended, or why it was killed."""

    status: Status  # for the candidate that Lean was at
    message: str
    code: int | None = None  # the exit code, if it ended by itself; below 0: a signal
    stderr: str = ""  # the end of its standard error


def cpu_seconds(candidates: int, timeout: float, start_seconds: float) -> int:
    """The limit on CPU time that the operating system enforces; `run` limits wall time."""
    return int(start_seconds + timeout * candidates) + 1


def run(
    child: subprocess.Popen,
    text: str,
    take: Callable[[list[bytes]], bool],
    timeout: float,
    start_seconds: float,
) -> Ending:
    """Feeds `text` to a process, and lines of its output to `take`, which returns whether they are
    progress. Without progress for `timeout` seconds the process is given up; the first may take
    `start_seconds` more. Raises sandbox.NotStarted.
    """
    with contextlib.suppress(BrokenPipeError):  # it died: its exit code will show that
        child.stdin.write(text.encode())
        child.stdin.close()
    output, stderr, size = bytearray(), b"", 0
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
                    stderr = (stderr + chunk)[-MAX_STDERR:]
                else:
                    output += chunk
                    if b"\n" in chunk:
                        *lines, output = output.split(b"\n")
                        if take(lines):
                            deadline = time.monotonic() + timeout
            if size > MAX_OUTPUT:
                return Ending("crashed", "more output than any proof needs")
    try:
        code = child.wait(timeout=start_seconds)
    except subprocess.TimeoutExpired:
        return Ending("crashed", "Lean closed its output and hung")
    words = stderr.decode(errors="replace").strip()
    if code == sandbox.NOT_LOADED:
        raise sandbox.NotStarted(words)
    if code == -signal.SIGXCPU:
        return Ending("timeout", "the limit on CPU time was reached")
    ended = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    message = f"Lean ended with {ended} and no report on this theorem"
    return Ending("crashed", message + (f": {words[-1000:]}" if words else ""), code, words)


class BatchFile:
    """The Lean file of a batch, and the reader of Lean's messages about it. `top` begins the file
    and ends with a newline; `backend` is the name that the verdicts get."""

    def __init__(self, batch: Sequence[Pair], top: str, max_heartbeats: int, backend: str):
        context, head = split_context(batch[0][0].context, max_heartbeats)
        # the report at its top starts the clock of the first candidate
        parts = [f"{top}{STARTED}\n\n"]
        self._top, self._backend = top.count("\n"), backend
        if context:
            parts.append(context + "\n\n")
        line = 1 + "".join(parts).count("\n")
        self.readers: list[CandidateReader] = []
        self._starts: list[int] = []  # first line of each
        for theorem, candidate in batch:
            text, reader = render(theorem, candidate, head, line)
            self._starts.append(line)
            self.readers.append(reader)
            parts.append(text)
            line += text.count("\n")
        self.text = "".join(parts)
        self._started = False
        self._context_errors: list[Message] = []
        self._clock = time.monotonic()

    def read(self, lines: Iterable[bytes]) -> bool:
        """Takes lines of Lean's output. Did one of them end the start, or was one a report?"""
        progress = False
        for line in lines:
            try:
                message = json.loads(line)
                reader = self._reader_of(message)
                if reader is None:
                    progress |= self._read_context(message)
                elif reader.read(message):
                    now = time.monotonic()
                    reader.seconds, self._clock = now - self._clock, now
                    progress = True
            except (ValueError, KeyError, TypeError):
                continue  # not a message of Lean's; if it was a report, its candidate is retried
        return progress

    def verdicts(self, ending: Ending) -> list[Verdict | None]:
        """As `Worker.check`. `ending`: what `run` returned."""
        verdicts = []
        alone = len(self.readers) == 1
        found = False  # the candidate that Lean was at: the first without a report
        for reader in self.readers:
            verdict = reader.decide(self._context_errors, alone, self._backend)
            if not reader.reported and not found:
                last = Message("error", ending.message, ending.status)
                verdict = reader.verdict(ending.status, [*reader.messages, last], self._backend)
                found = True
            verdicts.append(verdict)
        return verdicts

    def _reader_of(self, message: dict) -> CandidateReader | None:
        """None for a message about the context."""
        line = message["pos"]["line"]
        if self._started and line <= self._top:
            # Lean reports at the file's start what has no place: it is about the current candidate
            return next((reader for reader in self.readers if not reader.reported), None)
        index = bisect.bisect_right(self._starts, line) - 1
        return self.readers[index] if index >= 0 else None

    def _read_context(self, message: dict) -> bool:
        if is_start(message):
            self._started = True
            self._clock = time.monotonic()
            return True
        if message["severity"] == "error":
            self._context_errors.append(context_error(message["data"]))
        return False
