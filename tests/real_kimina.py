"""A real Kimina Lean Server (PyPI: kimina-ast-server) for tests, with the project's REPL in place
of Lean's. As a program: `real_kimina.py`, in a Python that has the server; it reads the server's
own variables.

What it takes to start without Docker: FastAPI before it refused unknown options (the extra
`kimina-test`), Prisma without the engine that it would fetch (no database is used), and before
Python 3.12 the TypedDict that pydantic asks for. Its REPLs are started as `lake env REPL`, get an
`#eval 1` before each use but the first, and are limited in address space, of which Lean takes 3 GB.
"""

import contextlib
import importlib.metadata
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

VARIABLE = "FDJAX_TEST_KIMINA"  # names a Python with the server, if ours has none


def python() -> str | None:
    """The Python that has the server."""
    if named := os.environ.get(VARIABLE):
        return named
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("kimina-ast-server")
        return sys.executable
    return None


@contextlib.contextmanager
def serving(folder: Path, **settings):
    """The URL of a server on a free port. `folder`: where lean_repl.toolchain was made. `settings`:
    of the server, in lower case."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    project = folder / "project"
    project.mkdir(exist_ok=True)
    settings = {
        "host": "127.0.0.1",
        "port": port,
        "repl_path": folder / ".lake" / "build" / "bin" / "repl",
        "project_dir": project,
        "skip_validation": 1,
        "max_repls": 2,
        "max_repl_mem": "16G",
        **settings,
    }
    url = f"http://{settings['host']}:{settings['port']}"
    ours = {f"LEAN_SERVER_{name.upper()}": str(value) for name, value in settings.items()}
    inherited = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    with (folder / "server.log").open("w") as log:
        child = subprocess.Popen(
            [python(), "-B", str(Path(__file__).resolve())],
            cwd=project,
            env=inherited | ours | {"PATH": f"{folder}:{os.environ['PATH']}"},
            stdout=log,
            stderr=log,
        )
        try:
            _wait(child, url, folder / "server.log")
            yield url
        finally:
            child.terminate()
            child.wait()


def requests(folder: Path) -> int:
    """How many files the server was asked to check so far."""
    return (folder / "server.log").read_text().count("POST /api/check")


def _wait(child: subprocess.Popen, url: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and child.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"{url}/health", timeout=5).close()
            return
        time.sleep(0.1)
    raise RuntimeError(f"the Kimina server did not start: {log.read_text()[-3000:]}")


if __name__ == "__main__":
    import typing

    import typing_extensions

    typing.TypedDict = typing_extensions.TypedDict
    import prisma

    prisma.Prisma = object
    from server.__main__ import run_server

    run_server()
