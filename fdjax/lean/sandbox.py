"""Command lines for Leans that can do nothing but check proofs: see confined_child.py."""

import contextlib
import functools
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence

from fdjax.lean import sandbox_child as confined_child

NOT_LOADED = confined_child.NOT_LOADED
# What Linux has to offer, in the order in which it is taken on.
PROTECTIONS = {
    "network": "a network of its own, with nothing in it",
    "files": "no file to be seen but Lean's and the system's libraries",
    "user": "a user of its own instead of root",
}


class NotStarted(RuntimeError):
    """The confined program could not be loaded: what the system says."""


def command(
    memory: int,
    cpu_seconds: int,
    readable: Sequence[str],
    *what: str,
    scratch: str = "",
    writable: str = "",
) -> list[str]:
    """The command line of a confined child. `memory`: bytes of address space, 0 for any;
    `cpu_seconds`: 0 for any. `readable`: files and folders that it needs besides the system's,
    the same for many children; `scratch`: a scratch folder that it may read, `writable`: one in
    which it may write files of some size, too.
    `what`: "lean", a libleanshared and arguments, or "run", a program and arguments.

    The child is killed when the thread that started it ends.
    """
    missing = unprotected(tuple(readable))
    taken = [name for name in PROTECTIONS if name not in missing]
    readable = [*readable, *filter(None, [scratch])]
    return command_with(taken, memory, cpu_seconds, readable, *what, writable=writable)


@contextlib.contextmanager
def scratch_folder() -> Iterator[str]:
    """A folder for a child, with all that was written gone at the end."""
    with tempfile.TemporaryDirectory(prefix="fdjax-lean-") as folder:
        if os.geteuid() == 0:  # whose children are nobody, or root without any power
            os.chown(folder, 0, confined_child.NOBODY)
            os.chmod(folder, 0o770)
        yield folder


@functools.cache
def unprotected(readable: tuple[str, ...] = ()) -> dict[str, str]:
    """Protection -> why this system does not offer it to who needs the files and folders
    `readable`. What is missing is told once, by a warning.
    """
    done = subprocess.run(
        command_with(list(PROTECTIONS), 0, 0, readable, "try"), capture_output=True, text=True
    )
    if done.returncode:
        reason = done.stderr.strip() or f"exit code {done.returncode}"
        missing = dict.fromkeys(PROTECTIONS, reason)
    else:
        missing = dict(line.split("\t", 1) for line in done.stdout.splitlines())
    if missing:
        told = "; ".join(f"{PROTECTIONS[name]} ({reason})" for name, reason in missing.items())
        warnings.warn(f"this system does not offer Lean's processes {told}", stacklevel=2)
    return missing


def command_with(
    protections: Sequence[str],
    memory: int,
    cpu_seconds: int,
    readable: Sequence[str],
    *what: str,
    writable: str = "",
) -> list[str]:
    """As `command`, with these protections."""
    return [
        sys.executable,
        "-I",
        "-S",
        os.path.abspath(confined_child.__file__),
        str(os.getpid()),
        str(memory),
        str(cpu_seconds),
        ",".join(protections),
        os.pathsep.join(readable),
        writable,
        *what,
    ]
