"""The kimina backend: a client of a running Kimina Lean Server (github.com/project-numina).

Each candidate is a file of its own in one request to the server's route /api/check. The server only
runs Lean: whether its messages make a proof is decided here, by the rules of all backends.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import random
import socket
import ssl
import threading
import time
import uuid
import warnings
from collections.abc import Hashable, Sequence

from fdjax.config import KiminaConfig
from fdjax.lean import evidence
from fdjax.lean.backend import BackendUnavailable, Submission
from fdjax.types import Candidate, Message, Status, Theorem, Verdict

try:
    import httpx
except ImportError:  # reported when a backend is constructed
    httpx = None

DEFAULTS = KiminaConfig()
START_SECONDS = 300  # for the server to import Mathlib
CONNECT_SECONDS = 10.0
QUEUE_SECONDS = 90.0  # to wait for a REPL of the server; it reports that it is busy after 60
MAX_ANSWER = 32 << 20  # bytes
MAX_FAILURES = 3  # of the server at one candidate, which may be their cause
BUSY = (408, 425, 429, 502, 503, 504)  # HTTP statuses after which the same request may succeed
KEYS = ("LEAN_SERVER_API_KEY", "KIMINA_API_KEY")  # environment variables; a config holds no key
# Prints the version of the server's Lean; of the project in its working directory the revisions of
# dependencies, and Lake's traces, which change with all that a module was built from.
DESCRIBE = """\
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


@dataclasses.dataclass(frozen=True)
class KiminaBackend:
    """`url` of the server; `max_heartbeats`: thousands, per declaration. A server that cannot be
    reached is tried again, at growing intervals, for `patience` seconds; then the run ends with
    BackendUnavailable. A key, if the server requires one, is in the environment
    (LEAN_SERVER_API_KEY). `environment`: a name for what the server has installed, to be changed
    with it, where its Lean cannot report that.

    The constructor raises BackendUnavailable if no server answers.
    """

    url: str = DEFAULTS.url
    max_heartbeats: int = DEFAULTS.max_heartbeats
    patience: float = DEFAULTS.patience
    environment: str = ""
    name: str = dataclasses.field(default="kimina", init=False)
    max_batch: int = dataclasses.field(default=1, init=False)
    version: str = dataclasses.field(init=False)  # of Lean, and a digest of its project
    _reasons: dict = dataclasses.field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if httpx is None:
            raise BackendUnavailable(
                "the Python package httpx is not installed\n"
                "  Install it with `pip install 'fdjax[kimina]'`."
            )
        _check_url(self.url)
        if not self.max_heartbeats > 0:
            raise ValueError(f"max_heartbeats must be positive, got {self.max_heartbeats}")
        object.__setattr__(self, "version", self._find_version())

    @property
    def limits(self) -> str:
        return f"heartbeats={self.max_heartbeats}"

    def missing(self, imports: tuple[str, ...]) -> str | None:
        if imports not in self._reasons:
            try:
                messages = self._run(imports, evidence.STARTED, self.patience)
            except BackendUnavailable as error:  # not kept: the server may come back
                return str(error)
            # after imports that fail the server's environment lacks even `True`
            self._reasons[imports] = (
                None
                if any(map(evidence.is_start, messages))
                else f"the Lean server at {self.url} cannot import {', '.join(imports) or 'Init'}"
            )
        return self._reasons[imports]

    def pool(self, theorem: Theorem) -> Hashable:
        return None

    def worker(self) -> "KiminaWorker":
        return KiminaWorker(self)

    def _find_version(self) -> str:
        try:
            messages = self._run((), DESCRIBE, min(self.patience, 3.0))
        except BackendUnavailable as error:
            raise BackendUnavailable(
                f"{error}\n  Start one (`docker run -p 8000:8000 projectnumina/kimina-lean-server`)"
                ", or name another in the option `url`."
            ) from error
        if not messages or messages[0]["severity"] != "information":
            raise BackendUnavailable(
                f"what answers at {self.url} is no Lean: {str(messages)[:200]}"
            )
        texts = [m["data"] for m in messages if m["severity"] == "information"]
        environment = self.environment
        if len(texts) <= 2 and not environment:
            environment = self.url
            warnings.warn(
                f"the Lean server at {self.url} does not report what its project is built"
                " from: name the project in the option `environment`, and give it another name"
                " when it changes, or verdicts of the old project will be reused",
                stacklevel=4,
            )
        lines = [sorted(text.splitlines()) for text in texts]  # the order in a folder is arbitrary
        digest = hashlib.sha256(json.dumps([lines, environment]).encode()).hexdigest()
        return f"{texts[0].strip().strip(chr(34))}-{digest[:16]}"

    def _run(self, imports: Sequence[str], commands: str, patience: float) -> list[dict]:
        """Lean's messages about trusted commands. Raises BackendUnavailable."""
        client = Client(self.url, patience)
        try:
            return client.check(_header(imports) + commands, START_SECONDS)
        except NoAnswer as error:
            raise BackendUnavailable(f"the Lean server at {self.url}: {error}") from None
        finally:
            client.close()


