"""A candidate in the text that Lean reads, and the evidence in what Lean says: for all backends.

Each candidate is a theorem under a name that nobody can guess, followed by its own `#print axioms`.
A proof needs that report, about that name, and no error: silence is never success.
"""

import dataclasses
import re
import secrets
from collections.abc import Sequence
from typing import NamedTuple

from fdjax.lean.backend import AXIOMS
from fdjax.types import Candidate, Message, Status, Theorem, Verdict

STARTED = "#print axioms True"  # its report says that Lean has come so far
MAX_MESSAGE = 10_000  # characters
MAX_MESSAGES = 100  # to a candidate, and as many errors more
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
    "trace": "information",
}
_KINDS = {  # those that matter to us: severity and text. No error is ever a linter's
    "hasSorry": ("warning", re.compile("declaration uses ['`]sorry['`]")),
    "linter": ("warning", re.compile(r".*(?:\[linter\.|`set_option linter\.)", re.DOTALL)),
    "Tactic.unsolvedGoals": ("error", re.compile("unsolved goals\\b")),
}
_METAVARIABLE = re.compile(r"\?([mu])\.(\d+)")
_OFFER = re.compile(
    r"^(?:Note|Hint):.*(?:`set_option|\boption\b).*$|[,;(]?[ ]*\b[Uu]se `set_option.*$",
    re.MULTILINE,
)
_FOR_THE_NEXT = re.compile(r"(?:^(?:open|set_option)\b[^\n]*\bin[ \t]*(?:\n|\Z))+\Z", re.M)
_SET_HEARTBEATS = re.compile(r"\bmaxHeartbeats\s+(\d+)")


def split_context(context: str, max_heartbeats: int) -> tuple[str, str]:
    """(what stands once before all theorems of this context, what stands before each of them).

    `open Foo in` at its end is about the next command only, so each theorem gets its own.
    Published headers often switch the limit off (`maxHeartbeats 0`): ours holds.
    """

    def lowered(match: re.Match) -> str:
        asked = int(match[1])
        return f"maxHeartbeats {asked if 0 < asked < max_heartbeats else max_heartbeats}"

    context = _SET_HEARTBEATS.sub(lowered, context.strip("\n"))
    if context.split()[-1:] != ["in"]:
        return context, ""
    found = _FOR_THE_NEXT.search(context)
    start = found.start() if found else 0
    return context[:start].rstrip("\n"), f"{context[start:]}\n"


def write(theorem: Theorem, candidate: Candidate, head: str, line: int) -> tuple[str, "Item"]:
    """The text of one candidate, and the item that reads what Lean says of it.

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
    if helped:  # hidden from our statement, and open to its proof
        stated, proved = f"{space}_stated_{nonce}", f"{space}main_{nonce}"
        # a theorem, as ours is: it takes in the context's variables as ours does
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
    item = Item(theorem, candidate.text, nonce, tuple(places), report_line)
    return f"{text}#print axioms {name}\n\n", item


def _opened(head: str) -> str:
    """What `head` says of the next command, for all of a namespace."""
    return re.sub(r"\bin[ \t]*$", "", head, flags=re.M) if _FOR_THE_NEXT.fullmatch(head) else ""


def import_lines(imports: Sequence[str]) -> str:
    return "".join(f"import {module}\n" for module in imports)


def options(max_heartbeats: int) -> str:
    """For a Lean that takes no `-D` on its command line: what the embedded one is started with."""
    return (
        f"set_option maxHeartbeats {max_heartbeats}\nset_option autoImplicit false\n"
        "set_option linter.all false"
    )


def from_repl(said: dict) -> dict:
    """A message of the Lean REPL's as `lean --json` prints it: with Lean's names of severities, and
    with those kinds that we need, told by the text.

    Raises KeyError, TypeError or AttributeError for what is none.
    """
    severity, text = _SEVERITIES[said["severity"]], said["data"]
    kind = next(
        (kind for kind, (of, pattern) in _KINDS.items() if of == severity and pattern.match(text)),
        "",
    )
    return {
        "severity": severity,
        "data": text,
        "kind": kind,
        "pos": said["pos"],
        "endPos": said.get("endPos"),
    }


def is_start(said: dict) -> bool:
    """Is this the report that `STARTED` asks for?"""
    return said["severity"] == "information" and _REPORT.fullmatch(said["data"]) is not None


def context_error(text: str) -> Message:
    return Message("error", f"in the theorem's context: {text}", "context")


class Place(NamedTuple):
    """Where a part of the candidate stands in Lean's input."""

    line: int  # from 1
    column: int  # from 0
    start: int  # of the part, in the candidate
    text: str

    def offset(self, line: int, column: int) -> int:
        """Of a line and column of the input, from here on, in the candidate."""
        lines = self.text.split("\n")
        row = line - self.line
        if row >= len(lines):
            return self.start + len(self.text)
        before = sum(len(line) + 1 for line in lines[:row])
        column -= 0 if row else self.column
        return self.start + before + min(column, len(lines[row]))


