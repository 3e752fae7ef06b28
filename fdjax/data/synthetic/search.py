"""Proof search: the cheapest terms at a goal, the tactic lines worth trying, and two strategies
over them: natural proofs in random order, and the proof of fewest tokens.

A proof here is a flat list of lines without bullets: each works on the first open goal.
"""

import functools
import heapq
import itertools
import random
import re
from collections.abc import Iterator
from typing import NamedTuple

from fdjax.data.synthetic.elaboration import Mismatch
from fdjax.data.synthetic.formulas import (
    Expr,
    Goal,
    counterexample,
    names_in,
    substitute,
)
from fdjax.data.synthetic.rewriting import rewrite

_TOKEN = re.compile(r"\n|\.\w+|\w+|[^\s\w]")


def count_tokens(text: str) -> int:
    """Names, numbers, symbols, projections and line breaks: a tokenizer's length, roughly."""
    return len(_TOKEN.findall(text))


def tokens(text: str) -> list[tuple[str, int]]:
    """(token, place) of what `count_tokens` counts."""
    return [(match[0], match.start()) for match in _TOKEN.finditer(text)]


def proof_text(lines: list[str]) -> str:
    """What follows `:=` in the theorem."""
    return " by\n  " + "\n  ".join(lines)


def fresh(goal: Goal, count: int = 1) -> list[str]:
    """The next free hypothesis names: h1, h2, ..."""
    last = max((int(n[1:]) for n, _ in goal.hypotheses if n[1:].isdigit()), default=0)
    return [f"h{last + i}" for i in range(1, count + 1)]


def fresh_variable(goal: Goal) -> str:
    taken = {name for name, _ in goal.variables}
    return next(name for name in ("x", "y", "z", "u", "v", "w") if name not in taken)


def implication(e: Expr) -> tuple[Expr, Expr] | None:
    """(premise, conclusion) of `a → b`, `¬a` and `a ≠ b`."""
    if not isinstance(e, tuple):
        return None
    if e[0] == "imp":
        return e[1], e[2]
    if e[0] == "not":
        return e[1], "False"
    return (("eq", e[1], e[2]), "False") if e[0] == "ne" else None


# --- Terms ----------------------------------------------------------------------------------


class Term(NamedTuple):
    cost: int  # tokens
    text: str
    level: int  # 3 atom, 2 anonymous constructor, 1 application, 0 fun


class Style(NamedTuple):
    """Which terms a proof may use; the search for the shortest proof uses them all."""

    cost: int = 40  # most tokens in one term
    depth: int = 2  # how deep `fun` may nest
    build: bool = True  # anonymous constructors and Or.inl, Or.inr
    classical: bool = False  # by_cases


FREE = Style()


def _argument(t: Term) -> tuple[int, str]:
    return (t.cost, t.text) if t.level >= 2 else (t.cost + 2, f"({t.text})")


def _apply(f: Term, *args: Term) -> Term:
    cost, text = (f.cost, f.text) if f.level else _argument(f)
    for arg in args:
        more, part = _argument(arg)
        cost, text = cost + more, f"{text} {part}"
    return Term(cost, text, 1)


def _field(t: Term, name: str) -> Term:
    cost, text = _argument(t)
    return Term(cost + 1, f"{text}.{name}", 3)


def _pair(a: Term, b: Term) -> Term:
    if b.level == 2:  # ⟨a, ⟨b, c⟩⟩ is ⟨a, b, c⟩
        return Term(a.cost + b.cost + 1, f"⟨{a.text}, {b.text[1:]}", 2)
    return Term(a.cost + b.cost + 3, f"⟨{a.text}, {b.text}⟩", 2)


