"""Proofs in feedback: read from a model's answer, shown, and compared with an attempt.

Of an attempt with helper lemmas the main proof is compared, unless Lean refuses a helper: then the
attempt goes wrong there.
"""

import itertools
import textwrap

from fdjax.lean.extract import NoProof, extract, split
from fdjax.types import Item, Theorem


def read_proof(answer: str, theorem: Theorem, allow_helpers: bool = False) -> str | None:
    """What follows `:=` in a model's answer, with its helper lemmas where they are allowed; None
    where the answer has no proof. The tactics of an outermost `by` begin on a line of their own,
    indented by two, as our prompts begin a proof.
    """
    try:
        start, end = extract(answer, theorem, allow_helpers)
    except NoProof:
        return None
    proof = answer[start:end]
    parts = split(proof, theorem) if allow_helpers else None
    main = parts.start if parts else 0
    return proof[:main] + _reindented(proof[main:])


def _reindented(proof: str) -> str:
    head, by, body = proof.partition("by")
    if head.strip() or not by or not body[:1].isspace():
        return proof
    first, _, rest = body.partition("\n")
    lines = [first.strip(), *textwrap.dedent(rest).splitlines()]
    return " by\n" + "\n".join(f"  {line}".rstrip() for line in lines if line.strip())


def shown(theorem: Theorem, proof: str) -> str:
    """The message that shows a proof."""
    if split(proof, theorem):
        return "a proof with helper lemmas is\n" + proof.strip("\n")
    return f"a proof is{proof.removeprefix(' by')}"


def first_difference(item: Item, proof: str) -> int | None:
    """Where the attempt first differs from a proof, helpers aside: an offset in characters."""
    theorem, attempt, _ = item
    parts = split(proof, theorem)
    main = proof[parts.start :] if parts else proof
    place = None if attempt.main_proof == main else common_length(attempt.main_proof, main)
    return offset_in_attempt(item, place)


def common_length(one: str, other: str) -> int:
    """The number of characters with which both begin."""
    pairs = zip(one, other)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def offset_in_attempt(item: Item, place: int | None) -> int | None:
    """Where an attempt goes wrong whose main proof goes wrong at `place`."""
    helper = refused_helper(item)
    return helper if helper is not None or place is None else item[1].main + place


def refused_helper(item: Item) -> int | None:
    """Where Lean's first error is, if it is in a helper."""
    _, attempt, verdict = item
    place = verdict.first_error
    return place if place is not None and place < attempt.main else None
