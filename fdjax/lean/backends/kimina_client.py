"""The connection to a Kimina Lean Server: a file of Lean in, Lean's messages out.

A server that is busy is waited for without end. One that is away, or that cannot start its Lean, is
tried again for a while. What remains is about the file: it has no messages, and so no verdict.
"""

import contextlib
import json
import math
import os
import random
import socket
import ssl
import threading
import time
import uuid
from typing import Literal, NamedTuple

from fdjax.lean import evidence
from fdjax.lean.backend import BackendUnavailable
from fdjax.runtime.metrics import console
from fdjax.types import Status

try:
    import httpx
except ImportError:  # reported when a backend is constructed
    httpx = None

START_SECONDS = 300  # for the server to import Mathlib
CONNECT_SECONDS = 10.0
QUEUE_SECONDS = 90.0  # for an answer beyond Lean's time, which the server limits itself
MAX_ANSWER = 32 << 20  # bytes
MAX_FAILURES = 3  # of the server at one file, which may be their cause
MAX_PAUSE, MAX_BUSY_PAUSE = 30.0, 2.0  # seconds between two requests
TELL_SECONDS = 10.0  # without an answer; then the console says so
KEYS = ("LEAN_SERVER_API_KEY", "KIMINA_API_KEY")  # environment variables; a config holds no key

# Why a request may succeed when it is sent again. "overdue": it took longer than the server's limit
# on a request, which takes in its queue and the imports; "slow": its imports took all its time.
_Kind = Literal["away", "no Lean", "busy", "overdue", "slow", "failed"]
_STATUSES: dict[int, _Kind] = dict.fromkeys((408, 425, 429, 499), "busy")  # 499: "client has left"
_STATUSES |= {502: "away", 503: "away", 504: "overdue"}
# In an answer with HTTP status 200: what happened before Lean saw anything of the file.
_BEFORE_LEAN: dict[str, _Kind] = {
    "No available REPLs": "busy",
    "waiting for a REPL": "busy",
    "Failed to get REPL": "no Lean",
    "Failed to get replacement REPL": "no Lean",
    "REPL prep failed": "no Lean",
}


class Answer(NamedTuple):
    messages: list[dict]  # as `lean --json` prints them
    seconds: float | None  # of Lean, if the server reports them


class NoAnswer(Exception):
    """The server has no messages of Lean about this file. `status`: of its candidate."""

    def __init__(self, status: Status, reason: str):
        super().__init__(reason)
        self.status = status


class Unreachable(BackendUnavailable):
    """Nothing has answered for as long as the server may be away."""


class _Again(Exception):
    def __init__(self, kind: _Kind, reason: str):
        super().__init__(reason)
        self.kind = kind


class Outage:
    """Tells the console of a server from which no connection of a backend gets an answer."""

    def __init__(self, url: str):
        self._url = url
        self._lock = threading.Lock()
        self._since: float | None = None  # when the first request without an answer began
        self._told = False

    def note(self, began: float, reason: object) -> None:
        """A request that began then got no answer."""
        with self._lock:
            self._since = min(self._since or began, began)
            seconds = time.monotonic() - self._since
            if self._told or seconds < TELL_SECONDS:
                return
            self._told = True
        self._print(f"{reason} (for {seconds:.0f} s; it is tried again)")

    def end(self) -> None:
        with self._lock:
            told, since, self._told, self._since = self._told, self._since, False, None
        if told:
            self._print(f"answers again, after {time.monotonic() - since:.0f} s")

    def _print(self, text: str) -> None:
        console.print(f"the Lean server at {self._url} {text}", markup=False)


