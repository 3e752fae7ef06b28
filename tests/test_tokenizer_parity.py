"""The same ids as transformers, for every layout, theorem and odd string, in prompts and chats."""

import datetime
import json
import random

import pytest

from fdjax import benchmark as synthetic
from fdjax.lean.statements import lean_text
from fdjax.models import tokenizer as tk
from fdjax.models.tokenizer.chat import DATE
from tests import tiny_tokenizers

transformers = pytest.importorskip("transformers")

THEOREMS = [
    lean_text(theorem, theorem.reference)
    for theorem in synthetic.generate(0, 500, difficulty=1, families=synthetic.FAMILIES)
]
ODD = [
    "",
    " ",
    "  ",
    "\n",
    "\n\n\n",
    "\t",
    "\r\n",
    " a",
    "a ",
    "\n  by",
    "a\u0301é",
    "𝔸𝔹 ⟨h₁, h₂⟩ ∀ x ∈ s, ¬x",
    "12345678901",
    "don't I'LL",
    "▁",
    "a▁▁b",
    "Ġ",
    "½ﬁ①",
    "\u3000x",
    "\u200b",
    "\ufeff",
    "\0\x01",
    "👩‍👩‍👧",
    "<0x41>",
    "<|im_",
    "<b>x</b>",
    "ünïcode " * 9,
    "(" * 50,
    "   \n \n  x",
    "=-=:=<|>",
]


@pytest.fixture(scope="module", params=tiny_tokenizers.LAYOUTS, ids=lambda f: f.__name__)
def pair(request, tmp_path_factory):
    folder = request.param(tmp_path_factory.mktemp(request.param.__name__))
    return tk.load(folder), transformers.AutoTokenizer.from_pretrained(folder)


def odd_texts():
    """Beside the fixed ones: random mixtures."""
    rng = random.Random(0)
    pieces = [*ODD, *THEOREMS[:20], "x", " ", "\n"]
    return ODD + ["".join(rng.choices(pieces, k=rng.randrange(1, 6))) for _ in range(200)]


def test_prompts(pair):
    ours, theirs = pair
    for text in [*THEOREMS, *odd_texts()]:
        assert ours.encode_prompt(text) == theirs(text).input_ids, repr(text)


def test_decoding(pair):
    ours, theirs = pair
    for text in [*THEOREMS, *odd_texts()]:
        ids = ours.encode_prompt(text)
        shown = theirs.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        # Llama 2's decoder drops a space that begins the text; ours keeps it, since a response
        # goes on from a prompt.
        assert ours.decode(ids) in (shown, " " + shown), repr(text)


@pytest.mark.parametrize("thinking", [None, False])
def test_chats(pair, thinking):
    ours, theirs = pair
    switch = {} if thinking is None else {"enable_thinking": thinking}
    for text in [*THEOREMS, *odd_texts()]:
        chat = [{"role": "user", "content": f"Prove this:\n{text}"}]
        if "System role" not in theirs.chat_template:
            chat.insert(0, {"role": "system", "content": "You are an expert in Lean 4."})
        expected = theirs.apply_chat_template(
            chat, add_generation_prompt=True, return_dict=False, **switch
        )
        assert ours.encode_chat(chat, thinking) == expected, repr(text)


def test_names(pair):
    ours, theirs = pair
    assert ours.eos_id == theirs.eos_token_id
    assert theirs.pad_token_id in (None, ours.pad_id)
    assert ours.vocab_size == len(theirs)


def test_what_transformers_saves(pair, tmp_path):
    ours, theirs = pair
    theirs.save_pretrained(tmp_path)
    saved, again = tk.load(tmp_path), transformers.AutoTokenizer.from_pretrained(tmp_path)
    chat = [{"role": "user", "content": "Prove this:\n" + THEOREMS[0]}]
    for text in [*THEOREMS[:100], *ODD]:
        assert saved.encode_prompt(text) == again(text).input_ids, repr(text)
    expected = again.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    assert saved.encode_chat(chat) == expected
    assert (saved.eos_id, saved.vocab_size) == (ours.eos_id, ours.vocab_size)


# --- Folders as people leave them -----------------------------------------------------------------


