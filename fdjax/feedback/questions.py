"""What language models are asked: instructions of ours, then data that is marked as such."""

from collections.abc import Sequence
from pathlib import Path

from fdjax.config import ConfigError
from fdjax.feedback.endpoint import Answer
from fdjax.feedback.peers import others
from fdjax.feedback.plain import fenced
from fdjax.types import DECIDED, REFUSED, Candidate, Item, Message, Moment, Theorem, Verdict

PROMPTS = Path(__file__).parent / "prompts"
LONGEST_BLOCK = 4000  # characters of a theorem, an attempt, or what Lean said, as they are sent


def to_ask(
    groups: Sequence[Sequence[Item]], moment: Moment, successes: bool
) -> list[tuple[int, int]]:
    """(group, index) of the attempts to ask about: those wanted that ended by themselves and
    that Lean refused, or with `successes` judged. The others are not learned from.
    """
    statuses = DECIDED if successes else REFUSED
    return [
        (g, i)
        for g, group in enumerate(groups)
        for i, (_, attempt, verdict) in enumerate(group)
        if moment.wants(g, i) and attempt.finished and verdict.status in statuses
    ]


def read_prompt(name: str) -> str:
    """The instructions: a file of prompts/ (without its ending), or a path. Raises ConfigError."""
    file = PROMPTS / f"{name}.txt"
    if not file.exists():
        file = Path(name)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        known = ", ".join(sorted(f.stem for f in PROMPTS.glob("*.txt")))
        raise ConfigError(f"prompt {name!r}: neither one of {known} nor a file of text") from error
    if not text.strip():
        raise ConfigError(f"prompt {name!r} is empty")
    return text


def describe(group: Sequence[Item], index: int, show_peers: int, proof: Candidate | None) -> str:
    """All that is known of an attempt, as data."""
    theorem, attempt, verdict = item = group[index]
    blocks = statement(theorem)
    candidate = attempt.candidate
    helped = candidate.has_helpers
    written = "helper lemmas, the theorem again, its proof" if helped else "what follows :="
    blocks.append((f"the student's attempt, {written}", candidate.text.rstrip()))
    blocks.append(("what Lean says of it", lean_says(candidate.text, verdict)))
    if proof is not None:
        helped = " with helper lemmas" if proof.has_helpers else ""
        blocks.append((f"a reference proof{helped}, not to be quoted", proof.text.strip("\n")))
    peers = [p for s in ({"proved"}, REFUSED) for p in others(group, item, s, show_peers)]
    for _, other, judged in peers[:show_peers]:
        told = "accepts" if judged.proved else "refuses"
        blocks.append((f"another attempt, which Lean {told}", other.candidate.text.strip("\n")))
    return as_data(blocks)


def statement(theorem: Theorem) -> list[tuple[str, str]]:
    imports = "".join(f"import {module}\n" for module in theorem.imports)
    text = f"{imports}{theorem.context}\n\ntheorem {theorem.name} {theorem.signature} :="
    blocks = [("the theorem", text.strip()), ("its meaning in words", theorem.informal)]
    blocks.append(("its goal as Lean prints it", theorem.goal))
    return [(title, text) for title, text in blocks if text]


def lean_says(proof: str, verdict: Verdict) -> str:
    """The status and Lean's messages in the order of their places; the goal states are in them."""
    status = "It accepts the attempt." if verdict.proved else "It refuses the attempt."
    ordered = sorted(verdict.messages, key=lambda m: (m.start is None, m.start or 0))
    return "\n".join([status, *(f"{_place(proof, m)}{m.severity}: {m.text}" for m in ordered)])


def as_data(blocks: Sequence[tuple[str, str]]) -> str:
    tag, text = fenced(blocks, LONGEST_BLOCK)
    return f"The tag is {tag}.\n\n{text}\n\nThe data ends here. Answer now as you were told."


def costs(answer: Answer, used: bool) -> dict:
    """Fields of Feedback."""
    return {
        "tokens": answer.tokens,
        "seconds": answer.seconds,
        "money": answer.money,
        "asked": 1,
        "unanswered": int(not used),
        "troubles": tuple(f"llm: {trouble}" for trouble in answer.troubles),
    }


def _place(proof: str, message: Message) -> str:
    if message.start is None:
        return ""
    before = proof[: message.start]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    words = proof[message.start : message.end].partition("\n")[0].strip()
    return f"line {line}, column {column}{f', at `{words}`' if words else ''}: "
