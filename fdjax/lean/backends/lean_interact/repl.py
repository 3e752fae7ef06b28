"""A Lean REPL: a process that answers commands in JSON, and is killed when it is slow or too big.

The protocol of github.com/leanprover-community/repl: one JSON object, then an empty line, in both
directions. The server class of lean-interact never reads the process's stderr, which blocks a
process that writes much, and does not bound its output; so this module replaces it.
"""

import concurrent.futures
import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time

from fdjax.lean import sandbox
from fdjax.lean.backends.lean_interact.toolchain import Installation
from fdjax.lean.evidence import from_repl
from fdjax.types import Status

MAX_OUTPUT = 32 << 20  # bytes of one answer; more is a flood
_WATCH_SECONDS = 0.1  # between two measurements of its memory
_END = b"\n\n"
# A process in the sandbox ends with the thread that started it; this thread lives as long as ours.
_STARTER = concurrent.futures.ThreadPoolExecutor(1, "lean-starter")


class ReplEnded(Exception):
    """The REPL was killed or died. `status`: of the candidate that it was checking."""

    def __init__(self, status: Status, reason: str):
        super().__init__(reason)
        self.status = status


class ReplRefused(ReplEnded):
    """The REPL answered a command with an error of the protocol, and was killed."""


class Repl:
    """One process. `memory_mb` bounds its private memory, which excludes what it shares with
    others, such as compiled modules. Any thread may call `kill` and `close`."""

    def __init__(self, installed: Installation, memory_mb: int):
        self.commands = 0
        self._memory_mb = memory_mb
        self._killed = False
        self._exchanging = threading.Lock()  # held while its pipes are in use
        self._output, self._stderr = bytearray(), b""  # not yet taken; the last of it
        # a session of its own: Ctrl-C reaches only our process, and a kill the whole group
        self._child = _STARTER.submit(
            subprocess.Popen,
            sandbox.command(0, 0, installed.readable, "run", installed.program),
            env=installed.environment,
            cwd=installed.folder,
            bufsize=0,
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ).result()
        for pipe in (self._child.stdin, self._child.stdout, self._child.stderr):
            os.set_blocking(pipe.fileno(), False)

    @property
    def pid(self) -> int:
        return self._child.pid

    def run(self, command: dict, timeout: float) -> tuple[int, list[dict]]:
        """(number of the new environment, messages as `lean --json` prints them). Raises ReplEnded,
        or ReplRefused for an answer without an environment; then the REPL is dead."""
        self.commands += 1
        try:
            with self._exchanging:
                if self._child.stdin.closed:
                    raise ReplEnded("crashed", "the REPL has been closed")
                self._check_no_output()
                text = json.dumps(command, ensure_ascii=False).encode()
                answer = json.loads(self._exchange(text + _END, timeout))
            if not isinstance(answer, dict):
                raise ValueError("no object")
        except ReplEnded:
            self.kill()
            raise
        except (ValueError, RecursionError):
            self.kill()
            raise ReplEnded("crashed", "the REPL's answer is no JSON object") from None
        try:
            return int(answer["env"]), [from_repl(m) for m in answer.get("messages", ())]
        except (KeyError, TypeError, ValueError, AttributeError):
            self.kill()
            message = str(answer.get("message", answer))[:500]
            raise ReplRefused("crashed", f"the REPL answered: {message}") from None

    def memory(self) -> float:
        """Private memory in MB; 0 when the process has ended."""
        try:
            if sys.platform == "linux":
                with open(f"/proc/{self.pid}/statm") as file:
                    _, resident, shared, *_ = map(int, file.read().split())
                return (resident - shared) * os.sysconf("SC_PAGE_SIZE") / 2**20
            import psutil

            return psutil.Process(self.pid).memory_info().rss / 2**20
        except Exception:  # several kinds, where a process has ended
            return 0.0

    def alive(self) -> bool:
        return not self._killed and self._child.poll() is None

    def kill(self) -> None:
        self._killed = True  # the process may need a moment to end
        if self._child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kills the process, waits for its end and closes its pipes."""
        self.kill()
        with self._exchanging:
            for pipe in (self._child.stdin, self._child.stdout, self._child.stderr):
                with contextlib.suppress(OSError):
                    pipe.close()
            self._child.wait()

    def _check_no_output(self) -> None:
        """Raises ReplEnded for output before a request: it would be taken for the answer."""
        while chunk := self._child.stdout.read(1 << 16):
            self._output += chunk
            if len(self._output) > MAX_OUTPUT:
                break
        if self._output.strip():
            raise ReplEnded("crashed", "the REPL gave output without a request")
        self._output.clear()

    def _exchange(self, request: bytes, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        stdin, stdout, stderr = self._child.stdin, self._child.stdout, self._child.stderr
        with selectors.DefaultSelector() as selector:
            selector.register(stdin, selectors.EVENT_WRITE)
            selector.register(stdout, selectors.EVENT_READ)
            selector.register(stderr, selectors.EVENT_READ)
            while True:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise ReplEnded("timeout", f"no result after {timeout:g} seconds")
                for key, _ in selector.select(min(left, _WATCH_SECONDS)):
                    if key.fileobj is stdin:
                        with contextlib.suppress(OSError):  # then its output ends, too
                            request = request[os.write(key.fd, request[: 1 << 16]) :]
                        if not request or not self.alive():
                            selector.unregister(stdin)
                        continue
                    chunk = os.read(key.fd, 1 << 16)
                    if not chunk and key.fileobj is stdout:
                        raise ReplEnded("crashed", self._reason_of_end())
                    elif not chunk:
                        selector.unregister(stderr)
                    elif key.fileobj is stderr:
                        self._stderr = (self._stderr + chunk)[-1000:]
                    else:
                        searched = max(0, len(self._output) - 1)
                        self._output += chunk if self._output else chunk.lstrip()
                        if (end := self._output.find(_END, searched)) >= 0:
                            answer = bytes(self._output[:end])
                            del self._output[:end]
                            return answer
                if len(self._output) > MAX_OUTPUT:
                    raise ReplEnded("crashed", "more output than any proof needs")
                if self.memory() > self._memory_mb:
                    raise ReplEnded("crashed", f"more than {self._memory_mb} MB of memory")

    def _reason_of_end(self) -> str:
        with contextlib.suppress(OSError):
            self._stderr = (self._stderr + os.read(self._child.stderr.fileno(), 1000))[-1000:]
        try:
            code = self._child.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return "the REPL closed its output"
        ended = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        stderr = self._stderr.decode(errors="replace").strip()
        return f"the REPL ended with {ended}" + (f": {stderr}" if stderr else "")