def _check_url(url: str) -> None:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        parts = httpx.URL()
    if "@" in url or parts.query:  # the message does not repeat it
        raise ValueError(
            "url (lean.kimina.url) holds a user, a password or a key, which would"
            " be written down with the run's config: give it like"
            f" http://localhost:8000, and the server's key in the environment, as {KEYS[0]}"
        )
    if parts.scheme not in ("http", "https") or not parts.host:
        raise ValueError(f"url is {url!r}, must be like http://localhost:8000")


def _header(imports: Sequence[str]) -> str:
    """The imports of a file, never none: the server would keep the environment after a file without
    imports for all later files without imports."""
    return evidence.import_lines(imports or ("Init",))


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
        context, head = evidence.split_context(theorem.context, self._max_heartbeats)
        header = _header(theorem.imports)
        options = evidence.options(self._max_heartbeats)
        before = f"{header}{evidence.STARTED}\n{options}\n{context}\n"
        first = 1 + before.count("\n")
        text, item = evidence.render(theorem, candidate, head, first)
        try:
            messages = self._client.check(before + text, timeout)
        except NoAnswer as error:
            item.seconds = time.monotonic() - began
            message = Message("error", str(error), error.status)
            return item.verdict(error.status, [message], "kimina")
        errors = _read(item, messages, first, started=1 + header.count("\n"))
        item.seconds = time.monotonic() - began
        verdict = item.decide(errors, alone=True, backend="kimina")
        if verdict is None:
            message = Message("error", "the Lean server gave no report on this theorem", "crashed")
            verdict = item.verdict("crashed", [*item.messages, message], "kimina")
        return verdict


def _read(
    item: evidence.CandidateReader, messages: Sequence[dict], first: int, started: int
) -> list[Message]:
    """Gives `item` the messages from line `first` on; returns the errors before that line.

    Some versions of the server count lines from the end of the imports, others from the file's
    start: the report on STARTED, which stands on line `started` of the file, shows which.
    """
    starts = [m["pos"]["line"] for m in messages if evidence.is_start(m)]
    if not starts:
        return []
    shift = started - min(starts)
    errors = []
    for message in messages:
        places = {
            end: message[end] and message[end] | {"line": message[end]["line"] + shift}
            for end in ("pos", "endPos")
        }
        if places["pos"]["line"] >= first:
            item.read(message | places)
        elif message["severity"] == "error":
            errors.append(evidence.context_error(message["data"]))
    return errors


class NoAnswer(Exception):
    """The server has no messages of Lean about this file. `status`: of its candidate."""

    def __init__(self, status: Status, reason: str):
        super().__init__(reason)
        self.status = status


class _SlowImport(NoAnswer):
    """The imports took the whole time for this file."""


