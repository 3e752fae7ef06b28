"""The kimina backend: a client of a running Kimina Lean Server (github.com/project-numina).

A candidate is a file of its own in a request to the server's route /api/check. What comes back is
judged by our rules: the server has to run Lean, not to know what a proof is.
"""

import contextlib
import dataclasses
import hashlib
import http.client
import json
import math
import os
import random
import socket
import threading
import time
import urllib.parse
import uuid
import warnings
from collections.abc import Hashable, Sequence

from fdjax.lean.backend import BackendUnavailable, Submission
from fdjax.lean.evidence import (
    STARTED,
    CandidateReader,
    context_error,
    from_repl,
    import_lines,
    is_start,
    options,
    render,
    split_context,
)
from fdjax.types import Candidate, Message, Status, Theorem, Verdict

START_SECONDS = 300  # for the server to import Mathlib
QUEUE_SECONDS = 90.0  # to wait for one of its REPLs; after 60 it says that it is busy
MAX_ANSWER = 32 << 20  # bytes
FAILURES = 3  # of the server at one candidate, whose doing that may be
KEYS = ("LEAN_SERVER_API_KEY", "KIMINA_API_KEY")  # in the environment, never in a config
# What the server's Lean is, and what it knows of the project in whose folder it runs: revisions of
# what that depends on, and Lake's traces, which change with all that a module was made of.
WHERE = """\
#eval Lean.versionString
#eval Lean.githash
#eval IO.FS.readFile "lake-manifest.json"
#eval show IO Unit from do
  for folder in System.SearchPath.parse ((← IO.getEnv "LEAN_PATH").getD "") do
    if (← folder.pathExists) then
      for entry in (← folder.readDir) do
        if entry.fileName.endsWith ".trace" then
          IO.println s!"{entry.fileName} {hash (← IO.FS.readFile entry.path)}"
"""


class Unavailable(RuntimeError):
    """There is no Kimina Lean Server that answers us."""


@dataclasses.dataclass(frozen=True)
class KiminaBackend:
    """`url` of the server; `max_heartbeats`: thousands, per declaration. A server that cannot be
    reached is tried again, ever more slowly, for `patience` seconds; then a run ends with Lost.
    A key, if the server wants one, is in the environment (LEAN_SERVER_API_KEY). `environment`: a
    name for what the server has, to be changed with it, where its Lean cannot tell.

    Raises Unavailable when it is made and no server answers.
    """

    url: str = "http://localhost:8000"
    max_heartbeats: int = 400_000
    patience: float = 300.0
    environment: str = ""
    name: str = dataclasses.field(default="kimina", init=False)
    max_batch: int = dataclasses.field(default=1, init=False)
    version: str = dataclasses.field(init=False)  # of Lean, and a digest of what else it tells
    _reasons: dict = dataclasses.field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts = urllib.parse.urlsplit(self.url)
        if "@" in self.url or parts.query:  # and is not repeated here
            raise ValueError(
                "url (lean.kimina.url) holds a user, a password or a key, which would"
                " be written down with the run's config: give it like"
                " http://localhost:8000, and the server's key in the environment, as"
                f" {KEYS[0]}"
            )
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url is {self.url!r}, must be like http://localhost:8000")
        if not self.max_heartbeats > 0:
            raise ValueError(f"max_heartbeats must be positive, got {self.max_heartbeats}")
        object.__setattr__(self, "version", self._find_version())

    @property
    def limits(self) -> str:
        return f"heartbeats={self.max_heartbeats}"

    def missing(self, imports: tuple[str, ...]) -> str | None:
        if imports not in self._reasons:
            try:
                said = self._ask(import_lines(imports) + STARTED, self.patience)
            except BackendUnavailable as lost:  # perhaps not so the next time
                return str(lost)
            # imports that fail leave the server with an environment in which nothing works
            self._reasons[imports] = (
                None
                if any(map(is_start, said))
                else (f"the Lean server at {self.url} cannot import {', '.join(imports) or 'Init'}")
            )
        return self._reasons[imports]

    def pool(self, theorem: Theorem) -> Hashable:
        return None

    def worker(self) -> "KiminaWorker":
        return KiminaWorker(self)

    def _find_version(self) -> str:
        try:
            said = self._ask(WHERE, min(self.patience, 3.0))
        except BackendUnavailable as lost:
            raise Unavailable(
                f"{lost}\n  Start one (`docker run -p 8000:8000 projectnumina/kimina-lean-server`),"
                " or name another in the option `url`."
            ) from lost
        told = [m["data"] for m in said if m["severity"] == "information"]
        if not said or said[0]["severity"] != "information":
            raise Unavailable(f"what answers at {self.url} is no Lean: {str(said)[:200]}")
        named = self.environment
        if len(told) <= 2 and not named:
            named = self.url
            warnings.warn(
                f"the Lean server at {self.url} does not tell what its project is made"
                " of: give it a name in the option `environment`, and another one when"
                " that changes, or verdicts of before will be taken for it",
                stacklevel=4,
            )
        lines = [sorted(text.splitlines()) for text in told]  # folders have no order
        digest = hashlib.sha256(json.dumps([lines, named]).encode()).hexdigest()
        return f"{told[0].strip().strip(chr(34))}-{digest[:16]}"

    def _ask(self, code: str, patience: float) -> list[dict]:
        with contextlib.closing(Client(self.url, patience)) as client:
            try:
                return client.check(code, START_SECONDS)
            except NoAnswer as error:
                raise BackendUnavailable(f"the Lean server at {self.url}: {error.reason}") from None