def terms(goal: Goal, style: Style = FREE) -> dict[Expr, Term]:
    """The cheapest terms known, by the formula that they prove: what follows from the hypotheses
    by elimination and, for the target and the premises on the way, by introduction too.

    Dijkstra's algorithm over formulas; complete enough to be useful, not complete.
    """
    found: dict[Expr, Term] = {}
    heap: list[tuple[int, int, Expr, Term]] = []
    users: dict[Expr, list[tuple[Term, Expr]]] = {}  # premise: implications that wait for it
    builders: dict[Expr, list] = {}  # part: functions that try to build a whole from it
    wanted: dict[Expr, None] = {}  # a set whose order does not depend on hashes
    tick = itertools.count()
    elements = [(v, t) for v, t in goal.variables if t in ("α", "Nat") and v[-1] != "✝"]

    def push(formula: Expr, term: Term) -> None:
        if term.cost <= style.cost and formula not in found:
            heapq.heappush(heap, (term.cost, next(tick), formula, term))

    def want(formula: Expr) -> None:
        if formula in wanted:
            return
        wanted[formula] = None
        if "False" in found and formula != "False":
            push(formula, _field(found["False"], "elim"))
        if formula == "True":
            push(formula, Term(1, "trivial", 3))
        if not isinstance(formula, tuple):
            return
        kind = formula[0]
        if kind == "eq":
            if formula[1] == formula[2]:
                push(formula, Term(1, "rfl", 3))
            elif _same_function(formula):
                inner = ("eq", formula[1][2], formula[2][2])
                head = Term(2, f"congrArg {formula[1][1]}", 1)
                build(formula, [inner], lambda t: _apply(head, t))
        if not style.build:
            return
        if kind == "and":
            build(formula, [formula[1], formula[2]], _pair)
        elif kind == "iff":
            there, back = ("imp", formula[1], formula[2]), ("imp", formula[2], formula[1])
            build(formula, [there, back], _pair)
        elif kind == "or":
            build(formula, [formula[1]], lambda t: _apply(Term(2, "Or.inl", 3), t))
            build(formula, [formula[2]], lambda t: _apply(Term(2, "Or.inr", 3), t))
        elif kind == "ex":
            for v in (v for v, type_ in elements if type_ == (formula[2] or "α")):
                instance = substitute(formula[3], formula[1], v)
                build(formula, [instance], lambda t, v=v: _pair(Term(1, v, 3), t))
        elif style.depth and (kind == "all" or implication(formula)):
            step = introduce(goal, 1, formula)
            if step is not None:
                names, inner = step
                deeper = terms(inner, style._replace(depth=style.depth - 1))
                body = deeper.get(inner.target)
                if body is not None:
                    if body.level == 0:
                        text = f"fun {names[0]} {body.text[4:]}"
                        push(formula, Term(body.cost + 1, text, 0))
                    else:
                        push(formula, Term(body.cost + 3, f"fun {names[0]} => {body.text}", 0))

    def build(whole: Expr, parts: list[Expr], make) -> None:
        def attempt() -> None:
            if all(part in found for part in parts):
                push(whole, make(*(found[part] for part in parts)))

        for part in parts:
            want(part)
            builders.setdefault(part, []).append(attempt)
        attempt()

    for name, formula in goal.hypotheses:
        if not name.endswith("✝"):
            push(formula, Term(1, name, 3))
    want(goal.target)
    while heap:
        _, _, formula, term = heapq.heappop(heap)
        if formula in found:
            continue
        found[formula] = term
        for user, conclusion in users.get(formula, ()):
            push(conclusion, _apply(user, term))
        for attempt in builders.get(formula, ()):
            attempt()
        if formula == "False":
            for other in wanted:
                push(other, _field(term, "elim"))
        if not isinstance(formula, tuple):
            continue
        kind = formula[0]
        if kind == "and":
            if term.level != 2:
                push(formula[1], _field(term, "1"))
                push(formula[2], _field(term, "2"))
        elif kind == "iff":
            if term.level != 2:
                push(("imp", formula[1], formula[2]), _field(term, "mp"))
                push(("imp", formula[2], formula[1]), _field(term, "mpr"))
        elif kind == "all":
            for v in (v for v, type_ in elements if type_ == (formula[2] or "α")):
                instance = substitute(formula[3], formula[1], v)
                push(instance, _apply(term, Term(1, v, 3)))
        elif kind == "eq":
            if formula[1] != formula[2]:
                push(("eq", formula[2], formula[1]), _field(term, "symm"))
                for other, far in list(found.items()):
                    if isinstance(other, tuple) and other[0] == "eq":
                        if other[1] == formula[2]:
                            push(("eq", formula[1], other[2]), _apply(_field(term, "trans"), far))
                        if other[2] == formula[1]:
                            push(("eq", other[1], formula[2]), _apply(_field(far, "trans"), term))
        elif (arrow := implication(formula)) and term.level:
            premise, conclusion = arrow
            if premise in found:
                push(conclusion, _apply(term, found[premise]))
            else:
                users.setdefault(premise, []).append((term, conclusion))
                want(premise)
            if kind == "not" and premise in found and goal.target not in found:
                absurd = _apply(Term(1, "absurd", 3), found[premise], term)
                push(goal.target, absurd)
    return found


def _same_function(e: Expr) -> bool:
    """Is `e` of the form f a = f b?"""
    a, b = e[1], e[2]
    return (
        isinstance(a, tuple)
        and isinstance(b, tuple)
        and a[0] == b[0] == "app"
        and len(a) == len(b) == 3
        and a[1] == b[1]
    )


# --- Lines ----------------------------------------------------------------------------------


class Move(NamedTuple):
    line: str
    goals: tuple[Goal, ...]  # what is left to prove instead, first goal first


def introduce(goal: Goal, most: int, target: Expr | None = None) -> tuple[list[str], Goal] | None:
    """(names, goal) after introducing up to `most` premises and variables of the target."""
    names: list[str] = []
    goal = goal if target is None else goal._replace(target=target)
    while len(names) < most:
        e = goal.target
        if isinstance(e, tuple) and e[0] == "all":
            name = fresh_variable(goal)
            variables = (*goal.variables, (name, e[2] or "α"))
            goal = Goal(variables, goal.hypotheses, substitute(e[3], e[1], name))
        elif arrow := implication(e):
            name = fresh(goal)[0]
            goal = Goal(goal.variables, (*goal.hypotheses, (name, arrow[0])), arrow[1])
        else:
            break
        names.append(name)
    return (names, goal) if names else None


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
        formula == "False" or (isinstance(formula, tuple) and formula[0] == "not"
                               and formula[1] in hypotheses.values())
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
        while arrow := implication(conclusion):
            premises.append(arrow[0])
            conclusion = arrow[1]
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
        while arrow := implication(conclusion):
            premises.append(arrow[0])
            conclusion = arrow[1]
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
    "Nat.add_comm", "Nat.add_assoc", "Nat.add_zero", "Nat.zero_add", "Nat.mul_comm",
    "Nat.mul_one", "Nat.one_mul", "Nat.mul_zero", "Nat.zero_mul",
)  # fmt: skip
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


