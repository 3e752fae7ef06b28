"""What Lean said of one candidate proof."""

import dataclasses
from typing import Any, Literal, get_args

Status = Literal["proved", "failed", "rejected", "timeout", "crashed"]

# Only these say something about the proof itself; the others say that we could not find out.
DECIDED = frozenset({"proved", "failed", "rejected"})
REFUSED = DECIDED - {"proved"}

REPLAY = "replay"  # the kind of the message that Lean's kernel refuses a proof on replay


@dataclasses.dataclass(frozen=True)
class Message:
    """One message of Lean's (or of the audit), placed in the candidate's own proof text."""

    severity: Literal["error", "warning", "information"]
    text: str
    kind: str = ""  # Lean's own tag: "hasSorry", "Tactic.unsolvedGoals", ... or "audit"
    start: int | None = None  # offsets into the proof text, in characters;
    end: int | None = None  # None where the message is not about a place in it

    @property
    def place(self) -> int | None:
        """Where the text goes wrong. A goal that stays open is reported at the tactics that were to
        close it: what is wrong is that they end."""
        return self.end if self.kind == "Tactic.unsolvedGoals" else self.start


@dataclasses.dataclass(frozen=True)
class Verdict:
    """`proved` needs positive evidence for exactly this theorem; silence is never success."""

    status: Status
    messages: tuple[Message, ...] = ()
    axioms: tuple[str, ...] = ()
    seconds: float = 0.0  # wall time of Lean attributed to this candidate
    backend: str = ""
    from_cache: bool = False

    @property
    def proved(self) -> bool:
        return self.status == "proved"

    @property
    def refused_on_replay(self) -> bool:
        return any(m.kind == REPLAY for m in self.messages)

    @property
    def first_error(self) -> Message | None:
        """The one at which the proof text goes wrong first (those without a place come last)."""
        errors = [m for m in self.messages if m.severity == "error"]
        return min(errors, key=lambda m: (m.place is None, m.place or 0), default=None)


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """A dict for `json.dumps`; `verdict_from_json` gives the verdict back."""
    return dataclasses.asdict(verdict)


def verdict_from_json(data: dict[str, Any]) -> Verdict:
    """Raises ValueError, KeyError or TypeError if `data` is not what `verdict_to_json` wrote."""
    if data["status"] not in get_args(Status):
        raise ValueError(f"unknown status {data['status']!r}")
    messages = tuple(Message(**message) for message in data["messages"])
    return Verdict(**data | {"messages": messages, "axioms": tuple(data["axioms"])})