def edit(folder, name, **changes):
    """Sets keys of a JSON file; those that are None go."""
    data = json.loads((folder / name).read_text()) if (folder / name).exists() else {}
    data = {key: value for key, value in (data | changes).items() if value is not None}
    (folder / name).write_text(json.dumps(data))


def same_as_transformers(folder):
    """Ids of texts and chats, and the ids that end and pad; returns both tokenizers."""
    ours, theirs = tk.load(folder), transformers.AutoTokenizer.from_pretrained(folder)
    assert ours.vocab_size == len(theirs)
    assert theirs.eos_token_id in (None, ours.eos_id)
    for text in [*THEOREMS[:20], *ODD]:
        assert ours.encode_prompt(text) == theirs(text).input_ids, repr(text)
        if theirs.chat_template:
            chat = [{"role": "user", "content": f"Prove this:\n{text}"}]
            ids = theirs.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
            assert ours.encode_chat(chat) == ids, repr(text)
    return ours, theirs


def listed(*names, special=True):
    return {str(900 + i): {"content": name, "special": special} for i, name in enumerate(names)}


def no_added_tokens(folder):
    """The special tokens are in the vocabulary of tokenizer.json only."""
    spec = json.loads((folder / "tokenizer.json").read_text())
    ids = {token["content"]: token["id"] for token in spec["added_tokens"]}
    model = spec["model"] | {"vocab": spec["model"]["vocab"] | ids}
    edit(folder, "tokenizer.json", model=model, added_tokens=[])


def test_an_eos_that_is_no_added_token(tmp_path):
    folder = tiny_tokenizers.deepseek(tmp_path)
    edit(folder, "tokenizer_config.json", chat_template="{{ messages[0].content + eos_token }}")
    whole, _ = same_as_transformers(folder)
    no_added_tokens(folder)
    ours, theirs = same_as_transformers(folder)
    assert ours.eos_id == theirs.eos_token_id == whole.eos_id
    eos = theirs.eos_token
    assert ours.eos_id not in ours.encode(f"a{eos}b") and ours.decode([ours.eos_id]) == ""


def test_an_eos_that_merges_could_make(tmp_path):
    """Text that spells it does not become it."""
    folder = tiny_tokenizers.qwen(tmp_path)
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    name = max((t for t in model["vocab"] if t.isalpha()), key=len)
    edit(folder, "tokenizer_config.json", eos_token=name, chat_template=None)
    ours, theirs = tk.load(folder), transformers.AutoTokenizer.from_pretrained(folder)
    assert ours.eos_id == theirs.eos_token_id == model["vocab"][name]
    ids = ours.encode(f"{name} {name}s")
    assert ours.eos_id not in ids and ours.decode(ids) == f"{name} {name}s"


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("layout", ["qwen", "gemma", "gemma_pieces"])
def test_listed_tokens_that_the_model_lacks(tmp_path, layout, special):
    """They get the next ids, whatever ids are listed for them."""
    folder = getattr(tiny_tokenizers, layout)(tmp_path)
    old = json.loads((folder / "tokenizer_config.json").read_text())
    more = listed("<|extra|>", "<|other|>", special=special)
    if "added_tokens_decoder" in old:
        more = old["added_tokens_decoder"] | more
    edit(folder, "tokenizer_config.json", added_tokens_decoder=more)
    ours, theirs = same_as_transformers(folder)
    size = len(theirs)
    assert theirs.convert_tokens_to_ids(["<|extra|>", "<|other|>"]) == [size - 2, size - 1]
    assert [ours.token_name(size - 2), ours.token_name(size - 1)] == ["<|extra|>", "<|other|>"]
    found = ours.encode("x<|other|>y")
    assert (size - 1 in found) != special  # text becomes what is no control token
    if not special:
        assert found == theirs("x<|other|>y", add_special_tokens=False).input_ids


