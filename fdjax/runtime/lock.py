"""One run at a time in a workdir: two would write to the same files.

The kernel holds the lock and releases it when the process ends, however it ends.
"""

import fcntl
import functools
import os
import socket
from pathlib import Path
from typing import TextIO

from fdjax.runtime import hosts
from fdjax.runtime.metrics import console

FILE = "lock"  # in the workdir; names the process that holds the lock, or held it last


class WorkdirInUse(RuntimeError):
    """Another process has the lock of the workdir."""


class Lock:
    """The lock of a workdir, a context manager. On several hosts the first holds it for all."""

    def __init__(self, workdir: Path):
        self._path = workdir / FILE
        self._file: TextIO | None = None

    def take(self, *, make: bool) -> None:
        """Takes the lock unless it is held already; a missing file is created only if `make`.

        Raises WorkdirInUse naming the process that holds it, OSError. Prints a warning if the file
        system has no locks. To be called on all hosts.
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
            holder = self._file.read().strip() or "a process that has just started"
            raise WorkdirInUse(
                f"another run uses this workdir: {holder}. Wait for its end, stop it, or take "
                f"another --workdir. If its machine is gone, remove {self._path}"
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
