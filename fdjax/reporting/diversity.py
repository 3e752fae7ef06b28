"""How varied a policy's proofs are."""

import collections
import re
from collections.abc import Iterable, Sequence

from fdjax.lean.audit import Refused, Token, tokenize

Groups = Sequence[Sequence[str]]  # per theorem, the texts of its proofs


def distinct_proofs(proofs: Groups) -> float:
    """Mean over theorems of the number of different proofs, as `normalise` sees them.

    `proofs` are the verified ones of each theorem; one without any counts as 0.
    """
    if not proofs:
        return 0.0
    return sum(len({normalise(p) for p in group}) for group in proofs) / len(proofs)


def unique_ratio(proofs: Groups) -> float:
    """Different proofs over all proofs, as `normalise` sees them; 0 where there is none."""
    total = sum(len(group) for group in proofs)
    return sum(len({normalise(p) for p in group}) for group in proofs) / total if total else 0.0


def distinct_n(proofs: Groups, n: int) -> float:
    """distinct-n of Li et al. 2016: different n-grams over all n-grams of Lean tokens.

    Counted within each theorem, then averaged over the theorems that have n-grams: proofs of
    different theorems differ anyway. 0 where there is none.
    """
    ratios = []
    for group in proofs:
        grams = collections.Counter(g for proof in group for g in _ngrams(_words(proof), n))
        if grams:
            ratios.append(len(grams) / grams.total())
    return sum(ratios) / len(ratios) if ratios else 0.0


def normalise(proof: str) -> str:
    """The proof's tokens with one space between them and bound names numbered in order.

    Proofs with equal normal forms differ in layout, comments and the names of hypotheses only.
    Binders are found by their keywords, without elaboration: some equal proofs stay different.
    """
    tokens = _tokens(proof)
    if tokens is None:
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


def _tokens(proof: str) -> list[Token] | None:
    try:
        return tokenize(proof)
    except Refused:  # nothing that Lean would read
        return None


def _words(proof: str) -> list[str]:
    tokens = _tokens(proof)
    return proof.split() if tokens is None else [t.text for t in tokens]


def _ngrams(words: Sequence[str], n: int) -> Iterable[tuple[str, ...]]:
    return zip(*(words[i:] for i in range(n)))
