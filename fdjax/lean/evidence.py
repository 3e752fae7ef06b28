"""Candidates as text for Lean, and the evidence in Lean's messages: for all backends.

Each candidate is a theorem under a secret random name, followed by its own `#print axioms`.
A proof needs that report, about that name, and no error: silence is never success.
"""

import dataclasses
import re
import secrets
from collections.abc import Sequence
from typing import NamedTuple

from fdjax.lean.backend import AXIOMS
from fdjax.types import Candidate, Message, Status, Theorem, Verdict

STARTED = "#print axioms True"  # its report shows that Lean has come so far
MAX_MESSAGE = 10_000  # characters
MAX_MESSAGES = 100  # per candidate; as many errors more
_NONCE = re.compile(r"(?:main_|_stated_|_any_)?fd_[0-9a-f]{32}")
_HIDING = re.compile(rf"helpers_{_NONCE.pattern}\.?")  # the namespace of a candidate's helpers
_LAST_PART = re.compile(r"(?:«[^»]*»|[^.«»]+)\Z")
_REPORT = re.compile(
    r"'(?P<name>.*)' (?:does not depend on any axioms|depends on axioms: \[(?P<axioms>.*)\])",
    re.DOTALL,
)
_UNKNOWN = re.compile("[Uu]nknown constant")
_SEVERITIES = {
    "error": "error",
    "warning": "warning",
    "info": "information",
    "information": "information",
    "trace": "information",
}
_KINDS = {  # those used here, by severity and text. No error is ever a linter's
    "hasSorry": ("warning", re.compile("declaration uses ['`]sorry['`]")),
    "linter": ("warning", re.compile(r".*(?:\[linter\.|`set_option linter\.)", re.DOTALL)),
    "Tactic.unsolvedGoals": ("error", re.compile("unsolved goals\\b")),
}
_METAVARIABLE = re.compile(r"\?([mu])\.(\d+)")
_SUGGESTION = re.compile(
    r"^(?:Note|Hint):.*(?:`set_option|\boption\b).*$|[,;(]?[ ]*\b[Uu]se `set_option.*$",
    re.MULTILINE,
)
_FOR_THE_NEXT = re.compile(r"(?:^(?:open|set_option)\b[^\n]*\bin[ \t]*(?:\n|\Z))+\Z", re.M)
_SET_HEARTBEATS = re.compile(r"\bmaxHeartbeats\s+(\d+)")


def split_context(context: str, max_heartbeats: int) -> tuple[str, str]:
    """(what stands once before all theorems of this context, what stands before each of them).

    `open Foo in` at its end applies to the next command only, so it is repeated for each theorem.
    Published headers often switch the limit off (`maxHeartbeats 0`): it is set to ours.
    """

    def lowered(match: re.Match) -> str:
        limit = int(match[1])
        return f"maxHeartbeats {limit if 0 < limit < max_heartbeats else max_heartbeats}"

    context = _SET_HEARTBEATS.sub(lowered, context.strip("\n"))
    if context.split()[-1:] != ["in"]:
        return context, ""
    found = _FOR_THE_NEXT.search(context)
    start = found.start() if found else 0
    return context[:start].rstrip("\n"), f"{context[start:]}\n"


def render(
    theorem: Theorem, candidate: Candidate, head: str, line: int
) -> tuple[str, "CandidateReader"]:
    """The text of one candidate, and the reader of Lean's messages about it.

    `head`: what stands before the theorem, as `split_context` gives it. `line`: of the file, from
    1, at which the text starts. The text ends with a newline.
    """
    nonce = f"fd_{secrets.token_hex(16)}"
    # only the last part of the name: the others are namespaces that the proof may use
    space = _LAST_PART.sub("", theorem.name)
    name = proved = space + nonce
    gap = "" if theorem.signature.startswith(".{") else " "
    helped = candidate.has_helpers
    text, places = "", []
    if helped:  # hidden from our statement, open to its proof
        stated, proved = f"{space}_stated_{nonce}", f"{space}main_{nonce}"
        # a theorem like ours, so that it includes the context's variables as ours does
        text = f"axiom _any_{nonce} : ∀ {{_p : Prop}}, _p\n\n"
        text += f"{head}theorem {stated}{gap}{theorem.signature} := _any_{nonce}\n\n"
        text += f"namespace helpers_{nonce}\n{_opened(head)}\n"
        places.append(Place(line + text.count("\n"), 0, 0, candidate.helpers))
        text += f"{candidate.helpers}\n\nend helpers_{nonce}\n\n"
    text += f"{head}theorem {proved}{gap}{theorem.signature} := "
    if helped:
        text += f"open helpers_{nonce} in "
    column = len(text) - text.rfind("\n") - 1
    places.append(Place(line + text.count("\n"), column, candidate.main_start, candidate.proof))
    text += f"{candidate.proof}\n\n"
    if helped:  # of the type that the statement had before there were helpers
        text += f"theorem {name} : type_of% @{stated} := @{proved}\n\n"
    report_line = line + text.count("\n")
    reader = CandidateReader(theorem, candidate.text, nonce, tuple(places), report_line)
    return f"{text}#print axioms {name}\n\n", reader


