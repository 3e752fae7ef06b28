"""Random theorems with a proof. Random statements that a small model refutes are dropped; of the
others, those are kept for which the search finds a proof of suitable length.
"""

import itertools
import json
import lzma
import random
from collections.abc import Iterator, Mapping
from pathlib import Path

from fdjax.benchmark.families import GOALS, SHAPES, worthwhile
from fdjax.benchmark.formulas import Expr, Goal, goal_text, render, signature_text
from fdjax.benchmark.search import natural_proof, proof_text
from fdjax.benchmark.terms import Style, count_tokens
from fdjax.types import Theorem

# Shares of the families. Most are propositional: a model of a million parameters can learn those.
FAMILIES: Mapping[str, float] = {
    "propositional": 0.8,
    "classical": 0.07,
    "quantified": 0.06,
    "equality": 0.04,
    "nat": 0.02,
    "induction": 0.01,
}


def candidates(
    rng: random.Random, family: str, difficulty: int, seen: set[str]
) -> Iterator[tuple[Goal, list[str]]]:
    """(goal, reference lines) of one family, without goals in `seen`; every goal tried is added.

    Ends when 1000 goals in a row give no theorem: the family is then taken to be exhausted.
    """
    shape = SHAPES[difficulty]
    (min_tactics, max_tactics), (min_tokens, max_tokens) = shape.tactics, shape.tokens
    nodes = 60
    if family in ("nat", "induction"):  # proofs of one `rw` or `induction`, which are slow to find
        min_tactics, nodes = 1, 15
    if family == "induction":
        max_tokens += 20
    misses = 0
    while misses < 1000:
        misses += 1
        goal = GOALS[family](rng, difficulty)
        if not min_tokens <= count_tokens(goal_text(goal)) <= max_tokens or not worthwhile(
            rng, goal
        ):
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
        lines = natural_proof(goal, rng, style, max_tactics, nodes)
        if lines is not None and len(lines) >= min_tactics:
            misses = 0
            yield goal, lines


def canonical(goal: Goal) -> str:
    """A text that is equal for goals that differ only in the names of variables and hypotheses or
    in the order of hypotheses. With more than 4 hypotheses only their order of shape is tried.
    """

    def shape(formula: Expr) -> str:
        return _rename(render(formula), {}, blank=True)

    formulas = sorted((formula for _, formula in goal.hypotheses), key=shape)
    orders = [(formulas,)]
    if len(formulas) <= 4:
        groups = (itertools.permutations(group) for _, group in itertools.groupby(formulas, shape))
        orders = itertools.product(*map(list, groups))
    types = dict(goal.variables)
    return min(_canonical_text([goal.target, *itertools.chain(*o)], types) for o in orders)


def _canonical_text(formulas: list[Expr], types: dict[str, Expr]) -> str:
    names: dict[str, str] = {}
    text = "; ".join(_rename(render(formula), names) for formula in formulas)
    # Names that the context does not declare, such as bound ones, are renamed too.
    return text + " | " + " ".join(render(types.get(name, "?")) for name in names)


def _rename(text: str, names: dict[str, str], blank: bool = False) -> str:
    """`text` with each name replaced by v0, v1, ... as in `names`, which is extended, or by _."""
    out = []
    for word in text.replace("(", "( ").replace(")", " )").replace("¬", "¬ ").split():
        core = word.rstrip(",")
        if core.isidentifier() and core not in ("True", "False"):
            word = "_" if blank else names.setdefault(core, f"v{len(names)}")
        out.append(word)
    return " ".join(out)


def goals_of(
    seed: int, difficulty: int, families: Mapping[str, float]
) -> Iterator[tuple[str, Goal, list[str]]]:
    """(family, goal, lines) of random families; no two goals are equal up to renaming.

    Raises ValueError for bad arguments, and when all families are exhausted.
    """
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
        if theorem is None:  # exhausted
            del shares[family]
            continue
        found += 1
        yield family, *theorem
    raise ValueError(
        f"only {found} theorems of {', '.join(families)} were found at difficulty "
        f"{difficulty}: ask for fewer, or for another difficulty"
    )


def _text(goal: Goal, lines: list[str]) -> tuple[str, str, str]:
    """(signature, goal, reference) of a theorem."""
    return signature_text(goal), goal_text(goal), proof_text(lines)


def generate(
    seed: int, count: int, *, difficulty: int = 2, families: Mapping[str, float] = FAMILIES
) -> list[Theorem]:
    """`count` theorems with reference proofs, different up to renaming; equal for equal arguments.

    Raises ValueError for bad arguments, or if there are fewer such theorems.
    """
    stream = itertools.islice(goals_of(seed, difficulty, families), count)
    return [_theorem(f"s{seed}_{i}", None, _text(*found)) for i, (_, *found) in enumerate(stream)]


def splits(
    seed: int, *, sft: int, train: int, validation: int, test: int
) -> dict[str, list[Theorem]]:
    """Split -> theorems, disjoint up to renaming; the arguments are their numbers.

    Drawn in the order test, validation, sft, train: a split does not change with the size of later
    ones. Ids begin with the split's name, but with `pool` for train: ids are part of random keys.
    """
    sizes = {"test": test, "validation": validation, "sft": sft, "train": train}
    stream = _first(seed, sum(sizes.values()))
    return {
        split: [
            _theorem(f"{'pool' if split == 'train' else split}_{seed}_{i}", split, text)
            for i, text in enumerate(itertools.islice(stream, count))
        ]
        for split, count in sizes.items()
    }


def _theorem(name: str, split: str | None, text: tuple[str, str, str]) -> Theorem:
    signature, goal, reference = text
    return Theorem(
        id=name, name=name, signature=signature, goal=goal, reference=reference, split=split
    )


# What `goals_of` yields first for seed 0, as `make run` and most configs need it: finding it takes
# more than a minute. tests/test_generator.py compares both.
KEPT = Path(__file__).with_name("seed_0.jsonl.xz")


def _first(seed: int, count: int) -> Iterator[tuple[str, str, str]]:
    """The texts of at least the first `count` theorems of a seed: those of `KEPT`, or new ones."""
    if seed == 0:
        with lzma.open(KEPT, "rt", encoding="utf-8") as lines:
            kept = [tuple(json.loads(line)) for line in lines]
        if count <= len(kept):
            return iter(kept)
    return (_text(*found) for _, *found in goals_of(seed, 2, FAMILIES))
