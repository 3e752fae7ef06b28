"""The protocol between the farm and its backends, and the rules that all backends share.

A backend runs Lean on a batch and reports the outcome; the farm does the rest: it isolates what
breaks Lean, retries, caches, and answers futures.
"""

from collections.abc import Hashable, Sequence
from typing import Protocol

from fdjax.types import Candidate, Theorem, Verdict

# A proof may depend on these axioms only: a whitelist, because an axiom can have any name.
AXIOMS = frozenset({"propext", "Classical.choice", "Quot.sound"})

Pair = tuple[Theorem, Candidate]  # in a farm the candidate has passed the audit


class BackendUnavailable(RuntimeError):
    """No candidate can be verified. At the start something is missing, and the message says what to
    do about it; later the backend has failed for good, and the futures that wait hold this."""


class Worker(Protocol):
    """Runs one Lean at a time, for one thread of the farm, and may keep it between batches."""

    def check(self, batch: Sequence[Pair], timeout: float) -> list[Verdict | None]:
        """One verdict per candidate, in order; all candidates are of one pool.

        `proved` and `failed` only on positive evidence for exactly that candidate; `timeout` (more
        than `timeout` seconds) and `crashed` for the candidate that Lean was at when it had to be
        killed or died; None where nothing is known. Returns whatever a candidate does; raises
        BackendUnavailable if the backend has failed for good, which no candidate can cause.
        """
        ...

    def close(self) -> None:
        """Kills what runs. Called from any thread, also during `check`, which then ends soon."""
        ...


class Backend(Protocol):
    name: str
    version: str  # changes with whatever could change a verdict: Lean, its libraries
    limits: str  # heartbeats, memory; name, version and limits are part of every cache key
    max_heartbeats: int  # thousands, per declaration; a candidate may ask for less
    max_batch: int  # candidates to one `check`

    def missing(self, imports: tuple[str, ...]) -> str | None:
        """Why theorems with these imports cannot be checked here, or None. The farm raises it at
        start-up, so that it never becomes a reward of zero."""
        ...

    def pool(self, theorem: Theorem) -> Hashable:
        """Candidates of equal pools may share a batch."""
        ...

    def worker(self) -> Worker: ...
