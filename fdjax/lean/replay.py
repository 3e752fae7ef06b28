"""A second opinion on proofs that Lean has accepted: its kernel, once more, in another process.

The candidates are compiled into a module, and a program that never sees their text hands every
declaration of that module to the kernel again. What got into Lean's environment without the kernel
(by `debug.skipKernelTC`, by metaprogramming) shows there. Lean's own program for it is
`leanchecker`, before 2026 `lean4checker`.
"""

import dataclasses
import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from fdjax.lean import sandbox as sandbox
from fdjax.lean.backend import Backend, Submission
from fdjax.lean.batch import BatchFile, Ending, Processes, cpu_seconds, run
from fdjax.lean.cache import VerdictCache
from fdjax.lean.evidence import Item
from fdjax.lean.farm import Farm
from fdjax.types import REPLAY, Candidate, Message, Status, Theorem, Verdict

MODULE = "FdReplay"
# What the kernel says of a declaration, unless it came to no end.
_REFUSAL = re.compile(
    r"\(kernel\) (?!deep recursion|deterministic timeout|excessive memory|interrupted)"
)

_TRUE = Theorem("true", "true", ": True"), Candidate("True.intro")
# What a kernel that looks at all refuses, and Lean takes where it is told not to ask the kernel.
_UNCHECKED = (
    Theorem("unchecked", "unchecked", ": (0 : Nat) = 1"),
    Candidate("by set_option debug.skipKernelTC true in decide +kernel"),
)


class Unavailable(RuntimeError):
    """There is nothing that could replay: what is missing, and what to do about it."""


@runtime_checkable
class Compiler(Protocol):
    """A backend whose Lean can compile a file of candidates, with a program to replay that."""

    name: str
    limits: str
    max_heartbeats: int
    start_seconds: float  # for a process to start, and to import what theorems need
    environment: Mapping[str, str]

    @property
    def version(self) -> str: ...

    def top(self, imports: tuple[str, ...]) -> str:
        """What a file begins with; ends with a newline."""
        ...

    def compiler(self, cpu_seconds: int, module: str = "") -> list[str]:
        """The command that reads a file from its standard input, and compiles it to `module` in a
        folder where nothing else is."""
        ...

    def replayer(self, cpu_seconds: int, module: str) -> list[str]:
        """The command that replays a module, which LEAN_PATH leads to, and ends with 0 if the
        kernel accepts it; else it says what the kernel says."""
        ...


@dataclasses.dataclass(frozen=True)
class ReplayBackend:
    """For a farm of its own, whose `proved` means: compiled, and accepted on replay. It takes what
    another farm has found proved, many candidates to a module.

    Raises Unavailable where `first` cannot replay.
    """

    first: Compiler
    max_batch: int = 64

    def __post_init__(self) -> None:
        if not isinstance(self.first, Compiler):
            raise Unavailable(
                f"the backend {self.first.name} cannot replay proofs: use embedded,"
                " or lean_interact"
            )

    @property
    def name(self) -> str:
        return f"{self.first.name}, replayed"

    @property
    def version(self) -> str:
        return self.first.version

    @property
    def limits(self) -> str:
        return self.first.limits

    @property
    def max_heartbeats(self) -> int:
        return self.first.max_heartbeats

    def missing(self, imports: tuple[str, ...]) -> str | None:
        return None  # the other farm has said so already

    def pool(self, theorem: Theorem) -> Hashable:
        return theorem.context

    def worker(self) -> "ReplayWorker":
        return ReplayWorker(self.first, self.name)

    def try_out(self, timeout: float) -> None:
        """Raises Unavailable unless a proof is accepted, and one refused that only the kernel can
        tell from a proof."""
        worker = self.worker()
        for (theorem, candidate), status in ((_TRUE, "proved"), (_UNCHECKED, "failed")):
            [verdict] = worker.check([(theorem, candidate)], timeout)
            if verdict is None or verdict.status != status:
                raise Unavailable(
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
    """The `second` of a farm over the backend `first`. Raises Unavailable if replay does not work,
    after trying it."""
    backend = ReplayBackend(first)
    backend.try_out(timeout)
    return Farm(backend, workers, timeout, cache, allow_helpers)


class ReplayWorker:
    def __init__(self, compiler: Compiler, name: str):
        self._compiler, self._name = compiler, name
        self._processes = Processes()

    def check(self, batch: Sequence[Submission], timeout: float) -> list[Verdict | None]:
        compiler = self._compiler
        top = compiler.top(batch[0][0].imports)
        file = BatchFile(batch, top, compiler.max_heartbeats, self._name)
        with sandbox.scratch_folder() as folder:
            module = Path(folder) / f"{MODULE}.olean"
            verdicts = file.verdicts(self._compile(file, module, timeout))
            if not all(verdict and verdict.proved for verdict in verdicts):
                # after an error Lean writes no module: of the others nothing is known
                return [None if v is None or v.proved else v for v in verdicts]
            refusal = self._replay(file, module, timeout)
        if refusal is None:
            return verdicts
        return [refusal] if len(batch) == 1 else [None] * len(batch)  # each is asked for alone

    def close(self) -> None:
        self._processes.close()

    def _compile(self, file: BatchFile, module: Path, timeout: float) -> Ending:
        command = self._compiler.compiler(self._cpu_seconds(file, timeout), str(module))
        with self._processes.started(command, self._compiler.environment) as child:
            return run(child, file.text, file.read, timeout, self._compiler.start_seconds)

    def _replay(self, file: BatchFile, module: Path, timeout: float) -> Verdict | None:
        """None if the kernel accepts a module that holds all theorems of `file`."""
        item = file.items[0]
        compiled = module.read_bytes() if module.is_file() else b""
        if not all(item.nonce.encode() in compiled for item in file.items):
            return self._verdict(item, "crashed", "Lean compiled no module with this theorem")
        path = f"{module.parent}:{self._compiler.environment['LEAN_PATH']}"
        command = self._compiler.replayer(self._cpu_seconds(file, timeout), str(module))
        environment = self._compiler.environment | {"LEAN_PATH": path}
        with self._processes.started(command, environment) as child:
            ending = run(
                child, "", lambda _: False, timeout * len(file.items), self._compiler.start_seconds
            )
        if ending.code == 0:
            return None
        if _REFUSAL.search(ending.complaint):
            told = f"the kernel refuses it on replay: {ending.complaint}"
            return self._verdict(item, "failed", told)
        return self._verdict(item, ending.status, f"replay: {ending.told}")

    def _cpu_seconds(self, file: BatchFile, timeout: float) -> int:
        return cpu_seconds(len(file.items), timeout, self._compiler.start_seconds)

    def _verdict(self, item: Item, status: Status, told: str) -> Verdict:
        kind = REPLAY if status == "failed" else status
        message = Message("error", item.readable(told), kind)
        return item.verdict(status, [message], self._name)
