"""The interface of a tokenizer, and how bytes of tokens become text and places in it."""

import bisect
import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

# {"role": "system", "user", "assistant" or "tool", "content": text}; templates may read more keys.
# With "trusted" true, what spells a control token becomes one.
Message = Mapping[str, Any]
Tool = Mapping[str, Any]  # {"type": "function", "function": {"name", "description", "parameters"}}


class Tokenizer(Protocol):
    """Ids are below `vocab_size`; a model's embedding may have more rows than that.

    Text never becomes a control token, even where it spells one. Only `encode_prompt`, which may
    begin with bos, and the template of `encode_chat` write control tokens.
    """

    @property
    def vocab_size(self) -> int: ...

    @property
    def min_rows(self) -> int:
        """Rows that an embedding needs for all ids of texts, chats, their ends and padding."""

    @property
    def pad_id(self) -> int: ...

    @property
    def eos_id(self) -> int:
        """Ends a text that is not a chat."""

    @property
    def chat_eos_id(self) -> int:
        """Ends the assistant's turn in a chat."""

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """The first of these ends a sample; `eos_id` and `chat_eos_id` are among them."""

    def token_name(self, id: int) -> str:
        """How the tokenizer's files spell the token."""

    @property
    def model(self) -> bytes:
        """Determines all results: tokenizers with equal bytes are equal."""

    def encode(self, text: str) -> list[int]:
        """Ids of text that continues other text."""

    def encode_prompt(self, text: str) -> list[int]:
        """Ids of text that begins a sequence, with bos before it if the model uses one."""

    def encode_chat(
        self,
        messages: Sequence[Message],
        thinking: bool | None = None,
        tools: Sequence[Tool] = (),
    ) -> list[int]:
        """Ids of a chat by the model's template, up to where the assistant's answer begins.

        thinking: the template's `enable_thinking`; None leaves its default. tools: declared where
        the template declares them. Raises ValueError if there is no template, or if it refuses
        these messages.
        """

    def encode_between(
        self,
        messages: Sequence[Message],
        answers: Sequence[Message],
        thinking: bool | None = None,
        tools: Sequence[Tool] = (),
        *,
        ended: bool,
    ) -> list[int]:
        """Ids between the assistant's words, which follow `messages`, and its next words, which
        follow `answers`. The words themselves are not looked at.

        ended: the words have their end already (`chat_eos_id`). Raises ValueError as `encode_chat`,
        and if the template does not write an assistant's words just as they are.
        """

    def token_bytes(self, ids: Sequence[int]) -> list[bytes]:
        """The UTF-8 of each id, which may be part of a character; b"" for special tokens."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids. Special tokens have none; invalid UTF-8 becomes U+FFFD."""

    def offsets(self, ids: Sequence[int]) -> list[int]:
        """Per token, the character of `decode(ids)` at which its text starts.

        A token that begins inside a character starts where the character starts. One without text
        starts where the next text would: at `len(decode(ids))` for a final end-of-sequence.
        """

    def save(self, folder: str | os.PathLike) -> None: ...


def decode_bytes(tokens: Sequence[bytes]) -> str:
    """`Tokenizer.decode` for the bytes of each token."""
    return b"".join(tokens).decode("utf-8", "replace")


def character_offsets(tokens: Sequence[bytes]) -> list[int]:
    """`Tokenizer.offsets` for the bytes of each token."""
    starts = _character_starts(b"".join(tokens))
    offsets, at = [], 0
    for token in tokens:
        offsets.append(bisect.bisect_right(starts, at) - 1)
        at += len(token)
    return offsets


def _character_starts(data: bytes) -> list[int]:
    """The first byte of each character of `data.decode("utf-8", "replace")`, and len(data)."""
    starts, at = [], 0
    while at < len(data):
        try:
            valid, invalid = data[at:].decode(), 0
        except UnicodeDecodeError as error:  # data[at + error.start : at + error.end] -> U+FFFD
            valid, invalid = data[at : at + error.start].decode(), error.end - error.start
        for character in valid:
            starts.append(at)
            at += len(character.encode())
        if invalid:
            starts.append(at)
            at += invalid
    return starts + [len(data)]
