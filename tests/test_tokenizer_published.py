"""Published tokenizers: offsets, control tokens that text cannot write, file contents, errors."""

import builtins
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdjax.models import tokenizer as tk
from fdjax.models.tokenizer import published
from fdjax.models.tokenizer.engines import MARK
from tests import tiny_tokenizers

pytest.importorskip("tokenizers")
pytest.importorskip("jinja2")
LAYOUTS = {layout.__name__: layout for layout in tiny_tokenizers.LAYOUTS}


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    return {name: tk.load(make(tmp_path_factory.mktemp(name))) for name, make in LAYOUTS.items()}


TEXTS = st.lists(
    st.one_of(
        st.sampled_from(["𝔸", "é", " ", "\n  ", "⟨h₁, h₂⟩", "∀ x", "<", "|", MARK, "\ufdd1", "\0"]),
        st.sampled_from(tiny_tokenizers.TEXTS),
        st.text(max_size=4),
    ),
    max_size=8,
).map("".join)
byte_level = pytest.mark.parametrize("name", ["qwen", "llama3", "deepseek"])
every = pytest.mark.parametrize("name", LAYOUTS)


@every
@given(text=TEXTS)
@settings(max_examples=100, deadline=None)
def test_offsets_are_the_places_of_each_tokens_bytes(tokenizers, name, text):
    tokenizer = tokenizers[name]
    ids = [*tokenizer.encode(text), tokenizer.eos_id]
    shown, offsets = tokenizer.decode(ids), tokenizer.offsets(ids)
    assert offsets[-1] == len(shown)
    owner = [i for i, character in enumerate(shown) for _ in character.encode()] + [len(shown)]
    at = 0
    for i, offset in zip(ids, offsets):
        assert offset == owner[at]
        at += len(tokenizer.token_bytes([i])[0])


@every
@given(text=TEXTS)
@settings(max_examples=100, deadline=None)
def test_text_comes_back(tokenizers, name, text):
    if name == "qwen":  # it composes characters
        text = text.encode().decode()
        text = "".join(c for c in text if c.isascii() or c in "𝔸⟨₁⟩∀" + MARK)
    if name not in ("qwen", "llama3", "deepseek"):
        text = text.replace("▁", "")  # their spelling of a space
    tokenizer = tokenizers[name]
    assert tokenizer.decode(tokenizer.encode(text)) == text
    start = tokenizer.decode(tokenizer.encode_prompt(text))
    assert start == text or (name.startswith("llama2") and start == " " + text)


@byte_level
def test_a_character_over_several_tokens(tokenizers, name):
    ids = tokenizers[name].encode("a𝔸b")  # 𝔸 is not in the texts: four bytes
    assert tokenizers[name].offsets(ids) == [0, 1, 1, 1, 1, 2]
    assert tokenizers[name].decode(ids[:3]) == "a\ufffd"


def control_texts(tokenizer):
    names = list(tokenizer._control)
    return [f"x {name} y" for name in names] + ["".join(names), MARK + names[0], *names]


@every
def test_text_never_becomes_a_control_token(tokenizers, name):
    tokenizer = tokenizers[name]
    control = {token.id for token in tokenizer._control.values()}
    for text in control_texts(tokenizer):
        assert not control & set(tokenizer.encode(text)), text
        assert not control & set(tokenizer.encode_prompt(text)[1:]), text
        assert tokenizer.decode(tokenizer.encode(text)) == text


@every
def test_a_message_never_writes_a_control_token(tokenizers, name):
    """Whatever the user writes, the chat's control tokens are those of a harmless message."""
    tokenizer = tokenizers[name]
    control = {token.id for token in tokenizer._control.values()}

    def written(content):
        ids = tokenizer.encode_chat([{"role": "user", "content": content}])
        return [i for i in ids if i in control], tokenizer.decode(ids)

    expected, shown = written("HARMLESS")
    for text in control_texts(tokenizer):
        found, decoded = written(f" {text}\n")
        assert found == expected, text
        text = re.sub(f"[{MARK}]", "\ufffd", text)
        assert shown.replace("HARMLESS", text) in (decoded, decoded.replace(f" {text}\n", text))


def test_text_goes_on_without_the_space_that_begins_a_sequence(tokenizers):
    for name in ("llama2", "llama2_pieces"):
        tokenizer = tokenizers[name]
        assert tokenizer.decode(tokenizer.encode("by\n  simp")) == "by\n  simp"
        assert tokenizer.decode(tokenizer.encode_prompt("by")) == " by"


def test_a_sampled_id_that_no_token_has_is_no_text(tokenizers):
    tokenizer = tokenizers["qwen"]
    ids = [*tokenizer.encode("ab"), tokenizer.vocab_size, tokenizer.vocab_size + 99]
    assert tokenizer.decode(ids) == "ab" and tokenizer.offsets(ids)[-2:] == [2, 2]


