"""The journal of a stage: what is not computed from the config (verdicts, feedback, attempts) is
written before it is used, so that a killed run replays it exactly.

The folder `rollouts/` holds a JSON-lines file per step: {"kind": ..., "payload": ...}, or
{"kind": ..., "more": [...]} of what comes bit by bit.
"""

import os
import threading
from pathlib import Path
from typing import Any

from fdjax.runtime import hosts
from fdjax.runtime.files import CorruptFile, append_line, read_lines
from fdjax.types import (
    Attempt,
    Candidate,
    Feedback,
    Segment,
    Theorem,
    verdict_from_json,
    verdict_to_json,
)


class Journal:
    """Append-only and thread-safe. An incomplete last line, as a crash leaves it, is dropped.

    Kinds `theorems`, `attempts`, `verdicts` and `feedback` hold nested lists of the objects they
    name, or None. Any other kind holds plain JSON data.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._kinds: dict[int, set[str]] = {}  # of each step that this process has written to

    def append(self, step: int, kind: str, payload: Any) -> None:
        """Returns when the data is on disk. Raises ValueError if the step has that kind already."""
        if not hosts.is_first():
            return
        entry = {"kind": kind, "payload": _nested(_ENCODE.get(kind, _same), payload)}
        file = self._file(step)
        with self._lock:
            if step not in self._kinds:
                self._kinds[step] = {earlier.get("kind") for earlier in read_lines(file)}
            if kind in self._kinds[step]:
                raise ValueError(f"{file} already holds the {kind} of step {step}")
            append_line(file, entry)
            self._kinds[step].add(kind)

    def extend(self, step: int, kind: str, items: list[Any]) -> None:
        """Adds plain JSON data to a list of that kind, at a cost that does not grow with it.
        Returns when the data is on disk.
        """
        if hosts.is_first():
            with self._lock:
                append_line(self._file(step), {"kind": kind, "more": items})
                if step in self._kinds:
                    self._kinds[step].add(kind)

    def read(self, step: int) -> dict[str, Any]:
        """Kind -> payload, equal to what was appended; nested sequences are read as lists.

        Raises CorruptFile naming the file and line of an invalid entry.
        """
        file = self._file(step)
        with self._lock:
            entries = read_lines(file)
        record = {}
        for number, entry in enumerate(entries, start=1):
            try:
                kind = entry["kind"]
                if "more" in entry:
                    record.setdefault(kind, []).extend(entry["more"])
                else:
                    record[kind] = _nested(_DECODE.get(kind, _same), entry["payload"])
            except (KeyError, TypeError, ValueError) as error:
                raise CorruptFile(f"{file}:{number} is no entry of a journal: {error!r}") from error
        return record

    def steps(self) -> list[int]:
        """The steps with entries, in order."""
        return sorted(int(file.stem) for file in self.folder.glob("*.jsonl"))

    def _file(self, step: int) -> Path:
        return self.folder / f"{step:06d}.jsonl"


# --- Payloads ------------------------------------------------------------------------------------


def _nested(function, payload):
    if isinstance(payload, list | tuple):
        return [_nested(function, item) for item in payload]
    return None if payload is None else function(payload)


def _same(data):
    return data


def _attempt_to_json(attempt: Attempt) -> dict[str, Any]:
    # vars, not asdict: that would visit each token on its own.
    segments = [vars(segment) for segment in attempt.segments]
    return vars(attempt) | {"segments": segments, "candidate": vars(attempt.candidate)}


def _attempt_from_json(data: dict[str, Any]) -> Attempt:
    segments = tuple(Segment(tuple(s["tokens"]), s["origin"]) for s in data["segments"])
    tuples = {name: tuple(data[name]) for name in ("logprobs", "offsets")}
    candidate = Candidate(**data["candidate"])
    return Attempt(**data | {"segments": segments, "candidate": candidate} | tuples)


def _theorem_from_json(data: dict[str, Any]) -> Theorem:
    return Theorem(**data | {"imports": tuple(data["imports"])})


def _feedback_to_json(feedback: Feedback) -> dict[str, Any]:
    return vars(feedback) | {"proof": feedback.proof and vars(feedback.proof)}


def _feedback_from_json(data: dict[str, Any]) -> Feedback:
    tuples = {name: tuple(data[name]) for name in ("messages", "problems")}
    proof = data["proof"] and Candidate(**data["proof"])
    return Feedback(**data | tuples | {"proof": proof})


_ENCODE = {
    "theorems": vars,
    "attempts": _attempt_to_json,
    "verdicts": verdict_to_json,
    "feedback": _feedback_to_json,
}
_DECODE = {
    "theorems": _theorem_from_json,
    "attempts": _attempt_from_json,
    "verdicts": verdict_from_json,
    "feedback": _feedback_from_json,
}
