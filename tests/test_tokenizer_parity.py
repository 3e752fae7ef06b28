"""The same ids as transformers, for every layout, theorem and odd string, in prompts and chats."""

import random

import pytest

from fdjax import benchmark as synthetic
from fdjax.lean.statements import lean_text
from fdjax.models import tokenizer as tk
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
