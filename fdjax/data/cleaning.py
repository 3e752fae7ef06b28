"""Training theorems that are met once, and never in an evaluation."""

import collections
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fdjax.data.published import Dropped
from fdjax.data.signatures import statement_key
from fdjax.runtime.files import write_atomically
from fdjax.types import Theorem


def clean(
    theorems: Iterable[Theorem], against: Mapping[str, Iterable[Theorem]]
) -> tuple[list[Theorem], list[Dropped]]:
    """`theorems` without repetitions and without those that a set in `against` (name -> theorems)
    states too, as `statement_key` sees them; and what was dropped. The first of equal ones stays.
    """
    evaluated = {
        statement_key(t): f"also in {name}: {t.id}"
        for name, others in against.items()
        for t in others
    }
    first: dict[str, str] = {}
    kept, dropped = [], []
    for theorem in theorems:
        key = statement_key(theorem)
        if key in evaluated:
            dropped.append(Dropped(theorem.id, evaluated[key]))
        elif key in first:
            dropped.append(Dropped(theorem.id, f"repeats {first[key]}"))
        else:
            first[key] = theorem.id
            kept.append(theorem)
    return kept, dropped


def summary(name: str, kept: Sequence[Theorem], dropped: Sequence[Dropped]) -> str:
    """One line: how many are kept, how many went, and for which kinds of reason."""
    kinds = collections.Counter(map(_kind, dropped))
    told = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
    return f"{name}: {len(kept):,} theorems" + (f", left out: {told}" if told else "")


def write_report(path: str | Path, dropped: Mapping[str, Sequence[Dropped]]) -> None:
    """Split -> [{id, reason}] as JSON."""
    data = {name: [d._asdict() for d in some] for name, some in dropped.items()}
    write_atomically(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def _kind(dropped: Dropped) -> str:
    if dropped.reason.startswith("repeats "):
        return "repeated"
    if dropped.reason.startswith(("also in ", "no proof ", "Lean ")):
        return dropped.reason.split(":")[0]
    return "no theorem"
