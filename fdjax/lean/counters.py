"""What a farm has done, in numbers."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Counters:
    """Since the farm was opened. `seconds_of_lean` is wall time summed over workers."""

    submitted: int = 0
    finished: int = 0
    proved: int = 0
    failed: int = 0
    rejected: int = 0
    timeout: int = 0
    crashed: int = 0
    cache_hits: int = 0
    joined: int = 0  # submitted while the same candidate was being checked
    batches: int = 0
    retries: int = 0  # candidates checked again
    restarts: int = 0  # batches that ended with a dead or killed Lean
    seconds_of_lean: float = 0.0
    seconds_proved: float = 0.0  # as verdicts have them
    seconds_failed: float = 0.0
    seconds_timeout: float = 0.0
    seconds_crashed: float = 0.0
    seconds_open: float = 0.0
    queued: int = 0  # at this moment, with those being checked
    workers: int = 1

    @property
    def per_second(self) -> float:
        return self.finished / self.seconds_open if self.seconds_open else 0.0

    @property
    def utilisation(self) -> float:
        """Of the workers: 1 if each was busy all the time."""
        available = self.workers * self.seconds_open
        return self.seconds_of_lean / available if available else 0.0

    def since(self, before: "Counters") -> "Counters":
        """What has happened since `before`; `queued` and `workers` are as now."""
        now, then = dataclasses.asdict(self), dataclasses.asdict(before)
        same = ("queued", "workers")
        return Counters(**{k: v if k in same else v - then[k] for k, v in now.items()})

    def figures(self) -> dict[str, float]:
        """{"lean/NAME": figure}, as a step's metrics have them."""
        rates = {"per_second": self.per_second, "utilisation": self.utilisation}
        sums = {name: getattr(self, name) for name in _SUMS}
        return {f"lean/{name}": figure for name, figure in (rates | sums).items()}


_SUMS = (
    "queued",
    "finished",
    "cache_hits",
    "restarts",
    "timeout",
    "crashed",
    "seconds_of_lean",
    "seconds_proved",
    "seconds_failed",
    "seconds_timeout",
    "seconds_crashed",
)
