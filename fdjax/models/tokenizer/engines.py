"""Readers of published models: text to ids, and the bytes of each id.

The packages tokenizers and sentencepiece turn text into ids. By themselves they also turn text
that spells a control token (`<|im_end|>`) into that token. So the file is edited before the package
reads it: each control token is renamed to MARK + its name. Text can then never become one, and MARK
before the name writes one. All other text is tokenized as published. The packages do not give the
bytes of a token, which places in the text need; those are read from the file.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import sentencepiece
from google.protobuf.message import DecodeError
from sentencepiece import sentencepiece_model_pb2 as schema

MARK = "\ufdd0"  # a Unicode noncharacter, reserved for use inside programs


class Added(NamedTuple):
    """A token that is found in text before all others: control tokens, indentation and the like."""

    id: int
    special: bool  # has no text when decoded


Entry = Mapping[str, Any]  # of an added token: its "content", "special" and so on


class Engine(NamedTuple):
    encode: Callable[[str], list[int]]  # text that continues other text; MARK is plain text
    encode_marked: Callable[[str], list[int]]  # text that begins a sequence; MARK writes tokens
    pieces: tuple[bytes, ...]  # UTF-8 of each id
    starts_with_bos: bool  # by the file itself


def _ignoring_marks(encode: Callable[[str], list[int]]) -> Callable[[str], list[int]]:
    """`encode` with MARK as a character like any other."""

    def encode_plain(text: str) -> list[int]:
        first, *rest = text.split(MARK)
        ids = list(encode(first))
        for part in rest:
            ids += [*encode(MARK), *encode(part)]
        return ids

    return encode_plain


def _missing(
    listed: Sequence[Entry],
    named: Collection[str],
    vocabulary: Mapping[str, int],
    added: Mapping[str, Added],
) -> dict[str, Added]:
    """The tokens that are `listed`, or `named` and in the vocabulary, but not `added`.

    As in the package tokenizers, the id is that of the vocabulary, else the next after all ids.
    """
    special = {token["content"]: bool(token.get("special")) for token in listed}
    special |= {name: True for name in named if name in vocabulary or name in special}
    after = max(len(vocabulary), *(token.id + 1 for token in added.values()), 0)
    out = {}
    for name in (name for name in special if name not in added):
        out[name] = Added(vocabulary.get(name, after), special[name])
        after += out[name].id == after
    return out


# --- tokenizer.model (sentencepiece: Llama 2, Gemma) ---------------------------------------------


def parse_pieces(model: bytes):
    """The sentencepiece model as a protocol buffer. Raises ValueError if it is none."""
    try:
        return schema.ModelProto.FromString(model)
    except DecodeError as error:
        raise ValueError("tokenizer.model is no sentencepiece model") from error


def piece_bytes(proto) -> tuple[bytes, ...]:
    """UTF-8 of each piece. sentencepiece's own decoder gives no places in the text."""
    kinds = proto.SentencePiece

    def to_bytes(piece) -> bytes:
        match piece.type:
            case kinds.BYTE:  # "<0x0A>"
                return bytes([int(piece.piece[3:5], 16)])
            case kinds.CONTROL:
                return b""
            case kinds.UNKNOWN:  # never encoded, but a model may sample it
                return "\ufffd".encode()
        return piece.piece.replace("▁", " ").encode()

    return tuple(map(to_bytes, proto.pieces))


def complete_pieces(
    model: bytes, listed: Sequence[Entry], named: Collection[str]
) -> tuple[bytes, dict[str, Added]]:
    """(tokenizer.model with all added tokens, name -> token), as `complete_json`. Added tokens are
    control tokens, and "user-defined" ones, which text may become."""
    proto = parse_pieces(model)
    kinds = proto.SentencePiece
    ids = {piece.piece: i for i, piece in enumerate(proto.pieces)}
    added = {
        piece.piece: Added(i, piece.type == kinds.CONTROL)
        for i, piece in enumerate(proto.pieces)
        if piece.type in (kinds.CONTROL, kinds.USER_DEFINED)
    }
    unknown = {piece.piece for piece in proto.pieces if piece.type == kinds.UNKNOWN}
    for name, token in _missing(listed, named, ids, added).items():
        if name in unknown:
            continue
        if token.id == len(proto.pieces):
            proto.pieces.add(piece=name)
        proto.pieces[token.id].type = kinds.CONTROL if token.special else kinds.USER_DEFINED
        added[name] = token
    return proto.SerializeToString(), added


def pieces_engine(model: bytes, control: Mapping[str, Added]) -> Engine:
    """`control`: the added tokens that text must not become.

    As in transformers, the space that Llama 2 puts before text is put before a sequence's first
    text only, and not if that begins with a space or a control token.
    """
    proto = parse_pieces(model)
    pieces = piece_bytes(proto)
    normalizer = proto.normalizer_spec
    if normalizer.remove_extra_whitespaces or normalizer.precompiled_charsmap:
        raise ValueError("tokenizer.model changes spaces or characters, which Lean text must keep")
    prefix = " " if normalizer.add_dummy_prefix else ""
    normalizer.add_dummy_prefix = False
    for token in control.values():
        piece = proto.pieces[token.id]
        piece.piece, piece.type = MARK + piece.piece, proto.SentencePiece.USER_DEFINED
    processor = sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())

    def encode_marked(text: str) -> list[int]:
        return processor.encode(text if text[:1] in ("", MARK, " ", "▁") else prefix + text)

    return Engine(_ignoring_marks(processor.encode), encode_marked, pieces, starts_with_bos=True)


# --- tokenizer.json (the package tokenizers: byte-level and byte-fallback BPE) -------------------