class Client:
    """A connection to the server, for one thread; any thread may call `close`."""

    def __init__(self, url: str, patience: float):
        self._url, self._patience = url, patience
        # as the standard library: the system's certificates, no proxy and no .netrc
        self._http = httpx.Client(verify=ssl.create_default_context(), trust_env=False)
        self._socket: socket.socket | None = None
        self._down_since: float | None = None
        self._closed = threading.Event()

    def close(self) -> None:
        """Ends a request that another thread waits for."""
        self._closed.set()
        if self._socket:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def check(self, code: str, timeout: float) -> list[dict]:
        """Lean's messages about a file, as `lean --json` prints them. `timeout`: seconds of Lean.

        A response that was read whole decides: only a request that got none, or that the server
        reports it did not run, is sent again. Raises NoAnswer; BackendUnavailable for a server that
        was away for `patience` seconds, that is no Kimina server, or that refuses our key.
        """
        failures, delay = 0, 0.0  # no delay at first: the server closes idle connections
        while not self._closed.is_set():
            name = uuid.uuid4().hex
            try:
                status, body = self._post(name, code, timeout)
                reason = f"HTTP {status} {body[:300].decode(errors='replace')}"
            except httpx.HTTPError as error:
                status, reason = None, f"{type(error).__name__}: {error}"
            if status == 200:
                self._down_since = None
                try:
                    return _messages(body, name)
                except _SlowImport:
                    if timeout >= START_SECONDS:
                        raise
                timeout = START_SECONDS  # the server applies it to the imports, too
                continue
            if status is None or status in BUSY:
                self._check_patience(reason)
            elif status >= 500:
                failures += 1
                if failures == MAX_FAILURES:
                    raise NoAnswer("crashed", f"the Lean server failed: {reason}")
            elif status in (400, 413, 422):
                raise NoAnswer("crashed", f"the Lean server does not take this file: {reason}")
            elif status in (401, 403):
                raise BackendUnavailable(
                    f"the Lean server refuses our key, {KEYS[0]} in the environment: {reason}"
                )
            else:
                raise BackendUnavailable(f"this is no Kimina Lean Server: {reason}")
            self._closed.wait(delay * random.uniform(0.5, 1.0))
            delay = min(max(0.5, 2 * delay), 30.0)
        raise NoAnswer("crashed", "the client has been closed")

    def _check_patience(self, reason: str) -> None:
        now = time.monotonic()
        self._down_since = self._down_since or now
        if now - self._down_since >= self._patience:
            raise BackendUnavailable(f"the Lean server at {self._url} does not answer: {reason}")

    def _post(self, name: str, code: str, timeout: float) -> tuple[int, bytes]:
        """HTTP status and body of one response, which is read to its end and closed. Raises
        httpx.HTTPError if there is none; NoAnswer for a body of more than MAX_ANSWER bytes."""
        request = {
            "snippets": [{"id": name, "code": code}],
            "timeout": math.ceil(timeout),
            "reuse": True,
            "debug": False,
        }
        # not compressed: MAX_ANSWER bounds what is read
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if key := next(filter(None, (os.environ.get(name, "").strip() for name in KEYS)), None):
            # Kimina's own client sends the first; some versions of the server read the second
            headers |= {"Authorization": f"Bearer {key}", "X-Auth-Token": key}
        seconds = QUEUE_SECONDS + 2 * timeout
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


def _messages(body: bytes, name: str) -> list[dict]:
    """Lean's messages in the server's answer to the request `name`. Raises NoAnswer."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        start = body[:300].decode(errors="replace")
        raise NoAnswer("crashed", f"the Lean server failed: no JSON object: {start}") from None
    try:
        [result] = answer["results"]
        if result["id"] != name:
            raise ValueError("the answer to another request")
        if error := result.get("error"):
            if "timed out" not in error:
                raise NoAnswer("crashed", f"the Lean server: {error}")
            if "header" in error:
                raise _SlowImport("crashed", f"the Lean server: {error}")
            raise NoAnswer("timeout", error)
        response = result["response"]
        if "env" not in response and "message" in response:
            raise NoAnswer("crashed", f"the Lean server: {response['message']}")
        return [evidence.from_repl(message) for message in response.get("messages") or ()]
    except (KeyError, TypeError, ValueError, AttributeError):
        start = str(answer)[:300]
        raise NoAnswer("crashed", f"no answer in the Lean server's form: {start}") from None
