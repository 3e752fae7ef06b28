"""Random theorems that have a proof: formulas at random, those that a small model refutes thrown
away, and the rest kept where the search finds a proof of the wanted length.
"""

import itertools
import random
from collections.abc import Iterator, Mapping

from fdjax.data.synthetic.formulas import (
    Expr,
    Goal,
    consistent,
    counterexample,
    goal_text,
    names_in,
    render,
    signature_text,
    size,
)
from fdjax.data.synthetic.search import Style, count_tokens, natural_proof, proof_text
from fdjax.data.theorems import Theorem

# Shares of the families. Most are propositional, so that a model of a million parameters learns.
FAMILIES: Mapping[str, float] = {"propositional": 0.9, "classical": 0.1}

# By difficulty: hypotheses, connectives in one, connectives in the target, tactics, statement
# tokens (all from, to).
_DIFFICULTY = {
    1: ((1, 2), (1, 1), (0, 1), (1, 3), (0, 20)),
    2: ((1, 3), (1, 2), (0, 2), (2, 5), (8, 28)),
    3: ((2, 4), (1, 3), (1, 3), (3, 7), (16, 45)),
}
_CONNECTIVES = (("imp", 0.34), ("and", 0.24), ("or", 0.2), ("not", 0.14), ("iff", 0.08))
_KINDS, _SHARES = zip(*_CONNECTIVES)


def random_formula(rng: random.Random, atoms: list[Expr], connectives: int) -> Expr:
    """A formula over `atoms` with that many connectives."""
    if connectives == 0:
        return rng.choice(atoms)
    kind = rng.choices(_KINDS, _SHARES)[0]
    if kind == "not":
        inner = random_formula(rng, atoms, connectives - 1)
        return inner[1] if isinstance(inner, tuple) and inner[0] == "not" else ("not", inner)
    left = rng.randint(0, connectives - 1)
    a = random_formula(rng, atoms, left)
    b = random_formula(rng, atoms, connectives - 1 - left)
    for _ in range(3):
        if a != b:
            break
        b = random_formula(rng, atoms, connectives - 1 - left)
    return (kind, a, b)


def _hypotheses(formulas: list[Expr]) -> tuple[tuple[str, Expr], ...]:
    return tuple((f"h{i}", formula) for i, formula in enumerate(formulas, 1))


def _worthwhile(rng: random.Random, goal: Goal) -> bool:
    """Valid as far as models tell, not absurd, and mostly with every hypothesis needed."""
    formulas = [formula for _, formula in goal.hypotheses]
    if len(set(formulas)) < len(formulas) or goal.target in formulas or counterexample(goal):
        return False
    if not consistent(goal.hypotheses) and rng.random() < 0.8:
        return False
    idle = sum(
        not counterexample(goal._replace(hypotheses=goal.hypotheses[:i] + goal.hypotheses[i + 1 :]))
        for i in range(len(formulas))
    )
    return idle == 0 or rng.random() < 0.1 ** idle


def _propositional(rng: random.Random, difficulty: int) -> Goal:
    counts, sizes, targets, _, _ = _DIFFICULTY[difficulty]
    count = rng.randint(*counts) if rng.random() > 0.1 else 0
    atoms = ["p", "q", "r", "s"][: rng.randint(2, 4 if count > 1 else 3)]
    formulas = [random_formula(rng, atoms, rng.randint(*sizes)) for _ in range(count)]
    if count > 1 and rng.random() < 0.3:
        formulas[rng.randrange(count)] = rng.choice(atoms)
    extra = 1 if count == 0 else 0
    target = random_formula(rng, atoms, rng.randint(*targets) + 2 * extra)
    used = names_in(target).union(*(names_in(f) for f in formulas))
    variables = tuple((p, "Prop") for p in ("p", "q", "r", "s") if p in used)
    return Goal(variables, _hypotheses(formulas), target)


_GOALS = {"propositional": _propositional, "classical": _propositional}


def candidates(rng: random.Random, family: str, difficulty: int) -> Iterator[tuple[Goal, list[str]]]:
    """An endless stream of (goal, reference lines) of one family."""
    _, _, _, tactics, tokens = _DIFFICULTY[difficulty]
    while True:
        goal = _GOALS[family](rng, difficulty)
        if not tokens[0] <= count_tokens(goal_text(goal)) <= tokens[1]:
            continue
        if not _worthwhile(rng, goal):
            continue
        style = Style(cost=rng.choice((2, 3, 3, 4, 5)), depth=0, build=rng.random() < 0.3)
        lines = natural_proof(goal, rng, style, tactics[1])
        if family == "classical":
            if lines is not None:
                continue
            lines = natural_proof(goal, rng, style._replace(classical=True), tactics[1])
        if lines is not None and len(lines) >= tactics[0]:
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
    if difficulty not in _DIFFICULTY:
        raise ValueError(f"difficulty: {difficulty!r} is not one of {sorted(_DIFFICULTY)}")
    if unknown := sorted(set(families) - set(_GOALS)):
        raise ValueError(f"families: {unknown[0]!r} is not one of {sorted(_GOALS)}")
    if not any(share > 0 for share in families.values()):
        raise ValueError("families: no share above 0")
    rng = random.Random(f"{seed}/choice")
    streams = {
        name: candidates(random.Random(f"{seed}/{name}"), name, difficulty) for name in families
    }
    seen: set[str] = set()
    while True:
        family = rng.choices(list(families), list(families.values()))[0]
        for goal, lines in streams[family]:
            key = canonical(goal)
            if key not in seen:
                seen.add(key)
                yield family, goal, lines
                break


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
    """`count` theorems with reference proofs, all different up to renaming; a function of `seed`."""
    stream = itertools.islice(_stream(seed, difficulty, families), count)
    return [_theorem(f"s{seed}_{i}", None, *found) for i, found in enumerate(stream)]


def splits(
    seed: int,
    *,
    sft: int,
    pool: int,
    validation: int,
    test: int,
    difficulty: int = 2,
    families: Mapping[str, float] = FAMILIES,
) -> dict[str, list[Theorem]]:
    """Theorems for each use, disjoint up to renaming. The small splits are drawn first, so that
    they stay the same when `sft` changes.
    """
    stream = _stream(seed, difficulty, families)
    sizes = {"test": test, "validation": validation, "pool": pool, "sft": sft}
    return {
        split: [
            _theorem(f"{split}_{seed}_{i}", split, *found)
            for i, found in enumerate(itertools.islice(stream, count))
        ]
        for split, count in sizes.items()
    }
