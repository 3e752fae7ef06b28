"""The backends by name. Each is imported only when it is requested."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from fdjax.lean.backend import Backend

BACKENDS = ("embedded", "lean_interact", "kimina")


def make_backend(name: str, options: Mapping[str, Any] | None = None) -> Backend:
    """The backend of this name; `options` are fields of its class, as in a config's `lean.<name>`.
    Raises ValueError for an unknown name or option, BackendUnavailable (or another RuntimeError)
    where this machine cannot run it."""
    check_options(name, options or {})
    return _backend_class(name)(**(options or {}))


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raises ValueError for an unknown name or option."""
    known = option_names(name)
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(
            f"the Lean backend {name} has no option {unknown[0]!r}: known are {', '.join(known)}"
        )


def option_names(name: str) -> list[str]:
    """The names of a backend's options. Raises ValueError for an unknown backend."""
    return [field.name for field in dataclasses.fields(_backend_class(name)) if field.init]


def _backend_class(name: str) -> type:
    match name:
        case "embedded":
            from fdjax.lean.backends.embedded.backend import EmbeddedBackend

            return EmbeddedBackend
        case "lean_interact":
            from fdjax.lean.backends.lean_interact.backend import LeanInteractBackend

            return LeanInteractBackend
        case "kimina":
            from fdjax.lean.backends.kimina import KiminaBackend

            return KiminaBackend
    raise ValueError(f"unknown Lean backend {name!r}: known are {', '.join(BACKENDS)}")
