"""A tokenizer trained here, in the files that transformers reads.

No class of transformers reads our tokenizer.model with the ids that we give. The package tokenizers
does the same from a tokenizer.json: byte pairs joined by score, indentation found first, characters
that are no piece in bytes. Its pieces have plain spaces, so that a ▁ of the text is a character
like others.
"""

import json
from collections.abc import Mapping

from sentencepiece import sentencepiece_model_pb2 as schema

from fdjax.models.tokenizer.trained import SentencePieceTokenizer


def files(tokenizer: SentencePieceTokenizer) -> dict[str, str]:
    """Name -> content. `AutoTokenizer` then gives the ids of `encode_prompt`, and with
    add_special_tokens=False those of `encode`, but for text that spells a control token (`<s>`)."""
    pieces = schema.ModelProto.FromString(tokenizer.model).pieces
    kinds = schema.ModelProto.SentencePiece
    names = [piece.piece.replace("▁", " ") for piece in pieces]
    scores = {name: piece.score for name, piece in zip(names, pieces) if piece.type == kinds.NORMAL}
    control = (kinds.CONTROL, kinds.UNKNOWN)
    bos = names[tokenizer.bos_id]
    spec = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": i,
                "content": names[i],
                "special": piece.type in control,
                "normalized": False,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
            }
            for i, piece in enumerate(pieces)
            if piece.type in (*control, kinds.USER_DEFINED)
        ],
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": bos, "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
            ],
            "pair": [
                {"SpecialToken": {"id": bos, "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"Sequence": {"id": "B", "type_id": 0}},
            ],
            "special_tokens": {bos: {"id": bos, "ids": [tokenizer.bos_id], "tokens": [bos]}},
        },
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": next(n for n, p in zip(names, pieces) if p.type == kinds.UNKNOWN),
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {name: i for i, name in enumerate(names)},
            "merges": _merges(scores),
        },
    }
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": bos,
        "eos_token": names[tokenizer.eos_id],
        "pad_token": names[tokenizer.pad_id],
        "unk_token": spec["model"]["unk_token"],
        "add_bos_token": True,
        "clean_up_tokenization_spaces": False,
    }
    return {
        "tokenizer.json": json.dumps(spec, ensure_ascii=False),
        "tokenizer_config.json": json.dumps(config, indent=2),
    }


def token_ids(tokenizer: SentencePieceTokenizer) -> dict[str, int]:
    """Which ids begin, end and pad a text, as config.json names them."""
    return {
        "bos_token_id": tokenizer.bos_id,
        "eos_token_id": tokenizer.eos_id,
        "pad_token_id": tokenizer.pad_id,
    }


def _merges(scores: Mapping[str, float]) -> list[tuple[str, str]]:
    """Every pair that makes a piece, those of the best piece first: sentencepiece joins any two
    neighbours that do, whichever of them it met in training."""
    best = sorted(scores, key=lambda name: -scores[name])
    halves = ((name[:cut], name[cut:]) for name in best for cut in range(1, len(name)))
    return [pair for pair in halves if all(half in scores for half in pair)]
