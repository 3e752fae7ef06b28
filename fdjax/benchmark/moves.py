"""The tactic lines worth trying at a goal, each with the goals that it leaves."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from fdjax.benchmark.elaboration import Mismatch
from fdjax.benchmark.formulas import Expr, Goal, arrow, directions, kind, names_in, substitute
from fdjax.benchmark.models import counterexample
from fdjax.benchmark.rewriting import rewrite
from fdjax.benchmark.terms import (
    FREE,
    Style,
    Term,
    fresh,
    fresh_variable,
    instances,
    introduce,
    terms,
)

NAT_FUNCTION, NAT_PREDICATE = ("imp", "Nat", "Nat"), ("imp", "Nat", "Prop")
_LEMMAS = (
    *("Nat.add_comm", "Nat.add_assoc", "Nat.add_zero", "Nat.zero_add", "Nat.mul_comm"),
    *("Nat.mul_one", "Nat.one_mul", "Nat.mul_zero", "Nat.zero_mul"),
)


class Move(NamedTuple):
    line: str
    goals: tuple[Goal, ...]  # what is left to prove instead, first goal first


def moves(goal: Goal, style: Style = FREE) -> Iterator[Move]:
    """Lines worth trying at `goal`; those by which a term or hypothesis closes it come first."""
    proofs = terms(goal, style)
    target = goal.target
    hypotheses = dict(goal.hypotheses)
    formulas = list(hypotheses.values())
    if target in proofs:
        yield Move(f"exact {proofs[target].text}", ())
    if target in formulas:
        yield Move("assumption", ())
    if any(f == "False" or (kind(f) == "not" and f[1] in formulas) for f in formulas):
        yield Move("contradiction", ())
    if kind(target) == "eq" and target[1] == target[2]:
        yield Move("rfl", ())
    yield from _introductions(goal)
    for formula, term in proofs.items():
        yield from _uses(goal, formula, term, hypotheses)
    if any(map(_equation, formulas)) or kind(target) == "eq":
        yield from _rewrites(goal)
    if ("f", NAT_FUNCTION) in goal.variables or ("P", NAT_PREDICATE) in goal.variables:
        yield from _inductions(goal, style)
    absurd = goal.with_target("False")
    if target != "False" and not counterexample(absurd):
        yield Move("exfalso", (absurd,))
    if style.classical:
        name = fresh(goal)[0]
        used = names_in(target, *(formula for _, formula in goal.hypotheses))
        for p in sorted({v for v, type_ in goal.variables if type_ == "Prop" and v in used}):
            if p not in proofs and ("not", p) not in proofs:
                sides = goal.assuming((name, p)), goal.assuming((name, ("not", p)))
                yield Move(f"by_cases {name} : {p}", sides)


def _introductions(goal: Goal) -> Iterator[Move]:
    """Lines that build the target from its parts."""
    target, head = goal.target, kind(goal.target)
    if step := introduce(goal, 4):
        names, inner = step
        yield Move(f"intro {' '.join(names)}", (inner,))
        if len(names) > 1:
            (name,), inner = introduce(goal, 1)
            yield Move(f"intro {name}", (inner,))
    elif head in ("and", "iff"):
        parts = directions(target) if head == "iff" else target[1:]
        yield Move("constructor", tuple(map(goal.with_target, parts)))
    elif head == "or":
        yield Move("left", (goal.with_target(target[1]),))
        yield Move("right", (goal.with_target(target[2]),))
    elif head == "ex":
        for v, instance in instances(goal, target):
            yield Move(f"refine ⟨{v}, ?_⟩", (goal.with_target(instance),))


def _uses(goal: Goal, formula: Expr, term: Term, hypotheses: dict[str, Expr]) -> Iterator[Move]:
    """Lines that take a proved `formula` apart or apply it backwards."""
    if not isinstance(formula, tuple) or term.level in (0, 2) or term.cost > 8:
        return
    if term.text.startswith(("Or.", "absurd ")) or term.text.endswith(".elim"):
        return  # Lean could not infer its type
    rest = goal.without(term.text) if term.text in hypotheses else goal
    name, other = fresh(goal, 2)
    if formula[0] == "or":
        cases = tuple(rest.assuming((name, part)) for part in formula[1:])
        yield Move(f"rcases {term.text} with {name} | {name}", cases)
    elif formula[0] == "and":
        both = rest.assuming((name, formula[1]), (other, formula[2]))
        yield Move(f"obtain ⟨{name}, {other}⟩ := {term.text}", (both,))
    elif formula[0] == "ex":
        variable = fresh_variable(goal)
        inner = rest.assuming((name, substitute(formula[3], formula[1], variable)))
        inner = inner._replace(variables=(*goal.variables, (variable, formula[2] or "α")))
        yield Move(f"obtain ⟨{variable}, {name}⟩ := {term.text}", (inner,))
    elif formula[0] == "all":  # Lean finds the variable by matching the target
        ways = (
            premises
            for v, instance in instances(goal, formula)
            if v in names_in(goal.target)
            for premises in _premises(instance, goal.target)
        )
        for premises in itertools.islice(ways, 1):
            yield Move(f"apply {term.text}", tuple(map(goal.with_target, premises)))
    else:
        for premises in _premises(formula, goal.target):
            yield Move(f"apply {term.text}", tuple(map(goal.with_target, premises)))
    if term.text not in hypotheses and 2 <= term.cost <= 4:
        yield Move(f"have {name} := {term.text}", (goal.assuming((name, formula)),))


def _premises(formula: Expr, target: Expr) -> Iterator[tuple[Expr, ...]]:
    """The premises a, b, ... of `formula` = a → b → ... → `target`, in every way to read it so."""
    premises: tuple[Expr, ...] = ()
    while step := arrow(formula):
        premise, formula = step
        premises += (premise,)
        if formula == target:
            yield premises


def _equation(e: Expr) -> bool:
    while kind(e) == "all":
        e = e[3]
    return kind(e) == "eq"


def _rewrites(goal: Goal) -> Iterator[Move]:
    """`rw [h1, ← h2]`: sequences that close the goal, and single steps that do not."""
    length = 3  # maximum
    rules = [
        (name, backwards)
        for name, formula in goal.hypotheses
        if _equation(formula) and not name.endswith("✝")
        for backwards in (False, True)
    ]
    if _equation(goal.target) and any(type_ == "Nat" for _, type_ in goal.variables):
        rules += [(lemma, False) for lemma in _LEMMAS] + [("Nat.add_assoc", True)]
        length = 2
    seen = {goal.target}
    states: list[tuple[Expr, tuple[str, ...]]] = [(goal.target, ())]
    for depth in range(length):
        after = []
        for (e, done), (name, backwards) in itertools.product(states, rules):
            try:
                new = rewrite(goal, name, backwards, e)
            except Mismatch:
                continue
            if new in seen:
                continue
            seen.add(new)
            used = (*done, f"← {name}" if backwards else name)
            if kind(new) == "eq" and new[1] == new[2]:
                yield Move(f"rw [{', '.join(used)}]", ())
                continue
            after.append((new, used))
            if depth == 0:
                yield Move(f"rw [{used[0]}]", (goal.with_target(new),))
        states = after[:40]


def _inductions(goal: Goal, style: Style) -> Iterator[Move]:
    """`induction n with` where one tactic closes each case."""
    assumed = names_in(*(formula for _, formula in goal.hypotheses))
    for name, type_ in goal.variables:
        if type_ != "Nat" or name not in names_in(goal.target) or name in assumed:
            continue
        zero = goal.with_target(substitute(goal.target, name, 0))
        next_ = substitute(goal.target, name, ("add", name, 1))
        succ = goal.assuming(("ih", goal.target)).with_target(next_)
        ends = []
        for case in (zero, succ):
            closing = (m.line for m in moves(case, style._replace(cost=6)) if not m.goals)
            ends.append(next(closing, None))
        if None not in ends:
            cases = f"  | zero => {ends[0]}\n  | succ {name} ih => {ends[1]}"
            yield Move(f"induction {name} with\n{cases}", ())
