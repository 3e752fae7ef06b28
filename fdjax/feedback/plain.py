"""Text of theorems, attempts and language models is data: it must read as nothing else.

Instructions may stand in it, and signs that tokenizers or prompts give a meaning to.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence

# What chat models read as control tokens. Lean's own `<|`, `<|>` and `<;>` are none of these.
_SPECIAL = re.compile(
    r"<(?=[|｜][^\s|｜<>][^|｜<>\n]{0,60}[|｜]>)"  # <|im_start|>, <｜end▁of▁sentence｜>
    r"|<(?=/?(?:s|bos|eos|pad|unk|mask|sep|cls|think|tool_call|(?:start|end)_of_turn)>)"
    r"|(?:\[|<<)(?=/?(?:INST|SYS|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)(?:\]|>>))",
    re.IGNORECASE,
)
# Of a template that opens them itself, only the end comes back.
_THOUGHTS = re.compile(r"\A(?:(?!<think>).)*?</think>|<think>.*?(?:</think>|\Z)", re.DOTALL)
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn"}  # control, format (bidi), surrogates, unassigned


def without_thoughts(text: str) -> str:
    """What a model says after it has thought; nothing if it never came to an end."""
    return _THOUGHTS.sub("", text).strip()


def plain(text: str, longest: int) -> str:
    """`text` without invisible characters, control tokens broken by a space, cut with an
    ellipsis to `longest` characters.
    """
    text = text[: 2 * longest]  # enough to see that it is cut
    visible = "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in _INVISIBLE)
    harmless = _SPECIAL.sub(lambda match: f"{match[0]} ", visible)
    return harmless if len(harmless) <= longest else f"{harmless[: longest - 1]}…"


def fenced(blocks: Sequence[tuple[str, str]], longest: int) -> tuple[str, str]:
    """(tag, the titled blocks, each plain and between lines that hold the tag).

    The tag is a hash of all the blocks, so that no text can hold its own.
    """
    blocks = [(title, plain(text, longest)) for title, text in blocks]
    tag = hashlib.sha256(repr(blocks).encode()).hexdigest()[:16]
    return tag, "\n\n".join(
        f"<<<{tag} {title}>>>\n{text}\n<<<{tag} end>>>" for title, text in blocks
    )
