"""The tactic lines worth trying at a goal, each with the goals that it leaves."""

from collections.abc import Iterator
from typing import NamedTuple

from fdjax.benchmark.elaboration import Mismatch
from fdjax.benchmark.formulas import Expr, Goal, arrow, names_in, substitute
from fdjax.benchmark.models import counterexample
from fdjax.benchmark.rewriting import rewrite
from fdjax.benchmark.terms import FREE, Style, Term, fresh, fresh_variable, introduce, terms


class Move(NamedTuple):
    line: str
    goals: tuple[Goal, ...]  # what is left to prove instead, first goal first


def without(goal: Goal, name: str) -> Goal:
    return goal._replace(hypotheses=tuple(h for h in goal.hypotheses if h[0] != name))


def moves(goal: Goal, style: Style = FREE) -> Iterator[Move]:
    """Lines worth trying at `goal`, each with the goals that it leaves."""
    known = terms(goal, style)
    target = goal.target
    hypotheses = dict(goal.hypotheses)
    kind = target[0] if isinstance(target, tuple) else None
    if target in known:
        yield Move(f"exact {known[target].text}", ())
    if target in hypotheses.values():
        yield Move("assumption", ())
    if any(
        formula == "False"
        or (
            isinstance(formula, tuple) and formula[0] == "not" and formula[1] in hypotheses.values()
        )
        for formula in hypotheses.values()
    ):
        yield Move("contradiction", ())
    if kind == "eq" and target[1] == target[2]:
        yield Move("rfl", ())
    if kind in ("imp", "not", "all", "ne"):
        names, inner = introduce(goal, 4)
        yield Move(f"intro {' '.join(names)}", (inner,))
        if len(names) > 1:
            names, inner = introduce(goal, 1)
            yield Move(f"intro {names[0]}", (inner,))
    elif kind in ("and", "iff"):
        pair = target[1:]
        if kind == "iff":
            pair = (("imp", target[1], target[2]), ("imp", target[2], target[1]))
        yield Move("constructor", tuple(goal._replace(target=part) for part in pair))
    elif kind == "or":
        yield Move("left", (goal._replace(target=target[1]),))
        yield Move("right", (goal._replace(target=target[2]),))
    elif kind == "ex":
        for v, type_ in goal.variables:
            if type_ == (target[2] or "α"):
                instance = substitute(target[3], target[1], v)
                yield Move(f"refine ⟨{v}, ?_⟩", (goal._replace(target=instance),))
    for formula, term in known.items():
        yield from _uses(goal, formula, term, hypotheses)
    if kind == "eq" or any(_equation(formula) for formula in hypotheses.values()):
        yield from _rewrites(goal)
    if ("f", NAT_FUNCTION) in goal.variables or ("P", NAT_PREDICATE) in goal.variables:
        yield from _inductions(goal, style)
    if target != "False" and counterexample(goal._replace(target="False")) is False:
        yield Move("exfalso", (goal._replace(target="False"),))
    if style.classical:
        name = fresh(goal)[0]
        for p in sorted(_propositions(goal)):
            sides = (p, ("not", p))
            if not any(side in known for side in sides):
                yield Move(
                    f"by_cases {name} : {p}",
                    tuple(goal._replace(hypotheses=(*goal.hypotheses, (name, s))) for s in sides),
                )


def _uses(goal: Goal, formula: Expr, term: Term, hypotheses: dict[str, Expr]) -> Iterator[Move]:
    """Lines that take a known `formula` apart or apply it backwards."""
    if not isinstance(formula, tuple) or term.level in (0, 2) or term.cost > 8:
        return
    if term.text.startswith(("Or.", "absurd ")) or term.text.endswith(".elim"):
        return  # Lean could not tell its type
    kind = formula[0]
    rest = without(goal, term.text) if term.text in hypotheses else goal
    if kind == "or":
        name = fresh(goal)[0]
        parts = [rest._replace(hypotheses=(*rest.hypotheses, (name, p))) for p in formula[1:]]
        yield Move(f"rcases {term.text} with {name} | {name}", tuple(parts))
    elif kind == "and":
        one, two = fresh(goal, 2)
        both = (*rest.hypotheses, (one, formula[1]), (two, formula[2]))
        yield Move(f"obtain ⟨{one}, {two}⟩ := {term.text}", (rest._replace(hypotheses=both),))
    elif kind == "ex":
        name, variable = fresh(goal)[0], fresh_variable(goal)
        body = substitute(formula[3], formula[1], variable)
        variables = (*goal.variables, (variable, formula[2] or "α"))
        inner = Goal(variables, (*rest.hypotheses, (name, body)), goal.target)
        yield Move(f"obtain ⟨{variable}, {name}⟩ := {term.text}", (inner,))
    elif kind in ("imp", "not", "all", "ne"):
        premises, conclusion = [], formula
        while step := arrow(conclusion):
            premises.append(step[0])
            conclusion = step[1]
            if conclusion == goal.target:
                goals = tuple(goal._replace(target=premise) for premise in premises)
                yield Move(f"apply {term.text}", goals)
        if kind == "all":
            yield from _apply_forall(goal, formula, term)
    if term.text not in hypotheses and 2 <= term.cost <= 4:
        name = fresh(goal)[0]
        more = (*goal.hypotheses, (name, formula))
        yield Move(f"have {name} := {term.text}", (goal._replace(hypotheses=more),))