def _opened(head: str) -> str:
    """`head`, which applies to the next command, for all of a namespace."""
    return re.sub(r"\bin[ \t]*$", "", head, flags=re.M) if _FOR_THE_NEXT.fullmatch(head) else ""


def import_lines(imports: Sequence[str]) -> str:
    return "".join(f"import {module}\n" for module in imports)


def options(max_heartbeats: int) -> str:
    """The `-D` options of the embedded backend, for a Lean without a command line."""
    return (
        f"set_option maxHeartbeats {max_heartbeats}\nset_option autoImplicit false\n"
        "set_option linter.all false"
    )


def from_repl(message: dict) -> dict:
    """A message of the Lean REPL as `lean --json` prints it: with Lean's names of severities, and
    with the kinds used here, recognized by the text.

    Raises KeyError, TypeError, ValueError or AttributeError for anything else.
    """
    severity, text = _SEVERITIES[message["severity"]], message["data"]
    kind = next(
        (kind for kind, (of, pattern) in _KINDS.items() if of == severity and pattern.match(text)),
        "",
    )
    return {
        "severity": severity,
        "data": text,
        "kind": kind,
        "pos": _position(message["pos"]),
        "endPos": message.get("endPos") and _position(message["endPos"]),
    }


def _position(place: dict) -> dict:
    return {"line": int(place["line"]), "column": int(place["column"])}


def is_start(message: dict) -> bool:
    """Is this the report that `STARTED` requests?"""
    return message["severity"] == "information" and bool(_REPORT.fullmatch(message["data"]))


def context_error(text: str) -> Message:
    return Message("error", f"in the theorem's context: {text}", "context")


class Place(NamedTuple):
    """A part of the candidate and its place in Lean's input."""

    line: int  # from 1
    column: int  # from 0
    start: int  # of the part, in the candidate
    text: str

    def offset(self, line: int, column: int) -> int:
        """Offset in the candidate of a line and column of the input at or after this place."""
        lines = self.text.split("\n")
        row = line - self.line
        if row >= len(lines):
            return self.start + len(self.text)
        before = sum(len(line) + 1 for line in lines[:row])
        column -= 0 if row else self.column
        return self.start + before + min(column, len(lines[row]))


