"""The tokenizer that a run trains on its own theorems: sentencepiece, without loss."""

import dataclasses
import functools
import io
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import sentencepiece

from fdjax.models.tokenizer import places
from fdjax.models.tokenizer.protocol import Message
from fdjax.runtime.files import write_atomically


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

    @property
    def chat_eos_id(self) -> int:
        return self.eos_id

    @property
    def stop_ids(self) -> tuple[int, ...]:
        return (self.eos_id,)

    def encode(self, text: str) -> list[int]:
        # sentencepiece spells a space as ▁, so a ▁ of the text itself goes in as bytes.
        first, *rest = (self._processor.encode(part) for part in text.split("▁"))
        for part in rest:
            first.extend(self._underscore)
            first.extend(part)
        return first

    def encode_prompt(self, text: str) -> list[int]:
        return [self.bos_id, *self.encode(text)]

    def encode_chat(self, messages: Sequence[Message], thinking: bool | None = None) -> list[int]:
        raise ValueError("a tokenizer trained here has no chat template")

    def decode(self, ids: Sequence[int]) -> str:
        return places.text([self._bytes[i] for i in ids])

    def offsets(self, ids: Sequence[int]) -> list[int]:
        return places.offsets([self._bytes[i] for i in ids])

    def save(self, folder: str | os.PathLike) -> None:
        write_atomically(Path(folder) / "tokenizer.model", self.model)

    def check(self) -> None:
        """Raises ValueError for bytes that are something else."""
        try:
            valid = self.decode(self.encode("∀ x,\n  x")) == "∀ x,\n  x"
        except (RuntimeError, KeyError, IndexError):
            valid = False
        if not valid:
            raise ValueError(
                "tokenizer.model is no lossless sentencepiece model; fdjax.models.tokenizer.train makes "
                "one, and a published one needs its tokenizer_config.json beside it"
            )


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
            vocab_size=max(vocab_size, 4),  # of less it does not say what it needs
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
        if needed := re.search(r"Vocabulary size is smaller .* vs (\d+)", str(error)):
            raise ValueError(
                f"{vocab_size} is too small: these texts need at least {needed[1]}, for 263 tokens"
                " (control, bytes, indentation) and each of their characters"
            ) from error
        raise ValueError(f"cannot train a tokenizer: {error}") from error
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
