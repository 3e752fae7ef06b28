"""The lean_interact backend: Lean of a toolchain, with Mathlib or whatever else a project holds.

Each worker drives a REPL that has imported its modules once. A candidate is one command on top of
them, in an environment that no other candidate has touched; tactic mode is never used.
"""

import collections
import dataclasses
import os
import threading
import time
from collections.abc import Hashable, Sequence
from pathlib import Path

from fdjax.lean import sandbox as sandbox
from fdjax.lean.backend import BackendUnavailable, Submission
from fdjax.lean.backends.lean_interact import toolchain
from fdjax.lean.backends.lean_interact.repl import Repl, ReplEnded, ReplRefused, answered
from fdjax.lean.evidence import context_error, import_lines, options, render, split_context
from fdjax.types import Candidate, Message, Theorem, Verdict

HELD = 2  # REPLs with different imports that a worker keeps
MAX_FAILURES = 5  # starts in a row that fail, until it is not the candidates who are to blame
WORN = 0.75  # of memory_mb: from there on a REPL is replaced before the next candidate

Imports = tuple[str, ...]


class CannotImport(Exception):
    """These modules cannot be imported here: what Lean says."""


@dataclasses.dataclass(frozen=True)
class LeanInteractBackend:
    """Lean REPLs over a Lake project (the folder `project`) or over Lean alone (`lean_version`, the
    newest by default), prepared by the package lean-interact. `repl`: the folder of a REPL built
    for just that Lean; without it one is fetched and built on first use. `readable`: folders that
    Lean needs besides the project's and the toolchain's, with `:` between; it sees no others.
    `checker`: the program for kernel replay; the toolchain's leanchecker by default.

    `max_heartbeats`: thousands, per declaration. `memory_mb`: private memory of one REPL, which is
    killed above it, and replaced before that or after `max_commands`. `spares`: REPLs kept ready,
    so that a timeout does not cost a worker the import of Mathlib, for which `start_seconds` are
    given.

    Raises toolchain.Unavailable, which says what is missing and how to install it.
    """

    project: str = ""
    lean_version: str = ""
    repl: str = ""
    lake: str = "lake"
    readable: str = ""
    checker: str = ""
    max_heartbeats: int = 400_000
    memory_mb: int = 8192
    max_commands: int = 300
    spares: int = 1
    start_seconds: float = 300.0
    name: str = dataclasses.field(default="lean_interact", init=False)
    max_batch: int = dataclasses.field(default=1, init=False)
    installed: toolchain.Installation = dataclasses.field(init=False, repr=False)
    _sessions: "Sessions" = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for field in ("max_heartbeats", "memory_mb", "max_commands", "start_seconds"):
            if not getattr(self, field) > 0:
                raise ValueError(f"{field} must be positive, got {getattr(self, field)}")
        if self.spares < 0:
            raise ValueError(f"spares must not be negative, got {self.spares}")
        installed = toolchain.prepare(
            self.project, self.lean_version, self.repl, self.lake, self.readable
        )
        object.__setattr__(self, "installed", installed)
        object.__setattr__(self, "_sessions", Sessions(self))

    @property
    def version(self) -> str:
        return self.installed.version

    @property
    def limits(self) -> str:
        return f"heartbeats={self.max_heartbeats} memory={self.memory_mb}"

    def missing(self, imports: Imports) -> str | None:
        return self._sessions.missing(imports)

    def pool(self, theorem: Theorem) -> Hashable:
        return None  # contexts are environments of the same REPL

    def worker(self) -> "LeanInteractWorker":
        return LeanInteractWorker(self._sessions)

    # For kernel replay:

    @property
    def environment(self) -> dict[str, str]:
        return self.installed.environment

    def top(self, imports: Imports) -> str:
        return f"{import_lines(imports)}\n{options(self.max_heartbeats)}\n\n"

    def compiler(self, cpu_seconds: int, module: str = "") -> list[str]:
        lean = [self._compiling.lean, "--stdin", "--json", f"-M{self.memory_mb}", "-o", module]
        return sandbox.command(
            0, cpu_seconds, self.installed.readable, "run", *lean, writable=os.path.dirname(module)
        )

    def replayer(self, cpu_seconds: int, module: str) -> list[str]:
        checker = self._compiling.checker
        readable = [*self.installed.readable, os.path.dirname(checker)]
        return sandbox.command(
            0,
            cpu_seconds,
            readable,
            "run",
            checker,
            Path(module).stem,
            scratch=os.path.dirname(module),
        )

    @property
    def _compiling(self) -> toolchain.Compiling:
        return toolchain.find_checker(self.installed, self.project, self.checker)


