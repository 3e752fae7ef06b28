"""Counts of different proofs, against cases counted by hand."""

import pytest

from fdjax.reporting.diversity import distinct_n, distinct_proofs, normalise, unique_ratio

SAME = [
    (" by\n  intro h1\n  exact h1", " by\n  intro hp -- a comment\n\n  exact   hp"),
    (" by\n  intro h1 h2\n  exact ⟨h2, h1.left⟩", " by\n  intro a b\n  exact ⟨b, a.left⟩"),
    (" fun h => h.2", " fun x => x.2"),
    (
        " by\n  cases h with\n  | inl a => exact a\n  | inr b => exact b",
        " by\n  cases h with\n  | inl x => exact x\n  | inr y => exact y",
    ),
    (
        " by\n  rcases h with ⟨a, b⟩ | c\n  · exact a\n  · exact c",
        " by\n  rcases h with ⟨x, y⟩ | z\n  · exact x\n  · exact z",
    ),
    (" by\n  obtain ⟨x, hx⟩ := h\n  exact hx", " by\n  obtain ⟨y, hy⟩ := h\n  exact hy"),
    (" by\n  have k : p := h\n  exact k", " by\n  have k2 : p := h\n  exact k2"),
    (
        " by\n  induction n with\n  | zero => rfl\n  | succ k ih => rw [ih]",
        " by\n  induction n with\n  | zero => rfl\n  | succ m h => rw [h]",
    ),
]
DIFFERENT = [
    (" by\n  intro h1 h2\n  exact h1", " by\n  intro h1 h2\n  exact h2"),
    (" by\n  exact h1", " by\n  exact h2"),  # names of the theorem's own
    (" by\n  left\n  exact h", " by\n  right\n  exact h"),
    (" by\n  cases h with\n  | inl a => exact f a", " by\n  cases h with\n  | inr a => exact f a"),
    (" by\n  exact h.1", " by\n  exact h.2"),
    (" by\n  intro h\n  exact Or.inl h", " by\n  intro h\n  exact Or.inr h"),
]


@pytest.mark.parametrize("one, other", SAME)
def test_names_and_layout_do_not_count(one, other):
    assert normalise(one) == normalise(other)
    assert distinct_proofs([[one, other]]) == 1


@pytest.mark.parametrize("one, other", DIFFERENT)
def test_what_is_done_counts(one, other):
    assert normalise(one) != normalise(other)
    assert distinct_proofs([[one, other]]) == 2


def test_theorems_without_a_proof_count_as_zero():
    proofs = [[" by\n  exact h", " by\n  exact h"], [], [" rfl", " by\n  rfl"], [" rfl"]]
    assert distinct_proofs(proofs) == (1 + 0 + 2 + 1) / 4
    assert unique_ratio(proofs) == 4 / 5
    assert distinct_proofs([]) == unique_ratio([[], []]) == 0


def test_unreadable_text_is_a_proof_too():
    assert distinct_proofs([["/- no end", "/-  no\nend", "«"]]) == 2


def test_distinct_n():
    proofs = [["a b a b", "a  b"], ["c"], []]
    # bigrams: ab ba ab, ab -> 2 of 4; the second theorem has none
    assert distinct_n(proofs, 2) == 2 / 4
    # unigrams: 2 of 6 and 1 of 1
    assert distinct_n(proofs, 1) == pytest.approx((2 / 6 + 1) / 2)
    assert distinct_n([[], ["a"]], 2) == 0
