"""One run at a time in a workdir: two would write between each other's lines.

The kernel holds the lock: it ends with the process, however that ends, and nothing stale is left.
"""

import fcntl
import functools
import os
import socket
from pathlib import Path
from typing import TextIO

from fdjax.config import ConfigError
from fdjax.runtime import hosts
from fdjax.runtime.metrics import console

FILE = "lock"  # in the workdir; says who holds it, or who was the last to


class Lock:
    """Of a workdir. On several hosts the first one holds it for all. A context manager."""

    def __init__(self, workdir: Path):
        self._path = workdir / FILE
        self._file: TextIO | None = None

    def take(self, *, make: bool) -> None:
        """Unless it is held already; where the workdir has no such file only if `make`.

        Raises ConfigError naming the process that holds it, OSError. A file system that knows no
        locks is warned of. To be called on all hosts.
        """
        hosts.broadcast("lock", functools.partial(self._take, make))

    def _take(self, make: bool) -> None:
        if self._file or not (make or self._path.exists()):
            return
        self._file = self._path.open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read().strip() or "one that has just begun"
            raise ConfigError(
                f"a run is at work there, {holder}. Wait for its end, stop it, or take another "
                f"--workdir. Where its machine is gone and could not let go, remove {self._path}"
            ) from None
        except OSError as error:
            console.print(
                f"[bold]warning[/]: {self._path} cannot be locked ({error.strerror}): nothing "
                "keeps a second run out of this workdir."
            )
        self._file.truncate(0)
        print(f"process {os.getpid()} on {socket.gethostname()}", file=self._file, flush=True)

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, *_) -> None:
        if self._file:
            self._file.close()
