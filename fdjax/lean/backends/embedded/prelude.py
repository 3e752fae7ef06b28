"""Our Lean library FdPrelude, compiled on first use into the user's cache folder."""

import functools
import hashlib
import importlib.metadata
import shutil
import subprocess
import tempfile
from pathlib import Path

from fdjax.lean.backends.embedded import process
from fdjax.runtime.files import cache_folder

_SOURCES = Path(__file__).parent
# In the order in which they import each other; a file of candidates imports FdPrelude, the last.
MODULES = (
    "FdCore",
    "FdBorrowed",
    "FdLogic",
    "FdProp",
    "FdRecursion",
    "FdDecide",
    "FdNat",
    "FdArith",
    "FdPrelude",
)


class PreludeError(RuntimeError):
    """FdPrelude did not compile; the message holds Lean's output."""


@functools.cache
def prelude_version() -> str:
    """Changes with the text of the library and with the wheel; part of every verdict's cache key.
    Raises BackendUnavailable where the wheel is not installed.
    """
    process.shared_library()
    wheel = importlib.metadata.version(process.WHEEL)
    digest = hashlib.sha256(wheel.encode())
    for module in MODULES:
        text = (_SOURCES / f"{module}.lean").read_bytes()
        digest.update(f"\0{module} {len(text)}\0".encode() + text)
    return f"{process.WHEEL}-{wheel}-{digest.hexdigest()[:16]}"


def ensure_prelude() -> Path:
    """The folder for LEAN_PATH; compiles the library (seconds) where the cache does not hold it.

    Safe when many processes start at once: each compiles into a folder of its own, and the first
    to finish gives it its final name. Raises PreludeError or BackendUnavailable.
    """
    folder = cache_folder() / "lean" / prelude_version()
    if folder.is_dir():
        return folder
    process.lean_version()  # raises with the reason where this machine cannot load Lean
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _compile(scratch)
        scratch.chmod(0o755)
        try:
            scratch.rename(folder)
        except OSError:
            if not folder.is_dir():  # if it is, another process was first
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _compile(folder: Path) -> None:
    """Compiles all modules into `folder`. Raises PreludeError with Lean's messages."""
    for module in MODULES:
        target = folder / f"{module}.olean"
        # Lean names the module after the file's path below the working directory
        done = subprocess.run(
            process.lean_argv("-o", str(target.absolute()), f"{module}.lean"),
            cwd=_SOURCES,
            env=process.lean_environment(folder.absolute()),
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        # lean writes no file after an error, and can also die without a message
        if done.returncode or not target.is_file():
            output = "\n".join(done.stdout.splitlines()[:40])
            raise PreludeError(f"{module} did not compile (exit code {done.returncode}):\n{output}")