def _apply_forall(goal: Goal, formula: Expr, term: Term) -> Iterator[Move]:
    """`apply h` where the variable of h : ∀ x, A x → B x is found by matching the target."""
    body, variable = formula[3], formula[1]
    for v, type_ in goal.variables:
        if type_ != (formula[2] or "α"):
            continue
        premises, conclusion = [], substitute(body, variable, v)
        while step := arrow(conclusion):
            premises.append(step[0])
            conclusion = step[1]
            if conclusion == goal.target and v in names_in(conclusion):
                yield Move(f"apply {term.text}", tuple(goal._replace(target=p) for p in premises))
                return


def _equation(e: Expr) -> bool:
    while isinstance(e, tuple) and e[0] == "all":
        e = e[3]
    return isinstance(e, tuple) and e[0] == "eq"


def _rewrites(goal: Goal, most: int = 3) -> Iterator[Move]:
    """`rw [h1, ← h2]`: sequences that close the goal, and single steps that do not."""
    rules = [
        (name, backwards)
        for name, formula in goal.hypotheses
        if _equation(formula) and not name.endswith("✝")
        for backwards in (False, True)
    ]
    if _equation(goal.target) and any(type_ == "Nat" for _, type_ in goal.variables):
        rules += [(lemma, False) for lemma in _LEMMAS] + [("Nat.add_assoc", True)]
        most = 2
    seen = {goal.target}
    states: list[tuple[Expr, tuple[str, ...]]] = [(goal.target, ())]
    for depth in range(most):
        after = []
        for e, done in states:
            for name, backwards in rules:
                try:
                    new = rewrite(goal, name, backwards, e)
                except Mismatch:
                    continue
                if new in seen:
                    continue
                seen.add(new)
                used = (*done, f"← {name}" if backwards else name)
                if isinstance(new, tuple) and new[0] == "eq" and new[1] == new[2]:
                    yield Move(f"rw [{', '.join(used)}]", ())
                else:
                    after.append((new, used))
                    if depth == 0:
                        yield Move(f"rw [{used[0]}]", (goal._replace(target=new),))
        states = after[:40]


_LEMMAS = (
    "Nat.add_comm",
    "Nat.add_assoc",
    "Nat.add_zero",
    "Nat.zero_add",
    "Nat.mul_comm",
    "Nat.mul_one",
    "Nat.one_mul",
    "Nat.mul_zero",
    "Nat.zero_mul",
)
NAT_FUNCTION, NAT_PREDICATE = ("imp", "Nat", "Nat"), ("imp", "Nat", "Prop")


def _inductions(goal: Goal, style: Style) -> Iterator[Move]:
    """`induction n with` where one tactic closes each case."""
    for name, type_ in goal.variables:
        if type_ != "Nat" or name not in names_in(goal.target):
            continue
        if any(name in names_in(formula) for _, formula in goal.hypotheses):
            continue
        zero = goal._replace(target=substitute(goal.target, name, 0))
        succ = Goal(
            goal.variables,
            (*goal.hypotheses, ("ih", goal.target)),
            substitute(goal.target, name, ("add", name, 1)),
        )
        ends = []
        for case in (zero, succ):
            closing = (m.line for m in moves(case, style._replace(cost=6)) if not m.goals)
            ends.append(next(closing, None))
        if None not in ends:
            yield Move(
                f"induction {name} with\n  | zero => {ends[0]}\n  | succ {name} ih => {ends[1]}", ()
            )


def _propositions(goal: Goal) -> set[str]:
    used = names_in(goal.target).union(*(names_in(f) for _, f in goal.hypotheses))
    return {name for name, type_ in goal.variables if type_ == "Prop" and name in used}