@dataclasses.dataclass
class Item:
    """A candidate in Lean's input, and what Lean has said of it so far.

    Messages are dicts as `lean --json` prints them: severity, data, kind, pos and endPos.
    """

    theorem: Theorem
    text: str  # the candidate's
    nonce: str
    places: tuple[Place, ...]  # of the helpers, if there are any, and of the proof
    report_line: int  # where its `#print axioms` stands
    messages: list[Message] = dataclasses.field(default_factory=list)
    axioms: tuple[str, ...] | None = None  # None: no report
    erred: bool = False
    undeclared: bool = False  # Lean reports that there is no such theorem, or not in its place
    starved: bool = False  # it met a limit that its neighbours may have used up
    seconds: float = 0.0

    @property
    def reported(self) -> bool:
        return self.undeclared or self.axioms is not None

    def read(self, said: dict) -> bool:
        """Takes a message about this item. Was it the report?

        Raises KeyError, TypeError or ValueError for what is no message of Lean's.
        """
        if said["pos"]["line"] == self.report_line and self._reports(said):
            return True
        if not said.get("isSilent") and not said["kind"].startswith("linter"):
            error = said["severity"] == "error"
            self.erred |= error
            if len(self.messages) < (2 * MAX_MESSAGES if error else MAX_MESSAGES):
                self.messages.append(self._message(said))
            self.starved |= "excessive memory consumption" in said["data"]
        return False

    def decide(
        self, context_errors: Sequence[Message], alone: bool, backend: str
    ) -> Verdict | None:
        """None where nothing is known: without a report, or where a neighbour may be to blame."""
        erred = self.erred or bool(context_errors)
        if not self.reported:
            return None
        if self.starved:
            return self.verdict("crashed", self.messages, backend) if alone else None
        if self.undeclared and not alone:
            return None  # Lean adds even what it could not prove; a neighbour may have eaten it
        if erred or self.undeclared:
            missing = Message("error", "Lean did not add the theorem to its environment")
            told = [*context_errors, *self.messages] if erred else [missing]
            return self.verdict("failed", told, backend)
        if foreign := [axiom for axiom in self.axioms if axiom not in AXIOMS]:
            own = any(m.kind == "hasSorry" for m in self.messages)
            if not own and not alone:
                return None  # it may have come in through a lemma that Lean shares between theorems
            said = Message("error", f"the proof depends on axioms: {', '.join(foreign)}", "axioms")
            return self.verdict("failed", [*self.messages, said], backend)
        return self.verdict("proved", self.messages, backend)

    def verdict(self, status: Status, messages: Sequence[Message], backend: str) -> Verdict:
        return Verdict(status, tuple(messages), self.axioms or (), self.seconds, backend)

    def _reports(self, said: dict) -> bool:
        """Is this the report of the item's axioms, or that there is no such theorem?"""
        if said["severity"] == "information" and (report := _REPORT.fullmatch(said["data"])):
            if report["name"].endswith(self.nonce):
                # text that breaks off may keep a namespace open, its own or its neighbours'
                self.undeclared = _HIDING.search(report["name"]) is not None
                listed = self._own_name(report["axioms"] or "")
                self.axioms = tuple(axiom.strip() for axiom in listed.split(",") if axiom.strip())
        elif said["severity"] == "error" and _UNKNOWN.match(said["data"]):
            self.undeclared = self.nonce in said["data"]
        return self.reported

    def _message(self, said: dict) -> Message:
        kind = "" if said["kind"] == "[anonymous]" else said["kind"]
        start, end = self._place(said["pos"]), self._place(said.get("endPos"))
        if end and start is None:  # it ends in the proof, though it starts at our `:=`
            start = 0
        return Message(said["severity"], self.readable(said["data"]), kind, start, end)

    def _place(self, pos: dict | None) -> int | None:
        """Lean's line and column as a character offset in the candidate; None before its start."""
        if pos is None:
            return None
        if pos["line"] >= self.report_line:
            return len(self.text)
        at = pos["line"], pos["column"]
        place = next((p for p in reversed(self.places) if (p.line, p.column) <= at), None)
        return place.offset(*at) if place else None

    def _own_name(self, text: str) -> str:
        """`text` with the theorem's own name for nonces: also a neighbour's, through what they
        share, where this candidate alone would have had its own."""
        text = _HIDING.sub("", text)
        return _NONCE.sub(lambda _: _LAST_PART.search(self.theorem.name).group(), text)

    def readable(self, text: str) -> str:
        """Lean's text without what depends on the batch, and without offers of options."""
        text = self._own_name(text).replace("unexpected token '#print'", "unexpected end of input")
        if len(self.places) > 1:  # where ours closes a namespace, the candidate's text goes on so
            text = text.replace("unexpected token 'end'", "unexpected token 'theorem'")
        numbers: dict[str, int] = {}  # those of Lean's count on through the file

        def renumbered(match: re.Match) -> str:
            return f"?{match[1]}.{numbers.setdefault(match[0], len(numbers) + 1)}"

        text = _METAVARIABLE.sub(renumbered, text)
        text = _OFFER.sub("", text).rstrip()
        if len(text) > MAX_MESSAGE:
            text = f"{text[:MAX_MESSAGE]}\n... ({len(text) - MAX_MESSAGE:,} more characters)"
        return text
