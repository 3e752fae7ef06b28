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
from fdjax.models.tokenizer.engines import MARK, Added, Engine, Entry
from fdjax.models.tokenizer.protocol import Message, Tool, character_offsets, decode_bytes
from fdjax.runtime.files import write_atomically

FILES = (
    "tokenizer.json",
    "tokenizer.model",  # read if there is no tokenizer.json
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "generation_config.json",
)
_ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token")


def read_files(folder: str | os.PathLike) -> tuple[tuple[str, bytes], ...]:
    """(name, content) of a tokenizer's files, for PublishedTokenizer.

    Without a generation_config.json, the stop ids of config.json take its place; and without a
    list in tokenizer_config.json, added_tokens.json is one.
    """
    found = {p.name: p.read_bytes() for n in FILES if (p := Path(folder) / n).exists()}
    older = Path(folder) / "added_tokens.json"
    if older.exists() and b"added_tokens_decoder" not in found.get("tokenizer_config.json", b""):
        found[older.name] = older.read_bytes()
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
        if beyond := [i for i in (*self.stop_ids, self.pad_id) if i >= self.vocab_size]:
            raise ValueError(f"id {beyond[0]} ends or pads text, but ids end at {self.vocab_size}")

    @property
    def vocab_size(self) -> int:
        return len(self._engine.pieces)

    @functools.cached_property
    def min_rows(self) -> int:
        """As in the protocol. Control tokens that nothing writes need no row: Gemma 3's text models
        have none for the image token of their tokenizer."""
        template = self._template_source or ""
        idle = {token.id for name, token in self._control.items() if name not in template}
        idle -= {*self.stop_ids, self.pad_id, self._id("bos_token")}
        return 1 + max(set(range(self.vocab_size)) - idle)

    @property
    def pad_id(self) -> int:
        """eos if the model names none: padding is recognised by masks, never by its id."""
        pad = self._id("pad_token")
        return self.eos_id if pad is None else pad

    @property
    def eos_id(self) -> int:
        """The named eos_token, else the first id that ends a generation."""
        eos = self._id("eos_token")
        if eos is None and self._named("eos_token") is None:
            eos = next(iter(self._generation_ends), None)
        if eos is None:
            raise ValueError("tokenizer_config.json names no eos_token that the model has")
        return eos

    @functools.cached_property
    def chat_eos_id(self) -> int:
        """The control token that the template writes after the assistant's words; eos where it
        writes plain text or nothing."""
        try:
            names = self._template.after_answer() if self._template else []
        except ValueError:  # it takes no such chat; `encode_chat` says so
            names = []
        known = {*self._generation_ends, self.eos_id}
        known |= {token.id for token in self._control.values() if token.special}
        ids = [self._control[name].id for name in names]
        return next((i for i in ids if i in known), ids[-1] if ids else self.eos_id)

    @functools.cached_property
    def stop_ids(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys([*self._generation_ends, self.eos_id, self.chat_eos_id]))

    def token_name(self, id: int) -> str:
        names = [name for name, token in self._added.items() if token.id == id]
        return names[0] if names else repr(self.decode([id]))

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

    def encode_chat(
        self,
        messages: Sequence[Message],
        thinking: bool | None = None,
        tools: Sequence[Tool] = (),
    ) -> list[int]:
        if self._template is None:
            raise ValueError("the tokenizer has no chat template")
        return self._engine.encode_marked(self._template.marked(messages, thinking, tools))

    def encode_between(
        self,
        messages: Sequence[Message],
        answers: Sequence[Message],
        thinking: bool | None = None,
        tools: Sequence[Tool] = (),
        *,
        ended: bool,
    ) -> list[int]:
        if self._template is None:
            raise ValueError("the tokenizer has no chat template")
        between = self._template.between(messages, answers, thinking, tools)
        text, mark, marked = between.partition(MARK)
        ids = [*self.encode(text), *self._engine.encode_marked(mark + marked)]
        if not ended or self.chat_eos_id not in ids:
            return ids
        end = ids.index(self.chat_eos_id)
        control = {token.id for token in self._control.values()}
        is_first = all(i in control or not self.decode([i]).strip() for i in ids[:end])
        return ids[end + 1 :] if is_first else ids

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
        maps = self._json("special_tokens_map.json"), self._json("tokenizer_config.json")
        return {k: value for data in maps for k, value in data.items() if value is not None}

    @functools.cached_property
    def _generation_ends(self) -> list[int]:
        ids = self._json("generation_config.json").get("eos_token_id")
        return [] if ids is None else [ids] if isinstance(ids, int) else ids

    @functools.cached_property
    def _listed(self) -> list[Entry]:
        """The added tokens that files beside the model list; they may list none."""
        older = self._json("added_tokens.json").items()
        listed = self._config.get("added_tokens_decoder") or {i: {"content": n} for n, i in older}
        return [listed[i] for i in sorted(listed, key=int)]

    @functools.cached_property
    def _extra(self) -> list[Entry]:
        """Further special tokens. What the model's file says of one takes precedence."""
        keys = ("extra_special_tokens", "additional_special_tokens")
        extra = next((self._config[key] for key in keys if self._config.get(key)), [])
        names = map(_content, extra.values() if isinstance(extra, dict) else extra)
        return [{"content": name, "special": True} for name in names if name]

    def _named(self, role: str) -> str | None:
        """The name of the token with a role such as "eos_token"."""
        return _content(self._config.get(role))

    def _id(self, role: str) -> int | None:
        token = self._added.get(self._named(role) or "")
        return None if token is None else token.id

    @functools.cached_property
    def _complete(self) -> tuple[bytes, dict[str, Added]]:
        files, roles = dict(self.files), {self._named(role) for role in _ROLES} - {None}
        complete, name = engines.complete_pieces, "tokenizer.model"
        if "tokenizer.json" in files:
            complete, name = engines.complete_json, "tokenizer.json"
        model, added = complete(files[name], self._listed + self._extra, roles)
        special = {token["content"] for token in self._listed if token.get("special")} | roles
        return model, {
            name: token._replace(special=token.special or name in special)
            for name, token in added.items()
        }

    @property
    def _added(self) -> dict[str, Added]:
        return self._complete[1]

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
        is_json = "tokenizer.json" in dict(self.files)
        make = engines.json_engine if is_json else engines.pieces_engine
        return make(self._complete[0], self._control)

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
        named = {k: _content(v) for k, v in self._config.items() if k.endswith("_token")}
        tokens = {role: name for role, name in named.items() if name is not None}
        return ChatTemplate(self._template_source, tokens, tuple(self._control))


def _content(token: Any) -> str | None:
    """The name of a token, given as such or as an entry; None for what is neither."""
    token = token.get("content") if isinstance(token, dict) else token
    return token if isinstance(token, str) else None


def _parsed(name: str, content: bytes) -> dict[str, Any]:
    try:
        data = json.loads(content)
    except ValueError as error:
        raise ValueError(f"{name} is no JSON ({error})") from error
    if not isinstance(data, dict):
        raise ValueError(f"{name} holds no JSON object")
    return data
