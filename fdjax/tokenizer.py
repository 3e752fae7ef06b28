"""Text to token ids and back, without loss, and where in the text each token starts."""

import bisect
import dataclasses
import functools
import io
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import sentencepiece

from fdjax.files import write_atomically


class Tokenizer(Protocol):
    """What the rest of fdjax asks of a tokenizer (a Hugging Face one fits as well)."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def pad_id(self) -> int: ...

    @property
    def bos_id(self) -> int: ...

    @property
    def eos_id(self) -> int: ...

    def encode(self, text: str) -> list[int]:
        """Ids of the text alone: no control tokens are added, none come out of the text."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids; control tokens have none."""
        ...

    def offsets(self, ids: Sequence[int]) -> list[int]:
        """Per token, where its text starts in `decode(ids)`, in characters."""
        ...

    def save(self, path: str | os.PathLike) -> None: ...


@dataclasses.dataclass(frozen=True)
class SentencePieceTokenizer:
    """A sentencepiece model without normalisation: `decode(encode(text)) == text`, always."""

    model: bytes  # the serialised sentencepiece model; equal models are equal tokenizers

    @functools.cached_property
    def _processor(self) -> sentencepiece.SentencePieceProcessor:
        return sentencepiece.SentencePieceProcessor(model_proto=self.model)

    @functools.cached_property
    def _bytes(self) -> tuple[bytes, ...]:
        """UTF-8 of each token. sentencepiece's own decoding cannot give places in the text."""
        sp = self._processor

        def piece_bytes(i: int) -> bytes:
            piece = sp.id_to_piece(i)
            if sp.is_byte(i):  # "<0x0A>"
                return bytes([int(piece[3:5], 16)])
            if sp.is_control(i):
                return b""
            if sp.is_unknown(i):  # never encoded; a model may still sample it
                return "\ufffd".encode()
            return piece.replace("▁", " ").encode()

        return tuple(piece_bytes(i) for i in range(sp.get_piece_size()))

    @functools.cached_property
    def _underscore(self) -> tuple[int, ...]:
        return tuple(self._processor.piece_to_id(f"<0x{b:02X}>") for b in "▁".encode())

    @property
    def vocab_size(self) -> int:
        return self._processor.get_piece_size()

    @property
    def pad_id(self) -> int:
        return self._processor.pad_id()

    @property
    def bos_id(self) -> int:
        return self._processor.bos_id()

    @property
    def eos_id(self) -> int:
        return self._processor.eos_id()

    def encode(self, text: str) -> list[int]:
        # sentencepiece spells a space as ▁, so a ▁ of the text itself goes in as bytes.
        first, *rest = (self._processor.encode(part) for part in text.split("▁"))
        for part in rest:
            first.extend(self._underscore)
            first.extend(part)
        return first

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids; bytes that make no character become U+FFFD."""
        return b"".join(self._bytes[i] for i in ids).decode("utf-8", "replace")

    def offsets(self, ids: Sequence[int]) -> list[int]:
        """Per token, where its text starts in `decode(ids)`, in characters.

        A byte token inside a character starts where the character starts. A control token
        starts where the next text would: at `len(decode(ids))` for a last end-of-sequence.
        """
        tokens = [self._bytes[i] for i in ids]
        starts = _character_starts(b"".join(tokens))
        places, at = [], 0
        for token in tokens:
            places.append(bisect.bisect_right(starts, at) - 1)
            at += len(token)
        return places

    def save(self, path: str | os.PathLike) -> None:
        write_atomically(path, self.model)


def load(path: str | os.PathLike) -> SentencePieceTokenizer:
    """Reads what `save` wrote. Raises FileNotFoundError, or ValueError if it is something else."""
    tokenizer = SentencePieceTokenizer(Path(path).read_bytes())
    try:
        valid = tokenizer.decode(tokenizer.encode("∀ x,\n  x")) == "∀ x,\n  x"
    except (RuntimeError, KeyError, IndexError):
        valid = False
    if not valid:
        raise ValueError(f"{path} holds no lossless sentencepiece model; fdjax.tokenizer.train "
                         "makes one")
    return tokenizer


def train(texts: Iterable[str], vocab_size: int = 512) -> SentencePieceTokenizer:
    """Learns byte-pair pieces from texts; the same texts give the same bytes.

    A piece never spans two Lean words, so `h1` is one token wherever it stands (with or
    without a leading space) and `(`, `¬`, `→` stay apart. 263 entries are control, byte and
    indentation tokens. The vocabulary is smaller than `vocab_size` if the texts hold no more
    pairs to merge. Raises ValueError where `vocab_size` cannot hold the characters of `texts`.
    """
    texts = [text for text in texts if text]
    if not texts:
        raise ValueError("cannot train a tokenizer: there are no texts, or all are empty")
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=map(_delimited, texts),
            model_writer=model,
            model_type="bpe",
            vocab_size=vocab_size,
            hard_vocab_limit=False,
            character_coverage=0.9999,  # the rarest characters are spelled in bytes
            byte_fallback=True,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            split_by_number=False,
            split_by_unicode_script=False,  # the delimiter splits, and knows Lean's words
            pretokenization_delimiter=_DELIMITER,
            user_defined_symbols=["\n", "\n▁▁", "▁▁"],  # indentation goes by two
            pad_id=0,
            bos_id=1,
            eos_id=2,
            unk_id=3,
            num_threads=1,
            max_sentence_length=1 << 30,  # longer texts would be skipped silently
            minloglevel=2,
        )
    except RuntimeError as error:
        raise ValueError(f"cannot train a tokenizer of vocab_size={vocab_size}: it must hold "
                         f"263 tokens and each character of the texts ({error})") from error
    return SentencePieceTokenizer(model.getvalue())


_DELIMITER = "\x01"
_WORD = re.compile(
    r"\n(?:  )?|  "  # indentation
    r"| ?(?::=|=>|<;>|<-|←|\?_)"  # operators of several characters
    r"|[ .]?[\w']+"  # an identifier's part, a keyword, a number; `.elim` after a dot
    r"| ?[^\w\s]"  # any other symbol alone
    r"|\s"
)


def _delimited(text: str) -> str:
    # ▁ and ▅ are sentencepiece's own marks; they are encoded as bytes, never as pieces.
    text = re.sub("[▁▅]", _DELIMITER, text)
    return _DELIMITER.join(_WORD.findall(text))


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
