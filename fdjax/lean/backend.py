"""What the farm asks of a Lean: the protocol of its backends, and the rules all of them share.

A backend only runs Lean on a batch and says what it saw; isolation of what goes wrong, second
tries, caching and futures are the farm's.
"""

from collections.abc import Hashable, Sequence
from typing import Protocol

from fdjax.types import Candidate, Theorem, Verdict

# A proof may rest on these and on no others: a whitelist, because an axiom can have any name.
AXIOMS = frozenset({"propext", "Classical.choice", "Quot.sound"})

Submission = tuple[Theorem, Candidate]  # the candidate has passed the audit


class BackendUnavailable(RuntimeError):
    """The backend itself is gone, so that no candidate can be judged: whoever waits is told."""


class Worker(Protocol):
    """One Lean, driven by one thread of the farm. It may keep a process between batches."""

    def check(self, batch: Sequence[Submission], timeout: float) -> list[Verdict | None]:
        """One answer per candidate of one pool, in order.

        `proved` and `failed` only on positive evidence for exactly that candidate; `timeout` (more
        than `timeout` seconds) and `crashed` for the candidate that Lean was at when it had to be
        killed or died; None where nothing is known. Whatever a candidate does, this returns; it
        raises Lost where that is no candidate's doing.
        """
        ...

    def close(self) -> None:
        """Kills what runs. Called from any thread, also during `check`, which then ends soon."""
        ...


class Backend(Protocol):
    name: str
    version: str  # changes with whatever could change a verdict: Lean, its libraries
    limits: str  # heartbeats, memory: part of every cache key, as name and version are
    max_heartbeats: int  # thousands, per declaration; a candidate may ask for less
    max_batch: int  # candidates to one `check`

    def missing(self, imports: tuple[str, ...]) -> str | None:
        """Why theorems with these imports cannot be checked here, or None: an error at start-up,
        never a reward of zero."""
        ...

    def pool(self, theorem: Theorem) -> Hashable:
        """Candidates may share a batch if this is equal."""
        ...

    def worker(self) -> Worker: ...