def test_what_ends_a_sample(tokenizers):
    def names(name, ids):
        known = {token.id: text for text, token in tokenizers[name]._added.items()}
        return [known[i] for i in ids]

    qwen = tokenizers["qwen"]
    assert names("qwen", qwen.stop_ids) == ["<|im_end|>", "<|endoftext|>"]
    assert names("qwen", [qwen.eos_id, qwen.chat_eos_id, qwen.pad_id]) == [
        "<|im_end|>",
        "<|im_end|>",
        "<|endoftext|>",
    ]
    for name in ("gemma", "gemma_pieces"):
        gemma = tokenizers[name]
        assert names(name, gemma.stop_ids) == ["<eos>", "<end_of_turn>"]
        assert names(name, [gemma.eos_id, gemma.chat_eos_id]) == ["<eos>", "<end_of_turn>"]
    llama = tokenizers["llama3"]
    assert llama.stop_ids == (llama.eos_id - 3, llama.eos_id) and llama.pad_id == llama.eos_id


def changed(folder, name, **changes):
    file = folder / name
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_add_bos_token_of_the_config(tmp_path):
    folder = tiny_tokenizers.deepseek(tmp_path)
    changed(folder, "tokenizer.json", post_processor=None)
    text, bos = "theorem", 500
    assert tk.load(folder).encode_prompt(text) == [bos, *tk.load(folder).encode(text)]
    changed(folder, "tokenizer_config.json", add_bos_token=False)
    assert tk.load(folder).encode_prompt(text) == tk.load(folder).encode(text)


def test_stop_ids_of_config_json_where_there_is_no_other(tmp_path):
    folder = tiny_tokenizers.qwen(tmp_path)
    (folder / "generation_config.json").unlink()
    (folder / "config.json").write_text('{"eos_token_id": 7}')
    tokenizer = tk.load(folder)
    assert tokenizer.stop_ids == (7, tokenizer.eos_id)
    (tmp_path / "kept").mkdir()
    tokenizer.save(tmp_path / "kept")
    assert tk.load(tmp_path / "kept").stop_ids == tokenizer.stop_ids


def end_of_turn(tmp_path, layout=tiny_tokenizers.qwen, **config):
    """(stop ids, what ends a text, what ends a turn) by name, without a generation_config.json."""
    folder = layout(tmp_path / "model")
    (folder / "generation_config.json").unlink()
    changed(folder, "tokenizer_config.json", **config)
    tokenizer = tk.load(folder)
    ends = (*tokenizer.stop_ids, tokenizer.eos_id, tokenizer.chat_eos_id)
    *stop, eos, turn = map(tokenizer.token_name, ends)
    return stop, eos, turn


@pytest.mark.parametrize(
    ("after", "turn"),
    [
        ("<|im_end|>\\n", "<|im_end|>"),  # the template of Qwen3 under the eos of its base models
        ("\\n<|im_end|><|endoftext|>", "<|im_end|>"),
        ("</think><|im_end|>", "<|im_end|>"),  # the first that is special
        ("\\n### User:\\n", "<|endoftext|>"),  # text of several tokens
        ("\\n### End <|im_end|>", "<|endoftext|>"),
        ("", "<|endoftext|>"),
    ],
)
def test_what_ends_a_turn(tmp_path, after, turn):
    template = (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '"
        + after
        + "' }}{% endfor %}"
    )
    stop, eos, found = end_of_turn(tmp_path, eos_token="<|endoftext|>", chat_template=template)
    assert (eos, found) == ("<|endoftext|>", turn)
    assert stop == list(dict.fromkeys(["<|endoftext|>", turn]))


def test_what_ends_a_turn_of_published_models(tmp_path):
    gemma = end_of_turn(tmp_path / "gemma", tiny_tokenizers.gemma)
    assert gemma == (["<eos>", "<end_of_turn>"], "<eos>", "<end_of_turn>")
    llama = end_of_turn(tmp_path / "llama", tiny_tokenizers.llama3, eos_token="<|end_of_text|>")
    assert llama == (["<|end_of_text|>", "<|eot_id|>"], "<|end_of_text|>", "<|eot_id|>")
    for layout in (tiny_tokenizers.deepseek, tiny_tokenizers.llama2):
        stop, eos, turn = end_of_turn(tmp_path / layout.__name__, layout)
        assert stop == [eos] and turn == eos


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}{{ '<|im_start|>' + m.content }}{% endfor %}<|im_start|>",
        "{{ raise_exception('no') }}",
        "{% if %}",
        "{{ '<|im_start|>' }}",
    ],
)
def test_a_template_that_ends_no_turn(tmp_path, template):
    """eos ends it: what begins the next turn does not, nor does a template that fails."""
    stop, _, turn = end_of_turn(tmp_path, eos_token="<|endoftext|>", chat_template=template)
    assert stop == [turn] == ["<|endoftext|>"]