class Client:
    """A connection to the server, for one thread; any thread may call `close`."""

    def __init__(self, url: str, patience: float, outage: Outage):
        self._url, self._patience, self._outage = url, patience, outage
        # as the standard library: the system's certificates, no proxy and no .netrc
        self._http = httpx.Client(verify=ssl.create_default_context(), trust_env=False)
        self._socket: socket.socket | None = None
        self._closed = threading.Event()

    def close(self) -> None:
        """Ends a request that another thread waits for."""
        self._closed.set()
        if self._socket:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def check(self, imports: str, text: str, timeout: float, reuse: bool = True) -> Answer:
        """Lean's messages about a file: its lines of imports, and what follows them. `timeout`:
        seconds of Lean for what follows. `reuse`: may a Lean answer that has answered before?

        A response that was read whole decides: only a request that got none, or that the server
        reports it did not run, is sent again. Raises NoAnswer; Unreachable for a server that was
        away for `patience` seconds; BackendUnavailable for one that could not start Lean for so
        long, that is no Kimina server, or that refuses our key.
        """
        allowed = limit = math.ceil(timeout)
        failures, pause, down_since = 0, 0.0, None  # no pause at first: it closes idle connections
        while not self._closed.is_set():
            began = time.monotonic()
            try:
                answer = self._ask(imports + text, allowed, reuse)
                if (answer.seconds or 0) > limit:
                    reason = f"Lean took {answer.seconds:.1f} seconds, more than {timeout:g}"
                    raise NoAnswer("timeout", reason)
            except _Again as error:
                again = error
            except NoAnswer:
                self._outage.end()
                raise
            else:
                self._outage.end()
                return answer
            if again.kind in ("slow", "failed"):
                failures += 1
                if failures == MAX_FAILURES or (again.kind == "slow" and limit >= START_SECONDS):
                    raise NoAnswer("crashed", f"the Lean server {again}")
            else:
                self._outage.note(began, again)
            if again.kind in ("away", "no Lean"):
                down_since = down_since or began
                if time.monotonic() - down_since >= self._patience:
                    kind = Unreachable if again.kind == "away" else BackendUnavailable
                    raise kind(f"the Lean server at {self._url} {again}")
            else:
                down_since = None
            overdue = again.kind == "overdue" and time.monotonic() - began >= allowed
            if overdue and allowed >= START_SECONDS:  # this file, or a queue without end
                raise NoAnswer("timeout", f"the Lean server {again}")
            if overdue:
                allowed = min(2 * allowed, START_SECONDS)
            if overdue or again.kind == "slow":
                # then a Lean holds the imports, and they take nothing of this file's time
                self.check(imports, evidence.STARTED, START_SECONDS)
            longest = MAX_PAUSE if down_since else MAX_BUSY_PAUSE
            self._closed.wait(min(pause, longest) * random.uniform(0.5, 1.0))
            pause = max(0.5, 2 * pause)
        raise NoAnswer("crashed", "the client has been closed")

    def _ask(self, code: str, allowed: int, reuse: bool) -> Answer:
        """One request. Raises _Again, NoAnswer or BackendUnavailable."""
        name = uuid.uuid4().hex
        began = time.monotonic()
        try:
            status, body = self._post(name, code, allowed, reuse)
        except httpx.HTTPError as error:
            raise _Again("away", f"does not answer: {type(error).__name__}: {error}") from None
        start = body[:300].decode(errors="replace")
        reason = f"HTTP {status} {start}"
        if status == 200:
            return _read_answer(body, name, too_soon=time.monotonic() - began < 0.9 * allowed)
        if kind := _STATUSES.get(status):
            does = "does not answer" if kind == "away" else "is busy"
            raise _Again(kind, f"{does}: {reason}")
        if status >= 500:
            raise _Again("failed", f"failed: {reason}")
        if status in (400, 413, 422):
            raise NoAnswer("crashed", f"the Lean server does not take this file: {reason}")
        if status in (401, 403):
            ours = "refuses our key" if _key() else "requires a key"
            raise BackendUnavailable(
                f"the Lean server at {self._url} {ours}: {reason}\n"
                f"  Give its key in the environment, as {KEYS[0]}."
            )
        raise BackendUnavailable(
            f"what answers at {self._url} is no Kimina Lean Server: {reason}\n"
            "  Name one in the option `url`."
        )

    def _post(self, name: str, code: str, allowed: int, reuse: bool) -> tuple[int, bytes]:
        """HTTP status and body of one response, which is read to its end and closed. Raises
        httpx.HTTPError if there is none; NoAnswer for a body of more than MAX_ANSWER bytes."""
        request = {
            "snippets": [{"id": name, "code": code}],
            "timeout": allowed,
            "reuse": reuse,
            "debug": False,
        }
        # not compressed: MAX_ANSWER bounds what is read
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if key := _key():
            # Kimina's own client sends the first; some versions of the server read the second
            headers |= {"Authorization": f"Bearer {key}", "X-Auth-Token": key}
        seconds = QUEUE_SECONDS + 2 * allowed
        deadline = time.monotonic() + seconds
        body = bytearray()
        with self._http.stream(
            "POST",
            self._url.rstrip("/") + "/api/check",
            json=request,
            headers=headers,
            timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS),
            extensions={"trace": self._trace},
        ) as response:
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > MAX_ANSWER:
                    reason = f"the Lean server's answer is longer than {MAX_ANSWER:,} bytes"
                    raise NoAnswer("crashed", reason)
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer takes too long")
        return response.status_code, bytes(body)

    def _trace(self, event: str, info: dict) -> None:
        """Keeps the socket of each new connection: closing an httpx.Client would not wake the
        thread that reads from it."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = info["return_value"].get_extra_info("socket")
            if self._closed.is_set():
                self.close()


def _key() -> str:
    return next(filter(None, (os.environ.get(name, "").strip() for name in KEYS)), "")


def _read_answer(body: bytes, name: str, too_soon: bool) -> Answer:
    """The answer to the request `name`. `too_soon`: for Lean to have run out of time. Raises _Again
    or NoAnswer."""
    try:
        answer = json.loads(body)
        results = answer["results"]
    except (ValueError, RecursionError, KeyError, TypeError):  # the page of a proxy, say
        start = body[:300].decode(errors="replace")
        raise _Again("failed", f"failed: no results in JSON, but {start!r}") from None
    try:
        [result] = results
        if result["id"] != name:
            raise ValueError("the answer to another request")
        if error := result.get("error"):
            raise _failure(str(error), too_soon)
        response = result["response"]
        if "env" not in response and "message" in response:
            raise NoAnswer("crashed", f"the Lean server: {response['message']}")
        messages = [evidence.from_repl(message) for message in response.get("messages") or ()]
        seconds = result.get("time")
        good = isinstance(seconds, int | float) and 0 <= seconds < math.inf
        return Answer(messages, float(seconds) if good else None)
    except (KeyError, TypeError, ValueError, AttributeError):
        start = str(answer)[:300]
        raise NoAnswer("crashed", f"no answer in the Lean server's form: {start}") from None


def _failure(error: str, too_soon: bool) -> Exception:
    """What the server's `error` in place of a response means."""
    for text, kind in _BEFORE_LEAN.items():
        if text in error:
            does = "is busy" if kind == "busy" else "cannot start Lean"
            return _Again(kind, f"{does}: {error}")
    if "timed out" not in error:
        return NoAnswer("crashed", f"the Lean server: {error}")
    if "header" not in error:
        return NoAnswer("timeout", error)
    if too_soon:  # it says so, too, when its Lean dies at the imports
        reason = "cannot start Lean: its REPL ends before it has imported what the file needs"
        return _Again("no Lean", f"{reason}. Is LEAN_SERVER_MAX_REPL_MEM too little? ({error})")
    return _Again("slow", f"takes too long for the imports: {error}")
