"""Two runs in one workdir, and what a dead one leaves."""

import errno
import fcntl
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fdjax.runtime.lock import FILE, Lock, WorkdirInUse

HOLDER = """
import sys
from pathlib import Path
from fdjax.runtime.lock import Lock, WorkdirInUse
with Lock(Path(sys.argv[1])) as lock:
    lock.take(make=True)
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_is_refused_until_the_first_is_dead(tmp_path):
    first = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert first.stdout.readline() == "held\n"
        for _ in range(2):  # nor does who is refused let go of it
            holder = f"process {first.pid} on {re.escape(socket.gethostname())}.* {tmp_path}/{FILE}"
            with Lock(tmp_path) as lock, pytest.raises(WorkdirInUse, match=holder):
                lock.take(make=False)
    finally:
        first.kill()  # SIGKILL
        first.communicate()
    with Lock(tmp_path) as lock:
        lock.take(make=False)
        lock.take(make=True)
        assert (tmp_path / FILE).read_text().startswith(f"process {os.getpid()} on ")
        with Lock(tmp_path) as second, pytest.raises(WorkdirInUse, match=f"process {os.getpid()}"):
            second.take(make=True)
    with Lock(tmp_path) as lock:
        lock.take(make=True)


def test_a_workdir_that_is_yet_to_be_made_is_left_alone(tmp_path):
    with Lock(tmp_path) as lock:
        lock.take(make=False)
        assert not list(tmp_path.iterdir())


def test_a_file_system_without_locks_is_warned_of_once(tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with Lock(tmp_path) as lock:
        lock.take(make=True)
        lock.take(make=True)
    out = capsys.readouterr().out
    assert out.count("warning") == 1 and f"{tmp_path}/{FILE} cannot be locked (No locks" in out