@pytest.mark.parametrize("name", ["added_tokens.json", "special_tokens_map.json"])
def test_older_files_that_list_tokens(tmp_path, name):
    folder = tiny_tokenizers.qwen(tmp_path)
    if name == "added_tokens.json":
        edit(folder, name, **{"<|extra|>": 506, "<|im_end|>": 502})
    else:
        edit(folder, "tokenizer_config.json", eos_token=None, pad_token=None)
        edit(folder, name, eos_token={"content": "<|endoftext|>"}, pad_token="<|im_end|>")
    ours, theirs = same_as_transformers(folder)
    assert (ours.eos_id, ours.pad_id) == (theirs.eos_token_id, theirs.pad_token_id)
    (tmp_path / "kept").mkdir()
    ours.save(tmp_path / "kept")
    assert tk.load(tmp_path / "kept") == ours


@pytest.mark.parametrize("key", ["extra_special_tokens", "additional_special_tokens"])
def test_further_special_tokens(tmp_path, key):
    folder = tiny_tokenizers.qwen(tmp_path)
    template = "{% for m in messages %}<|a|>{{ m.content }}<|b|>{% endfor %}"
    names = ["<|a|>", {"content": "<|b|>", "__type": "AddedToken"}]
    edit(folder, "tokenizer_config.json", **{key: names}, chat_template=template)
    ours, _ = same_as_transformers(folder)
    assert ours.token_name(ours.chat_eos_id) == "<|b|>"
    assert ours.min_rows == ours.vocab_size


def test_no_eos_but_an_id_that_ends_a_generation(tmp_path):
    folder = tiny_tokenizers.qwen(tmp_path)
    edit(folder, "tokenizer_config.json", eos_token=None)
    ours, theirs = same_as_transformers(folder)
    assert theirs.eos_token is None and ours.token_name(ours.eos_id) == "<|im_end|>"


TEMPLATES = {
    "today": "{%- set today = strftime_now('%d %B %Y') -%}\nToday: {{ today }}\n{%- for m in "
    "messages %}\n{{- '<|im_start|>' + m['role'] + m['content'] }}\n{%- endfor %}",
    "date_by_macro": "{%- macro head() -%}{{ strftime_now('%Y-%m-%d') }} {% endmacro -%}"
    "{{- head() }}{{ messages[0].content }}<|im_end|>",
    "switches": "{% set ns = namespace(n=0, last=none) %}{% for m in messages %}{% if m.role == "
    "'tool' %}{% continue %}{% endif %}{% set ns.n = ns.n + 1 %}{% set ns.last = m %}"
    "{% if ns.n > 3 %}{% break %}{% endif %}{% endfor %}{{ ns.n }}{{ ns.last.content | trim }}"
    "{{ (messages | selectattr('role', 'equalto', 'user') | list | length) }}<|im_end|>",
    "json": "{{ messages | tojson(indent=2) }}{{ {'b': 1, 'a': '<é>'} | tojson(sort_keys=true) }}"
    "{{ messages[0] | tojson(separators=(',', ':')) }}{{ tools is none }}{{ documents }}",
    "roles": "{{ bos_token }}{{ eos_token }}{{ pad_token }}{{ image_token }}{{ sep_token }}"
    "{% if tools is defined and tools %}x{% endif %}{% generation %}{{ messages[-1].content }}"
    "{% endgeneration %}{{ '{:>6}'.format(messages[0]['role'].upper()) }}"
    "{{ messages[0].get('x') }}",
    "dict": "{% set d = dict(a=1) %}{{ d.a }}{{ d | items | list }}{{ messages[0]['content'][:4] }}"
    "{{ messages[0].content is string }}{{ messages[0].reasoning_content is defined }}",
}


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("file", ["tokenizer_config.json", "chat_template.jinja"])
def test_templates(tmp_path, monkeypatch, name, file):
    """A date is that of 2024-07-26, as if it were today."""

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(DATE.year, DATE.month, DATE.day)

    monkeypatch.setattr(transformers.utils.chat_template_utils, "datetime", Clock)
    folder = tiny_tokenizers.qwen(tmp_path)
    changes = {"image_token": "<|im_start|>", "sep_token": "<|im_end|>"}
    if file == "tokenizer_config.json":
        changes["chat_template"] = [{"name": n, "template": TEMPLATES[name]} for n in ("default",)]
        changes["chat_template"].append({"name": "tool_use", "template": "tools"})
    else:
        (folder / file).write_text(TEMPLATES[name])
    edit(folder, "tokenizer_config.json", **changes)
    same_as_transformers(folder)
