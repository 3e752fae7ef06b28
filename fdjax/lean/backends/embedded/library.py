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
# In the order in which they import each other; problem files say `import FdPrelude`, the last one.
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


class LibraryError(RuntimeError):
    """FdPrelude did not compile: the message holds what Lean said."""


def source_path(module: str) -> Path:
    return _SOURCES / f"{module}.lean"


@functools.cache
def library_version() -> str:
    """Changes with the text of the library and with the wheel; part of every verdict's key.

    Raises process.EmbeddedLeanUnavailable where the wheel is not installed.
    """
    process.shared_library()
    wheel = importlib.metadata.version(process.WHEEL)
    digest = hashlib.sha256(wheel.encode())
    for module in MODULES:
        text = source_path(module).read_bytes()
        digest.update(f"\0{module} {len(text)}\0".encode() + text)
    return f"{process.WHEEL}-{wheel}-{digest.hexdigest()[:16]}"


def ensure_library() -> Path:
    """The folder for LEAN_PATH; compiles the library (seconds) where the cache does not hold it.

    Safe when many processes start at once: each compiles into a folder of its own, and the first
    to finish gives it its final name. Raises LibraryError or process.EmbeddedLeanUnavailable.
    """
    folder = cache_folder() / "lean" / library_version()
    if folder.is_dir():
        return folder
    process.lean_version()  # says clearly why, where this machine cannot load Lean
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        compile_library(scratch)
        scratch.chmod(0o755)
        try:
            scratch.rename(folder)
        except OSError:
            if not folder.is_dir():  # otherwise another process was first
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def compile_library(folder: Path) -> None:
    """Compiles all modules into `folder`. Raises LibraryError with Lean's messages."""
    for module in MODULES:
        target = folder / f"{module}.olean"
        source = source_path(module)
        # Lean names the module after the file's path below the working directory
        done = subprocess.run(
            process.lean_argv("-o", str(target.absolute()), source.name),
            cwd=source.parent,
            env=process.lean_environment(folder.absolute()),
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        # lean writes nothing after an error, and can in principle die without a word
        if done.returncode or not target.is_file():
            said = "\n".join(done.stdout.splitlines()[:40])
            raise LibraryError(f"{module} did not compile (exit code {done.returncode}):\n{said}")