class LeanInteractWorker:
    def __init__(self, sessions: "Sessions"):
        self._sessions = sessions
        self._held: collections.OrderedDict[Imports, Session] = collections.OrderedDict()
        self._lock = threading.Lock()  # of _held and _closed
        self._closed = False
        sessions.open()

    def check(self, batch: Sequence[Submission], timeout: float) -> list[Verdict | None]:
        return [self._check(theorem, candidate, timeout) for theorem, candidate in batch]

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            held = list(self._held.values())
        for session in held:
            self._sessions.drop(session)
        self._sessions.leave()

    def _check(self, theorem: Theorem, candidate: Candidate, timeout: float) -> Verdict:
        session = self._session(theorem.imports)
        began = time.monotonic()
        try:
            verdict = session.check(theorem, candidate, timeout)
        except ReplEnded as ended:
            told = Message("error", ended.reason, ended.status)
            verdict = Verdict(
                ended.status, (told,), seconds=time.monotonic() - began, backend="lean_interact"
            )
        if session.worn():
            with self._lock:
                self._held.pop(theorem.imports, None)
            self._sessions.drop(session)
        return verdict

    def _session(self, imports: Imports) -> "Session":
        """The one held for these imports, or one in place of the longest unused."""
        if session := self._held.get(imports):
            self._held.move_to_end(imports)
            return session
        session = self._sessions.take(imports)
        with self._lock:
            if self._closed:
                unused = session
            else:
                self._held[imports] = session
                unused = self._held.popitem(last=False)[1] if len(self._held) > HELD else None
        if unused:
            self._sessions.drop(unused)
        if unused is session:
            raise RuntimeError("this worker has been closed")
        return session


class Session:
    """A REPL in which some modules have been imported, and the environments made in it since."""

    def __init__(
        self, repl: Repl, imports: Imports, environment: int, backend: LeanInteractBackend
    ):
        self.repl, self.imports = repl, imports
        self._environment = environment
        self._backend = backend
        self._contexts: dict[str, tuple[int, list[Message]]] = {}

    def check(self, theorem: Theorem, candidate: Candidate, timeout: float) -> Verdict:
        """Raises ReplEnded."""
        began = time.monotonic()
        context, head = split_context(theorem.context, self._backend.max_heartbeats)
        environment, errors = self._in_context(context, timeout)
        text, item = render(theorem, candidate, head, line=1)
        for said in self._run(text, environment, timeout)[1]:
            item.read(said)
        item.seconds = time.monotonic() - began
        verdict = item.decide(errors, alone=True, backend="lean_interact")
        if verdict is None:
            self.repl.kill()  # who knows what it was answering
            raise ReplEnded("crashed", "the REPL gave no report on this theorem")
        return verdict

    def worn(self) -> bool:
        return (
            not self.repl.alive()
            or self.repl.commands >= self._backend.max_commands
            or self.repl.memory() > WORN * self._backend.memory_mb
        )

    def _in_context(self, context: str, timeout: float) -> tuple[int, list[Message]]:
        """The environment after a theorem's context, and the errors in that."""
        if not context:
            return self._environment, []
        if context not in self._contexts:
            environment, messages = self._run(context, self._environment, timeout)
            errors = [context_error(m["data"]) for m in messages if m["severity"] == "error"]
            self._contexts[context] = environment, errors
        return self._contexts[context]

    def _run(self, text: str, environment: int, timeout: float) -> tuple[int, list[dict]]:
        return answered(self.repl, {"cmd": text, "env": environment}, timeout)


