"""The kimina backend: a client of a running Kimina Lean Server (github.com/project-numina).

Each candidate is a file of its own in one request to the server's route /api/check. The server only
runs Lean: whether its messages make a proof is decided here, by the rules of all backends.
"""

import dataclasses
import functools
import hashlib
import json
import time
import warnings
from collections.abc import Hashable, Iterator, Sequence

from fdjax.config import KiminaConfig
from fdjax.lean import evidence
from fdjax.lean.backend import BackendUnavailable, Pair
from fdjax.lean.backends.kimina_client import (
    KEYS,
    MEMORY,
    START_SECONDS,
    Client,
    NoAnswer,
    Outage,
    Unreachable,
    httpx,
)
from fdjax.lean.search.declarations import listed, with_lean
from fdjax.lean.search.query import Declaration
from fdjax.types import Candidate, Message, Theorem, Verdict

DEFAULTS = KiminaConfig()
FIRST_PATIENCE = 3.0  # seconds, at the start: a wrong address has to be noticed soon
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
    outage: Outage = dataclasses.field(init=False, repr=False, compare=False)
    _reasons: dict = dataclasses.field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if httpx is None:
            raise BackendUnavailable(
                "the Python package httpx is not installed\n"
                "  Install it with `pip install -e '.[kimina]'`."
            )
        _check_url(self.url)
        if not self.max_heartbeats > 0:
            raise ValueError(f"max_heartbeats must be positive, got {self.max_heartbeats}")
        object.__setattr__(self, "outage", Outage(self.url))
        object.__setattr__(self, "version", self._find_version())

    @property
    def limits(self) -> str:
        return f"heartbeats={self.max_heartbeats}"

    def missing(self, imports: tuple[str, ...]) -> str | None:
        if imports not in self._reasons:
            try:
                messages = self._run(imports, evidence.STARTED)
            except BackendUnavailable as error:  # not kept: the server may come back
                return str(error)
            # after imports that fail, of which the server says nothing, Lean lacks even `True`
            names = ", ".join(imports) or "Init"
            reason = f"the Lean server at {self.url} cannot import {names}"
            if texts := [m["data"] for m in messages if m["severity"] == "error"]:
                reason += f": after that Lean says {texts[0][:300]!r}"
            elif not messages:
                return f"the Lean server at {self.url} is silent after it imports {names}. {MEMORY}"
            self._reasons[imports] = None if any(map(evidence.is_start, messages)) else reason
        return self._reasons[imports]

    def pool(self, theorem: Theorem) -> Hashable:
        return None

    def declarations(self, imports: tuple[str, ...]) -> Iterator[Declaration]:
        return listed(functools.partial(self._run, with_lean(imports)))

    def worker(self) -> "KiminaWorker":
        return KiminaWorker(self)

    def _find_version(self) -> str:
        try:
            messages = self._run((), DESCRIBE)
        except Unreachable as error:
            raise BackendUnavailable(
                f"{error}\n  Start one (`docker run -p 8000:8000 projectnumina/kimina-lean-server`)"
                ", or name another in the option `url`."
            ) from error
        if not messages:
            raise BackendUnavailable(f"the Lean server at {self.url} is silent. {MEMORY}")
        if messages[0]["severity"] != "information":
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

    def _run(self, imports: Sequence[str], commands: str) -> list[dict]:
        """Lean's messages about trusted commands. Raises BackendUnavailable."""
        client = Client(self.url, min(self.patience, FIRST_PATIENCE), self.outage)
        try:
            return client.check(_header(imports), commands, START_SECONDS).messages
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
        self._client = Client(backend.url, backend.patience, backend.outage)

    def check(self, batch: Sequence[Pair], timeout: float) -> list[Verdict | None]:
        return [self._check(theorem, candidate, timeout) for theorem, candidate in batch]

    def close(self) -> None:
        self._client.close()

    def _check(self, theorem: Theorem, candidate: Candidate, timeout: float) -> Verdict:
        """The server's REPL may have answered another command (then it stays behind by one): what
        has no report is asked of a new REPL, under another name."""
        for reuse in (True, False):
            verdict, item = self._ask(theorem, candidate, timeout, reuse)
            if verdict is not None:
                return verdict
        message = Message("error", "the Lean server gave no report on this theorem", "crashed")
        return item.verdict("crashed", [*item.messages, message], "kimina")

    def _ask(
        self, theorem: Theorem, candidate: Candidate, timeout: float, reuse: bool
    ) -> tuple[Verdict | None, evidence.CandidateReader]:
        """The verdict, or None without a report; and what has read Lean's messages."""
        began = time.monotonic()
        context, head = evidence.split_context(theorem.context, self._max_heartbeats)
        header = _header(theorem.imports)
        before = f"{evidence.STARTED}\n{evidence.options(self._max_heartbeats)}\n{context}\n"
        started = 1 + header.count("\n")
        first = started + before.count("\n")
        text, item = evidence.render(theorem, candidate, head, first)
        try:
            answer = self._client.check(header, before + text, timeout, reuse)
        except NoAnswer as error:
            item.seconds = time.monotonic() - began
            message = Message("error", str(error), error.status)
            return item.verdict(error.status, [message], "kimina"), item
        errors = _read(item, answer.messages, first, started)
        # not the time in the server's queue
        item.seconds = time.monotonic() - began if answer.seconds is None else answer.seconds
        return item.decide(errors, alone=True, backend="kimina"), item


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