def import_tokenizers():
    """The package, which is optional. Raises ValueError if it is not installed."""
    try:
        import tokenizers
    except ImportError as error:
        raise ValueError(
            "tokenizer.json needs the package tokenizers: pip install -e '.[hf]'"
        ) from error
    return tokenizers


def complete_json(
    model: bytes, listed: Sequence[Entry], named: Collection[str]
) -> tuple[bytes, dict[str, Added]]:
    """(tokenizer.json with all added tokens, name -> token), as transformers completes the file.

    `listed` are the tokens of other files, which it may lack; `named` the names of tokens with a
    role, which it may have in its vocabulary only. Raises ValueError if `model` is no
    tokenizer.json of a supported kind.
    """
    try:
        spec = json.loads(model)
        kind, vocabulary = spec["model"].get("type", "BPE"), spec["model"]["vocab"]
        added = {t["content"]: Added(t["id"], bool(t.get("special"))) for t in spec["added_tokens"]}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"tokenizer.json is damaged ({error!r})") from error
    if kind != "BPE":
        raise ValueError(f"tokenizer.json has a model of type {kind}; known is BPE")
    if not (missing := _missing(listed, named, vocabulary, added)):
        return model, added
    flags = {token["content"]: token for token in listed}
    for name, token in missing.items():
        entry = dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
        entry |= {"normalized": not token.special} | flags.get(name, {}) | {"content": name}
        spec["added_tokens"].append(entry | token._asdict())
    spec["added_tokens"].sort(key=lambda token: token["id"])
    return json.dumps(spec).encode(), added | missing


def json_engine(model: bytes, control: Mapping[str, Added]) -> Engine:
    """`control`: the added tokens that text must not become."""

    def renamed(name: str) -> str:
        return MARK + name if name in control else name

    spec = json.loads(model)
    pieces = _json_pieces(spec)
    spec["truncation"] = spec["padding"] = None
    for token in spec["added_tokens"]:
        token["content"] = renamed(token["content"])
    vocabulary = spec["model"]["vocab"]
    spec["model"]["vocab"] = {renamed(name): i for name, i in vocabulary.items()}
    if control.keys() & vocabulary.keys():  # no merge may make one, or start from one
        spec["model"]["merges"] = [
            merge
            for merge in spec["model"]["merges"]
            if control.keys().isdisjoint(_parts_and_whole(merge))
        ]
    if spec["model"].get("unk_token"):
        spec["model"]["unk_token"] = renamed(spec["model"]["unk_token"])

    start, plain = _read_json(spec), _without_prefix(spec)
    onward = start if plain == spec else _read_json(plain)
    for name, token in control.items():
        if start.token_to_id(MARK + name) != token.id:
            raise ValueError(f"tokenizer.json gives {name!r} an id other than {token.id}")
    return Engine(
        encode=_ignoring_marks(lambda text: onward.encode(text, add_special_tokens=False).ids),
        encode_marked=lambda text: start.encode(text, add_special_tokens=False).ids,
        pieces=pieces,
        starts_with_bos=bool(start.encode("").ids),
    )


def _parts_and_whole(merge: str | Sequence[str]) -> tuple[str, str, str]:
    first, second = merge.split(" ", 1) if isinstance(merge, str) else merge
    return first, second, first + second


def _read_json(spec: dict[str, Any]):
    tokenizers = import_tokenizers()
    try:
        return tokenizers.Tokenizer.from_str(json.dumps(spec))
    except Exception as error:  # the package raises no class of its own
        raise ValueError(f"the package tokenizers refuses tokenizer.json: {error}") from error


def _without_prefix(spec: dict[str, Any]) -> dict[str, Any]:
    """Without the space that some (Llama 2) put before text: it belongs to a sequence's first."""

    def without(part):
        match part:
            case {"type": "Sequence", **parts}:
                return part | {
                    key: [kept for p in value if (kept := without(p)) is not None]
                    for key, value in parts.items()
                }
            case {"type": "Prepend"}:
                return None
            case {"type": "Metaspace"}:
                return part | {"prepend_scheme": "never"}
            case {"type": "ByteLevel"}:
                return part | {"add_prefix_space": False}
        return part

    return spec | {key: without(spec.get(key)) for key in ("normalizer", "pre_tokenizer")}


def _json_pieces(spec: dict[str, Any]) -> tuple[bytes, ...]:
    """Bytes of each id: what the file's decoder makes of the token."""
    decoder = spec.get("decoder") or {}
    kinds = {part["type"] for part in decoder.get("decoders", [decoder]) if part}
    if "ByteLevel" in kinds:
        alphabet = _byte_alphabet()

        def to_bytes(name: str) -> bytes:
            if all(character in alphabet for character in name):
                return bytes(alphabet[character] for character in name)
            return name.encode()

    elif kinds & {"ByteFallback", "Metaspace"}:

        def to_bytes(name: str) -> bytes:
            if byte := re.fullmatch(r"<0x([0-9A-Fa-f]{2})>", name):
                return bytes([int(byte[1], 16)])
            return name.replace("▁", " ").encode()

    else:
        raise ValueError(
            f"tokenizer.json decodes by {', '.join(sorted(kinds)) or 'nothing'}; known are "
            "ByteLevel, and Replace with ByteFallback"
        )
    ids = spec["model"]["vocab"] | {t["content"]: t["id"] for t in spec["added_tokens"]}
    pieces = [b""] * (max(ids.values()) + 1)
    for name, i in ids.items():
        pieces[i] = to_bytes(name)
    return tuple(pieces)


def _byte_alphabet() -> dict[str, int]:
    """The character that stands for each byte: itself if it prints, else one from U+0100 on."""
    prints = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in prints]
    return {chr(byte): byte for byte in prints} | {
        chr(256 + i): byte for i, byte in enumerate(others)
    }