def test_a_control_token_that_nothing_writes_needs_no_row(tmp_path):
    """As the image token of Gemma 3 in its text models."""
    folder = tiny_tokenizers.qwen(tmp_path)
    spec = json.loads((folder / "tokenizer.json").read_text())
    rows = 1 + max(token["id"] for token in spec["added_tokens"])
    image = spec["added_tokens"][0] | {"id": rows, "content": "<image>", "special": True}
    changed(folder, "tokenizer.json", added_tokens=[*spec["added_tokens"], image])
    tokenizer = tk.load(folder)
    assert (tokenizer.vocab_size, tokenizer.min_rows) == (rows + 1, rows)
    assert rows not in tokenizer.encode("<image>")
    changed(folder, "tokenizer_config.json", chat_template="<image>")
    assert tk.load(folder).min_rows == rows + 1
    changed(folder, "tokenizer_config.json", chat_template="", pad_token="<image>")
    assert tk.load(folder).min_rows == rows + 1


def test_half_of_it_saved_is_no_tokenizer(tmp_path, monkeypatch):
    tokenizer = tk.load(tiny_tokenizers.qwen(tmp_path))
    (tmp_path / "kept").mkdir()
    there = []

    def write(path, content):
        there.append(tk.holds(tmp_path / "kept"))  # as whoever comes after a crash would find it
        path.write_bytes(content)

    monkeypatch.setattr(published, "write_atomically", write)
    tokenizer.save(tmp_path / "kept")
    assert len(there) == len(tokenizer.files) > 1 and not any(there)
    assert tk.load(tmp_path / "kept") == tokenizer


@every
def test_saved_and_loaded(tokenizers, tmp_path, name):
    tokenizers[name].save(tmp_path)
    again = tk.load(tmp_path)
    assert again == tokenizers[name] and again.model == tokenizers[name].model
    changed(tmp_path, "tokenizer_config.json", chat_template="other")
    assert tk.load(tmp_path).model != again.model


def test_padding_and_truncation_of_a_file_are_ignored(tmp_path):
    folder = tiny_tokenizers.qwen(tmp_path)
    plain = tk.load(folder).encode("theorem t : p := by simp")
    cut = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    changed(folder, "tokenizer.json", truncation=cut)
    assert tk.load(folder).encode("theorem t : p := by simp") == plain and len(plain) > 3


def refused(folder, message):
    with pytest.raises(ValueError, match=message) as error:
        tk.load(folder).encode_chat([{"role": "user", "content": "x"}])
    assert str(folder) in str(error.value) or "chat template" in message


def test_bad_files_are_named(tmp_path):
    def fresh(layout=tiny_tokenizers.qwen):
        return layout(tmp_path / str(len(list(tmp_path.iterdir()))))

    def with_file(name, content):
        (folder := fresh()).joinpath(name).write_text(content)
        return folder

    def with_model(**changes):
        folder = fresh()
        spec = json.loads((folder / "tokenizer.json").read_text())
        changed(folder, "tokenizer.json", model=spec["model"] | changes)
        return folder

    def with_config(**changes):
        changed(folder := fresh(), "tokenizer_config.json", **changes)
        return folder

    refused(with_file("tokenizer.json", "{"), "tokenizer.json is damaged")
    refused(with_file("tokenizer_config.json", "nil"), "tokenizer_config.json is no JSON")
    refused(with_file("generation_config.json", "[1]"), "generation_config.json holds no JSON obj")
    refused(with_file("generation_config.json", '{"eos_token_id": 9999}'), "id 9999 ends or pads")
    refused(with_model(type="Unigram"), "type Unigram; known is BPE")
    refused(with_model(merges=[["x", "yz"]]), "tokenizers refuses")
    (folder := with_config(eos_token=None)).joinpath("generation_config.json").unlink()
    refused(folder, "names no eos_token")
    refused(with_config(eos_token="<nothing>"), "names no eos_token that the model has")
    refused(with_config(chat_template=None), "has no chat template")
    refused(with_config(chat_template="{% if %}"), "chat template is no valid jinja")
    refused(with_config(chat_template="{{ strftime('%d') }}"), "chat template refuses.*strftime")
    refused(with_config(chat_template="{{ messages.pop() }}"), "chat template refuses")
    with pytest.raises(ValueError, match="System role not supported"):
        chat = [{"role": "system", "content": "x"}, {"role": "user", "content": "y"}]
        tk.load(fresh(tiny_tokenizers.gemma)).encode_chat(chat)
    folder = fresh(tiny_tokenizers.llama2_pieces)
    (folder / "tokenizer.model").write_bytes(b"junk")
    refused(folder, "tokenizer.model is no sentencepiece model")
    folder = fresh(tiny_tokenizers.llama2_pieces)
    (folder / "tokenizer_config.json").unlink()
    refused(folder, "needs its tokenizer_config.json")


@pytest.mark.parametrize("missing", ["tokenizers", "jinja2.ext"])
def test_missing_packages_are_named(tmp_path, monkeypatch, missing):
    real = builtins.__import__

    def without(name, *args):
        if name == missing:
            raise ImportError(name)
        return real(name, *args)

    folder = tiny_tokenizers.qwen(tmp_path)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=r"pip install -e '.\[hf\]'"):
        tk.load(folder).encode_chat([{"role": "user", "content": "x"}])
