"""A cache of verdicts, in memory and optionally in a file of JSON lines."""

import collections
import dataclasses
import hashlib
import json
import os
import threading
import warnings
from pathlib import Path

from fdjax.lean.audit import AUDIT_VERSION
from fdjax.lean.backend import Backend
from fdjax.types import DECIDED, Candidate, Theorem, Verdict, verdict_from_json, verdict_to_json


def cache_key(backend: Backend, theorem: Theorem, candidate: Candidate) -> str:
    """A hash of everything that a verdict depends on (its messages hold the theorem's name)."""
    parts = [
        theorem.imports,
        theorem.context,
        theorem.name,
        theorem.signature,
        dataclasses.astuple(candidate),
        backend.name,
        backend.version,
        backend.limits,
        AUDIT_VERSION,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class VerdictCache:
    """Thread-safe. Keeps only verdicts about the proof itself (`DECIDED`).

    With a `path`, each verdict is one appended line, so that several processes may share the file,
    and a crash in the middle of a line loses that line only. Memory holds the newest
    `max_entries`.
    """

    def __init__(self, path: str | os.PathLike | None = None, max_entries: int = 200_000):
        self._verdicts: collections.OrderedDict[str, Verdict] = collections.OrderedDict()
        self._max_entries = max_entries
        self._lock = threading.Lock()
        self._file = None
        if path is not None:
            path = Path(path).expanduser()
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b", buffering=0)
            self._load()

    def get(self, key: str) -> Verdict | None:
        with self._lock:
            return self._verdicts.get(key)

    def put(self, key: str, verdict: Verdict) -> None:
        if verdict.status not in DECIDED:
            return
        entry = {"key": key, "verdict": verdict_to_json(verdict)}
        line = (json.dumps(entry) + "\n").encode()
        with self._lock:
            if self._file and key not in self._verdicts:
                try:
                    if self._file.write(line) < len(line):
                        raise OSError("a line was written in part")
                except OSError as error:  # with a full disk the verdict still counts
                    warnings.warn(f"verdicts are no longer kept on disk: {error}", stacklevel=2)
                    self._file = None
            self._add(key, verdict)

    def close(self) -> None:
        with self._lock:
            if self._file:
                self._file.close()
                self._file = None

    def __len__(self) -> int:
        with self._lock:
            return len(self._verdicts)

    def _add(self, key: str, verdict: Verdict) -> None:
        self._verdicts[key] = verdict
        while len(self._verdicts) > self._max_entries:
            self._verdicts.popitem(last=False)

    def _load(self) -> None:
        self._file.seek(0)
        data = self._file.read()
        for line in data.split(b"\n"):
            try:
                entry = json.loads(line)
                verdict = verdict_from_json(entry["verdict"])
                key = entry["key"]
            except (ValueError, KeyError, TypeError):
                continue  # cut off, or of another version: it will be checked again
            if isinstance(key, str) and verdict.status in DECIDED:
                self._add(key, verdict)
        if data and not data.endswith(b"\n"):
            self._file.write(b"\n")  # so that the next line does not continue one that was cut off
