"""The declarations of Lean's environments, and their indexes in the user's cache: one for each
environment, built on first use. A toolchain lists its declarations by a Lean program of ours, part
by part; the embedded Lean has its own way.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from fdjax.lean.backend import Backend, BackendUnavailable
from fdjax.lean.search.index import FORMAT, Index, build_index
from fdjax.lean.search.query import Declaration
from fdjax.runtime.files import cache_folder, digest

PARTS = 128  # each answer has to be small enough for a REPL: 300,000 declarations take some 100 MB
MARK = "declarations:\n"  # begins the program's answer
_PROGRAM = Path(__file__).parent / "Declarations.lean"


@runtime_checkable
class Searchable(Protocol):
    """A backend that can list the declarations that theorems with these imports may use."""

    def declarations(self, imports: tuple[str, ...]) -> Iterator[Declaration]:
        """Raises BackendUnavailable."""
        ...


def index_path(backend: Backend, imports: tuple[str, ...]) -> Path:
    """A name that changes with all that the index depends on: the version of a backend changes with
    its toolchain and the manifest of its project."""
    key = digest([FORMAT, backend.name, backend.version, sorted(set(imports))])
    return cache_folder() / "declarations" / f"{backend.name}-{key}.sqlite"


def open_index(
    backend: Backend, imports: tuple[str, ...] = (), note: Callable[[str], None] = lambda text: None
) -> Index:
    """The index of a backend's environment after these imports. Builds it where the cache has none:
    seconds for the embedded library, much longer for a large one. Tells `note` before and after.

    Raises BackendUnavailable if the backend cannot import them or list declarations.
    """
    path = index_path(backend, imports)
    if not path.is_file():
        if reason := backend.missing(imports):
            raise BackendUnavailable(reason)
        if not isinstance(backend, Searchable):
            raise BackendUnavailable(
                f"this backend cannot list the declarations of its environment: run `fdjax lean"
                f" index` on a machine with its toolchain, and copy the file to {path}"
            )
        note(f"indexing the declarations of {' '.join(imports) or 'the library'} in {path}")
        note(f"{build_index(path, backend.declarations(imports)):,} declarations indexed")
    return Index(path)


# --- Of a toolchain ------------------------------------------------------------------------------


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
