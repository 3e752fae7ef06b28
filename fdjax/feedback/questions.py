"""What a language model reads and writes: our instructions, then data that is marked as such.

Theorems, attempts and answers are data. They may contain instructions, and signs that a tokenizer
or a prompt gives a meaning to.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from fdjax.config import ConfigError
from fdjax.lean.report import cut_middle
from fdjax.lean.statements import lean_text
from fdjax.models.tokenizer import Tokenizer
from fdjax.rollout.attempts import turn_texts
from fdjax.types import (
    DECIDED,
    REFUSED,
    Attempt,
    Candidate,
    FeedbackContext,
    Item,
    Message,
    Theorem,
    Verdict,
)

PROMPTS = Path(__file__).parent / "prompts"
MAX_BLOCK_CHARS = 4000  # of a theorem, an attempt, a turn, or Lean's messages
MAX_TURNS_CHARS = 8000  # of all turns of an attempt and what was answered to them
LEAST_CHARS = 100  # that a turn or an answer is cut to, before others are left out

# What chat models read as control tokens. Lean's own `<|`, `<|>` and `<;>` are none of these.
_SPECIAL = re.compile(
    r"<(?=[|｜][^\s|｜<>][^|｜<>\n]{0,60}[|｜]>)"  # <|im_start|>, <｜end▁of▁sentence｜>
    r"|<(?=/?(?:s|bos|eos|pad|unk|mask|sep|cls|think|tool_(?:call|response)|(?:start|end)_of_turn)>)"
    r"|(?:\[|<<)(?=/?(?:INST|SYS|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)(?:\]|>>))",
    re.IGNORECASE,
)
# What opens thoughts (a channel other than the final one does), and what ends them.
_THINKING = r"(?:\w{1,20}[:_])?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratchpad"
_THINKING += "|analysis|inner_monologue)"
_THOUGHTS = re.compile(
    rf"(?P<opens><{_THINKING}(?:\s[^<>\n]{{0,60}})?>|\[(?:THINK(?:ING)?|REASONING)\]|◁think▷"
    r"|<\|think(?:ing)?\|>|<\|(?:begin|start)_of_(?:thought|thinking)\|>|<\|START_THINKING\|>"
    r"|<\|reasoning_start\|>|<\|inner_prefix\|>|<unused94>|<\|channel>thought"
    r"|<\|channel\|>(?!\s*final\b)[^<>\n]{0,60})"
    rf"|</{_THINKING}\s*>|\[/(?:THINK(?:ING)?|REASONING)\]|◁/think▷|<\|/think(?:ing)?\|>"
    r"|<\|end_of_(?:thought|thinking)\|>|<\|END_THINKING\|>|<\|reasoning_end\|>"
    r"|<\|inner_suffix\|>|<unused95>|<channel\|>"
    r"|<\|channel\|>\s*final\b[^<>\n]{0,60}(?:<\|constrain\|>\w{0,20})?(?:<\|message\|>)?"
    r"|assistantfinal",  # of channels whose control tokens were left out
    re.IGNORECASE,
)
_END_OF_TURN = re.compile(r"(<\|(?:end|return|im_end|eot_id)\|>)")
_FRAME = re.compile(  # the lines that `fenced` and `as_data` write around data
    r"^(?:[^\S\n]|[>*`\"'#-])*+<<<\s*(?:TAG\b|[0-9a-f]{8})|^the tag is [0-9a-f]{8}"
    r"|\bthe data ends here\W+answer now\b",
    re.IGNORECASE | re.MULTILINE,
)
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn"}  # control, format (bidi), surrogates, unassigned

# --- Questions -----------------------------------------------------------------------------------


def attempts_to_ask_about(
    groups: Sequence[Sequence[Item]], context: FeedbackContext, successes: bool
) -> list[tuple[int, int]]:
    """(group, index) of the requested attempts that ended by themselves and that Lean refused or,
    with `successes`, accepted. The others are not learned from.
    """
    statuses = DECIDED if successes else REFUSED
    return [
        (g, i)
        for g, group in enumerate(groups)
        for i, (_, attempt, verdict) in enumerate(group)
        if context.is_requested(g, i) and attempt.finished and verdict.status in statuses
    ]


def read_prompt(name: str) -> str:
    """The instructions: a file of prompts/ (without its ending), or a path. Raises ConfigError."""
    file = PROMPTS / f"{name}.txt"
    if not file.exists():
        file = Path(name).expanduser()
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        known = ", ".join(sorted(f.stem for f in PROMPTS.glob("*.txt")))
        raise ConfigError(f"prompt {name!r}: neither one of {known} nor a file of text") from error
    if not text.strip():
        raise ConfigError(f"prompt {name!r} is empty")
    return text


def describe(item: Item, proof: Candidate | None, turns: Sequence[tuple[str, str]] = ()) -> str:
    """The theorem, the attempt, Lean's messages and `proof`, a reference proof, as data. `turns`:
    those that led to the attempt, of `turn_blocks`.
    """
    theorem, attempt, verdict = item
    text, helped = attempt.candidate.text, attempt.candidate.has_helpers
    written = "helper lemmas, the theorem again, its proof" if helped else "what follows :="
    blocks = [
        *theorem_blocks(theorem),
        *turns,
        (f"the student's attempt, {written}", text.rstrip()),
        ("what Lean says of it", _lean_report(text, verdict)),
    ]
    if proof is not None:
        helped = " with helper lemmas" if proof.has_helpers else ""
        blocks.append((f"a reference proof{helped}, not to be quoted", proof.text.strip("\n")))
    return as_data(blocks)


def theorem_blocks(theorem: Theorem) -> list[tuple[str, str]]:
    """(title, text) of the statement, its meaning and its goal, those that there are."""
    blocks = [
        ("the theorem", lean_text(theorem, "").strip()),
        ("its meaning in words", theorem.informal),
        ("its goal as Lean prints it", theorem.goal),
    ]
    return [(title, text) for title, text in blocks if text]


def as_data(blocks: Sequence[tuple[str, str]]) -> str:
    tag, text = fenced(blocks, MAX_BLOCK_CHARS)
    return f"The tag is {tag}.\n\n{text}\n\nThe data ends here. Answer now as you were told."


def _lean_report(proof: str, verdict: Verdict) -> str:
    """The status and Lean's messages in the order of their places; they hold the goal states."""
    status = "It accepts the attempt." if verdict.proved else "It refuses the attempt."
    ordered = sorted(verdict.messages, key=lambda m: (m.start is None, m.start or 0))
    return "\n".join([status, *(f"{_place(proof, m)}{m.severity}: {m.text}" for m in ordered)])