class KiminaWorker:
    def __init__(self, backend: KiminaBackend):
        self._max_heartbeats = backend.max_heartbeats
        self._client = Client(backend.url, backend.patience)

    def check(self, batch: Sequence[Submission], timeout: float) -> list[Verdict | None]:
        return [self._check(theorem, candidate, timeout) for theorem, candidate in batch]

    def close(self) -> None:
        self._client.close()

    def _check(self, theorem: Theorem, candidate: Candidate, timeout: float) -> Verdict:
        began = time.monotonic()
        context, head = split_context(theorem.context, self._max_heartbeats)
        imports = import_lines(theorem.imports)
        before = f"{imports}{STARTED}\n{options(self._max_heartbeats)}\n{context}\n"
        first = 1 + before.count("\n")
        text, item = render(theorem, candidate, head, first)
        try:
            said = self._client.check(before + text, timeout)
        except NoAnswer as error:
            item.seconds = time.monotonic() - began
            told = Message("error", error.reason, error.status)
            return item.verdict(error.status, [told], "kimina")
        errors = _read(item, said, first, started=1 + imports.count("\n"))
        item.seconds = time.monotonic() - began
        verdict = item.decide(errors, alone=True, backend="kimina")
        if verdict is None:
            told = Message("error", "the Lean server gave no report on this theorem", "crashed")
            verdict = item.verdict("crashed", [*item.messages, told], "kimina")
        return verdict


def _read(item: CandidateReader, said: Sequence[dict], first: int, started: int) -> list[Message]:
    """Tells `item` what Lean said from line `first` on; returns the errors before that.

    Some versions of the server count lines from the end of the imports, others from the file's
    start: the report that was asked for on line `started` says which.
    """
    starts = [m["pos"]["line"] for m in said if is_start(m)]
    if not starts:
        return []
    shift = started - min(starts)
    errors = []
    for message in said:
        places = {
            end: message[end] and message[end] | {"line": message[end]["line"] + shift}
            for end in ("pos", "endPos")
        }
        if places["pos"]["line"] >= first:
            item.read(message | places)
        elif message["severity"] == "error":
            errors.append(context_error(message["data"]))
    return errors


class NoAnswer(Exception):
    """The server could not say what Lean thinks of this file: (status, reason)."""

    @property
    def status(self) -> Status:
        return self.args[0]

    @property
    def reason(self) -> str:
        return self.args[1]


