"""A Lean REPL: a process that answers commands in JSON, and is killed when it is slow or too big.

The protocol of github.com/leanprover-community/repl: one JSON object, then an empty line, in both
directions. lean-interact's own server class does not read what the process writes to stderr, which
blocks one that writes much, nor does it bound the output; so only its preparation is used.
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
from collections.abc import Mapping, Sequence

from fdjax.lean import sandbox as sandbox
from fdjax.lean.evidence import from_repl
from fdjax.types import Status

MAX_OUTPUT = 32 << 20  # bytes of one answer; more is a flood
_WATCH_SECONDS = 0.1  # between two looks at its memory
_END = b"\n\n"
# A confined process ends with the thread that started it; this one ends with our process.
_STARTER = concurrent.futures.ThreadPoolExecutor(1, "lean-starter")


class ReplEnded(Exception):
    """The REPL had to be killed, or died: (status of who was being checked, reason)."""

    @property
    def status(self) -> Status:
        return self.args[0]

    @property
    def reason(self) -> str:
        return self.args[1]


class ReplRefused(ReplEnded):
    """It answered a command with an error of its own, and was killed for it."""


class Repl:
    """One process. `memory_mb` bounds its private memory: what it shares with others, such as
    compiled modules, is not counted. `kill` and `close` may be called from any thread."""

    def __init__(
        self,
        program: str,
        environment: Mapping[str, str],
        folder: str,
        readable: Sequence[str],
        memory_mb: int,
    ):
        self.commands = 0
        self._memory_mb = memory_mb
        self._killed = False
        self._asking = threading.Lock()
        self._said, self._complaint = bytearray(), b""
        # a session of its own: Ctrl-C is for us to handle, and a kill reaches the whole group
        self._child = _STARTER.submit(
            subprocess.Popen,
            sandbox.command(0, 0, readable, "run", program),
            env=environment,
            cwd=folder,
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

    def ask(self, request: dict, timeout: float) -> dict:
        """The answer to one command. Raises ReplEnded; the REPL is dead then."""
        self.commands += 1
        with self._asking:
            try:
                if self._child.stdin.closed:
                    raise ReplEnded("crashed", "the REPL has been closed")
                self._require_silence()
                text = json.dumps(request, ensure_ascii=False).encode()
                answer = json.loads(self._exchange(text + _END, timeout))
                if not isinstance(answer, dict):
                    raise ValueError("no object")
            except ReplEnded:
                self.kill()
                raise
            except (ValueError, RecursionError):
                self.kill()
                raise ReplEnded("crashed", "the REPL answered in no JSON that it should") from None
        return answer

    def memory(self) -> float:
        """Private memory in MB; 0 when it has ended."""
        try:
            if sys.platform == "linux":
                with open(f"/proc/{self.pid}/statm") as file:
                    _, resident, shared, *_ = map(int, file.read().split())
                return (resident - shared) * os.sysconf("SC_PAGE_SIZE") / 2**20
            import psutil

            return psutil.Process(self.pid).memory_info().rss / 2**20
        except Exception:  # of the many ways in which a process can be gone
            return 0.0

    def alive(self) -> bool:
        return not self._killed and self._child.poll() is None

    def kill(self) -> None:
        self._killed = True  # which takes a moment to come true
        if self._child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kills it and frees what it held."""
        self.kill()
        with self._asking:
            for pipe in (self._child.stdin, self._child.stdout, self._child.stderr):
                with contextlib.suppress(OSError):
                    pipe.close()
            self._child.wait()

    def _require_silence(self) -> None:
        """What it was not asked for would pass for the next answer."""
        while chunk := self._child.stdout.read(1 << 16):
            self._said += chunk
            if len(self._said) > MAX_OUTPUT:
                break
        if self._said.strip():
            raise ReplEnded("crashed", "the REPL spoke without being asked")
        self._said.clear()

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
                        with contextlib.suppress(OSError):  # the end of its output will say why
                            request = request[os.write(key.fd, request[: 1 << 16]) :]
                        if not request or not self.alive():
                            selector.unregister(stdin)
                        continue
                    chunk = os.read(key.fd, 1 << 16)
                    if not chunk and key.fileobj is stdout:
                        raise ReplEnded("crashed", self._last_words())
                    elif not chunk:
                        selector.unregister(stderr)
                    elif key.fileobj is stderr:
                        self._complaint = (self._complaint + chunk)[-1000:]
                    else:
                        seen = max(0, len(self._said) - 1)
                        self._said += chunk if self._said else chunk.lstrip()
                        if (end := self._said.find(_END, seen)) >= 0:
                            answer = bytes(self._said[:end])
                            del self._said[:end]
                            return answer
                if len(self._said) > MAX_OUTPUT:
                    raise ReplEnded("crashed", "more output than any proof needs")
                if self.memory() > self._memory_mb:
                    raise ReplEnded("crashed", f"more than {self._memory_mb} MB of memory")

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            self._complaint = (self._complaint + os.read(self._child.stderr.fileno(), 1000))[-1000:]
        try:
            code = self._child.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return "the REPL closed its output"
        ended = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        words = self._complaint.decode(errors="replace").strip()
        return f"the REPL ended with {ended}" + (f": {words}" if words else "")


def answered(repl: Repl, command: dict, timeout: float) -> tuple[int, list[dict]]:
    """(the new environment, messages as `lean --json` prints them). Raises ReplEnded; ReplRefused
    for an answer that has neither."""
    answer = repl.ask(command, timeout)
    try:
        return int(answer["env"]), [from_repl(m) for m in answer.get("messages", ())]
    except (KeyError, TypeError, ValueError, AttributeError):
        repl.kill()
        said = str(answer.get("message", answer))[:500]
        raise ReplRefused("crashed", f"the REPL answered: {said}") from None
