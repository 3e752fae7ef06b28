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
import re
import secrets
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Hashable, Iterable, Iterator, Sequence
from pathlib import Path

from fdjax.data.theorems import Theorem
from fdjax.lean.backend import AXIOMS, Candidate
from fdjax.lean.embedded import confined, library, process
from fdjax.lean.verdict import Message, Verdict

IMPORTS = frozenset({"Init", "FdPrelude"})  # what the library stands for
START_SECONDS = 20.0  # for a process to start and import, on a machine that is busy
MAX_OUTPUT = 32 << 20  # bytes of one batch; more is a flood
MAX_MESSAGE = 10_000  # characters
MAX_MESSAGES = 100  # to a candidate, and as many errors more
_NONCE = re.compile(r"fd_[0-9a-f]{32}")
_LAST_PART = re.compile(r"(?:«[^»]*»|[^.«»]+)\Z")
_REPORT = re.compile(
    r"'(?P<name>.*)' (?:does not depend on any axioms|depends on axioms: \[(?P<axioms>.*)\])",
    re.DOTALL,
)
_METAVARIABLE = re.compile(r"\?([mu])\.(\d+)")
_OFFER = re.compile(
    r"^(?:Note|Hint):.*(?:`set_option|\boption\b).*$|[,;(]?[ ]*\b[Uu]se `set_option.*$",
    re.MULTILINE,
)
_SET_HEARTBEATS = re.compile(r"\bmaxHeartbeats\s+(\d+)")


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
        return [sys.executable, "-I", "-S", os.path.abspath(confined.__file__), str(os.getpid()),
                str(self.memory_mb << 20), str(cpu_seconds), process.shared_library(), *lean]


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


@dataclasses.dataclass
class _Item:
    """A candidate in the file, and what Lean has said of it so far."""

    theorem: Theorem
    proof: str
    nonce: str
    line: int  # of the file, from 1, where the proof starts
    column: int  # and the column, from 0
    report_line: int  # where its `#print axioms` stands
    messages: list[Message] = dataclasses.field(default_factory=list)
    axioms: tuple[str, ...] | None = None  # None: no report
    erred: bool = False
    undeclared: bool = False  # Lean reports that there is no such theorem
    starved: bool = False  # it met a limit that its neighbours may have used up
    seconds: float = 0.0

    @property
    def reported(self) -> bool:
        return self.undeclared or self.axioms is not None

    def place(self, pos: dict | None) -> int | None:
        """Lean's line and column as a character offset in the proof; None before its start."""
        if pos is None or (pos["line"], pos["column"]) < (self.line, self.column):
            return None
        if pos["line"] >= self.report_line:
            return len(self.proof)
        lines = self.proof.split("\n")
        row = pos["line"] - self.line
        if row >= len(lines):
            return len(self.proof)
        before = sum(len(line) + 1 for line in lines[:row])
        column = pos["column"] - (0 if row else self.column)
        return before + min(column, len(lines[row]))


