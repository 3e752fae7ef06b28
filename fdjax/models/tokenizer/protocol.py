"""What the rest of fdjax asks of a tokenizer."""

import os
from collections.abc import Mapping, Sequence
from typing import Protocol

Message = Mapping[str, str]  # {"role": "system", "user" or "assistant", "content": text}


class Tokenizer(Protocol):
    """Ids are below `vocab_size`; a model's embedding may have more rows than that.

    Text never becomes a control token, whatever it says: only `encode_prompt` (which may begin with
    bos) and the template of `encode_chat` write those.
    """

    @property
    def vocab_size(self) -> int: ...

    @property
    def pad_id(self) -> int: ...

    @property
    def eos_id(self) -> int:
        """Ends what is not a chat."""
        ...

    @property
    def chat_eos_id(self) -> int:
        """Ends the assistant's turn in a chat."""
        ...

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Whichever of these comes first ends a sample; `eos_id` is among them."""
        ...

    @property
    def model(self) -> bytes:
        """Stands for all that decides what it does: equal bytes are equal tokenizers."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of text that goes on from other text."""
        ...

    def encode_prompt(self, text: str) -> list[int]:
        """Ids of text that begins a sequence, with bos before it where the model wants one."""
        ...

    def encode_chat(self, messages: Sequence[Message], thinking: bool | None = None) -> list[int]:
        """Ids of a chat by the model's template, up to where the assistant is to speak.

        thinking: the template's `enable_thinking`; None leaves its default. Raises ValueError where
        there is no template, or it refuses these messages.
        """
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids; special tokens have none."""
        ...

    def offsets(self, ids: Sequence[int]) -> list[int]:
        """Per token, where its text starts in `decode(ids)`, in characters.

        A token that begins inside a character starts where the character starts. One without text
        starts where the next text would: at `len(decode(ids))` for a last end-of-sequence.
        """
        ...

    def save(self, folder: str | os.PathLike) -> None: ...