class Sessions:
    """The REPLs of all workers of a backend. A thread keeps `spares` more of them ready."""

    def __init__(self, backend: LeanInteractBackend):
        self._backend = backend
        self._trying = threading.Lock()
        self._reasons: dict[Imports, str | None] = {}  # why not, of imports that have been tried
        self._changed = threading.Condition()
        # all below is guarded by _changed
        self._users = 0
        self._failures = 0  # starts since the last one that went well
        self._repls: set[Repl] = set()  # that live
        self._ready: list[Session] = []
        self._wanted: Imports | None = None  # what spares are kept for
        self._keeper: threading.Thread | None = None

    def missing(self, imports: Imports) -> str | None:
        """As Backend.missing. A REPL that was started to find out becomes a spare."""
        if imports in self._reasons:
            return self._reasons[imports]
        with self._trying:
            if imports in self._reasons:
                return self._reasons[imports]
            self.open()
            try:
                session = self._start(imports)
                with self._changed:
                    self._ready.append(session)
                reason = None
            except CannotImport as error:
                where = self._backend.project or f"Lean {self._backend.version}"
                reason = f"{where} cannot import {', '.join(imports) or 'Init'}: {error}"
            except RuntimeError as error:  # perhaps not so the next time
                return str(error)
            finally:
                self.leave()
            self._reasons[imports] = reason
            return reason

    def open(self) -> None:
        """For each user, who says `leave` at the end."""
        with self._changed:
            self._users += 1
            if self._backend.spares and self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name="lean-spares", daemon=True)
                self._keeper.start()

    def leave(self) -> None:
        """The last one to leave kills what runs."""
        with self._changed:
            self._users -= 1
            if self._users:
                return
            repls, self._ready, self._wanted = list(self._repls), [], None
            keeper, self._keeper = self._keeper, None
            self._changed.notify_all()
        for repl in repls:
            self._end(repl)
        if keeper:
            keeper.join()

    def take(self, imports: Imports) -> "Session":
        """A spare, or a new one. Raises CannotImport, RuntimeError; Lost if no REPL starts."""
        with self._changed:
            self._wanted = imports
            spare = next((s for s in self._ready if s.imports == imports), None)
            if spare:
                self._ready.remove(spare)
            self._changed.notify_all()
        if spare and not spare.worn():
            return spare
        if spare:
            self.drop(spare)
        return self._start(imports)

    def drop(self, session: "Session") -> None:
        self._end(session.repl)

    def _start(self, imports: Imports) -> "Session":
        installed, limit = self._backend.installed, self._backend.memory_mb
        header = f"{import_lines(imports)}\n{options(self._backend.max_heartbeats)}"
        with self._changed:
            if not self._users:
                raise RuntimeError("the backend's workers have been closed")
            repl = Repl(
                installed.program,
                installed.environment,
                installed.folder,
                installed.readable,
                limit,
            )
            self._repls.add(repl)
        try:
            environment, messages = answered(repl, {"cmd": header}, self._backend.start_seconds)
            if errors := [m["data"] for m in messages if m["severity"] == "error"]:
                raise CannotImport(errors[0])
            if repl.memory() > WORN * limit:
                raise CannotImport(
                    f"after that it takes {repl.memory():,.0f} MB, too near to memory_mb={limit}"
                )
        except ReplEnded as ended:
            self._end(repl)
            if isinstance(ended, ReplRefused):
                raise CannotImport(ended.reason) from ended
            with self._changed:
                self._failures += 1
                lost = self._failures >= MAX_FAILURES
            told = f"the Lean REPL did not start: {ended.reason}"
            raise (BackendUnavailable if lost else RuntimeError)(told) from ended
        except CannotImport:
            self._end(repl)
            raise
        with self._changed:
            self._failures = 0
        return Session(repl, imports, environment, self._backend)

    def _end(self, repl: Repl) -> None:
        repl.close()
        with self._changed:
            self._repls.discard(repl)

    def _keep(self) -> None:
        """The keeper's thread."""
        while True:
            with self._changed:
                while self._keeper is threading.current_thread() and not self._short():
                    self._changed.wait()
                if self._keeper is not threading.current_thread():
                    return
                imports = self._wanted
            try:
                session = self._start(imports)
            except (CannotImport, RuntimeError):
                with self._changed:
                    self._wanted = None  # who asks for it next is told why
                continue
            with self._changed:
                others = [s for s in self._ready if s.imports != imports]
                self._ready = [s for s in self._ready if s.imports == imports] + [session]
            for other in others:
                self.drop(other)

    def _short(self) -> bool:
        if self._wanted is None:
            return False
        return sum(s.imports == self._wanted for s in self._ready) < self._backend.spares
