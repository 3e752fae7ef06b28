"""The tokenizer that a run trains on its own theorems: a lossless sentencepiece model.

sentencepiece trains and applies it. Needed beside it: the bytes of each token, which places in the
text come from, and a spelling of ▁, which sentencepiece itself would turn into a space.
"""

import dataclasses
import functools
import io
import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import sentencepiece

from fdjax.models.tokenizer.engines import import_tokenizers, parse_pieces, piece_bytes
from fdjax.models.tokenizer.protocol import Message, Tool, character_offsets, decode_bytes
from fdjax.runtime.files import write_atomically


@dataclasses.dataclass(frozen=True)
class SentencePieceTokenizer:
    """A sentencepiece model without normalisation: `decode(encode(text)) == text` for any text."""

    model: bytes  # the serialised sentencepiece model; equal models are equal tokenizers

    @functools.cached_property
    def _processor(self) -> sentencepiece.SentencePieceProcessor:
        return sentencepiece.SentencePieceProcessor(model_proto=self.model)

    @functools.cached_property
    def _bytes(self) -> tuple[bytes, ...]:
        return piece_bytes(parse_pieces(self.model))

    @functools.cached_property
    def _underscore(self) -> tuple[int, ...]:
        return tuple(self._processor.piece_to_id(f"<0x{b:02X}>") for b in "▁".encode())

    @property
    def vocab_size(self) -> int:
        return self._processor.get_piece_size()

    @property
    def min_rows(self) -> int:
        return self.vocab_size

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

    def token_name(self, id: int) -> str:
        return self._processor.id_to_piece(id)

    def encode(self, text: str) -> list[int]:
        # sentencepiece spells a space as ▁, so a ▁ of the text is encoded as bytes.
        first, *rest = (self._processor.encode(part) for part in text.split("▁"))
        for part in rest:
            first.extend(self._underscore)
            first.extend(part)
        return first

    def encode_prompt(self, text: str) -> list[int]:
        return [self.bos_id, *self.encode(text)]

    def encode_chat(
        self,
        messages: Sequence[Message],
        thinking: bool | None = None,
        tools: Sequence[Tool] = (),
    ) -> list[int]:
        raise ValueError("a tokenizer trained here has no chat template")

    def encode_between(self, messages, answers, thinking=None, tools=(), *, ended) -> list[int]:
        raise ValueError("a tokenizer trained here has no chat template")

    def token_bytes(self, ids: Sequence[int]) -> list[bytes]:
        return [self._bytes[i] for i in ids]

    def decode(self, ids: Sequence[int]) -> str:
        return decode_bytes(self.token_bytes(ids))

    def offsets(self, ids: Sequence[int]) -> list[int]:
        return character_offsets(self.token_bytes(ids))

    def save(self, folder: str | os.PathLike) -> None:
        write_atomically(Path(folder) / "tokenizer.model", self.model)

    def check(self) -> None:
        """Raises ValueError if `model` is not a model that `train` makes."""
        try:
            valid = self.decode(self.encode("∀ x,\n  x")) == "∀ x,\n  x"
        except (RuntimeError, KeyError, IndexError):
            valid = False
        if not valid:
            raise ValueError(
                "tokenizer.model is no lossless sentencepiece model; fdjax.models.tokenizer.train "
                "makes one, and a published one needs its tokenizer_config.json beside it"
            )


# --- Training ------------------------------------------------------------------------------------


def train(texts: Iterable[str], vocab_size: int = 512) -> SentencePieceTokenizer:
    """Byte-pair pieces learned from texts; the same texts give the same bytes.

    No piece spans two Lean words: `h1` is one token with or without a leading space, and `(`, `¬`,
    `→` stay apart. 263 entries are control, byte and indentation tokens. The vocabulary is smaller
    than `vocab_size` if the texts hold no more pairs to merge. Raises ValueError if there are no
    texts, or if `vocab_size` cannot hold their characters.
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
            vocab_size=max(vocab_size, 4),  # below 4 the error does not name the needed size
            hard_vocab_limit=False,
            character_coverage=0.9999,  # the rarest characters are spelled in bytes
            byte_fallback=True,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            split_by_number=False,
            split_by_unicode_script=False,  # the delimiter splits, at Lean's words
            pretokenization_delimiter=_DELIMITER,
            user_defined_symbols=["\n", "\n▁▁", "▁▁"],  # indentation in steps of two
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
    # ▁ and ▅ have a meaning in sentencepiece; they are encoded as bytes, never as pieces.
    text = re.sub("[▁▅]", _DELIMITER, text)
    return _DELIMITER.join(_WORD.findall(text))


# --- Export to transformers ----------------------------------------------------------------------


def token_ids(tokenizer: SentencePieceTokenizer) -> dict[str, int]:
    """The ids that begin, end and pad a text, under their names in config.json."""
    return {f"{name}_token_id": getattr(tokenizer, f"{name}_id") for name in ("bos", "eos", "pad")}


def transformers_files(tokenizer: SentencePieceTokenizer) -> dict[str, str]:
    """Name -> content of tokenizer.json and tokenizer_config.json, for `AutoTokenizer`.

    It then gives the ids of `encode_prompt`, and with add_special_tokens=False those of `encode`,
    except for text that spells a control token (`<s>`). No class of transformers reads our
    tokenizer.model with these ids, so the same pieces become byte pairs of the package tokenizers.
    They have plain spaces: a ▁ of the text is then an ordinary character. Raises ValueError if that
    package is not installed.
    """
    package = import_tokenizers()
    proto = parse_pieces(tokenizer.model)
    kinds = proto.SentencePiece
    names = [piece.piece.replace("▁", " ") for piece in proto.pieces]
    bos, unknown = names[tokenizer.bos_id], names[tokenizer._processor.unk_id()]
    exported = package.Tokenizer(
        package.models.BPE(
            vocab={name: i for i, name in enumerate(names)},
            merges=_merges(
                {n: p.score for n, p in zip(names, proto.pieces) if p.type == kinds.NORMAL}
            ),
            unk_token=unknown,
            byte_fallback=True,
        )
    )
    for name, piece in zip(names, proto.pieces):
        if piece.type in (kinds.CONTROL, kinds.UNKNOWN, kinds.USER_DEFINED):
            special = piece.type != kinds.USER_DEFINED
            added = package.AddedToken(name, special=special, normalized=False)
            exported.add_tokens([added])
    exported.post_processor = package.processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A $B", special_tokens=[(bos, tokenizer.bos_id)]
    )
    exported.decoder = package.decoders.Sequence(
        [package.decoders.ByteFallback(), package.decoders.Fuse()]
    )
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": bos,
        "eos_token": names[tokenizer.eos_id],
        "pad_token": names[tokenizer.pad_id],
        "unk_token": unknown,
        "add_bos_token": True,
        "clean_up_tokenization_spaces": False,
    }
    return {
        "tokenizer.json": exported.to_str(),
        "tokenizer_config.json": json.dumps(config, indent=2),
    }


def _merges(scores: dict[str, float]) -> list[tuple[str, str]]:
    """All pairs that make a piece, in the order of the pieces' scores: sentencepiece joins any
    two such neighbours, whichever it met in training."""
    best = sorted(scores, key=lambda name: -scores[name])
    halves = ((name[:cut], name[cut:]) for name in best for cut in range(1, len(name)))
    return [pair for pair in halves if all(half in scores for half in pair)]