def _place(proof: str, message: Message) -> str:
    if message.start is None:
        return ""
    before = proof[: message.start]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    words = proof[message.start : message.end].partition("\n")[0].strip()
    return f"line {line}, column {column}{f', at `{words}`' if words else ''}: "


# --- Turns ---------------------------------------------------------------------------------------


def turn_blocks(
    tokenizer: Tokenizer, attempt: Attempt, max_chars: int = MAX_TURNS_CHARS
) -> list[tuple[str, str]]:
    """(title, text) of each turn of the model and of what was answered to it, in their order; empty
    for an attempt of one turn. A block without text stands for those of the middle, where there
    are too many.
    """
    if attempt.turns < 2:
        return []
    turn, blocks = 0, []
    for origin, text in turn_texts(tokenizer, attempt):
        turn += origin == "model"
        what = "what the student wrote" if origin == "model" else "what was answered to it"
        blocks.append((f"turn {turn} of {attempt.turns}: {what}", text))
    kept = max(max_chars // LEAST_CHARS, 2)
    if len(blocks) > kept:
        head, tail = blocks[: kept // 2], blocks[len(blocks) - (kept - kept // 2) :]
        left_out = len(blocks) - kept
        blocks = [*head, (f"{left_out} turns and answers are left out here", ""), *tail]
    # cut here, from the middle: `as_data` would leave out the end
    longest = min(common_bound([len(text) for _, text in blocks], max_chars), MAX_BLOCK_CHARS)
    return [(title, cut_middle(text, longest)) for title, text in blocks]


def as_text(blocks: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"[{title}]\n{text}" if text else f"[{title}]" for title, text in blocks)


def common_bound(lengths: Sequence[int], total: int) -> int:
    """The largest bound on each of `lengths` under which they add up to at most `total`."""
    left = total
    for number, length in enumerate(sorted(lengths)):
        share = left // (len(lengths) - number)
        if length > share:
            return share
        left -= length
    return max(lengths, default=total)


# --- Text ----------------------------------------------------------------------------------------


def without_thoughts(text: str) -> str:
    """The answer without the model's thoughts; empty if they do not end: it was cut off then.

    Some chat templates begin the thoughts in the prompt; then `text` holds only their end.
    """
    kept, begin, thinking = [], 0, False
    for mark in _THOUGHTS.finditer(text):
        if not mark["opens"]:
            kept = kept if thinking else []
            begin, thinking = mark.end(), False
        elif not thinking:
            kept.append(text[begin : mark.start()])
            thinking = True
    answer = "" if thinking else "".join([*kept, text[begin:]])
    parts = _END_OF_TURN.split(answer)  # texts, with a mark between two of them
    while len(parts) > 1 and not parts[-1].strip():
        del parts[-2:]
    return "".join(parts).strip()


def repeats_question(text: str) -> bool:
    """Does an answer hold the lines that mark data in our questions? It is of no use then."""
    return _FRAME.search(text) is not None


def plain(text: str, max_chars: int) -> str:
    """`text` without invisible characters, control tokens broken by a space, cut with an
    ellipsis to `max_chars`.
    """
    text = text[: 2 * max_chars]  # enough to see that it must be cut
    visible = "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in _INVISIBLE)
    harmless = _SPECIAL.sub(lambda match: f"{match[0]} ", visible)
    return harmless if len(harmless) <= max_chars else f"{harmless[: max_chars - 1]}…"


def as_messages(text: str, max_chars: int) -> tuple[str, ...]:
    """The lines of a model's plain text, without empty ones."""
    return tuple(filter(None, map(str.strip, plain(text, max_chars).splitlines())))


def fenced(blocks: Sequence[tuple[str, str]], max_chars: int) -> tuple[str, str]:
    """(tag, the titled blocks, each plain and between lines that hold the tag).

    The tag is a hash of all the blocks, so that no text can contain the tag.
    """
    blocks = [(title, plain(text, max_chars)) for title, text in blocks]
    tag = hashlib.sha256(repr(blocks).encode()).hexdigest()[:16]
    return tag, "\n\n".join(
        f"<<<{tag} {title}>>>\n{text}\n<<<{tag} end>>>" for title, text in blocks
    )
