"""The lean_interact backend: Lean of a toolchain, with Mathlib or what else a project holds.

Each worker drives a REPL that has imported a theorem's modules once. A candidate is one command
after these imports, in an environment without other candidates; tactic mode is never used.
"""

import collections
import contextlib
import dataclasses
import os
import threading
import time
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path

from fdjax.config import LeanInteractConfig
from fdjax.lean import sandbox
from fdjax.lean.backend import BackendUnavailable, Pair
from fdjax.lean.backends.lean_interact import toolchain
from fdjax.lean.backends.lean_interact.repl import Repl, ReplEnded, ReplRefused
from fdjax.lean.evidence import (
    STARTED,
    context_error,
    import_lines,
    is_start,
    options,
    render,
    split_context,
)
from fdjax.lean.search.declarations import listed, with_lean
from fdjax.lean.search.query import Declaration
from fdjax.types import Candidate, Message, Theorem, Verdict

DEFAULTS = LeanInteractConfig()
HELD = 2  # REPLs with different imports that a worker keeps
MAX_FAILURES = 5  # starts that fail in a row, after which the backend is unavailable
WORN = 0.75  # part of memory_mb above which a REPL is replaced before the next candidate

Imports = tuple[str, ...]


class CannotImport(Exception):
    """These modules cannot be imported here; the message is Lean's."""


@dataclasses.dataclass(frozen=True)
class LeanInteractBackend:
    """Lean REPLs over a Lake project (the folder `project`) or over Lean alone (`lean_version`, the
    newest by default), prepared by the package lean-interact. `repl`: the folder of a REPL built
    for exactly that Lean; without it one is fetched and built on first use. `readable`: folders
    that Lean reads besides the project's and the toolchain's, with `:` between; the sandbox hides
    all others. `checker`: the program for kernel replay, by default the toolchain's leanchecker.

    `max_heartbeats`: thousands, per declaration. `memory_mb`: private memory above which a REPL is
    killed; it is replaced at WORN of that, or after `max_commands`. `spares`: REPLs kept ready, so
    that after a timeout no worker waits for the import of Mathlib. `start_seconds`: the limit for
    that import.

    The constructor raises BackendUnavailable, which names what is missing and how to install it.
    """

    project: str = ""
    lean_version: str = ""
    repl: str = ""
    lake: str = "lake"
    readable: str = ""
    checker: str = ""
    max_heartbeats: int = DEFAULTS.max_heartbeats
    memory_mb: int = DEFAULTS.memory_mb
    max_commands: int = 300
    spares: int = DEFAULTS.spares
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

    def declarations(self, imports: Imports) -> Iterator[Declaration]:
        imports = with_lean(imports)
        if reason := self._sessions.missing(imports):
            raise BackendUnavailable(reason)
        with self._sessions.session(imports) as session:
            yield from listed(session.messages)

    # For kernel replay.

    @property
    def environment(self) -> dict[str, str]:
        return self.installed.environment

    def top(self, imports: Imports) -> str:
        return f"{import_lines(imports)}\n{options(self.max_heartbeats)}\n\n"

    def compiler(self, cpu_seconds: int, module: str = "") -> list[str]:
        lean, _ = toolchain.find_checker(self.installed, self.project, self.checker)
        program = ["run", lean, "--stdin", "--json", f"-M{self.memory_mb}", "-o", module]
        readable, folder = self.installed.readable, os.path.dirname(module)
        return sandbox.command(0, cpu_seconds, readable, *program, writable=folder)

    def replayer(self, cpu_seconds: int, module: str) -> list[str]:
        _, checker = toolchain.find_checker(self.installed, self.project, self.checker)
        readable = [*self.installed.readable, os.path.dirname(checker)]
        program, folder = ["run", checker, Path(module).stem], os.path.dirname(module)
        return sandbox.command(0, cpu_seconds, readable, *program, scratch=folder)


class LeanInteractWorker:
    def __init__(self, sessions: "Sessions"):
        self._sessions = sessions
        self._held: collections.OrderedDict[Imports, Session] = collections.OrderedDict()
        self._lock = threading.Lock()  # of _held and _closed
        self._closed = False
        sessions.open()

    def check(self, batch: Sequence[Pair], timeout: float) -> list[Verdict | None]:
        return [self._check(theorem, candidate, timeout) for theorem, candidate in batch]

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            held = list(self._held.values())
        for session in held:
            self._sessions.end(session.repl)
        self._sessions.leave()

    def _check(self, theorem: Theorem, candidate: Candidate, timeout: float) -> Verdict:
        session = self._session(theorem.imports)
        began = time.monotonic()
        try:
            verdict = session.check(theorem, candidate, timeout)
        except ReplEnded as ended:
            message = Message("error", str(ended), ended.status)
            seconds = time.monotonic() - began
            verdict = Verdict(ended.status, (message,), (), seconds, "lean_interact")
        if session.worn():
            with self._lock:
                self._held.pop(theorem.imports, None)
            self._sessions.end(session.repl)
        return verdict

    def _session(self, imports: Imports) -> "Session":
        """The session held for these imports, or another one in place of the longest unused."""
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
            self._sessions.end(unused.repl)
        if unused is session:
            raise RuntimeError("this worker has been closed")
        return session