# --- Strategies -----------------------------------------------------------------------------

_WEIGHT = {
    "exact": 8.0, "assumption": 0.6, "contradiction": 1.5, "rfl": 3.0, "intro": 4.0,
    "constructor": 3.0, "left": 1.5, "right": 1.5, "rcases": 1.5, "obtain": 1.2, "apply": 2.0,
    "have": 0.6, "exfalso": 0.7, "by_cases": 0.7, "refine": 1.0, "rw": 4.0,
    "induction": 2.0,
}  # fmt: skip


def _sound_moves(goal: Goal, style: Style) -> list[Move]:
    """Moves to goals that no small model refutes; only those that close the goal, if any do."""
    options = []
    for move in moves(goal, style):
        if options and not options[0].goals and move.goals:
            break
        if not any(counterexample(g, style.classical) for g in move.goals):
            options.append(move)
    return options


class _Spent(Exception):
    pass


def natural_proof(
    goal: Goal,
    rng: random.Random,
    style: Style,
    most: int = 5,
    nodes: int = 60,
    slack: float = 0.4,
) -> list[str] | None:
    """Lines of a proof of few tactics, its choices made by `rng`; None where none was found.

    With probability `slack` it may have one tactic more than the fewest.
    """
    failed: set[tuple[tuple[Goal, ...], int]] = set()
    options_at: dict[Goal, list[Move]] = {}
    left = nodes

    def solve(goals: tuple[Goal, ...], budget: int) -> list[str] | None:
        nonlocal left
        if not goals:
            return []
        if len(goals) > budget or (goals, budget) in failed:
            return None
        left -= 1
        if left < 0:
            raise _Spent
        if goals[0] not in options_at:
            options_at[goals[0]] = _sound_moves(goals[0], style)
        options = list(options_at[goals[0]])
        options.sort(key=lambda m: -(rng.random() ** (1 / _WEIGHT[m.line.split()[0]])))
        for line, new in options:
            rest = (*new, *goals[1:])
            if len(rest) < budget:
                lines = solve(rest, budget - 1)
                if lines is not None:
                    return [line, *lines]
        failed.add((goals, budget))
        return None

    if counterexample(goal, style.classical):
        return None
    lines = None
    try:
        for budget in range(1, most + 1):
            lines = solve((goal,), budget)
            if lines is not None:
                if rng.random() < slack and budget < most:
                    lines = solve((goal,), budget + 1) or lines
                break
    except _Spent:
        pass
    return lines


def shortest_lines(goal: Goal, most: int = 5, nodes: int = 400) -> list[str] | None:
    """Lines of the proof of fewest tokens that was found: branch and bound over `moves`, within
    `most` tactics in a row and `nodes` goals; classical only where nothing else proves it.
    """
    for style in (FREE, FREE._replace(classical=True)):
        found = _shortest(goal, style, most, nodes)
        if found is not None:
            return list(found[1])
    return None


@functools.lru_cache(maxsize=1 << 14)
def _shortest(goal: Goal, style: Style, most: int, nodes: int) -> tuple[int, tuple] | None:
    exact: dict[tuple[Goal, int], tuple[int, tuple]] = {}
    above: dict[tuple[Goal, int], int] = {}  # no proof costs less than this
    left = nodes

    def solve(goal: Goal, depth: int, bound: int) -> tuple[int, tuple] | None:
        """(tokens, lines) of the shortest proof of fewer than `bound` tokens."""
        nonlocal left
        key = (goal, depth)
        if key in exact:
            return exact[key] if exact[key][0] < bound else None
        if depth == 0 or bound <= above.get(key, 2) or left <= 0:
            return None
        left -= 1
        options = [(count_tokens(m.line) + 1, m) for m in moves(goal, style)]
        options.sort(key=lambda o: o[0] + 3 * len(o[1].goals))
        best, limit = None, bound
        for cost, (line, new) in options:
            if cost + 2 * len(new) >= limit:
                continue
            if any(counterexample(g, style.classical) for g in new):
                continue
            lines: tuple = (line,)
            for i, g in enumerate(new):
                part = solve(g, depth - 1, limit - cost - 2 * (len(new) - 1 - i))
                if part is None:
                    break
                cost, lines = cost + part[0], lines + part[1]
            else:
                if cost < limit:
                    best, limit = (cost, lines), cost
        if left > 0 and best is None:
            above[key] = bound
        elif left > 0:
            exact[key] = best
        return best

    return None if counterexample(goal, style.classical) else solve(goal, most, 200)
