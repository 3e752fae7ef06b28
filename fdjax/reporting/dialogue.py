"""An attempt of several turns as HTML: what the model wrote, and what was answered to it."""

from collections.abc import Sequence

from fdjax.lean.report import cut_middle
from fdjax.models import tokenizer as tokenizers
from fdjax.models.tokenizer import Tokenizer
from fdjax.reporting.page import esc
from fdjax.reporting.workdir import StageFolder
from fdjax.rollout.attempts import turn_texts
from fdjax.types import Attempt

MAX_CHARS = 2000  # of a turn or an answer
Turns = Sequence[tuple[str, str]]  # origin, "model" or "tool"; text


def stage_tokenizer(stage: StageFolder) -> Tokenizer | None:
    """None where the stage's folder has none, or one that cannot be read here."""
    folder = stage.journal.folder.parent if stage.journal else None
    try:
        return tokenizers.load(folder) if folder else None
    except (OSError, ValueError, ImportError):  # a published one needs a package
        return None


def turns_of(tokenizer: Tokenizer | None, attempt: Attempt) -> Turns:
    """Empty for an attempt of one turn, and without a tokenizer."""
    if tokenizer is None or attempt.turns < 2:
        return ()
    return turn_texts(tokenizer, attempt)


def dialogue(turns: Turns) -> str:
    """All text is escaped: neither the model nor a tool can write HTML."""
    parts, turn = [], 0
    for origin, text in turns:
        by_model = origin == "model"
        turn += by_model
        title = f"turn {turn}" if by_model else f"answer to turn {turn}"
        kind = "turn" if by_model else "message tool"
        shown = esc(cut_middle(text.rstrip(), MAX_CHARS))
        parts.append(f"<p class=meta>{title}</p><pre class='{kind}'>{shown}</pre>")
    return "".join(parts)


def counted(attempt: Attempt) -> str:
    """`, 3 turns, 2 calls (1 malformed)`, without what there is none of."""
    words = f", {attempt.turns} turns" if attempt.turns > 1 else ""
    if attempt.calls:
        words += f", {attempt.calls} call{'s' * (attempt.calls > 1)}"
        words += f" ({attempt.malformed} malformed)" if attempt.malformed else ""
    return words
