"""Random theorems that have a proof: formulas at random, those that a small model refutes thrown
away, and the rest kept where the search finds a proof of the wanted length.
"""

import itertools
import random
from collections.abc import Iterator, Mapping

from fdjax.benchmark.families import GOALS, SHAPES, worthwhile
from fdjax.benchmark.formulas import Expr, Goal, goal_text, render, signature_text
from fdjax.benchmark.search import natural_proof, proof_text
from fdjax.benchmark.terms import Style, count_tokens
from fdjax.types import Theorem

# Shares of the families. Most are propositional, so that a model of a million parameters learns.
FAMILIES: Mapping[str, float] = {
    "propositional": 0.8,
    "classical": 0.07,
    "quantified": 0.06,
    "equality": 0.04,
    "nat": 0.02,
    "induction": 0.01,
}
DIFFICULTIES = tuple(SHAPES)


def candidates(
    rng: random.Random, family: str, difficulty: int, seen: set[str]
) -> Iterator[tuple[Goal, list[str]]]:
    """(goal, reference lines) of one family; none in `seen`, to which what was tried is added.

    Ends when the family seems exhausted.
    """
    shape = SHAPES[difficulty]
    (fewest, most), (shortest, longest) = shape.tactics, shape.tokens
    nodes = 60
    if family in ("nat", "induction"):  # one `rw` or `induction` does much, and takes long to find
        fewest, nodes = 1, 15
    if family == "induction":
        longest += 20
    misses = 0
    while misses < 1000:
        misses += 1
        goal = GOALS[family](rng, difficulty)
        if not shortest <= count_tokens(goal_text(goal)) <= longest or not worthwhile(rng, goal):
            continue
        key = canonical(goal)
        if key in seen:
            continue
        seen.add(key)
        style = Style(
            cost=rng.choice((2, 2, 3, 3, 4)),
            depth=0,
            build=rng.random() < 0.3,
            classical=family == "classical",
        )
        lines = natural_proof(goal, rng, style, most, nodes)
        if lines is not None and len(lines) >= fewest:
            misses = 0
            yield goal, lines


def canonical(goal: Goal) -> str:
    """A text that is equal for goals that differ by the names of variables and hypotheses or the
    order of hypotheses (tried in every order up to 4 of them, else in the order of their shape).
    """
    formulas = [formula for _, formula in goal.hypotheses]
    shapes = {formula: _rename(render(formula), {}, blank=True) for formula in formulas}
    formulas.sort(key=lambda formula: shapes[formula])
    groups = [list(group) for _, group in itertools.groupby(formulas, key=lambda f: shapes[f])]
    if len(formulas) > 4:
        orders = [formulas]
    else:
        orders = map(
            lambda parts: list(itertools.chain(*parts)),
            itertools.product(*(itertools.permutations(group) for group in groups)),
        )
    types = dict(goal.variables)
    return min(_canonical_text([goal.target, *order], types) for order in orders)


def _canonical_text(formulas: list[Expr], types: dict[str, Expr]) -> str:
    names: dict[str, str] = {}
    text = "; ".join(_rename(render(formula), names) for formula in formulas)
    # Names that the context does not declare (True, Nat.succ, bound ones) are renamed alike.
    return text + " | " + " ".join(render(types.get(name, "?")) for name in names)


def _rename(text: str, names: dict[str, str], blank: bool = False) -> str:
    out = []
    for word in text.replace("(", "( ").replace(")", " )").replace("¬", "¬ ").split():
        core = word.rstrip(",")
        if core.isidentifier() and core not in ("True", "False"):
            word = "_" if blank else names.setdefault(core, f"v{len(names)}")
        out.append(word)
    return " ".join(out)


def _stream(
    seed: int, difficulty: int, families: Mapping[str, float]
) -> Iterator[tuple[str, Goal, list[str]]]:
    """(family, goal, lines), no two goals alike up to renaming."""
    if difficulty not in SHAPES:
        raise ValueError(f"difficulty: {difficulty!r} is not one of {sorted(SHAPES)}")
    if unknown := sorted(set(families) - set(GOALS)):
        raise ValueError(f"families: {unknown[0]!r} is not one of {sorted(GOALS)}")
    if not any(share > 0 for share in families.values()):
        raise ValueError("families: no share above 0")
    rng = random.Random(f"{seed}/choice")
    shares = dict(families)
    seen: set[str] = set()
    streams = {
        name: candidates(random.Random(f"{seed}/{name}"), name, difficulty, seen)
        for name in families
    }
    found = 0
    while shares:
        family = rng.choices(list(shares), list(shares.values()))[0]
        theorem = next(streams[family], None)
        if theorem is None:  # this family is exhausted: the others go on without it
            del shares[family]
            continue
        found += 1
        yield family, *theorem
    raise ValueError(
        f"only {found} theorems of {', '.join(families)} were found at difficulty "
        f"{difficulty}: ask for fewer, or for another difficulty"
    )


def _theorem(name: str, split: str | None, family: str, goal: Goal, lines: list[str]) -> Theorem:
    return Theorem(
        id=name,
        name=name,
        signature=signature_text(goal),
        goal=goal_text(goal),
        reference=proof_text(lines),
        split=split,
        tags=(family,),
    )


def generate(
    seed: int, count: int, *, difficulty: int = 2, families: Mapping[str, float] = FAMILIES
) -> list[Theorem]:
    """`count` theorems with references, all different up to renaming; a function of `seed`."""
    stream = itertools.islice(_stream(seed, difficulty, families), count)
    return [_theorem(f"s{seed}_{i}", None, *found) for i, found in enumerate(stream)]


def splits(
    seed: int,
    *,
    sft: int,
    train: int,
    validation: int,
    test: int,
    difficulty: int = 2,
    families: Mapping[str, float] = FAMILIES,
) -> dict[str, list[Theorem]]:
    """Theorems for each use, disjoint up to renaming. Drawn in the order test, validation, sft,
    train, so that each stays the same when later ones change: one warm start serves them all.

    An id begins with its split, with `pool` for train: ids enter random keys, so they are kept.
    """
    stream = _stream(seed, difficulty, families)
    sizes = {"test": test, "validation": validation, "sft": sft, "train": train}
    return {
        split: [
            _theorem(f"{'pool' if split == 'train' else split}_{seed}_{i}", split, *found)
            for i, found in enumerate(itertools.islice(stream, count))
        ]
        for split, count in sizes.items()
    }
