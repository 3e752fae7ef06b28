"""The cheapest proof terms at a goal, by a shortest-path search over formulas."""

import heapq
import itertools
import re
from typing import NamedTuple

from fdjax.benchmark.elaboration import arrow
from fdjax.benchmark.formulas import Expr, Goal, substitute

_TOKEN = re.compile(r"\n|\.\w+|\w+|[^\s\w]")


def count_tokens(text: str) -> int:
    """Names, numbers, symbols, projections and line breaks: a tokenizer's length, roughly."""
    return len(_TOKEN.findall(text))


def tokens(text: str) -> list[tuple[str, int]]:
    """(token, place) of what `count_tokens` counts."""
    return [(match[0], match.start()) for match in _TOKEN.finditer(text)]


def fresh(goal: Goal, count: int = 1) -> list[str]:
    """The next free hypothesis names: h1, h2, ..."""
    last = max((int(n[1:]) for n, _ in goal.hypotheses if n[1:].isdigit()), default=0)
    return [f"h{last + i}" for i in range(1, count + 1)]


def fresh_variable(goal: Goal) -> str:
    taken = {name for name, _ in goal.variables}
    return next(name for name in ("x", "y", "z", "u", "v", "w") if name not in taken)


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
        elif step := arrow(e):
            name = fresh(goal)[0]
            goal = Goal(goal.variables, (*goal.hypotheses, (name, step[0])), step[1])
        else:
            break
        names.append(name)
    return (names, goal) if names else None


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
        elif style.depth and (kind == "all" or arrow(formula)):
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
        elif (step := arrow(formula)) and term.level:
            premise, conclusion = step
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
