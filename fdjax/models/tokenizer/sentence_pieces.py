"""A published sentencepiece model (Llama 2, Gemma), where there is no tokenizer.json beside it."""

from collections.abc import Mapping

import sentencepiece
from google.protobuf.message import DecodeError
from sentencepiece import sentencepiece_model_pb2 as schema

from fdjax.models.tokenizer.engine import MARK, Added, Engine, piecewise


def added_tokens(model: bytes) -> dict[str, Added]:
    """Name -> token: control tokens, and those "user-defined" ones that text may become."""
    proto = _proto(model)
    kinds = proto.SentencePiece
    return {
        piece.piece: Added(i, piece.type == kinds.CONTROL)
        for i, piece in enumerate(proto.pieces)
        if piece.type in (kinds.CONTROL, kinds.USER_DEFINED)
    }


def engine(model: bytes, control: Mapping[str, Added]) -> Engine:
    """`control`: those of the added tokens that text must not become.

    As in transformers, the space that Llama 2 puts before all text comes before a sequence's first
    text only, and not where that begins with a space or a control token.
    """
    proto = _proto(model)
    normal = proto.normalizer_spec
    if normal.remove_extra_whitespaces or normal.precompiled_charsmap:
        raise ValueError("tokenizer.model changes text (spaces, characters) that Lean needs as is")
    prefix = " " if normal.add_dummy_prefix else ""
    normal.add_dummy_prefix = False
    for token in control.values():
        piece = proto.pieces[token.id]
        piece.piece, piece.type = MARK + piece.piece, proto.SentencePiece.USER_DEFINED
    processor = sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())

    def encode_marked(text: str) -> list[int]:
        return processor.encode(text if text[:1] in ("", MARK, " ", "▁") else prefix + text)

    def to_bytes(piece) -> bytes:
        if piece.type == proto.SentencePiece.BYTE:  # "<0x0A>"
            return bytes([int(piece.piece[3:5], 16)])
        if piece.type == proto.SentencePiece.UNKNOWN:
            return "\ufffd".encode()
        return piece.piece.removeprefix(MARK).replace("▁", " ").encode()

    return Engine(
        encode=piecewise(processor.encode),
        encode_marked=encode_marked,
        pieces=tuple(map(to_bytes, proto.pieces)),
        starts_with_bos=True,
    )


def _proto(model: bytes):
    try:
        return schema.ModelProto.FromString(model)
    except DecodeError as error:
        raise ValueError("tokenizer.model is no sentencepiece model") from error
