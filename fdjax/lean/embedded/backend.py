"""The embedded backend: many candidates in one file for one short-lived Lean process.

Each candidate is a theorem of its own under a name that no neighbour can guess, followed by its own
`#print axioms`: the positive evidence. Lean goes on after errors, so a batch costs a few
milliseconds a candidate instead of a process each.
"""

import bisect
import contextlib
import dataclasses
import json
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Hashable, Iterable, Iterator, Sequence
from pathlib import Path

from fdjax.data.theorems import Theorem
from fdjax.lean import confined
from fdjax.lean.backend import Candidate
from fdjax.lean.embedded import library, process
from fdjax.lean.evidence import STARTED, Item, context_error, is_start, split_context, write
from fdjax.lean.verdict import Message, Verdict

HEAD = "prelude\nimport FdPrelude\n\n"
IMPORTS = frozenset({"Init", "FdPrelude"})  # what the library stands for
START_SECONDS = 20.0  # for a process to start and import, on a machine that is busy
MAX_OUTPUT = 32 << 20  # bytes of one batch; more is a flood


@dataclasses.dataclass(frozen=True)
class EmbeddedBackend:
    """Real Lean 4 out of a wheel, with the library FdPrelude in place of Init; no Mathlib.

    Raises process.EmbeddedLeanUnavailable or library.LibraryError when it is made where Lean
    cannot run.
    """

    max_heartbeats: int = 2000
    memory_mb: int = 4096
    max_batch: int = 64
    name: str = dataclasses.field(default="embedded", init=False)
    library: Path = dataclasses.field(default_factory=library.ensure_library)

    def __post_init__(self) -> None:
        if self.memory_mb < 3072:
            raise ValueError(f"memory_mb must be at least 3072, the address space that Lean needs"
                             f" to start, got {self.memory_mb}")

    @property
    def version(self) -> str:
        return library.library_version()

    @property
    def limits(self) -> str:
        return f"heartbeats={self.max_heartbeats} memory={self.memory_mb}"

    def missing(self, imports: tuple[str, ...]) -> str | None:
        unknown = [module for module in imports if module not in IMPORTS]
        if not unknown:
            return None
        return (f"the embedded Lean has no {', '.join(unknown)}: it can import nothing beyond"
                " Lean's core (theorems over Mathlib need a backend with a toolchain)")

    def pool(self, theorem: Theorem) -> Hashable:
        return theorem.context

    def worker(self) -> "EmbeddedWorker":
        return EmbeddedWorker(self)

    def argv(self, cpu_seconds: int) -> list[str]:
        lean = ["--stdin", "--json",
                "-j1", "-s8192",  # one thread and small stacks: see RLIMIT_AS in confined.py
                f"-M{self.memory_mb * 3 // 4}",
                "-DmaxErrors=0",  # at the default of 100 the rest of a batch would be silent
                "-DElab.async=false", "-DautoImplicit=false",
                f"-DmaxHeartbeats={self.max_heartbeats}"]
        shared = process.shared_library()
        readable = [os.path.dirname(shared), os.fspath(self.library)]
        return confined.command(self.memory_mb << 20, cpu_seconds, readable, "lean", shared, *lean)


