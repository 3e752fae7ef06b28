"""The tokenizer of a published model, from its folder's files in Hugging Face's layout."""

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fdjax.models.tokenizer import engines
from fdjax.models.tokenizer.chat import ChatTemplate
from fdjax.models.tokenizer.engines import MARK, Added, Engine
from fdjax.models.tokenizer.protocol import Message, character_offsets, decode_bytes
from fdjax.runtime.files import write_atomically

FILES = (
    "tokenizer.json",
    "tokenizer.model",  # read if there is no tokenizer.json
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "generation_config.json",
)
_ROLES = ("bos_token", "eos_token", "unk_token", "pad_token")


def read_files(folder: str | os.PathLike) -> tuple[tuple[str, bytes], ...]:
    """(name, content) of a tokenizer's files, for PublishedTokenizer.

    Without a generation_config.json, the stop ids of config.json take its place.
    """
    found = {p.name: p.read_bytes() for n in FILES if (p := Path(folder) / n).exists()}
    config = Path(folder) / "config.json"
    if "generation_config.json" not in found and config.exists():
        ids = _parsed("config.json", config.read_bytes()).get("eos_token_id")
        if ids is not None:
            found["generation_config.json"] = json.dumps({"eos_token_id": ids}).encode()
    return tuple(found.items())


@dataclasses.dataclass(frozen=True)
class PublishedTokenizer:
    """Ids as transformers gives them, except for text that spells a control token.

    Control tokens are those marked special, and those that the chat template names (`<think>` of
    Qwen3). Special tokens have no text when decoded, nor have ids without a token: a model's
    embedding may have more rows than its tokenizer has tokens.
    """

    files: tuple[tuple[str, bytes], ...] = dataclasses.field(repr=False)

    def check(self) -> None:
        """Raises ValueError naming what is missing or wrong."""
        names = self._listed.keys() - self._added.keys() - {self._named("unk_token")}
        if names:
            raise ValueError(f"tokenizer_config.json names {min(names)!r}, which has no id")
        if beyond := [i for i in (*self.stop_ids, self.pad_id) if i >= self.vocab_size]:
            raise ValueError(f"id {beyond[0]} ends or pads text, but ids end at {self.vocab_size}")

    @property
    def vocab_size(self) -> int:
        return len(self._engine.pieces)

    @property
    def pad_id(self) -> int:
        """eos if the model names none: padding is recognised by masks, never by its id."""
        pad = self._id("pad_token")
        return self.eos_id if pad is None else pad

    @property
    def eos_id(self) -> int:
        eos = self._id("eos_token")
        if eos is None:
            raise ValueError("tokenizer_config.json names no eos_token that the model has")
        return eos

    @functools.cached_property
    def chat_eos_id(self) -> int:
        names = self._template.after_answer() if self._template else []
        ids = (self._control[name].id for name in names)
        return next((i for i in ids if i in self.stop_ids), self.eos_id)

    @functools.cached_property
    def stop_ids(self) -> tuple[int, ...]:
        ids = self._json("generation_config.json").get("eos_token_id")
        ids = [] if ids is None else [ids] if isinstance(ids, int) else ids
        return tuple(dict.fromkeys([*ids, self.eos_id]))

    @functools.cached_property
    def model(self) -> bytes:
        digest = hashlib.sha256()
        for name, content in sorted(self.files):
            digest.update(f"{name} {len(content)}\n".encode() + content)
        return digest.digest()

    def encode(self, text: str) -> list[int]:
        return self._engine.encode(text)

    def encode_prompt(self, text: str) -> list[int]:
        bos = self._id("bos_token")
        with_bos = self._config.get("add_bos_token", self._engine.starts_with_bos)
        first, mark, rest = text.partition(MARK)
        ids = self._engine.encode_marked(first) + self.encode(mark + rest)
        return [bos, *ids] if with_bos and bos is not None else ids

    def encode_chat(self, messages: Sequence[Message], thinking: bool | None = None) -> list[int]:
        if self._template is None:
            raise ValueError("the tokenizer has no chat template")
        return self._engine.encode_marked(self._template.marked(messages, thinking))

    def token_bytes(self, ids: Sequence[int]) -> list[bytes]:
        pieces, special = self._engine.pieces, self._special_ids
        return [b"" if i in special or i >= len(pieces) else pieces[i] for i in ids]

    def decode(self, ids: Sequence[int]) -> str:
        return decode_bytes(self.token_bytes(ids))

    def offsets(self, ids: Sequence[int]) -> list[int]:
        return character_offsets(self.token_bytes(ids))

    def save(self, folder: str | os.PathLike) -> None:
        for name, content in reversed(self.files):  # last the file that `holds` looks for
            write_atomically(Path(folder) / name, content)

    # --- Contents of the files -------------------------------------------------------------------

    def _json(self, name: str) -> dict[str, Any]:
        return _parsed(name, dict(self.files).get(name, b"{}"))

    @functools.cached_property
    def _config(self) -> dict[str, Any]:
        return self._json("special_tokens_map.json") | self._json("tokenizer_config.json")

    @functools.cached_property
    def _listed(self) -> dict[str, dict[str, Any]]:
        """Name -> entry of the added tokens in tokenizer_config.json, which may list none."""
        listed = self._config.get("added_tokens_decoder", {}).values()
        return {token["content"]: token for token in listed}

    def _named(self, role: str) -> str | None:
        """The name of the token with a role such as "eos_token"."""
        token = self._config.get(role)
        return token["content"] if isinstance(token, dict) else token

    def _id(self, role: str) -> int | None:
        token = self._added.get(self._named(role) or "")
        return None if token is None else token.id

    @functools.cached_property
    def _added(self) -> dict[str, Added]:
        files = dict(self.files)
        if "tokenizer.json" in files:
            added = engines.added_tokens(files["tokenizer.json"])
        else:
            added = engines.added_pieces(files["tokenizer.model"])
        special = {name for name, listed in self._listed.items() if listed.get("special")}
        special |= {self._named(role) for role in _ROLES}
        return {
            name: token._replace(special=token.special or name in special)
            for name, token in added.items()
        }

    @functools.cached_property
    def _control(self) -> dict[str, Added]:
        template = self._template_source or ""
        return {
            name: token
            for name, token in self._added.items()
            if token.special or (name.strip() and name in template)
        }

    @functools.cached_property
    def _engine(self) -> Engine:
        files = dict(self.files)
        if "tokenizer.json" in files:
            return engines.json_engine(files["tokenizer.json"], self._control)
        return engines.pieces_engine(files["tokenizer.model"], self._control)

    @functools.cached_property
    def _special_ids(self) -> frozenset[int]:
        return frozenset(token.id for token in self._added.values() if token.special)

    @functools.cached_property
    def _template_source(self) -> str | None:
        if content := dict(self.files).get("chat_template.jinja"):
            return content.decode()
        template = self._config.get("chat_template")
        if isinstance(template, list):  # several, by name
            template = {t["name"]: t["template"] for t in template}.get("default")
        return template

    @functools.cached_property
    def _template(self) -> ChatTemplate | None:
        if self._template_source is None:
            return None
        tokens = {role: name for role in _ROLES if (name := self._named(role)) is not None}
        return ChatTemplate(self._template_source, tokens, tuple(self._control))


def _parsed(name: str, content: bytes) -> dict[str, Any]:
    try:
        data = json.loads(content)
    except ValueError as error:
        raise ValueError(f"{name} is no JSON ({error})") from error
    if not isinstance(data, dict):
        raise ValueError(f"{name} holds no JSON object")
    return data
