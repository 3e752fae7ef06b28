"""Tool `submit`: the proof that is judged. Also how proofs are read from arguments of tools."""

import re

from fdjax.environment.files import NoFile, find_file
from fdjax.environment.protocol import Call, Submission
from fdjax.environment.tools import Answer, File, Scene, Tool
from fdjax.lean.extract import NoProof, Span, extract
from fdjax.lean.statements import strip_comments
from fdjax.types import Theorem

# What begins a whole file, or an answer of a chat, but no proof.
_NO_PROOF = re.compile(
    r"```|~~~|@\[|(?:theorem|lemma|example|def|import|namespace|section|variable|universe"
    r"|noncomputable|private|protected)\b"
)
FORM = (
    "a proof is what follows `:=`, such as `by simp`, or the whole theorem, stated as it was given"
)


def submit_tool(allow_helpers: bool) -> Tool:
    """`allow_helpers`: may a proof stand below lemmas of its own?"""

    def submit(scene: Scene, call: Call) -> Answer:
        try:
            file = source(scene, call, "proof")
            start, end = proof_in(file.text, scene.theorem, allow_helpers)
        except (NoFile, NoProof) as reason:
            return Answer((f"nothing is submitted: {reason}",))
        places = None if file.places is None else tuple(file.places[start:end])
        return Answer((), submission=Submission(file.text[start:end], file.turn, places))

    return Tool(
        "submit",
        "Submit the proof that is judged. It ends the work.",
        {
            "proof": {"type": "string", "description": FORM},
            "file": {"type": "string", "description": "a file that holds the proof, instead"},
        },
        submit,
        edits=True,
    )


def source(scene: Scene, call: Call, argument: str) -> File:
    """The text that a call names by `argument` or by `file`. Raises NoFile, also for both."""
    if (argument in call.arguments) == ("file" in call.arguments):
        raise NoFile(f"one of the arguments `{argument}` and `file` must be given")
    if argument in call.arguments:
        return File(call.arguments[argument], scene.turn, call.places.get(argument))
    return find_file(scene, call.arguments["file"])


def proof_in(text: str, theorem: Theorem, allow_helpers: bool) -> Span:
    """Where in an argument the proof is: in the part that states the theorem, as in a chat's
    answer; where there is none, and the text begins as a proof does, it is all proof.

    Raises NoProof.
    """
    try:
        return extract(text, theorem, allow_helpers)
    except NoProof as reason:
        first = first_text(text)
        if begins := _NO_PROOF.match(first):
            stated = re.search(r"\b(?:theorem|lemma)\b", text)
            why = reason if stated else f"{begins[0]!r} begins no proof"
            raise NoProof(f"{why}; {FORM}") from None
    if not first:
        raise NoProof(f"the proof is empty: {FORM}")
    return Span(0, len(text))


def first_text(text: str) -> str:
    """`text` from its first word on, comments left out; with them where one is never closed."""
    try:
        return strip_comments(text).lstrip()
    except ValueError:
        return text.lstrip()