class Session:
    """A REPL that has imported some modules, and its environments after contexts of theorems."""

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
        for message in self._run(text, environment, timeout)[1]:
            item.read(message)
        item.seconds = time.monotonic() - began
        verdict = item.decide(errors, alone=True, backend="lean_interact")
        if verdict is None:
            self.repl.kill()  # it may have answered another command
            raise ReplEnded("crashed", "the REPL gave no report on this theorem")
        return verdict

    def messages(self, commands: str) -> list[dict]:
        """Lean's messages about trusted commands after the imports. Raises BackendUnavailable."""
        try:
            return self._run(commands, self._environment, self._backend.start_seconds)[1]
        except ReplEnded as ended:
            raise BackendUnavailable(str(ended)) from ended

    def worn(self) -> bool:
        return (
            not self.repl.alive()
            or self.repl.commands >= self._backend.max_commands
            or self.repl.memory() > WORN * self._backend.memory_mb
        )

    def _in_context(self, context: str, timeout: float) -> tuple[int, list[Message]]:
        """The environment after a theorem's context, and the errors in the context."""
        if not context:
            return self._environment, []
        if context not in self._contexts:
            environment, messages = self._run(context, self._environment, timeout)
            errors = [context_error(m["data"]) for m in messages if m["severity"] == "error"]
            self._contexts[context] = environment, errors
        return self._contexts[context]

    def _run(self, text: str, environment: int, timeout: float) -> tuple[int, list[dict]]:
        return self.repl.run({"cmd": text, "env": environment}, timeout)


class Sessions:
    """The REPLs of all workers of a backend. A thread keeps `spares` more of them ready."""

    def __init__(self, backend: LeanInteractBackend):
        self._backend = backend
        self._trying = threading.Lock()
        self._reasons: dict[Imports, str | None] = {}  # results of `missing`
        self._changed = threading.Condition()
        # all below is guarded by _changed
        self._users = 0
        self._failures = 0  # failed starts since the last successful one
        self._repls: set[Repl] = set()  # all that run
        self._ready: list[Session] = []  # the spares
        self._wanted: Imports | None = None  # imports of the spares to be kept
        self._keeper: threading.Thread | None = None

    def missing(self, imports: Imports) -> str | None:
        """As Backend.missing. The REPL in which the imports were tried becomes a spare."""
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
            except RuntimeError as error:  # not kept: it may work the next time
                return str(error)
            finally:
                self.leave()
            self._reasons[imports] = reason
            return reason

    def open(self) -> None:
        """For each user, which calls `leave` at its end."""
        with self._changed:
            self._users += 1
            if self._backend.spares and self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name="lean-spares", daemon=True)
                self._keeper.start()

    def leave(self) -> None:
        """The last user to leave kills all REPLs."""
        with self._changed:
            self._users -= 1
            if self._users:
                return
            repls, self._ready, self._wanted = list(self._repls), [], None
            keeper, self._keeper = self._keeper, None
            self._changed.notify_all()
        for repl in repls:
            self.end(repl)
        if keeper:
            keeper.join()

    def take(self, imports: Imports) -> "Session":
        """A spare, or a new session. Raises CannotImport; RuntimeError if the REPL does not start,
        BackendUnavailable if the last MAX_FAILURES did not."""
        with self._changed:
            self._wanted = imports
            spare = next((s for s in self._ready if s.imports == imports), None)
            if spare:
                self._ready.remove(spare)
            self._changed.notify_all()
        if spare and not spare.worn():
            return spare
        if spare:
            self.end(spare.repl)
        return self._start(imports)

    @contextlib.contextmanager
    def session(self, imports: Imports) -> Iterator["Session"]:
        """A session for one user. Raises as `take` does."""
        self.open()
        try:
            session = self.take(imports)
            try:
                yield session
            finally:
                self.end(session.repl)
        finally:
            self.leave()

    def end(self, repl: Repl) -> None:
        repl.close()
        with self._changed:
            self._repls.discard(repl)

    def _start(self, imports: Imports) -> "Session":
        limit = self._backend.memory_mb
        header = f"{import_lines(imports)}\n{options(self._backend.max_heartbeats)}\n{STARTED}"
        with self._changed:
            if not self._users:
                raise RuntimeError("the backend's workers have been closed")
            repl = Repl(self._backend.installed, limit)
            self._repls.add(repl)
        try:
            environment, messages = repl.run({"cmd": header}, self._backend.start_seconds)
            if errors := [m["data"] for m in messages if m["severity"] == "error"]:
                raise CannotImport(errors[0])
            if not any(map(is_start, messages)):  # a REPL may not say that imports failed
                raise CannotImport("after that the REPL knows no `True`")
            if repl.memory() > WORN * limit:
                raise CannotImport(
                    f"after that it takes {repl.memory():,.0f} MB, too near to memory_mb={limit}"
                )
        except CannotImport:
            self.end(repl)
            raise
        except ReplRefused as refused:
            self.end(repl)
            raise CannotImport(str(refused)) from refused
        except ReplEnded as ended:
            self.end(repl)
            with self._changed:
                self._failures += 1
                kind = BackendUnavailable if self._failures >= MAX_FAILURES else RuntimeError
            raise kind(f"the Lean REPL did not start: {ended}") from ended
        with self._changed:
            self._failures = 0
        return Session(repl, imports, environment, self._backend)

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
                    self._wanted = None  # the next `take` of these imports raises the reason
                continue
            with self._changed:
                others = [s for s in self._ready if s.imports != imports]
                self._ready = [s for s in self._ready if s.imports == imports] + [session]
            for other in others:
                self.end(other.repl)

    def _short(self) -> bool:
        if self._wanted is None:
            return False
        return sum(s.imports == self._wanted for s in self._ready) < self._backend.spares
