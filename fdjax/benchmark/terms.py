"""The shortest proof terms at a goal, by Dijkstra's algorithm over formulas."""

import heapq
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from fdjax.benchmark.formulas import Expr, Goal, arrow, directions, kind, substitute

_TOKEN = re.compile(r"\n|\.\w+|\w+|[^\s\w]")


def count_tokens(text: str) -> int:
    """The number of names, numbers, symbols, projections and line breaks in `text`."""
    return len(_TOKEN.findall(text))


def tokens(text: str) -> list[tuple[str, int]]:
    """(token, offset) of each token that `count_tokens` counts."""
    return [(match[0], match.start()) for match in _TOKEN.finditer(text)]


def fresh(goal: Goal, count: int = 1) -> list[str]:
    """The next free hypothesis names: h1, h2, ..."""
    last = max((int(n[1:]) for n, _ in goal.hypotheses if n[1:].isdigit()), default=0)
    return [f"h{last + i}" for i in range(1, count + 1)]


def fresh_variable(goal: Goal) -> str:
    taken = dict(goal.variables)
    return next(name for name in "xyzuvw" if name not in taken)


def instances(goal: Goal, e: Expr) -> Iterator[tuple[str, Expr]]:
    """(variable, body of `e` for it) for each variable of the type that `e`, a ∀ or ∃, binds."""
    for v, type_ in goal.variables:
        if type_ == (e[2] or "α"):
            yield v, substitute(e[3], e[1], v)


def introduce(goal: Goal, limit: int, target: Expr | None = None) -> tuple[list[str], Goal] | None:
    """(names, goal) after `intro` of at most `limit` premises and variables of `target`, which is
    the goal's own by default; None if there is nothing to introduce."""
    names: list[str] = []
    goal = goal if target is None else goal.with_target(target)
    while len(names) < limit:
        e = goal.target
        if kind(e) == "all":
            name = fresh_variable(goal)
            variables = (*goal.variables, (name, e[2] or "α"))
            goal = Goal(variables, goal.hypotheses, substitute(e[3], e[1], name))
        elif step := arrow(e):
            name = fresh(goal)[0]
            goal = goal.assuming((name, step[0])).with_target(step[1])
        else:
            break
        names.append(name)
    return (names, goal) if names else None


class Term(NamedTuple):
    cost: int  # tokens
    text: str
    level: int  # 3 atom, 2 anonymous constructor, 1 application, 0 fun


class Style(NamedTuple):
    """Which terms a proof may use. The defaults are those of the search for the shortest proof."""

    cost: int = 40  # maximum tokens of one term
    depth: int = 2  # maximum nesting of `fun`
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
    """Formula -> its shortest proof term that was found. Covers what follows from the hypotheses
    by elimination and, for the target and premises on the way, also by introduction.

    Dijkstra's algorithm over formulas. It does not find every provable formula.
    """
    found: dict[Expr, Term] = {}
    heap: list[tuple[int, int, Expr, Term]] = []
    users: dict[Expr, list[tuple[Term, Expr]]] = {}  # premise: implications that wait for it
    builders: dict[Expr, list[Callable[[], None]]] = {}  # part: attempts to build a whole from it
    wanted: dict[Expr, None] = {}  # a set whose order does not depend on hashes
    tick = itertools.count()
    elements = tuple((v, t) for v, t in goal.variables if t in ("α", "Nat") and v[-1] != "✝")
    visible = goal._replace(variables=elements)

    def push(formula: Expr, term: Term) -> None:
        if term.cost <= style.cost and formula not in found:
            heapq.heappush(heap, (term.cost, next(tick), formula, term))

    def want(formula: Expr) -> None:
        """Also tries to prove `formula` by introduction."""
        if formula in wanted:
            return
        wanted[formula] = None
        if "False" in found and formula != "False":
            push(formula, _field(found["False"], "elim"))
        if formula == "True":
            push(formula, Term(1, "trivial", 3))
        head = kind(formula)
        if head == "eq" and formula[1] == formula[2]:
            push(formula, Term(1, "rfl", 3))
        elif head == "eq" and _same_function(formula):
            congruence = Term(2, f"congrArg {formula[1][1]}", 1)
            equal = ("eq", formula[1][2], formula[2][2])
            build(formula, [equal], lambda t: _apply(congruence, t))
        if not style.build:
            return
        if head in ("and", "iff"):
            build(formula, directions(formula) if head == "iff" else formula[1:], _pair)
        elif head == "or":
            build(formula, [formula[1]], lambda t: _apply(Term(2, "Or.inl", 3), t))
            build(formula, [formula[2]], lambda t: _apply(Term(2, "Or.inr", 3), t))
        elif head == "ex":
            for v, instance in instances(visible, formula):
                build(formula, [instance], lambda t, v=v: _pair(Term(1, v, 3), t))
        elif style.depth and (step := introduce(goal, 1, formula)):
            (name,), inner = step
            body = terms(inner, style._replace(depth=style.depth - 1)).get(inner.target)
            if body is not None and body.level == 0:  # fun h1 => fun h2 => ... is fun h1 h2 => ...
                push(formula, Term(body.cost + 1, f"fun {name} {body.text[4:]}", 0))
            elif body is not None:
                push(formula, Term(body.cost + 3, f"fun {name} => {body.text}", 0))

    def build(whole: Expr, parts: Sequence[Expr], make: Callable[..., Term]) -> None:
        """Proves `whole` by `make` of the terms of its parts, as soon as all are found."""

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
        head = kind(formula)
        if head in ("and", "iff"):
            if term.level != 2:
                parts = directions(formula) if head == "iff" else formula[1:]
                for part, field in zip(parts, ("mp", "mpr") if head == "iff" else "12"):
                    push(part, _field(term, field))
        elif head == "all":
            for v, instance in instances(visible, formula):
                push(instance, _apply(term, Term(1, v, 3)))
        elif head == "eq":
            a, b = formula[1:]
            if a == b:
                continue
            push(("eq", b, a), _field(term, "symm"))
            for other, far in list(found.items()):
                if kind(other) == "eq" and other[1] == b:
                    push(("eq", a, other[2]), _apply(_field(term, "trans"), far))
                if kind(other) == "eq" and other[2] == a:
                    push(("eq", other[1], b), _apply(_field(far, "trans"), term))
        elif term.level and (step := arrow(formula)):
            premise, conclusion = step
            if premise in found:
                push(conclusion, _apply(term, found[premise]))
            else:
                users.setdefault(premise, []).append((term, conclusion))
                want(premise)
            if head == "not" and premise in found and goal.target not in found:
                push(goal.target, _apply(Term(1, "absurd", 3), found[premise], term))
    return found


def _same_function(e: Expr) -> bool:
    """Whether `e` is f a = f b."""
    return all(kind(side) == "app" and len(side) == 3 for side in e[1:]) and e[1][1] == e[2][1]
