"""A second check of proofs that Lean has accepted, by its kernel in another process.

The candidates are compiled into a module, and a program that never reads their text passes every
declaration of that module to the kernel again. It refuses what entered Lean's environment without
the kernel (by `debug.skipKernelTC`, by metaprogramming). Lean's program for it is `leanchecker`,
before 2026 `lean4checker`.
"""

import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from fdjax.lean import sandbox
from fdjax.lean.backend import Backend, BackendUnavailable, Pair
from fdjax.lean.batch_process import BatchFile, Ending, Processes, cpu_seconds, run
from fdjax.lean.cache import VerdictCache
from fdjax.lean.evidence import CandidateReader
from fdjax.lean.farm import Farm
from fdjax.types import REPLAY, Candidate, Message, Status, Theorem, Verdict

MODULE = "FdReplay"
# The kernel refuses a declaration, as opposed to not finishing with it.
_REFUSAL = re.compile(
    r"\(kernel\) (?!deep recursion|deterministic timeout|excessive memory|interrupted)"
)

_TRUE = Theorem("true", "true", ": True"), Candidate("True.intro")
# Any kernel refuses it; Lean accepts it because the option leaves the kernel out.
_UNCHECKED = (
    Theorem("unchecked", "unchecked", ": (0 : Nat) = 1"),
    Candidate("by set_option debug.skipKernelTC true in decide +kernel"),
)


@runtime_checkable
class Compiler(Protocol):
    """A backend that can compile a file of candidates to a module and replay the module."""

    name: str
    limits: str
    max_heartbeats: int
    start_seconds: float  # for a process to start, and to import what theorems need
    environment: Mapping[str, str]

    @property
    def version(self) -> str: ...

    def top(self, imports: tuple[str, ...]) -> str:
        """The beginning of a file; ends with a newline."""
        ...

    def compiler(self, cpu_seconds: int, module: str = "") -> list[str]:
        """The command that reads a file from its standard input, and compiles it to `module` in an
        otherwise empty folder."""
        ...

    def replayer(self, cpu_seconds: int, module: str) -> list[str]:
        """The command that replays a module on LEAN_PATH: it exits with 0 if the kernel accepts it,
        else it prints the kernel's message on standard error."""
        ...


class ReplayBackend:
    """For a farm that verifies again what another farm has found proved; its `proved` means
    compiled, and accepted on replay. Raises BackendUnavailable if `first` cannot replay.
    """

    def __init__(self, first: Compiler, max_batch: int = 64):
        if not isinstance(first, Compiler):
            raise BackendUnavailable(
                f"the backend {first.name} cannot replay proofs: use embedded, or lean_interact"
            )
        self.first, self.max_batch = first, max_batch
        self.name, self.version, self.limits = (
            f"{first.name}, replayed",
            first.version,
            first.limits,
        )
        self.max_heartbeats = first.max_heartbeats

    def missing(self, imports: tuple[str, ...]) -> str | None:
        return None  # the other farm has checked that

    def pool(self, theorem: Theorem) -> Hashable:
        return theorem.context

    def worker(self) -> "ReplayWorker":
        return ReplayWorker(self.first, self.name)

    def try_out(self, timeout: float) -> None:
        """Raises BackendUnavailable unless a proof is accepted, and a false one refused that only
        the kernel can tell from a proof."""
        worker = self.worker()
        for (theorem, candidate), status in ((_TRUE, "proved"), (_UNCHECKED, "failed")):
            [verdict] = worker.check([(theorem, candidate)], timeout)
            if verdict is None or verdict.status != status:
                raise BackendUnavailable(
                    f"replay does not work: `{theorem.signature} := {candidate.text}` is"
                    f" {verdict and verdict.status}, not {status}: {verdict}"
                )


def replaying_farm(
    first: Backend,
    workers: int | None,
    timeout: float,
    cache: VerdictCache,
    allow_helpers: bool = False,
) -> Farm:
    """The `second` of a farm over the backend `first`. Tries replay out, and raises
    BackendUnavailable if it does not work."""
    backend = ReplayBackend(first)
    backend.try_out(timeout)
    return Farm(backend, workers, timeout, cache, allow_helpers)


class ReplayWorker:
    def __init__(self, compiler: Compiler, name: str):
        self._compiler, self._name = compiler, name
        self._processes = Processes()

    def check(self, batch: Sequence[Pair], timeout: float) -> list[Verdict | None]:
        compiler = self._compiler
        top = compiler.top(batch[0][0].imports)
        file = BatchFile(batch, top, compiler.max_heartbeats, self._name)
        with sandbox.scratch_folder() as folder:
            module = Path(folder) / f"{MODULE}.olean"
            verdicts = file.verdicts(self._compile(file, module, timeout))
            if not all(verdict and verdict.proved for verdict in verdicts):
                # after an error Lean writes no module: the others stay undecided
                return [None if v is None or v.proved else v for v in verdicts]
            refusal = self._replay(file, module, timeout)
        if refusal is None:
            return verdicts
        return [refusal] if len(batch) == 1 else [None] * len(batch)  # each is replayed alone

    def close(self) -> None:
        self._processes.close()

    def _compile(self, file: BatchFile, module: Path, timeout: float) -> Ending:
        command = self._compiler.compiler(self._cpu_seconds(file, timeout), str(module))
        with self._processes.started(command, self._compiler.environment) as child:
            return run(child, file.text, file.read, timeout, self._compiler.start_seconds)

    def _replay(self, file: BatchFile, module: Path, timeout: float) -> Verdict | None:
        """None if the kernel accepts a module that holds all theorems of `file`."""
        first = file.readers[0]
        compiled = module.read_bytes() if module.is_file() else b""
        if not all(reader.nonce.encode() in compiled for reader in file.readers):
            return self._verdict(first, "crashed", "Lean compiled no module with this theorem")
        path = f"{module.parent}:{self._compiler.environment['LEAN_PATH']}"
        command = self._compiler.replayer(self._cpu_seconds(file, timeout), str(module))
        environment = self._compiler.environment | {"LEAN_PATH": path}
        with self._processes.started(command, environment) as child:
            seconds = timeout * len(file.readers)
            ending = run(child, "", lambda _: False, seconds, self._compiler.start_seconds)
        if ending.code == 0:
            return None
        if _REFUSAL.search(ending.stderr):
            message = f"the kernel refuses it on replay: {ending.stderr}"
            return self._verdict(first, "failed", message)
        return self._verdict(first, ending.status, f"replay: {ending.message}")

    def _cpu_seconds(self, file: BatchFile, timeout: float) -> int:
        return cpu_seconds(len(file.readers), timeout, self._compiler.start_seconds)

    def _verdict(self, reader: CandidateReader, status: Status, text: str) -> Verdict:
        kind = REPLAY if status == "failed" else status
        message = Message("error", reader.readable(text), kind)
        return reader.verdict(status, [message], self._name)
