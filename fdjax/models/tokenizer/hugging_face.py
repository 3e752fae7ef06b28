"""tokenizer.json, as the package tokenizers reads it: byte-level and byte-fallback BPE."""

import json
import re
from collections.abc import Mapping
from typing import Any

from fdjax.models.tokenizer.engine import MARK, Added, Engine, piecewise

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def added_tokens(model: bytes) -> dict[str, Added]:
    """Name -> token. Raises ValueError if `model` is no tokenizer.json of a kind known here."""
    try:
        spec = json.loads(model)
        kind = spec["model"].get("type", "BPE")
        added = {t["content"]: Added(t["id"], bool(t.get("special"))) for t in spec["added_tokens"]}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"tokenizer.json is damaged ({error!r})") from error
    if kind != "BPE":
        raise ValueError(f"tokenizer.json has a model of type {kind}; known is BPE")
    return added


def engine(model: bytes, control: Mapping[str, Added]) -> Engine:
    """`control`: those of the added tokens that text must not become."""
    spec = json.loads(model)
    spec["truncation"] = spec["padding"] = None
    for token in spec["added_tokens"]:
        token["content"] = _renamed(token["content"], control)
    vocabulary = spec["model"]["vocab"]
    spec["model"]["vocab"] = {_renamed(name, control): i for name, i in vocabulary.items()}
    if spec["model"].get("unk_token"):
        spec["model"]["unk_token"] = _renamed(spec["model"]["unk_token"], control)

    start = _read(spec)
    for name, token in control.items():
        if start.token_to_id(MARK + name) != token.id:
            raise ValueError(f"tokenizer.json gives {name!r} an id other than {token.id}")
    onward = _read(_without_prefix(spec)) if _without_prefix(spec) != spec else start
    return Engine(
        encode=piecewise(lambda text: onward.encode(text, add_special_tokens=False).ids),
        encode_marked=lambda text: start.encode(text, add_special_tokens=False).ids,
        pieces=_pieces(spec),
        starts_with_bos=bool(start.encode("").ids),
    )


def _read(spec: dict[str, Any]):
    try:
        import tokenizers
    except ImportError as error:
        raise ValueError(
            "tokenizer.json needs the package tokenizers: pip install 'fdjax[hf]'"
        ) from error
    try:
        return tokenizers.Tokenizer.from_str(json.dumps(spec))
    except Exception as error:  # the package raises no class of its own
        raise ValueError(f"the package tokenizers refuses tokenizer.json: {error}") from error


def _renamed(name: str, control: Mapping[str, Added]) -> str:
    return MARK + name if name in control else name


def _without_prefix(spec: dict[str, Any]) -> dict[str, Any]:
    """Without the space that some put before all text (Llama 2): it belongs to the first only."""

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


def _pieces(spec: dict[str, Any]) -> tuple[bytes, ...]:
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
            if byte := _BYTE.fullmatch(name):
                return bytes([int(byte[1], 16)])
            return name.replace("▁", " ").encode()

    else:
        raise ValueError(
            f"tokenizer.json decodes by {', '.join(sorted(kinds)) or 'nothing'}; known are "
            "ByteLevel, and Replace with ByteFallback"
        )
    ids = dict(spec["model"]["vocab"])
    ids |= {token["content"]: token["id"] for token in spec["added_tokens"]}
    pieces = [b""] * (max(ids.values()) + 1)
    for name, i in ids.items():
        pieces[i] = to_bytes(name.removeprefix(MARK))
    return tuple(pieces)


def _byte_alphabet() -> dict[str, int]:
    """The character that stands for each byte: itself where it prints, else one from U+0100 on."""
    prints = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in prints]
    return {chr(byte): byte for byte in prints} | {
        chr(256 + i): byte for i, byte in enumerate(others)
    }
