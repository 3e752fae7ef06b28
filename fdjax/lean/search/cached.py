"""Indexes in the user's cache: one for each environment of Lean, built on first use."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from fdjax.lean.backend import Backend, BackendUnavailable
from fdjax.lean.search.index import FORMAT, Index, build_index
from fdjax.lean.search.query import Declaration
from fdjax.runtime.files import cache_folder, digest


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
    seconds for the embedded library, up to an hour for Mathlib, and tells `note` before and after.

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
