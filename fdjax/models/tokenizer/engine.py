"""What a published model's file gives: text to ids, and the bytes of each id.

Both kinds of file are edited before their library reads them: control tokens are renamed, to MARK
and their old name. So no text can become one, and MARK written before the name is the one way to
ask for it; all else is tokenized exactly as published.
"""

from collections.abc import Callable
from typing import NamedTuple

MARK = "\ufdd0"  # one of Unicode's noncharacters, which are for use inside programs only


class Added(NamedTuple):
    """A token that is found in text before any piece is: control tokens and others."""

    id: int
    special: bool  # says nothing in decoded text


class Engine(NamedTuple):
    encode: Callable[[str], list[int]]  # text that goes on from other text
    encode_marked: Callable[[str], list[int]]  # text with marks, which begins a sequence
    pieces: tuple[bytes, ...]  # UTF-8 of each id
    starts_with_bos: bool  # does the file itself say so?


def piecewise(encode: Callable[[str], list[int]]) -> Callable[[str], list[int]]:
    """`encode` for text in which MARK is a character like others."""

    def encode_plain(text: str) -> list[int]:
        first, *rest = text.split(MARK)
        ids = list(encode(first))
        for part in rest:
            ids += [*encode(MARK), *encode(part)]
        return ids

    return encode_plain
