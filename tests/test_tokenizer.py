"""The trained tokenizer: lossless for any text, with the place of each token in it."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdjax.models import tokenizer as tk

CORPUS = [
    "theorem t (p q : Prop) (h1 : p ∧ q) : q ∧ p := by\n  exact ⟨h1.2, h1.1⟩",
    "theorem t (p q r : Prop) (h1 : p → q) (h2 : q → r) : p → r := by exact fun h3 => h2 (h1 h3)",
    "theorem t (p q : Prop) (h1 : ¬(p ∨ q)) : ¬p := by\n  intro h2\n  apply h1\n  left\n  exact h2",
    "theorem t (n m : Nat) : n + m = m + n := by\n  induction n with\n  | zero => simp\n"
    "  | succ k h1 =>\n    rw [Nat.succ_add, h1]",
    "h1 A h2 B ⊢ G",
] * 20
TOKENIZER = tk.train(CORPUS, vocab_size=512)

# Text that is likely to trip a tokenizer: its own marks, controls, whitespace of every kind.
NASTY = [
    "▁",
    "▅",
    "</s>",
    "<s>",
    "<pad>",
    "<unk>",
    "<0x41>",
    " ",
    "  ",
    "\n",
    "\n  ",
    "\t",
    "\r",
    "\0",
    "\x01",
    "h1",
    "(",
    "¬",
    "é",
    "e\u0301",
    "𝔸",
    "Ⅷ",
    "½",
    "ﬁ",
    "\u3000",
    "\ufeff",
]
TEXTS = st.lists(
    st.one_of(st.sampled_from(NASTY), st.sampled_from(CORPUS), st.text(max_size=5)), max_size=12
).map("".join)


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_lossless(text):
    ids = TOKENIZER.encode(text)
    assert TOKENIZER.decode(ids) == text
    assert not set(ids) & {TOKENIZER.pad_id, TOKENIZER.bos_id, TOKENIZER.eos_id, 3}


@given(TEXTS)
@settings(max_examples=200, deadline=None)
def test_offsets_of_encoded_text(text):
    ids = TOKENIZER.encode(text) + [TOKENIZER.eos_id]
    offsets = TOKENIZER.offsets(ids)
    assert offsets[-1] == len(text)
    # Character by character: the owner of each byte of the text.
    owner = [i for i, character in enumerate(text) for _ in character.encode()] + [len(text)]
    at = 0
    for token, offset in zip(ids, offsets):
        assert offset == owner[at]
        at += len(TOKENIZER._bytes[token])


@given(st.lists(st.integers(0, TOKENIZER.vocab_size - 1), max_size=30))
@settings(max_examples=200, deadline=None)
def test_offsets_of_arbitrary_ids(ids):
    """A sampler may write bytes in any order; offsets are those of decode(ids) even then."""
    text, offsets = TOKENIZER.decode(ids), TOKENIZER.offsets(ids)
    assert offsets == sorted(offsets)
    assert all(0 <= offset <= len(text) for offset in offsets)
    for i, offset in enumerate(offsets):
        # Where the text before ends in whole characters, it ends exactly at the offset.
        before = b"".join(TOKENIZER._bytes[j] for j in ids[:i])
        after = b"".join(TOKENIZER._bytes[j] for j in ids[i:])
        if not after or after[0] & 0xC0 != 0x80:
            assert before.decode("utf-8", "replace") == text[:offset]


def test_offsets_in_a_byte_spelled_character():
    ids = TOKENIZER.encode("a𝔸b")  # 𝔸 is not in the corpus: four byte tokens
    assert len(ids) == 6
    assert TOKENIZER.offsets(ids) == [0, 1, 1, 1, 1, 2]


def pieces(text):
    return [TOKENIZER.decode([i]) for i in TOKENIZER.encode(text)]


def test_pieces_are_lean_words():
    assert pieces("h1.1") == ["h1", ".1"]
    assert pieces("((h1 : p") == ["(", "(", "h1", " :", " p"]
    assert pieces(" exact h1") == [" exact", " h1"]
    assert pieces("by\n  exact ¬¬p") == ["by", "\n  ", "exact", " ¬", "¬", "p"]
    assert pieces(" :=\n    exact") == [" :=", "\n  ", "  ", "exact"]


def test_special_ids_are_distinct_and_silent():
    specials = [TOKENIZER.pad_id, TOKENIZER.bos_id, TOKENIZER.eos_id]
    assert len(set(specials)) == 3 and min(specials) >= 0
    assert TOKENIZER.decode(specials) == ""
    assert TOKENIZER.encode_prompt("p") == [TOKENIZER.bos_id, *TOKENIZER.encode("p")]
    assert TOKENIZER.stop_ids == (TOKENIZER.eos_id,)
    with pytest.raises(ValueError, match="no chat template"):
        TOKENIZER.encode_chat([])


def test_deterministic_and_saved(tmp_path):
    assert tk.train(iter(CORPUS), vocab_size=512) == TOKENIZER
    assert not tk.holds(tmp_path)
    TOKENIZER.save(tmp_path)
    assert tk.holds(tmp_path) and tk.load(tmp_path) == TOKENIZER


def test_training_is_silent(capfd):
    tk.train(CORPUS, vocab_size=330)
    assert capfd.readouterr() == ("", "")


def test_odd_corpora():
    for texts in (["x"], ["▁", "a▅b", "\0\t\x01"], ["a " * 5000]):
        tokenizer = tk.train(texts, vocab_size=512)
        assert tokenizer.vocab_size <= 512
        for text in texts:
            assert tokenizer.decode(tokenizer.encode(text)) == text


def test_bad_input_is_named(tmp_path):
    with pytest.raises(ValueError, match="no texts"):
        tk.train(["", ""])
    for wanted in (-1, 100):
        with pytest.raises(ValueError, match=f"^{wanted} is too small: these texts") as error:
            tk.train(CORPUS, vocab_size=wanted)
    minimum = int(re.search(r"at least (\d+), for 263", str(error.value))[1])
    assert tk.train(CORPUS, vocab_size=minimum).vocab_size == minimum
    with pytest.raises(ValueError, match=f"{minimum - 1} is too small"):
        tk.train(CORPUS, vocab_size=minimum - 1)
    with pytest.raises(FileNotFoundError, match=r"neither tokenizer\.json nor"):
        tk.load(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"junk")
    with pytest.raises(ValueError, match="no lossless sentencepiece model"):
        tk.load(tmp_path)
