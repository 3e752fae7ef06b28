"""An attempt of several turns as text for who comments on it, cut from the middle to a budget."""

from collections.abc import Sequence

from fdjax.lean.report import cut
from fdjax.models.tokenizer import Tokenizer
from fdjax.rollout.attempts import turn_texts
from fdjax.types import Attempt

MAX_CHARS = 8000  # of all turns and answers together
LEAST = 100  # characters that a turn or an answer is cut to, before others are left out


def turn_blocks(
    tokenizer: Tokenizer, attempt: Attempt, max_chars: int = MAX_CHARS
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
    kept = max(max_chars // LEAST, 2)
    if len(blocks) > kept:
        head, tail = blocks[: kept // 2], blocks[len(blocks) - (kept - kept // 2) :]
        left_out = len(blocks) - kept
        blocks = [*head, (f"{left_out} turns and answers are left out here", ""), *tail]
    longest = common_bound([len(text) for _, text in blocks], max_chars)
    return [(title, cut(text, longest)) for title, text in blocks]


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
