"""`fdjax lean bench`: how many candidates per second a backend verifies here.

Candidates are distinct, half of them wrong, over core Lean alone. All are submitted at once; then
one more, which is urgent. Prints figures every two seconds, and the final ones as JSON.
"""

import concurrent.futures
import dataclasses
import itertools
import json
import sys
import time
from collections.abc import Iterable

from fdjax.lean.backend import Backend
from fdjax.lean.farm import Farm
from fdjax.types import Candidate, Theorem, Verdict

THEOREMS = [  # each with a right proof and a wrong one
    (
        Theorem("and", "and_swap", "(p q : Prop) (h : p ∧ q) : q ∧ p"),
        "by\n  obtain ⟨a, b⟩ := h\n  exact ⟨b, a⟩",
        "by\n  obtain ⟨a, b⟩ := h\n  exact ⟨a, b⟩",
    ),
    (
        Theorem("or", "or_swap", "(p q : Prop) (h : p ∨ q) : q ∨ p"),
        "by\n  cases h with\n  | inl a => right; exact a\n  | inr b => left; exact b",
        "by\n  cases h with\n  | inl a => left; exact a\n  | inr b => right; exact b",
    ),
    (
        Theorem("imp", "chain", "(p q r : Prop) (h : p → q) (k : q → r) (a : p) : r ∧ q"),
        "by\n  constructor\n  · apply k\n    exact h a\n  · exact h a",
        "by\n  constructor\n  · apply h\n    exact k a\n  · exact h a",
    ),
    (
        Theorem(
            "all", "instantiate", "(f : Nat → Prop) (h : ∀ n, f n → f (n + 1)) (a : f 0) : f 2"
        ),
        "by\n  have b := h 0 a\n  exact h 1 b",
        "by\n  have b := h 0 a\n  exact h 0 b",
    ),
    (
        Theorem("ex", "witness", "(p : Nat → Prop) (h : p 3) : ∃ n, p n"),
        "by\n  exists 3",
        "by\n  exact ⟨2, h⟩",
    ),
    (
        Theorem("nat", "zero_add'", "(n : Nat) : 0 + n = n"),
        "by\n  induction n with\n  | zero => rfl\n  | succ n ih => rw [Nat.add_succ, ih]",
        "by\n  induction n with\n  | zero => rfl\n  | succ n ih => exact ih",
    ),
]

Item = tuple[Theorem, Candidate, bool]  # is the candidate right?


def candidates(numbers: Iterable[int], imports: tuple[str, ...] = ()) -> list[Item]:
    """Candidates that differ by a harmless `have`, every second one wrong."""
    items = []
    for i in numbers:
        theorem, right, wrong = THEOREMS[i // 2 % len(THEOREMS)]
        body = (right if i % 2 else wrong).removeprefix("by\n")
        theorem = dataclasses.replace(theorem, imports=imports)
        candidate = Candidate(f"by\n  have e{i} : {i} = {i} := rfl\n{body}")
        items.append((theorem, candidate, i % 2 == 1))
    return items


def wrong_verdicts(items: Iterable[Item], verdicts: Iterable[Verdict]) -> list[Verdict]:
    pairs = zip(items, verdicts, strict=True)
    return [v for (*_, right), v in pairs if v.status != ("proved" if right else "failed")]


def main(
    backend: Backend, workers: int | None, timeout: float, count: int, imports: tuple[str, ...]
) -> int:
    """Returns 1 if a verdict is wrong, else 0."""
    numbers = itertools.count()

    def fresh(n: int) -> list[Item]:
        return candidates(itertools.islice(numbers, n), imports)

    with Farm(backend, workers, timeout) as farm:
        began = time.monotonic()
        first = fresh(1)
        farm.require(theorem for theorem, *_ in first)
        wrong = wrong_verdicts(first, farm.check([item[:2] for item in first]))
        start_seconds, started = time.monotonic() - began, farm.counters
        items, began = fresh(count), time.monotonic()
        futures = [farm.submit(theorem, candidate) for theorem, candidate, _ in items]
        [(theorem, candidate, _)] = fresh(1)
        submitted = time.monotonic()
        farm.submit(theorem, candidate, urgent=True).result()
        urgent_seconds = time.monotonic() - submitted
        while concurrent.futures.wait(futures, timeout=2.0).not_done:
            now = farm.counters.since(started)
            print(
                f"{now.finished - 1:6d} of {count}  {now.per_second:7.1f}/s  "
                f"{now.utilisation:4.0%} of {now.workers} workers busy  {now.restarts} restarts",
                file=sys.stderr,
            )
        seconds = time.monotonic() - began
        wrong += wrong_verdicts(items, [future.result() for future in futures])
        total = farm.counters.since(started)
    figures = {
        "backend": backend.name,
        "version": backend.version,
        "workers": total.workers,
        "count": count,
        "imports": list(imports),
        "per_second": round(count / seconds, 2),
        "start_seconds": round(start_seconds, 2),
        "urgent_seconds": round(urgent_seconds, 3),
        "utilisation": round(total.utilisation, 3),
        "restarts": total.restarts,
        "wrong": len(wrong),
    }
    print(json.dumps(figures))
    if wrong:
        print(f"{len(wrong)} wrong verdicts, for instance {wrong[0]}", file=sys.stderr)
    return 1 if wrong else 0
