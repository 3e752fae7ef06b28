"""Proofs in feedback: read from a model's answer, shown, and compared with an attempt.

Of an attempt with helper lemmas the main proof is compared, unless Lean refuses a helper: then the
attempt goes wrong there.
"""

import dataclasses
import itertools
import textwrap

from fdjax.lean.extract import NoProof, extract, parse_candidate
from fdjax.types import Candidate, Item, Theorem


def read_proof(answer: str, theorem: Theorem, allow_helpers: bool = False) -> Candidate | None:
    """The candidate in a model's answer, with its helper lemmas where they are allowed; None where
    the answer has no proof. The tactics of an outermost `by` begin on a line of their own,
    indented by two, as our prompts begin a proof.
    """
    try:
        start, end = extract(answer, theorem, allow_helpers)
    except NoProof:
        return None
    candidate = parse_candidate(answer[start:end], theorem, allow_helpers)
    text = candidate.text[: candidate.main_start]
    text += _reindented(candidate.proof, answer[: start + candidate.main_start])
    return dataclasses.replace(candidate, text=text)


def _reindented(proof: str, before: str) -> str:
    """`before`: the text before the proof."""
    head, by, body = proof.partition("by")
    if head.strip() or not by or not body[:1].isspace():
        return proof
    first, _, rest = body.partition("\n")
    line = (before + head + by).rpartition("\n")[2]  # the first tactic may stand behind it
    lines = textwrap.dedent(" " * len(line) + first + "\n" + rest).splitlines()
    if lines[0][:1].isspace():  # others stand left of it: Lean refuses them as they are
        lines = [first.strip(), *textwrap.dedent(rest).splitlines()]
    return " by\n" + "\n".join(f"  {line}".rstrip() for line in lines if line.strip())


def shown(proof: Candidate) -> str:
    """The message that shows a proof."""
    if proof.has_helpers:
        return "a proof with helper lemmas is\n" + proof.text.strip("\n")
    return f"a proof is{proof.text.removeprefix(' by')}"


def first_difference(item: Item, proof: Candidate) -> int | None:
    """Where the attempt first differs from a proof, helpers aside: an offset in characters."""
    tried = item[1].candidate.proof
    place = None if tried == proof.proof else common_length(tried, proof.proof)
    return offset_in_attempt(item, place)


def common_length(one: str, other: str) -> int:
    """The number of characters with which both begin."""
    pairs = zip(one, other)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def offset_in_attempt(item: Item, place: int | None) -> int | None:
    """Where an attempt goes wrong whose main proof goes wrong at `place`."""
    helper = refused_helper(item)
    return helper if helper is not None or place is None else item[1].candidate.main_start + place


def refused_helper(item: Item) -> int | None:
    """Where Lean's first error is, if it is in a helper."""
    _, attempt, verdict = item
    place = verdict.first_error
    return place if place is not None and place < attempt.candidate.main_start else None
