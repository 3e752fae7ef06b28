"""The embedded backend: Lean of a wheel, a short-lived process for each batch of candidates."""

import dataclasses
import functools
import os
import sys
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path

from fdjax.lean import sandbox
from fdjax.lean.backend import Pair
from fdjax.lean.backends.embedded import prelude, process, replay_child
from fdjax.lean.backends.embedded.declarations import library_declarations
from fdjax.lean.batch_process import BatchFile, Processes, cpu_seconds, run
from fdjax.lean.search.query import Declaration
from fdjax.types import Candidate, Theorem, Verdict

START_SECONDS = 20.0  # on a machine that is busy
IMPORTS = frozenset({"Init", "FdPrelude"})  # modules that our library replaces


@dataclasses.dataclass(frozen=True)
class EmbeddedBackend:
    """Real Lean 4 of a wheel, with the library FdPrelude in place of Init; no Mathlib.

    `max_heartbeats`: thousands, per declaration; `memory_mb`: address space of one process. The
    constructor raises BackendUnavailable or prelude.PreludeError where Lean cannot run.
    """

    max_heartbeats: int = 2000
    memory_mb: int = 4096
    max_batch: int = 64
    start_seconds: float = dataclasses.field(default=START_SECONDS, init=False)
    name: str = dataclasses.field(default="embedded", init=False)
    prelude: Path = dataclasses.field(default_factory=prelude.ensure_prelude)

    def __post_init__(self) -> None:
        if self.memory_mb < 3072:
            raise ValueError(
                f"memory_mb must be at least 3072, the address space that Lean needs"
                f" to start, got {self.memory_mb}"
            )

    @property
    def version(self) -> str:
        return prelude.prelude_version()

    @property
    def limits(self) -> str:
        return f"heartbeats={self.max_heartbeats} memory={self.memory_mb}"

    @property
    def environment(self) -> Mapping[str, str]:
        return process.lean_environment(self.prelude)

    def missing(self, imports: tuple[str, ...]) -> str | None:
        unknown = [module for module in imports if module not in IMPORTS]
        if not unknown:
            return _problem(self.prelude, self.memory_mb)
        return (
            f"the embedded Lean has no {', '.join(unknown)}: its library holds less"
            " than Lean's core (theorems over Mathlib need a backend with a toolchain)"
        )

    def pool(self, theorem: Theorem) -> Hashable:
        return theorem.context

    def worker(self) -> "EmbeddedWorker":
        return EmbeddedWorker(self)

    def declarations(self, imports: tuple[str, ...]) -> Iterator[Declaration]:
        return library_declarations(self.prelude)

    # A check uses the first two of these methods, kernel replay all three.

    def top(self, imports: tuple[str, ...]) -> str:
        return "prelude\nimport FdPrelude\n\n"

    def compiler(self, cpu_seconds: int, module: str = "") -> list[str]:
        lean = [
            "--stdin",
            "--json",
            "-j1",
            "-s8192",  # one thread and small stacks: see RLIMIT_AS in sandbox_child.py
            f"-M{self.memory_mb * 3 // 4}",
            "-DmaxErrors=0",  # at the default of 100 the rest of a batch would be silent
            "-DElab.async=false",
            "-DautoImplicit=false",
            f"-DmaxHeartbeats={self.max_heartbeats}",
            *(["-o", module] if module else []),
        ]
        program = ["lean", process.shared_library(), *lean]
        folder = os.path.dirname(module)
        return self._command(cpu_seconds, self._readable, *program, writable=folder)

    def replayer(self, cpu_seconds: int, module: str) -> list[str]:
        child = os.path.abspath(replay_child.__file__)
        python = [os.path.realpath(sys.executable), "-I", "-S"]
        program = ["run", *python, child, process.shared_library(), Path(module).stem]
        folder = os.path.dirname(module)
        return self._command(cpu_seconds, [*self._readable, child], *program, scratch=folder)

    def _command(self, cpu_seconds: int, readable: list[str], *program: str, **folder) -> list[str]:
        return sandbox.command(self.memory_mb << 20, cpu_seconds, readable, *program, **folder)

    @property
    def _readable(self) -> list[str]:
        return [os.path.dirname(process.shared_library()), os.fspath(self.prelude)]


@functools.lru_cache(1)  # a reason to fail is kept for as long as the program runs, too
def _problem(library: Path, memory_mb: int) -> str | None:
    """Why nothing can be checked with this library (a file of it is damaged, say), or None."""
    theorem = Theorem("start", "start", ": True")
    # a backend of its own: the check is of the library, and one for all backends that use it
    worker = EmbeddedWorker(EmbeddedBackend(memory_mb=memory_mb, prelude=library))
    try:
        [verdict] = worker.check([(theorem, Candidate("True.intro"))], START_SECONDS)
    except RuntimeError as error:
        return str(error)
    if verdict and verdict.proved:
        return None
    text = verdict.messages[-1].text if verdict and verdict.messages else "it gives no report"
    return f"the embedded Lean does not work with its library, {library}: {text}"


class EmbeddedWorker:
    def __init__(self, backend: EmbeddedBackend):
        self._backend = backend
        self.processes = Processes()

    def check(self, batch: Sequence[Pair], timeout: float) -> list[Verdict | None]:
        backend = self._backend
        file = BatchFile(batch, backend.top(()), backend.max_heartbeats, backend.name)
        compiler = backend.compiler(cpu_seconds(len(batch), timeout, backend.start_seconds))
        try:
            with self.processes.started(compiler, backend.environment) as child:
                ending = run(child, file.text, file.read, timeout, backend.start_seconds)
        except sandbox.NotStarted as error:  # the farm tries again: it may be short of memory
            raise RuntimeError(str(process.unavailable(str(error)))) from None
        return file.verdicts(ending)

    def close(self) -> None:
        self.processes.close()
