"""From the bytes that each token stands for to text and the places of tokens in it."""

import bisect
from collections.abc import Sequence


def text(tokens: Sequence[bytes]) -> str:
    """Bytes that make no character become U+FFFD."""
    return b"".join(tokens).decode("utf-8", "replace")


def offsets(tokens: Sequence[bytes]) -> list[int]:
    """Per token, where it starts in `text(tokens)`, in characters: see protocol.Tokenizer."""
    starts = _character_starts(b"".join(tokens))
    places, at = [], 0
    for token in tokens:
        places.append(bisect.bisect_right(starts, at) - 1)
        at += len(token)
    return places


def _character_starts(data: bytes) -> list[int]:
    """Byte at which each character of `data.decode("utf-8", "replace")` starts, and the end."""
    starts, at = [], 0
    while at < len(data):
        try:
            good, bad = data[at:].decode(), 0
        except UnicodeDecodeError as error:  # one U+FFFD for data[at + start : at + end]
            good, bad = data[at : at + error.start].decode(), error.end - error.start
        for character in good:
            starts.append(at)
            at += len(character.encode())
        if bad:
            starts.append(at)
            at += bad
    return starts + [len(data)]