class Client:
    """A connection to the server, for one thread; `close` may be called from any."""

    def __init__(self, url: str, patience: float):
        self._url, self._patience = urllib.parse.urlsplit(url), patience
        https = self._url.scheme == "https"
        connect = http.client.HTTPSConnection if https else http.client.HTTPConnection
        self._connection = connect(self._url.hostname, self._url.port, timeout=10.0)
        self._down_since: float | None = None
        self._closed = threading.Event()

    def close(self) -> None:
        self._closed.set()
        if sock := self._connection.sock:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def check(self, code: str, timeout: float) -> list[dict]:
        """Lean's messages about a file, as `lean --json` prints them. `timeout`: seconds, of Lean.

        Raises NoAnswer; Lost for a server that has not been there for `patience` seconds, or that
        is no Kimina server, or that refuses our key.
        """
        failures, delay = 0, 0.0  # at once the first time: the server closes what is idle
        while not self._closed.is_set():
            name = uuid.uuid4().hex
            try:
                answer = self._post(name, code, timeout)
                self._down_since = None
                return _messages(answer, name)
            except _SlowImport as error:
                if timeout >= START_SECONDS:
                    raise NoAnswer("crashed", f"the Lean server: {error}") from None
                timeout = START_SECONDS  # which the server grants the imports too
                continue
            except _Failed as error:
                failures += 1
                if failures == FAILURES:
                    raise NoAnswer("crashed", f"the Lean server failed: {error}") from None
            except _Passing as error:
                now = time.monotonic()
                self._down_since = self._down_since or now
                if now - self._down_since >= self._patience:
                    raise BackendUnavailable(
                        f"the Lean server at {self._url.geturl()} does not answer: {error}"
                    ) from None
            self._closed.wait(delay * random.uniform(0.5, 1.0))
            delay = min(max(0.5, 2 * delay), 30.0)
        raise NoAnswer("crashed", "the client has been closed")

    def _post(self, name: str, code: str, timeout: float) -> dict:
        request = {
            "snippets": [{"id": name, "code": code}],
            "timeout": math.ceil(timeout),
            "reuse": True,
            "debug": False,
        }
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key := next((os.environ[k] for k in KEYS if os.environ.get(k)), None):
            # the first is what its client sends, the second what some of its versions read
            headers |= {"Authorization": f"Bearer {key}", "X-Auth-Token": key}
        try:
            if self._connection.sock is None:
                self._connection.connect()
            deadline = time.monotonic() + QUEUE_SECONDS + 2 * timeout
            self._connection.sock.settimeout(deadline - time.monotonic())
            self._connection.request(
                "POST",
                self._url.path.rstrip("/") + "/api/check",
                json.dumps(request).encode(),
                headers,
            )
            response = self._connection.getresponse()
            text = bytearray()
            while chunk := response.read1(1 << 16):
                text += chunk
                if len(text) > MAX_ANSWER or time.monotonic() > deadline:
                    raise OSError("the answer is too long, or takes too long")
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise _Passing(f"{type(error).__name__}: {error}") from None
        return _accepted(response.status, bytes(text))


class _Passing(Exception):
    """Perhaps better soon: no connection, or the server is busy."""


class _Failed(Exception):
    """The server failed at this candidate."""


class _SlowImport(Exception):
    """The server gave its time for one file to the imports."""


def _accepted(status: int, text: bytes) -> dict:
    """The answer's object. Raises _Passing, _Failed, NoAnswer or Lost."""
    said = f"HTTP {status} {text[:300].decode(errors='replace')}"
    if status == 200:
        with contextlib.suppress(ValueError, RecursionError):
            answer = json.loads(text)
            if isinstance(answer, dict):
                return answer
        raise _Failed(f"no JSON object: {said}")
    if status in (408, 425, 429, 502, 503, 504):
        raise _Passing(said)
    if status >= 500:
        raise _Failed(said)
    if status in (401, 403):
        raise BackendUnavailable(
            f"the Lean server refuses our key, {KEYS[0]} in the environment: {said}"
        )
    if status in (400, 413, 422):
        raise NoAnswer("crashed", f"the Lean server does not take this file: {said}")
    raise BackendUnavailable(f"this is no Kimina Lean Server: {said}")


def _messages(answer: dict, name: str) -> list[dict]:
    try:
        [result] = answer["results"]
        if result["id"] != name:
            raise ValueError("an answer to something else")
        if error := result.get("error"):
            if "timed out" in error:
                if "header" in error:
                    raise _SlowImport(error)
                raise NoAnswer("timeout", error)
            raise NoAnswer("crashed", f"the Lean server: {error}")
        response = result["response"]
        if "env" not in response and "message" in response:
            raise NoAnswer("crashed", f"the Lean server: {response['message']}")
        return [from_repl(message) for message in response.get("messages") or ()]
    except (KeyError, TypeError, ValueError, AttributeError):
        said = str(answer)[:300]
        raise NoAnswer("crashed", f"no answer in the Lean server's form: {said}") from None