@dataclasses.dataclass
class CandidateReader:
    """Reads Lean's messages about one candidate, and decides its verdict.

    Messages are dicts as `lean --json` prints them: severity, data, kind, pos and endPos.
    """

    theorem: Theorem
    text: str  # the candidate's
    nonce: str
    places: tuple[Place, ...]  # of the helpers, if there are any, and of the proof
    report_line: int  # the line of its `#print axioms`
    messages: list[Message] = dataclasses.field(default_factory=list)
    axioms: tuple[str, ...] | None = None  # None: no report
    erred: bool = False
    undeclared: bool = False  # Lean reports no such theorem, or one in another namespace
    starved: bool = False  # it met a limit that others of the batch may have used up
    seconds: float = 0.0

    @property
    def reported(self) -> bool:
        return self.undeclared or self.axioms is not None

    def read(self, message: dict) -> bool:
        """Takes a message about this candidate. Was it the report?

        Raises KeyError, TypeError or ValueError for anything but a message of Lean's.
        """
        if message["pos"]["line"] == self.report_line and self._reports(message):
            return True
        if not message.get("isSilent") and not message["kind"].startswith("linter"):
            error = message["severity"] == "error"
            self.erred |= error
            if len(self.messages) < (2 * MAX_MESSAGES if error else MAX_MESSAGES):
                self.messages.append(self._message(message))
            self.starved |= "excessive memory consumption" in message["data"]
        return False

    def decide(
        self, context_errors: Sequence[Message], alone: bool, backend: str
    ) -> Verdict | None:
        """None if undecided: without a report, or where another of the batch may be the cause."""
        erred = self.erred or bool(context_errors)
        if not self.reported:
            return None
        if self.starved:
            return self.verdict("crashed", self.messages, backend) if alone else None
        if self.undeclared and not alone:
            return None  # Lean adds even what it could not prove; another may have swallowed it
        if erred or self.undeclared:
            missing = Message("error", "Lean did not add the theorem to its environment")
            messages = [*context_errors, *self.messages] if erred else [missing]
            return self.verdict("failed", messages, backend)
        if foreign := [axiom for axiom in self.axioms if axiom not in AXIOMS]:
            uses_sorry = any(m.kind == "hasSorry" for m in self.messages)
            if not uses_sorry and not alone:
                return None  # it may come from a lemma that Lean shares between theorems
            text = f"the proof depends on axioms: {', '.join(foreign)}"
            messages = [*self.messages, Message("error", text, "axioms")]
            return self.verdict("failed", messages, backend)
        return self.verdict("proved", self.messages, backend)

    def verdict(self, status: Status, messages: Sequence[Message], backend: str) -> Verdict:
        return Verdict(status, tuple(messages), self.axioms or (), self.seconds, backend)

    def _reports(self, message: dict) -> bool:
        """Is this the report of the candidate's axioms, or that there is no such theorem?"""
        if message["severity"] == "information" and (report := _REPORT.fullmatch(message["data"])):
            if report["name"].endswith(self.nonce):
                # text that breaks off may leave a namespace open, for itself or for others
                self.undeclared = _HIDING.search(report["name"]) is not None
                listed = self._with_own_name(report["axioms"] or "")
                self.axioms = tuple(axiom.strip() for axiom in listed.split(",") if axiom.strip())
        elif message["severity"] == "error" and _UNKNOWN.match(message["data"]):
            self.undeclared = self.nonce in message["data"]
        return self.reported

    def _message(self, message: dict) -> Message:
        kind = "" if message["kind"] == "[anonymous]" else message["kind"]
        start, end = self._place(message["pos"]), self._place(message.get("endPos"))
        if end and start is None:  # it starts at our `:=` and ends in the proof
            start = 0
        return Message(message["severity"], self.readable(message["data"]), kind, start, end)

    def _place(self, pos: dict | None) -> int | None:
        """Lean's line and column as a character offset in the candidate; None before its start."""
        if pos is None:
            return None
        if pos["line"] >= self.report_line:
            return len(self.text)
        at = pos["line"], pos["column"]
        place = next((p for p in reversed(self.places) if (p.line, p.column) <= at), None)
        return place.offset(*at) if place else None

    def _with_own_name(self, text: str) -> str:
        """`text` with the theorem's name in place of nonces, also of others of the batch: a lemma
        that Lean shares between theorems has the nonce of the first."""
        text = _HIDING.sub("", text)
        return _NONCE.sub(lambda _: _LAST_PART.search(self.theorem.name).group(), text)

    def readable(self, text: str) -> str:
        """Lean's text without what depends on the batch, and without suggestions of options."""
        text = self._with_own_name(text).replace(
            "unexpected token '#print'", "unexpected end of input"
        )
        if len(self.places) > 1:  # our `end` of a namespace is the candidate's `theorem`
            text = text.replace("unexpected token 'end'", "unexpected token 'theorem'")
        numbers: dict[str, int] = {}  # Lean numbers them throughout the file

        def renumbered(match: re.Match) -> str:
            return f"?{match[1]}.{numbers.setdefault(match[0], len(numbers) + 1)}"

        text = _METAVARIABLE.sub(renumbered, text)
        text = _SUGGESTION.sub("", text).rstrip()
        if len(text) > MAX_MESSAGE:
            text = f"{text[:MAX_MESSAGE]}\n... ({len(text) - MAX_MESSAGE:,} more characters)"
        return text
