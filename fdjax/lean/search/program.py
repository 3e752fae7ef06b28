"""The declarations of a Lean toolchain's environment, listed by a Lean program, part by part."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from fdjax.lean.backend import BackendUnavailable
from fdjax.lean.search.query import Declaration

PARTS = 128  # each answer has to be small enough for a REPL: 300,000 declarations take some 100 MB
MARK = "declarations:\n"  # begins the program's answer
_PROGRAM = Path(__file__).parent / "Declarations.lean"


def program(part: int) -> str:
    """Commands for Lean after its imports, `Lean` among them."""
    text = _PROGRAM.read_text()
    return re.sub(r"\bPART\b", str(part), re.sub(r"\bPARTS\b", str(PARTS), text))


def with_lean(imports: Sequence[str]) -> tuple[str, ...]:
    """`imports`, and what the program itself needs."""
    return (*(imports or ("Init",)), *(["Lean"] if "Lean" not in imports else []))


def listed(run: Callable[[str], Sequence[dict]]) -> Iterator[Declaration]:
    """All declarations. `run` gives Lean's messages about commands, as `lean --json` prints them.

    Raises BackendUnavailable with Lean's error.
    """
    for part in range(PARTS):
        messages = run(program(part))
        texts = [m["data"] for m in messages if m["data"].startswith(MARK)]
        if len(texts) != 1:
            errors = [m["data"] for m in messages if m["severity"] == "error"]
            reason = errors[0] if errors else "it gave no answer"
            raise BackendUnavailable(f"Lean cannot list its declarations: {reason[:1000]}")
        for line in texts[0].removeprefix(MARK).strip("\n").split("\n"):
            if not line:
                continue
            try:
                name, shown, doc = json.loads(line)
            except ValueError as error:
                raise BackendUnavailable(
                    f"Lean's list of declarations has {line[:200]!r}"
                ) from error
            yield Declaration(name, signature(shown, name), doc.strip())


def signature(shown: str, name: str) -> str:
    """What Lean shows of a declaration, on one line, without its name and universes."""
    shown = " ".join(shown.split())
    return re.sub(r"^@?" + re.escape(name) + r"(?:\.\{[^}]*\})?\s*", "", shown)
