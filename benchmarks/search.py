"""Search over generated declarations: seconds to index them, milliseconds of a query, memory.

    python benchmarks/search.py --count=300000

Names, types and docstrings have the look of Mathlib's. Queries are names, words, fragments of types
of declarations of the index, and words in any order; each is asked three times, and the fastest
counts. A search is one thread's work: its CPU time is what it takes on an idle machine. Exits with
1 above the limits.
"""

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from fdjax.lean.search.index import Index, build_index
from fdjax.lean.search.query import Declaration

MAX_INDEX_SECONDS = 120
MAX_QUERY_MS = 20
MAX_MEMORY_MB = 200
STEMS = """
add sub mul div mod pow neg inv zero one succ pred le lt ge eq ne iff and or not imp forall exists
unique comm assoc left right cancel distrib self trans symm refl antisymm mono anti injective
surjective bijective continuous differentiable measurable integrable summable tendsto bounded
compact open closed dense connected finite infinite countable card sum prod sup inf max min top bot
univ empty insert erase union inter diff compl subset mem map filter fold append reverse length nil
cons head tail take drop zip range sort perm nodup prefix join bind pure some none get update single
const comp id apply coe cast lift ext congr ind norm dist ball sphere metric uniform cauchy limit
deriv integral log exp sin cos sqrt abs gcd lcm prime coprime dvd irreducible unit ideal span basis
rank det trace matrix linear affine convex polynomial degree root eval coeff monic algebra hom equiv
quotient normal kernel image preimage product colimit functor category sheaf stalk scheme local
bundle manifold smooth tangent exterior tensor graded order lattice ordinal cardinal nhds within
"""
SPACES = """
Nat Int Rat Real Complex List Array Finset Set Multiset Fin Bool Option Sum Prod Sigma Function
Equiv Filter Topology MeasureTheory Polynomial Matrix LinearMap Module Ring Group Monoid Field
Algebra CategoryTheory AlgebraicGeometry Order Lattice Ordinal Submodule Ideal Metric
ContinuousMap ENNReal ZMod PowerSeries SimpleGraph BitVec String UInt64
"""
OPERATORS, RELATIONS = "+ - * / ^ ∘ ∪ ∩ ∧ ∨ • ⊔ ⊓ ∣ ×", "= = = ≤ < ≠ ↔ ∈ ⊆ →"
VARIABLES = "a b c x y z n m k f g h s t p q r"
STEMS, SPACES, OPERATORS, RELATIONS, VARIABLES = (
    text.split() for text in (STEMS, SPACES, OPERATORS, RELATIONS, VARIABLES)
)


def declarations(count: int, seed: int = 0) -> Iterator[Declaration]:
    """Different from each other, the same ones for a seed."""
    random_ = random.Random(seed)
    choice, seen = random_.choice, set()

    def term(depth: int) -> str:
        if not depth or random_.random() < 0.3:
            return choice(VARIABLES)
        if random_.random() < 0.5:
            return f"({term(depth - 1)} {choice(OPERATORS)} {term(depth - 1)})"
        return f"{choice(SPACES)}.{choice(STEMS)} {choice(VARIABLES)}"

    while len(seen) < count:
        name = "_".join(random_.choices(STEMS, k=choice((1, 2, 2, 3, 3, 4, 5))))
        name = f"{choice(SPACES)}.{name}" if random_.random() < 0.85 else name
        name += "'" * (random_.random() < 0.1)
        if name in seen:
            name += f"_{len(seen)}"
        seen.add(name)
        instance = f"[inst : {choice(STEMS).title()}{choice(STEMS).title()} α]"
        binders = f"({' '.join(random_.sample(VARIABLES, 3))} : {choice(SPACES)})"
        stated = f"{term(2)} {choice(RELATIONS)} {term(2)}"
        prose = random_.choices([*STEMS, "the", "of", "is", "for", "every"], k=20)
        doc = " ".join(prose) if random_.random() < 0.25 else ""
        yield Declaration(name, f"{{α : Type u_1}} {instance} {binders} : {stated}", doc)


def queries(some: list[Declaration], count: int, seed: int = 1) -> Iterator[str]:
    random_ = random.Random(seed)
    for number in range(count):
        name, signature, doc = random_.choice(some)
        match number % 5:
            case 0:
                yield name
            case 1:
                yield name.split(".")[-1].replace("_", " ")
            case 2:
                yield signature.split(" : ")[-1]
            case 3:
                yield " ".join(random_.sample(doc.split(), 3)) if doc else name[: len(name) // 2]
            case 4:
                yield " ".join(random_.choices([*STEMS, *SPACES, *OPERATORS], k=4))


def measure(count: int, asked: int, path: Path) -> dict[str, float]:
    """Figures; memory is the peak of this process, which holds some declarations for queries."""
    began = time.perf_counter()
    build_index(path, declarations(count))
    seconds = time.perf_counter() - began
    some = list(declarations(min(count, 2000)))
    wall, cpu = [], []
    with Index(path) as index:
        for query in queries(some, asked):
            tries = [_time(index, query) for _ in range(3)]
            wall.append(min(seconds for seconds, _ in tries))
            cpu.append(min(seconds for _, seconds in tries))
    scale = 1 << (20 if sys.platform == "darwin" else 10)
    figures = {
        "declarations": count,
        "index_seconds": round(seconds, 1),
        "index_mb": round(path.stat().st_size / 1e6, 1),
        "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale, 1),
    }
    for name, times in (("wall", sorted(wall)), ("cpu", sorted(cpu))):
        for part in (50, 99, 100):
            place = min(len(times) * part // 100, len(times) - 1)
            figures[f"query_{name}_ms_p{part}"] = round(1000 * times[place], 2)
    return figures


def _time(index: Index, query: str) -> tuple[float, float]:
    """Seconds of a search: by the clock, of the CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    index.search(query)
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300_000, help="declarations")
    parser.add_argument("--queries", type=int, default=500)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(flags.count, flags.queries, Path(folder) / "index.sqlite")
    print(json.dumps(figures))
    good = (
        figures["index_seconds"] < MAX_INDEX_SECONDS
        and figures["query_cpu_ms_p100"] < MAX_QUERY_MS
        and figures["memory_mb"] < MAX_MEMORY_MB
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
