"""The families of random statements. Most are checked against small models, none is proved here."""

import itertools
import random
from collections.abc import Iterable
from typing import NamedTuple

from fdjax.benchmark.formulas import Expr, Goal, kind, names_in, parse_signature, substitute
from fdjax.benchmark.models import consistent, counterexample
from fdjax.benchmark.moves import NAT_FUNCTION, NAT_PREDICATE


class Shape(NamedTuple):
    """The sizes of one difficulty; pairs are (minimum, maximum)."""

    hypotheses: tuple[float, ...]  # shares of theorems with 0, 1, 2, ... hypotheses
    sizes: tuple[int, int]  # connectives in a hypothesis
    target: tuple[int, int]  # connectives in the target
    tactics: tuple[int, int]
    tokens: tuple[int, int]  # of the statement as the prompt shows it


SHAPES = {
    1: Shape((0.1, 0.5, 0.4), (1, 2), (0, 1), (1, 3), (4, 22)),
    2: Shape((0.03, 0.15, 0.45, 0.37), (1, 2), (0, 2), (2, 5), (12, 30)),
    3: Shape((0.05, 0.15, 0.4, 0.4), (1, 3), (0, 3), (3, 7), (16, 45)),
}
_CONNECTIVES = {"imp": 0.34, "and": 0.24, "or": 0.2, "not": 0.14, "iff": 0.08}
_SHARES = list(itertools.accumulate(_CONNECTIVES.values()))


def random_formula(rng: random.Random, atoms: list[Expr], connectives: int) -> Expr:
    """A formula over `atoms` with that many connectives."""
    if connectives == 0:
        return rng.choice(atoms)
    connective = rng.choices(list(_CONNECTIVES), cum_weights=_SHARES)[0]
    if connective == "not":
        inner = random_formula(rng, atoms, connectives - 1)
        return inner[1] if kind(inner) == "not" else ("not", inner)
    left = int(rng.random() * connectives)
    a = random_formula(rng, atoms, left)
    right = connectives - 1 - left
    if right == 0:  # never p ∧ p
        return (connective, a, rng.choice([atom for atom in atoms if atom != a]))
    return (connective, a, random_formula(rng, atoms, right))


def _goal(names: Iterable[tuple[str, Expr]], formulas: list[Expr], target: Expr) -> Goal:
    """The goal with hypotheses h1, h2, ... and those of the (name, type) that occur, and α."""
    used = names_in(target, *formulas) | {"α"}
    hypotheses = tuple((f"h{i}", formula) for i, formula in enumerate(formulas, 1))
    return Goal(tuple(v for v in names if v[0] in used), hypotheses, target)


def worthwhile(rng: random.Random, goal: Goal) -> bool:
    """Whether models find the goal valid and consistent, and mostly each hypothesis needed."""
    formulas = [formula for _, formula in goal.hypotheses]
    if len(set(formulas)) < len(formulas) or goal.target in formulas or counterexample(goal):
        return False
    if any(type_ == "Nat" for _, type_ in goal.variables):
        return True  # the models have no numbers
    if not consistent(goal.hypotheses) and rng.random() < 0.8:
        return False
    idle = sum(not counterexample(goal.without(name)) for name, _ in goal.hypotheses)
    return idle == 0 or rng.random() < 0.02**idle


_PROPOSITIONS = tuple((p, "Prop") for p in "pqrs")


def _propositional(rng: random.Random, difficulty: int) -> Goal:
    shape = SHAPES[difficulty]
    while True:
        count = rng.choices(range(len(shape.hypotheses)), shape.hypotheses)[0]
        atoms = list("pqrs"[: rng.randint(2 if count < 3 else 3, 4 if count > 1 else 3)])
        formulas = [random_formula(rng, atoms, rng.randint(*shape.sizes)) for _ in range(count)]
        if count > 1 and rng.random() < 0.3:
            formulas[rng.randrange(count)] = rng.choice(atoms)
        low, high = shape.target if count else (2, 4)
        for _ in range(6):  # targets are cheaper to try than whole sequents
            target = random_formula(rng, atoms, rng.randint(low, high))
            goal = _goal(_PROPOSITIONS, formulas, target)
            if not counterexample(goal, classical=False):
                return goal


