"""What `rw` does to a goal or formula, with the pattern found as Lean finds it."""

import functools
from collections.abc import Iterable

from fdjax.benchmark.elaboration import Elaborator, Mismatch, is_open
from fdjax.benchmark.formulas import Expr, Goal, kind, names_in, substitute


def rewrite_goal(goal: Goal, rules: Iterable[tuple[bool, Expr]], place: str | None) -> Goal:
    """`goal` after `rw [...]`, or `rw [...] at place`, with rules (backwards, term). A rewritten
    hypothesis becomes the last one. Raises Mismatch where Lean refuses it."""
    for backwards, term in rules:
        if place is None:
            goal = goal.with_target(rewrite(goal, term, backwards, goal.target))
            continue
        formula = dict(goal.hypotheses).get(place)
        if formula is None or term == place:
            raise Mismatch("no such hypothesis")
        new = rewrite(goal, term, backwards, formula)
        goal = goal.without(place).assuming((place, new))
    return goal


def rewrite(goal: Goal, term: Expr, backwards: bool, e: Expr) -> Expr:
    """`e` after `rw [term]` or `rw [← term]`. Raises Mismatch where Lean refuses it."""
    if isinstance(term, str):  # what it does depends on the type of that name alone
        head = term.partition(".")[0]
        goal = Goal(goal.variables, tuple(h for h in goal.hypotheses if h[0] == head), "True")
    found = _rewritten(goal, term, backwards, e)
    if isinstance(found, Mismatch):
        raise Mismatch(*found.args)
    return found


@functools.lru_cache(maxsize=1 << 14)  # the search tries a rule at the same formula again and again
def _rewritten(goal: Goal, term: Expr, backwards: bool, e: Expr) -> Expr | Mismatch:
    elaborator = Elaborator(goal)
    try:
        type_ = elaborator.resolve(elaborator.infer(term))
    except Mismatch as mismatch:
        return Mismatch(*mismatch.args)
    while kind(type_) == "all":
        type_ = substitute(type_[3], type_[1], elaborator.unknown())
    if kind(type_) not in ("eq", "iff"):
        return Mismatch("neither an equation nor an equivalence")
    old, new = type_[1:] if not backwards else type_[:0:-1]
    if kind(old) == "?":
        return Mismatch("the pattern is a variable")
    if not _unify_first(elaborator, old, e, frozenset()):
        return Mismatch("the pattern was not found")
    new = elaborator.resolve(new)
    if is_open(new):
        return Mismatch("an argument stays unknown")
    return _replace(e, elaborator.resolve(old), new)


def _unify_first(elaborator: Elaborator, pattern: Expr, e: Expr, bound: frozenset[str]) -> bool:
    """Unifies `pattern` with the first part of `e` that fits, outermost first, left to right."""
    same_head = kind(pattern) == kind(e) if isinstance(pattern, tuple) else pattern == e
    if same_head and not (bound and names_in(e) & bound):
        try:
            elaborator.unify(pattern, e)
            return True
        except Mismatch:
            pass
    if not isinstance(e, tuple):
        return False
    if e[0] in ("all", "ex"):
        return _unify_first(elaborator, pattern, e[3], bound | {e[1]})
    return any(_unify_first(elaborator, pattern, part, bound) for part in e[1:])


def _replace(e: Expr, old: Expr, new: Expr) -> Expr:
    if e == old:
        return new
    if not isinstance(e, tuple):
        return e
    if e[0] in ("all", "ex"):
        return e if e[1] in names_in(old) else (*e[:3], _replace(e[3], old, new))
    return (e[0], *(_replace(part, old, new) for part in e[1:]))
