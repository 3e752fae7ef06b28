"""Tool `check`: Lean's messages about a proof of our statement, or about a snippet.

Each text is compiled alone. A snippet is wrapped as the helper lemmas of a theorem of ours: it can
neither run code nor declare anything that a later call sees. No proof counts for being checked.
"""

import asyncio
import bisect
import dataclasses
import re
from collections.abc import Callable
from typing import NamedTuple

from fdjax.environment.files import NoFile
from fdjax.environment.protocol import Call
from fdjax.environment.submit import FORM, first_text, proof_in, source
from fdjax.environment.tools import Answer, Scene, Tool
from fdjax.lean.audit import audit
from fdjax.lean.extract import NoProof, parse_candidate
from fdjax.lean.farm import Farm
from fdjax.lean.report import located, outcome
from fdjax.lean.tokens import Refused, tokenize
from fdjax.types import Candidate, Message, Theorem, Verdict

_SORRY = re.compile(r"\bsorry\b")
_SNIPPET = re.compile(r"(?:theorem|lemma|example)\b")
_ASKED = re.compile(r"^[ \t]*#check(?!\w)", re.M)
_TRIVIAL = "True.intro"


class Wrapped(NamedTuple):
    """A text as a candidate for a theorem."""

    theorem: Theorem
    candidate: Candidate
    original: Callable[[int], int]  # of an offset in the candidate: the one in the text


def check_tool(farm: Farm) -> Tool:
    async def check(scene: Scene, call: Call) -> Answer:
        try:
            text = source(scene, call, "code").text
            wrapped, refusal = _wrap(text, scene.theorem, farm)
        except (NoFile, NoProof) as reason:
            return Answer((f"not checked: {reason}",))
        if refusal:
            return Answer(_parts(Verdict("rejected", (refusal,)), wrapped, text))
        inquiry = farm.inquire(wrapped.theorem, wrapped.candidate, audited=False)
        verdict = await asyncio.wrap_future(inquiry)
        seconds = 0.0 if verdict.from_cache else verdict.seconds
        return Answer(_parts(verdict, wrapped, text), seconds=seconds)

    code = (
        f"a proof ({FORM}), or a snippet: theorems of your own, examples, or lines"
        " `#check NAME`. What a snippet states is forgotten"
    )
    return Tool(
        "check",
        "Compile with Lean: the messages, with line, column and goals. `sorry` may stand for"
        " what is missing; `trace_state` shows the goals at a place.",
        {
            "code": {"type": "string", "description": code},
            "file": {"type": "string", "description": "a file that holds the code, instead"},
        },
        check,
        uses_lean=True,
    )


def _wrap(text: str, theorem: Theorem, farm: Farm) -> tuple[Wrapped, Message | None]:
    """The text for Lean, and why Lean may not be given it. Raises NoProof."""
    limit, first = farm.backend.max_heartbeats, first_text(text)
    if _ASKED.match(first):
        return _asked(text, theorem, limit)
    names_ours = re.search(rf"\b(?:theorem|lemma)\s+{re.escape(theorem.name)}(?![\w.!?'])", text)
    if _SNIPPET.match(first) and not names_ours:
        wrapped = _snippet(text, theorem)
        return wrapped, audit(_without_sorry(wrapped.candidate.helpers), limit, theorem.name)
    start, end = proof_in(text, theorem, farm.allow_helpers)
    candidate = parse_candidate(text[start:end], theorem, farm.allow_helpers)
    audited = dataclasses.replace(
        candidate,
        text=_without_sorry(candidate.text),
        helpers=_without_sorry(candidate.helpers),
    )
    return Wrapped(theorem, candidate, start.__add__), farm.refusal(theorem, audited)


def _without_sorry(text: str) -> str:
    """`text` for the audit, with another name of the same length: what is only checked may hold
    `sorry`."""
    return _SORRY.sub("hhhhh", text)


def _snippet(text: str, theorem: Theorem) -> Wrapped:
    """Theorems of a snippet as helper lemmas of `True`: `example` gets a name, `lemma`, which not
    every environment has, becomes `theorem`."""
    pieces, last = [], 0
    begins, shifts, bounds = [0], [0], []  # of parts: where they begin, what to take off, their end
    try:
        words = [t for t in tokenize(text) if t.kind == "name" and t.text in ("example", "lemma")]
    except Refused:
        words = []  # the audit will say why
    for number, token in enumerate(words):
        word = "theorem" if token.text == "lemma" else f"theorem example_{number + 1}"
        pieces += [text[last : token.start], word]
        last = token.end
        bounds.append(token.end)
        shifts.append(shifts[-1] + len(word) - len(token.text))
        begins.append(token.end + shifts[-1])
    bounds.append(len(text))
    helpers = "".join([*pieces, text[last:]])
    head = f"{helpers}\ntheorem snippet : True := "

    def original(offset: int) -> int:
        part = bisect.bisect_right(begins, offset) - 1
        return min(offset - shifts[part], bounds[part])

    candidate = Candidate(head + _TRIVIAL, len(head), helpers)
    return Wrapped(_of_snippet(theorem), candidate, original)


def _asked(text: str, theorem: Theorem, limit: int) -> tuple[Wrapped, Message | None]:
    """Lines `#check TERM`: below a theorem of ours, each term audited as a proof is."""
    head = f"{_TRIVIAL}\n\n"
    wrapped = Wrapped(
        _of_snippet(theorem), Candidate(head + text), lambda offset: max(offset - len(head), 0)
    )
    marks = [match.span() for match in _ASKED.finditer(text)]
    if not marks or text[: marks[0][0]].strip(" \n\t"):
        raise NoProof("nothing may stand before the first `#check`")
    ends = [start for start, _ in marks[1:]] + [len(text)]
    for (_, start), end in zip(marks, ends, strict=True):
        if refusal := audit(_without_sorry(text[start:end]), limit):
            shift = len(head) + start
            moved = {"start": refusal.start + shift, "end": refusal.end + shift}
            return wrapped, dataclasses.replace(refusal, **moved)
    return wrapped, None


def _of_snippet(theorem: Theorem) -> Theorem:
    return dataclasses.replace(theorem, id="snippet", name="snippet", signature=": True")


def _parts(verdict: Verdict, wrapped: Wrapped, text: str) -> tuple[str, ...]:
    """The parts of an answer: the outcome, then errors by their place, then other messages."""
    messages = [
        dataclasses.replace(
            message,
            start=None if message.start is None else wrapped.original(message.start),
            end=None if message.end is None else wrapped.original(message.end),
        )
        for message in verdict.messages
    ]
    messages.sort(key=lambda m: (m.severity != "error", m.place is None, m.place or 0))
    of_snippet = wrapped.theorem.name == "snippet"
    first = "no errors" if of_snippet and verdict.proved else outcome(verdict)
    return (first, *(located(message, text) for message in messages))