# Laws of classical logic that intuitionistic logic lacks. Random formulas rarely are one of them.
_CLASSICAL_LAWS = [
    parse_signature(f"{hypotheses} : {target}")
    for hypotheses, target in (
        ("", "a ∨ ¬a"),
        ("", "(a → b) ∨ (b → a)"),
        ("(h : ¬¬a)", "a"),
        ("(h : ¬a → a)", "a"),
        ("(h : ¬a → b)", "a ∨ b"),
        ("(h : a → b)", "¬a ∨ b"),
        ("(h : ¬(a ∧ b))", "¬a ∨ ¬b"),
        ("(h : ¬(¬a ∧ ¬b))", "a ∨ b"),
        ("(h : ¬(¬a ∨ b))", "a"),
        ("(h : ¬(a → b))", "a"),
        ("(h : (a → b) → a)", "a"),
        ("(h : ¬b → ¬a)", "a → b"),
        ("(h : a → b) (h : ¬a → b)", "b"),
        ("(h : (a → b) → c) (h : ¬a → c)", "c"),
        ("(h : a → b ∨ c)", "(a → b) ∨ c"),
        ("(h : a ∧ b → c)", "(a → c) ∨ (b → c)"),
        ("(h : ¬(a ↔ b)) (h : ¬a)", "b"),
    )
]


def _classical(rng: random.Random, difficulty: int) -> Goal:
    """A law over random formulas, used as a step towards something else."""
    law = rng.choice(_CLASSICAL_LAWS)
    atoms: list[Expr] = list("pqrs")
    rng.shuffle(atoms)
    formulas, target = [f for _, f in law.hypotheses], law.target
    for name, atom in zip("abc", atoms):
        value = atom if rng.random() < 0.7 else random_formula(rng, atoms[:3], 1)
        target, *formulas = (substitute(f, name, value) for f in (target, *formulas))
    for _ in range(rng.choice((0, 1, 1, difficulty))):
        new, twist = rng.choice(atoms), rng.randrange(3)
        if twist == 0:
            formulas, target = [*formulas, ("imp", target, new)], new
        elif twist == 1 and formulas:
            i = rng.randrange(len(formulas))
            formulas[i : i + 1] = [new, ("imp", new, formulas[i])]
        else:
            formulas, target = [*formulas, new], ("and", *rng.sample((target, new), 2))
    rng.shuffle(formulas)
    return _goal(_PROPOSITIONS, formulas, target)


_ELEMENTS = (
    ("α", "Type"),
    ("p", "Prop"),
    ("f", ("imp", "α", "α")),
    ("P", ("imp", "α", "Prop")),
    ("Q", ("imp", "α", "Prop")),
    *((a, "α") for a in "abc"),
)


def _quantified(rng: random.Random, difficulty: int) -> Goal:
    """∀ and ∃ over a type α with two predicates and perhaps a proposition and an element."""
    inside: list[Expr] = [("app", "P", "x"), ("app", "Q", "x")]
    if rng.random() < 0.25:
        inside.append("p")
    outside: list[Expr] = [substitute(e, "x", rng.choice("ab")) for e in inside]

    def statement(target: bool) -> Expr:
        body = random_formula(rng, inside, rng.choice((0, 1, 1, difficulty)))
        form = rng.choices(("all", "ex", "none", "plain"), (4, 4, 1, 3 if target else 2))[0]
        if form == "plain" or "x" not in names_in(body):
            return random_formula(rng, outside, rng.choice((0, 0, 1)))
        return ("not", ("ex", "x", None, body)) if form == "none" else (form, "x", None, body)

    while True:
        formulas = [statement(False) for _ in range(rng.choice((1, 2, 2, 3)))]
        for _ in range(4):
            target = statement(True)
            goal = _goal(_ELEMENTS, formulas, target)
            if {"P", "Q"} & names_in(target, *formulas) and not counterexample(goal):
                return goal