class EmbeddedWorker:
    def __init__(self, backend: EmbeddedBackend):
        self._backend = backend
        self._child: subprocess.Popen | None = None
        self._lock = threading.Lock()  # of _child and _closed
        self._closed = False

    def check(self, batch: Sequence[Candidate], timeout: float) -> list[Verdict | None]:
        file = BatchFile(batch, self._backend.max_heartbeats)
        # Wall time is watched here; CPU time is the limit that holds without us.
        cpu_seconds = int(START_SECONDS + timeout * len(batch)) + 1
        with self._started(self._backend.argv(cpu_seconds)) as child:
            ending = _run(child, file, timeout)
        return file.verdicts(ending)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._child:
                _kill(self._child)

    @contextlib.contextmanager
    def _started(self, argv: list[str]) -> Iterator[subprocess.Popen]:
        with self._lock:
            if self._closed:
                raise RuntimeError("this worker has been closed")
            # a session of its own: Ctrl-C is for us to handle, and a kill reaches the whole group
            child = self._child = subprocess.Popen(
                argv, env=process.lean_environment(self._backend.library), start_new_session=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            yield child
        finally:
            with self._lock:
                self._child = None
                _kill(child)
            for pipe in (child.stdin, child.stdout, child.stderr):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
            child.wait()


def _kill(child: subprocess.Popen) -> None:
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def _run(child: subprocess.Popen, file: "BatchFile", timeout: float) -> Message:
    """Feeds `file` to Lean and Lean's output to `file`. How Lean ended, as a message for the
    candidate that it was at if it had not reported on all of them; its kind is the status."""
    with contextlib.suppress(BrokenPipeError):  # it died: the end of its output will say so
        child.stdin.write(file.text.encode())
        child.stdin.close()
    said, complaint, size = bytearray(), b"", 0
    deadline = time.monotonic() + START_SECONDS + timeout
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        selector.register(child.stderr, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready and time.monotonic() >= deadline:
                return Message("error", f"no result after {timeout:g} seconds", kind="timeout")
            for key, _ in ready:
                chunk = os.read(key.fd, 1 << 16)
                size += len(chunk)
                if not chunk:
                    selector.unregister(key.fileobj)
                elif key.fileobj is child.stderr:
                    complaint = (complaint + chunk)[-1000:]
                else:
                    said += chunk
                    if b"\n" in chunk:
                        *lines, said = said.split(b"\n")
                        if file.read(lines):
                            deadline = time.monotonic() + timeout
            if size > MAX_OUTPUT:
                return Message("error", "more output than any proof needs", kind="crashed")
    try:
        code = child.wait(timeout=START_SECONDS)
    except subprocess.TimeoutExpired:
        return Message("error", "Lean closed its output and hung", kind="crashed")
    words = complaint.decode(errors="replace").strip()
    if code == confined.NOT_LOADED:
        raise process.EmbeddedLeanUnavailable(words)
    if code == -signal.SIGXCPU:
        return Message("error", "the limit on CPU time was reached", kind="timeout")
    ended = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return Message("error", f"Lean ended with {ended} and no report on this theorem"
                   + (f": {words}" if words else ""), kind="crashed")


class BatchFile:
    """The Lean file of a batch, and the reading of Lean's messages about it."""

    def __init__(self, batch: Sequence[Candidate], max_heartbeats: int):
        context, head = split_context(batch[0][0].context, max_heartbeats)
        # the report at its top says that Lean has started: the clock of the first candidate
        parts = [f"{HEAD}{STARTED}\n\n"]
        if context:
            parts.append(context + "\n\n")
        line = 1 + "".join(parts).count("\n")
        self._items: list[Item] = []
        self._starts: list[int] = []  # first line of each
        for theorem, proof in batch:
            text, item = write(theorem, proof, head, line)
            self._starts.append(line)
            self._items.append(item)
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

    def verdicts(self, ending: Message) -> list[Verdict | None]:
        """As `Worker.check`. `ending`: what `_run` says of how Lean ended."""
        verdicts = []
        alone = len(self._items) == 1
        blamed = False
        for item in self._items:
            verdict = item.decide(self._context_errors, alone, "embedded")
            if not item.reported and not blamed:
                # Lean was at this one; of those that follow nothing is known
                verdict = item.verdict(ending.kind, [*item.messages, ending], "embedded")
                blamed = True
            verdicts.append(verdict)
        return verdicts

    def _about(self, said: dict) -> Item | None:
        line = said["pos"]["line"]
        if self._started and line <= HEAD.count("\n"):
            # what has no place is told at the file's start: it is about whom Lean is at
            return next((item for item in self._items if not item.reported), None)
        index = bisect.bisect_right(self._starts, line) - 1
        return self._items[index] if index >= 0 else None

    def _read_context(self, said: dict) -> bool:
        if is_start(said):
            self._started = True
            self._clock = time.monotonic()
            return True
        if said["severity"] == "error":
            self._context_errors.append(context_error(said["data"]))
        return False