class BatchFile:
    """The Lean file of a batch, and the reading of Lean's messages about it."""

    def __init__(self, batch: Sequence[Candidate], max_heartbeats: int):
        context = _limited(batch[0][0].context.strip("\n"), max_heartbeats)
        # `open Foo in` at its end is about the next command only: each theorem gets its own
        each = context.split()[-1:] == ["in"]
        # the report at its top says that Lean has started: the clock of the first candidate
        parts = ["prelude\nimport FdPrelude\n\n#print axioms True\n\n"]
        if context and not each:
            parts.append(context + "\n\n")
        line = 1 + "".join(parts).count("\n")
        self._items: list[_Item] = []
        self._starts: list[int] = []  # first line of each
        for theorem, proof in batch:
            nonce = f"fd_{secrets.token_hex(16)}"
            # only the last part of the name: the others are namespaces that the proof may use
            name = _LAST_PART.sub("", theorem.name) + nonce
            head = f"{context}\n" if context and each else ""
            gap = "" if theorem.signature.startswith(".{") else " "
            head += f"theorem {name}{gap}{theorem.signature} := "
            tail = f"\n\n#print axioms {name}\n\n"
            proof_line = line + head.count("\n")
            report_line = proof_line + proof.count("\n") + 2
            self._starts.append(line)
            self._items.append(_Item(theorem, proof, nonce, proof_line,
                                     len(head) - head.rfind("\n") - 1, report_line))
            parts += [head, proof, tail]
            line = report_line + 2
        self.text = "".join(parts)
        self._context_errors: list[Message] = []
        self._clock = time.monotonic()

    def read(self, lines: Iterable[bytes]) -> bool:
        """Takes lines of Lean's output. Did one of them end the start or bring a report?"""
        progress = False
        for line in lines:
            try:
                said = json.loads(line)
                item, is_report = self._about(said["pos"]["line"])
                if item is None:
                    progress |= self._read_context(said)
                elif is_report and _reports(item, said):
                    now = time.monotonic()
                    item.seconds, self._clock = now - self._clock, now
                    progress = True
                elif not said.get("isSilent") and not said["kind"].startswith("linter"):
                    error = said["severity"] == "error"
                    item.erred |= error
                    if len(item.messages) < (2 * MAX_MESSAGES if error else MAX_MESSAGES):
                        item.messages.append(_message(item, said))
                    item.starved |= "excessive memory consumption" in said["data"]
            except (ValueError, KeyError, TypeError):
                continue  # not a message of Lean's: whom it was about lacks it, and is asked again
        return progress

    def verdicts(self, ending: Message) -> list[Verdict | None]:
        """As `Worker.check`. `ending`: what `_run` says of how Lean ended."""
        verdicts = []
        alone = len(self._items) == 1
        blamed = False
        for item in self._items:
            verdict = self._decide(item, alone)
            if not item.reported and not blamed:
                # Lean was at this one; of those that follow nothing is known
                verdict = self._verdict(item, ending.kind, [*item.messages, ending])
                blamed = True
            verdicts.append(verdict)
        return verdicts

    def _decide(self, item: _Item, alone: bool) -> Verdict | None:
        erred = item.erred or bool(self._context_errors)
        if not item.reported:
            return None
        if item.starved:
            return self._verdict(item, "crashed", item.messages) if alone else None
        if item.undeclared and not alone:
            return None  # Lean adds even what it could not prove; a neighbour may have eaten it
        if erred or item.undeclared:
            missing = Message("error", "Lean did not add the theorem to its environment")
            told = [*self._context_errors, *item.messages] if erred else [missing]
            return self._verdict(item, "failed", told)
        if foreign := [axiom for axiom in item.axioms if axiom not in AXIOMS]:
            own = any(m.kind == "hasSorry" for m in item.messages)
            if not own and not alone:
                return None  # it may have come in through a lemma that Lean shares between theorems
            said = Message("error", f"the proof depends on axioms: {', '.join(foreign)}", "axioms")
            return self._verdict(item, "failed", [*item.messages, said])
        return self._verdict(item, "proved", item.messages)

    def _verdict(self, item: _Item, status, messages: Sequence[Message]) -> Verdict:
        return Verdict(status, tuple(messages), item.axioms or (), item.seconds, "embedded")

    def _about(self, line: int) -> tuple[_Item | None, bool]:
        index = bisect.bisect_right(self._starts, line) - 1
        if index < 0:
            return None, False
        item = self._items[index]
        return item, line == item.report_line

    def _read_context(self, said: dict) -> bool:
        if said["severity"] == "information" and _REPORT.fullmatch(said["data"]):
            self._clock = time.monotonic()
            return True
        if said["severity"] == "error":
            self._context_errors.append(
                Message("error", f"in the theorem's context: {said['data']}", "context"))
        return False


def _limited(context: str, max_heartbeats: int) -> str:
    """Published headers often switch the limit off (`maxHeartbeats 0`): ours holds."""

    def lowered(match: re.Match) -> str:
        asked = int(match[1])
        return f"maxHeartbeats {asked if 0 < asked < max_heartbeats else max_heartbeats}"

    return _SET_HEARTBEATS.sub(lowered, context)


def _reports(item: _Item, said: dict) -> bool:
    """Is this the report of the item's axioms, or that there is no such theorem?"""
    if said["severity"] == "information" and (report := _REPORT.fullmatch(said["data"])):
        if report["name"].endswith(item.nonce):
            listed = _own_name(report["axioms"] or "", item)
            item.axioms = tuple(axiom.strip() for axiom in listed.split(",") if axiom.strip())
    elif said["severity"] == "error" and said["data"].startswith("Unknown constant"):
        item.undeclared = item.nonce in said["data"]
    return item.reported


def _message(item: _Item, said: dict) -> Message:
    kind = "" if said["kind"] == "[anonymous]" else said["kind"]
    start, end = item.place(said["pos"]), item.place(said.get("endPos"))
    if end:  # what ends in the proof is about the proof, though it may start at our `:=`
        start = start or 0
    return Message(said["severity"], _readable(said["data"], item), kind, start, end)


def _own_name(text: str, item: _Item) -> str:
    """`text` with the theorem's own name for nonces: also a neighbour's, through what they share,
    where this candidate alone would have had its own."""
    return _NONCE.sub(lambda _: _LAST_PART.search(item.theorem.name).group(), text)


def _readable(text: str, item: _Item) -> str:
    """Lean's text without what depends on the batch, and without offers of options."""
    text = _own_name(text, item).replace("unexpected token '#print'", "unexpected end of input")
    numbers: dict[str, int] = {}  # those of Lean's count on through the file

    def renumbered(match: re.Match) -> str:
        return f"?{match[1]}.{numbers.setdefault(match[0], len(numbers) + 1)}"

    text = _METAVARIABLE.sub(renumbered, text)
    text = _OFFER.sub("", text).rstrip()
    if len(text) > MAX_MESSAGE:
        text = f"{text[:MAX_MESSAGE]}\n... ({len(text) - MAX_MESSAGE:,} more characters)"
    return text
