"""SIGTERM, as a preempted machine sends it: the training step under way is ended and saved; where
there is none, the run ends at once.
"""

import contextlib
import signal
from collections.abc import Iterator

from fdjax.runtime import hosts


class Preemption:
    """A request to stop, made by `request` (a signal handler) and read by `should_stop`."""

    requested = False
    training = False  # within `after_a_step`: a step is to be ended first

    def request(self, *_) -> None:
        self.requested = True
        if not self.training:
            raise SystemExit("stopped; the same command goes on from here")

    def should_stop(self) -> bool:
        """Was it requested on any host? All get the same answer, between two steps; a request in
        the meantime counts at the next call.
        """
        if any(hosts.allgather("preemption", lambda: self.requested)):
            self.requested = True
            return True
        return False

    @contextlib.contextmanager
    def after_a_step(self) -> Iterator[None]:
        """Within it a request waits for `should_stop`; behind it the run ends."""
        self.training = True
        try:
            yield
        finally:
            self.training = False
        if self.requested:
            self.request()


@contextlib.contextmanager
def on_sigterm() -> Iterator[Preemption]:
    preemption = Preemption()
    before = signal.signal(signal.SIGTERM, preemption.request)
    try:
        yield preemption
    finally:
        signal.signal(signal.SIGTERM, before)
