"""`rw`: one rewriting step on a formula, with the pattern found as Lean finds it."""

from fdjax.benchmark.elaboration import Elaborator, Mismatch, is_open
from fdjax.benchmark.formulas import Expr, Goal, names_in, substitute


def rewrite(goal: Goal, term: Expr, backwards: bool, e: Expr) -> Expr:
    """`e` after `rw [term]` or `rw [← term]`. Raises Mismatch where Lean would refuse."""
    elaborator = Elaborator(goal)
    type_ = elaborator.resolve(elaborator.infer(term))
    while isinstance(type_, tuple) and type_[0] == "all":
        type_ = substitute(type_[3], type_[1], elaborator.unknown())
    if not (isinstance(type_, tuple) and type_[0] in ("eq", "iff")):
        raise Mismatch("neither an equation nor an equivalence")
    old, new = type_[1:] if not backwards else type_[:0:-1]
    if isinstance(old, tuple) and old[0] == "?":
        raise Mismatch("the pattern is a variable")
    if not _find(elaborator, old, e, frozenset()):
        raise Mismatch("the pattern was not found")
    new = elaborator.resolve(new)
    if is_open(new):
        raise Mismatch("an argument stays unknown")
    return _replace(e, elaborator.resolve(old), new)


def _find(elaborator: Elaborator, pattern: Expr, e: Expr, bound: frozenset[str]) -> bool:
    """Unifies `pattern` with the first part of `e` that fits, outermost first, left to right."""
    same_head = (
        isinstance(pattern, tuple) and isinstance(e, tuple) and pattern[0] == e[0]
        if isinstance(pattern, tuple)
        else pattern == e
    )
    if same_head and not (bound and names_in(e) & bound):
        try:
            elaborator.unify(pattern, e)
            return True
        except Mismatch:
            pass
    if not isinstance(e, tuple):
        return False
    if e[0] in ("all", "ex"):
        return _find(elaborator, pattern, e[3], bound | {e[1]})
    return any(_find(elaborator, pattern, part, bound) for part in e[1:])


def _replace(e: Expr, old: Expr, new: Expr) -> Expr:
    if e == old:
        return new
    if not isinstance(e, tuple):
        return e
    if e[0] in ("all", "ex"):
        return e if e[1] in names_in(old) else (*e[:3], _replace(e[3], old, new))
    return (e[0], *(_replace(part, old, new) for part in e[1:]))
