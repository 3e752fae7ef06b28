"""Texts as candidates, for tests that check many of them on a farm or on a worker of a backend."""

from collections.abc import Iterable

from fdjax.lean.extract import parse_candidate
from fdjax.types import Theorem, Verdict


def check(checker, texts: Iterable[tuple[Theorem, str]], *timeout: float) -> list[Verdict]:
    """`checker.check` of (theorem, text) pairs. What has helper lemmas is parsed as such; a farm
    without `allow_helpers` refuses it."""
    pairs = [(theorem, parse_candidate(text, theorem, True)) for theorem, text in texts]
    return checker.check(pairs, *timeout)


def submit(farm, theorem: Theorem, text: str, **urgent: bool):
    """`farm.submit`, likewise."""
    return farm.submit(theorem, parse_candidate(text, theorem, True), **urgent)
