"""Command lines that run Lean, or a program, in a sandbox: see sandbox_child.py."""

import contextlib
import functools
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence

from fdjax.lean import sandbox_child

NOT_LOADED = sandbox_child.NOT_LOADED
# What Linux offers, in the order in which the child takes it on.
PROTECTIONS = {
    "network": "a network of its own, with nothing in it",
    "files": "no file to be seen but Lean's and the system's libraries",
    "user": "a user of its own instead of root",
}


class NotStarted(RuntimeError):
    """The program in the sandbox could not be loaded; the message is the system's."""


def command(
    memory: int,
    cpu_seconds: int,
    readable: Sequence[str],
    *program: str,
    scratch: str = "",
    writable: str = "",
) -> list[str]:
    """The command line of a child with every protection that this system offers.

    `memory`: bytes of address space, `cpu_seconds`: CPU time; 0 means no limit. `readable`: files
    and folders that it may read besides the system's, the same for many children. `scratch`: one
    more folder that it may read. `writable`: a folder in which it may write files, up to a size.
    `program`: "lean", the path of libleanshared and Lean's arguments; or "run", a program and its
    arguments. The system kills the child when the thread that started it ends (on Linux).
    """
    missing = unprotected(tuple(readable))
    protections = [name for name in PROTECTIONS if name not in missing]
    readable = [*readable, *filter(None, [scratch])]
    return command_with(protections, memory, cpu_seconds, readable, *program, writable=writable)


@contextlib.contextmanager
def scratch_folder() -> Iterator[str]:
    """A temporary folder for a child, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="fdjax-lean-") as folder:
        if os.geteuid() == 0:  # the child's user is nobody, or root without capabilities
            os.chown(folder, 0, sandbox_child.NOBODY)
            os.chmod(folder, 0o770)
        yield folder


@functools.cache
def unprotected(readable: tuple[str, ...] = ()) -> dict[str, str]:
    """Protection -> the reason why this system does not offer it to a child that may read
    `readable`. Warns once about what is missing.
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
        listed = "; ".join(f"{PROTECTIONS[name]} ({reason})" for name, reason in missing.items())
        warnings.warn(f"this system does not offer Lean's processes {listed}", stacklevel=2)
    return missing


def command_with(
    protections: Sequence[str],
    memory: int,
    cpu_seconds: int,
    readable: Sequence[str],
    *program: str,
    writable: str = "",
) -> list[str]:
    """As `command`, with these protections; "try" as `program` reports which cannot be had."""
    return [
        *(sys.executable, "-I", "-S", os.path.abspath(sandbox_child.__file__)),
        *(str(os.getpid()), str(memory), str(cpu_seconds)),
        *(",".join(protections), os.pathsep.join(readable), writable),
        *program,
    ]
