"""The declarations of the embedded library, for an index to search: names and docstrings from its
compiled modules, what they state from a Lean program of `#check`s."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from fdjax.lean.backend import BackendUnavailable
from fdjax.lean.backends.embedded import names_child, process
from fdjax.lean.backends.embedded.prelude import MODULES
from fdjax.lean.search.declarations import signature
from fdjax.lean.search.query import Declaration

_BORROWED = "FdBorrowed"  # binds Lean's own notation and tactics: nothing that a proof would use
_PLAIN = re.compile(r"[^\W\d_][\w'!?]*")
_SECONDS = 120.0
# What Lean derives from other declarations, and no proof names.
_DERIVED = re.compile(
    r"_.*|(?:match|proof|eq)_[\d_]+|recOn|casesOn|[bi]?below|b?(?:induct|rec)[oO]n"
    r"|noConfusion(?:Type)?|(?:to)?[cC]torIdx|ctorElim(?:Type)?|sizeOf_spec"
)


def library_declarations(library: Path) -> Iterator[Declaration]:
    """All that a proof may use. Raises BackendUnavailable."""
    docs = _names(library)
    top = "prelude\nimport FdPrelude\n"
    program = top + "".join(f"#check {name}\n" for name in docs)
    lean = process.lean_argv("--stdin", "--json", "-j1", "-DmaxErrors=0", "-DElab.async=false")
    names, first = list(docs), top.count("\n") + 1
    # Lean ends with 1 where it has an error: `#check` refuses a name that is also a keyword
    for line in _run(lean, library, program, ends=(0, 1)).splitlines():
        message = json.loads(line)
        if message["severity"] == "information":
            name = names[message["pos"]["line"] - first]
            yield Declaration(name, signature(message["data"], name), docs[name])


def _names(library: Path) -> dict[str, str]:
    """Names as Lean reads them, with their docstrings."""
    files = [os.fspath(library / f"{module}.olean") for module in MODULES if module != _BORROWED]
    child = os.path.abspath(names_child.__file__)
    command = [sys.executable, "-I", "-S", child, process.shared_library(), *files]
    found = {}
    for line in _run(command, library).splitlines():
        parts, doc = json.loads(line)
        if not any(_is_internal(part) for part in parts) and parts[0] != "Lean":
            quoted = (part if _PLAIN.fullmatch(part) else f"«{part}»" for part in parts)
            found[".".join(quoted)] = doc.strip()
    return found


def _is_internal(part: str | int) -> bool:
    return isinstance(part, int) or bool(_DERIVED.fullmatch(part))


def _run(command: list[str], library: Path, text: str = "", ends: Sequence[int] = (0,)) -> str:
    """What a program prints that ends with one of the codes `ends`: of another the list would be a
    part of the whole. Raises BackendUnavailable."""
    try:
        done = subprocess.run(
            command,
            env=process.lean_environment(library),
            input=text,
            encoding="utf-8",
            capture_output=True,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise BackendUnavailable(f"no list of declarations after {_SECONDS:g} seconds") from error
    if done.returncode not in ends or not done.stdout:
        problem = done.stderr[-1000:] or f"the program ended with {done.returncode}"
        raise BackendUnavailable(f"no list of declarations: {problem}")
    return done.stdout