def _equality(rng: random.Random, difficulty: int) -> Goal:
    """Equations between elements of α, a function and a predicate on it."""

    def element() -> Expr:
        e: Expr = rng.choice("abc")
        return ("app", "f", e) if rng.random() < 0.3 else e

    def statement(target: bool) -> Expr:
        form = rng.random()
        if form < 0.7:
            a, b = element(), element()
            return ("ne" if not target and form < 0.06 else "eq", a, b)
        if form < 0.9 or target:
            return ("app", "P", element())
        if form < 0.95:
            return ("all", "x", None, ("eq", ("app", "f", "x"), rng.choice("xa")))
        premise, conclusion = ("app", "P", "x"), ("app", "P", ("app", "f", "x"))
        return ("all", "x", None, ("imp", *rng.sample((premise, conclusion), 2)))

    while True:
        formulas = [statement(False) for _ in range(rng.choice((1, 2, 2, 3)))]
        for _ in range(6):
            target = statement(True)
            goal = _goal(_ELEMENTS, formulas, target)
            trivial = any(e[0] in ("eq", "ne") and e[1] == e[2] for e in (target, *formulas))
            if not trivial and not counterexample(goal):
                return goal


def _nat(rng: random.Random, difficulty: int) -> Goal:
    """Natural numbers: sums reordered, units added, equations used."""
    leaves: list[Expr] = rng.sample(["n", "m", "k"], rng.choice((2, 3)))

    def total(parts: list[Expr]) -> Expr:
        if len(parts) == 1:
            return parts[0]
        cut = rng.randrange(1, len(parts))
        return ("add", total(parts[:cut]), total(parts[cut:]))

    formulas: list[Expr] = []
    left = total(leaves)
    right = total(rng.sample(leaves, len(leaves))) if rng.random() < 0.6 else left
    if rng.random() < 0.5:
        i = rng.randrange(4)
        left = (("add", left, 0), ("add", 0, left), ("mul", left, 1), ("mul", 1, left))[i]
    if rng.random() < 0.6:  # an equation to use
        old, new = rng.sample(["n", "m", "k"], 2)
        more = rng.choice([n for n in "nmk" if n != old])
        formulas.append(("eq", old, rng.choice((new, ("add", new, more)))))
        right = substitute(right, old, formulas[0][2])
    if rng.random() < 0.3:
        left, right = right, left
    return _goal([(n, "Nat") for n in "nmk"], formulas, ("eq", left, right))


_NUMBERS = (
    ("p", "Prop"),
    ("q", "Prop"),
    ("P", NAT_PREDICATE),
    ("Q", NAT_PREDICATE),
    ("f", NAT_FUNCTION),
    *((v, "Nat") for v in "anmk"),
)


def _induction(rng: random.Random, difficulty: int) -> Goal:
    """What a function or predicate does at 0 and n + 1, and so at every n."""
    n, next_ = rng.choice("nmk"), ("add", "x", 1)
    extra: Expr = rng.choice(["a", 0, 1, 2])
    if rng.random() < 0.5:
        fx = ("app", "f", "x")
        step, value = rng.choice(
            [
                (fx, extra),
                (("add", fx, 1), n),
                (("mul", fx, 1), extra),
                (("add", fx, 0), extra),
                (("add", 0, fx), extra),
            ]
        )
        zero, after = ("app", "f", 0), ("app", "f", next_)
        formulas = [
            ("eq", zero, 0 if value == n else extra),
            ("all", "x", "Nat", ("eq", after, step)),
        ]
        target = ("eq", ("app", "f", n), value)
    else:
        px, after = ("app", "P", "x"), ("app", "P", next_)
        step, target = ("imp", px, after), ("app", "P", n)
        formulas = [("app", "P", 0)]
        if rng.random() < 0.6:
            side = rng.choice(["p", ("app", "Q", "x")])
            step = rng.choice(
                [
                    ("imp", px, ("imp", side, after)),
                    ("imp", side, ("imp", px, after)),
                    ("imp", px, ("and", after, side)),
                    ("iff", px, after),
                ]
            )
            formulas.append("p" if side == "p" else ("all", "x", "Nat", side))
        formulas.insert(1, ("all", "x", "Nat", step))
    if rng.random() < 0.4:
        formulas.append(("app", "Q", rng.choice((0, n))) if rng.random() < 0.5 else "p")
        target = ("imp", formulas.pop(), target)
    if rng.random() < 0.3:
        formulas.append(rng.choice((("app", "Q", 0), "q")))
        target = ("and", *rng.sample((target, formulas[-1]), 2))
    formulas = [e for e in formulas if e != target]
    rng.shuffle(formulas)
    return _goal(_NUMBERS, formulas, target)


GOALS = {
    "propositional": _propositional,
    "classical": _classical,
    "quantified": _quantified,
    "equality": _equality,
    "nat": _nat,
    "induction": _induction,
}
