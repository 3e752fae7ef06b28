"""The diversity of proofs: counts of distinct ones, and of distinct n-grams."""

import re
from collections.abc import Sequence

from fdjax.lean.tokens import Refused, tokenize

Groups = Sequence[Sequence[str]]  # per theorem, the texts of its proofs


def distinct_proofs(proofs: Groups) -> float:
    """Mean over theorems of the number of proofs with different normal forms (`normalise`).

    A theorem without proofs counts as 0; 0 without theorems.
    """
    return _distinct(proofs) / max(len(proofs), 1)


def unique_ratio(proofs: Groups) -> float:
    """Proofs with different normal forms over all proofs; 0 without proofs."""
    return _distinct(proofs) / max(sum(len(group) for group in proofs), 1)


def _distinct(proofs: Groups) -> int:
    return sum(len({normalise(proof) for proof in group}) for group in proofs)


def distinct_n(proofs: Groups, n: int) -> float:
    """distinct-n of Li et al. 2016: different n-grams over all n-grams of Lean tokens.

    Counted within each theorem, then averaged over the theorems that have n-grams: proofs of
    different theorems differ anyway. 0 without n-grams.
    """
    ratios = []
    for group in proofs:
        words = [_words(proof) for proof in group]
        grams = [gram for w in words for gram in zip(*(w[i:] for i in range(n)))]
        if grams:
            ratios.append(len(set(grams)) / len(grams))
    return sum(ratios) / len(ratios) if ratios else 0.0


def normalise(proof: str) -> str:
    """The proof's tokens with one space between them and bound names numbered in order.

    Proofs with equal normal forms differ in layout, comments and the names of hypotheses only.
    Binders are found by their keywords, without elaboration: some equal proofs stay different.
    """
    try:
        tokens = tokenize(proof)
    except Refused:
        return " ".join(proof.split())
    numbers: dict[str, int] = {}
    for binder in _BINDER.finditer(proof):
        for name in _NAME.findall(next(filter(None, binder.groups()), "")):
            numbers.setdefault(name, len(numbers))
    words = []
    for token in tokens:
        head, dot, fields = token.text.partition(".")
        bound = token.kind == "name" and head in numbers
        words.append(f"⟪{numbers[head]}⟫{dot}{fields}" if bound else token.text)
    return " ".join(words)


_NAME = re.compile(r"(?!(?:_|rfl)\b)[^\W\d][\w'!?]*")
_BINDER = re.compile(  # one group holds the names, and perhaps brackets and bars
    r"\b(?:intros?|rintro|rename_i)\b([^\n;]*)"
    r"|(?:\bfun\b|λ)([^\n=:↦]*)"
    r"|\b(?:have|let|by_cases|suffices) ([\w']+) *:"
    r"|\bobtain\b([^\n:]*)"
    r"|\b(?:rcases|cases'|obtain|induction')[^\n]* with ([^\n;]*)"
    r"|\|[ ]*@?[\w.]+([^\n|=]*)=>"  # not the constructor, which stands first
    r"|\b(?:case|next)[ ]+(?:[\w.]+)([^\n=]*)=>"
)


def _words(proof: str) -> list[str]:
    try:
        return [token.text for token in tokenize(proof)]
    except Refused:  # Lean could not read it either
        return proof.split()
