"""What each tactic does to a goal, as in Lean.

A tactic is a function (goal, parser behind the tactic's name) -> the goals it leaves. It raises
Mismatch where Lean refuses it and ParseError for other text.
"""

from fdjax.benchmark.elaboration import (
    Elaborator,
    Mismatch,
    bind,
    check_solved,
    elaborate,
    infer,
    is_open,
    renamed,
)
from fdjax.benchmark.formulas import (
    Expr,
    Goal,
    Parser,
    arrow,
    directions,
    kind,
    names_in,
    substitute,
)
from fdjax.benchmark.rewriting import rewrite_goal

Goals = tuple[Goal, ...]


class TacticError(Exception):
    def __init__(self, position: int, reason: str):
        super().__init__(reason)
        self.position = position  # offset into the text of the tactic, in characters


class Cases(tuple):
    """What `induction` leaves: (constructor, goal) of each case."""


def tactic(goals: Goals, text: str) -> tuple[Goals, tuple]:
    """(goals after it, cases of an induction) of one tactic on the first of `goals`.

    Raises TacticError or ParseError.
    """
    parser = Parser(text)
    name = parser.tokens[0][1]
    if name not in TACTICS:
        raise TacticError(0, f"unknown tactic {name}")
    if not goals:
        raise TacticError(0, "no goals")
    parser.next()
    try:
        new = TACTICS[name](goals[0], parser)
    except Mismatch as error:
        position = parser.tokens[min(1, len(parser.tokens) - 1)][2]
        raise TacticError(position, str(error)) from None
    parser.finish("tactic")
    if isinstance(new, Cases):
        return goals[1:], new
    return (*new, *goals[1:]), ()


# --- Terms ----------------------------------------------------------------------------------


def _proposition(goal: Goal, parser: Parser) -> Expr:
    e = parser.expression()
    Elaborator(goal).proposition(e)
    return e


def _same(goal: Goal, a: Expr, b: Expr) -> bool:
    try:
        Elaborator(goal).unify(a, b)
    except Mismatch:
        return False
    return True


def _extended(goal: Goal, name: str, type_: Expr, target: Expr, bound: str | None = None) -> Goal:
    """`goal` with `name : type_` and with `target`, in which `bound` stands for the name."""
    goal, (target,) = bind(goal, name, type_, (target,), bound)
    return goal.with_target(target)


def _exact(goal: Goal, parser: Parser) -> Goals:
    return elaborate(goal, parser.expression(), goal.target)


def _refine(goal: Goal, parser: Parser) -> Goals:
    return elaborate(goal, parser.expression(), goal.target, holes=True)


def _apply(goal: Goal, parser: Parser) -> Goals:
    term = parser.expression()
    base = Elaborator(goal)
    arity = _arity(base.resolve(base.infer(term)))
    for count in range(max(0, arity - _arity(goal.target)), arity + 1):
        elaborator = Elaborator(goal)
        rest = elaborator.resolve(elaborator.infer(term))
        premises = []
        for _ in range(count):
            if rest[0] == "all":
                rest = substitute(rest[3], rest[1], elaborator.unknown())
            else:
                premise, rest = arrow(rest)
                premises.append(premise)
        try:
            elaborator.unify(rest, goal.target)
        except Mismatch:
            continue
        premises = [elaborator.resolve(premise) for premise in premises]
        if any(is_open(premise) for premise in premises):
            raise Mismatch("a premise stays unknown")
        check_solved(elaborator)
        return tuple(map(goal.with_target, premises))
    raise Mismatch("could not unify the conclusion with the goal")


def _arity(e: Expr) -> int:
    count = 0
    while kind(e) == "all" or arrow(e):
        e, count = (e[3] if e[0] == "all" else arrow(e)[1]), count + 1
    return count


def _exists(goal: Goal, parser: Parser) -> Goals:
    parts = parser.separated(parser.expression)
    new = elaborate(goal, ("anon", *parts, ("hole",)), goal.target, holes=True)
    try:
        return tuple(g for n in new for g in _trivial(n, parser))
    except Mismatch:
        return new


def _have(goal: Goal, parser: Parser) -> Goals:
    name = parser.next() if parser.peek == "<name>" else "this"
    type_ = parser.expression() if parser.accept(":") else None
    parser.expect(":=")
    term = parser.expression()
    if type_ is None:
        type_ = infer(goal, term)
    else:
        Elaborator(goal).proposition(type_)
        elaborate(goal, term, type_)
    return (_extended(goal, name, type_, goal.target),)


def _show(goal: Goal, parser: Parser) -> Goals:
    type_ = _proposition(goal, parser)
    Elaborator(goal).unify(type_, goal.target)
    return (goal.with_target(type_),)


# --- The form of the goal -------------------------------------------------------------------


def _intro(goal: Goal, parser: Parser) -> Goals:
    for name in parser.names() if parser.peek == "<name>" else ["_"]:
        e = goal.target
        if kind(e) == "all":
            goal = _extended(goal, name, e[2] or "α", e[3], e[1])
        elif step := arrow(e):
            goal = _extended(goal, name, *step)
        else:
            raise Mismatch("nothing to introduce")
    return (goal,)


def _constructor(goal: Goal, parser: Parser) -> Goals:
    e = goal.target
    if e == "True":
        return ()
    if kind(e) == "and":
        return tuple(map(goal.with_target, e[1:]))
    if kind(e) == "iff":
        return tuple(map(goal.with_target, directions(e)))
    if kind(e) == "or":
        return (goal.with_target(e[1]),)
    if kind(e) == "eq":
        return _rfl(goal, parser)
    raise Mismatch("no constructor to apply")


def _left(goal: Goal, parser: Parser, side: int = 1) -> Goals:
    if kind(goal.target) != "or":
        raise Mismatch("the goal is no disjunction")
    return (goal.with_target(goal.target[side]),)


def _right(goal: Goal, parser: Parser) -> Goals:
    return _left(goal, parser, side=2)


def _exfalso(goal: Goal, parser: Parser) -> Goals:
    return (goal.with_target("False"),)


def _contradiction(goal: Goal, parser: Parser) -> Goals:
    formulas = [formula for _, formula in goal.hypotheses]
    for e in formulas:
        if e == "False" or (kind(e) == "ne" and e[1] == e[2]):
            return ()
        step = arrow(e)
        if step and step[1] == "False" and any(_same(goal, f, step[0]) for f in formulas):
            return ()
    raise Mismatch("no contradiction among the hypotheses")


def _assumption(goal: Goal, parser: Parser) -> Goals:
    if any(_same(goal, formula, goal.target) for _, formula in goal.hypotheses):
        return ()
    raise Mismatch("no hypothesis is the goal")


def _rfl(goal: Goal, parser: Parser) -> Goals:
    e = goal.target
    if kind(e) in ("eq", "iff") and _same(goal, e[1], e[2]):
        return ()
    raise Mismatch("the sides are not the same")


def _trivial(goal: Goal, parser: Parser) -> Goals:
    if goal.target == "True":
        return ()
    for close in (_assumption, _rfl, _contradiction):
        try:
            return close(goal, parser)
        except Mismatch:
            pass
    if kind(goal.target) == "and":
        return tuple(g for e in goal.target[1:] for g in _trivial(goal.with_target(e), parser))
    raise Mismatch("not trivial")


# --- Cases ----------------------------------------------------------------------------------


def _by_cases(goal: Goal, parser: Parser) -> Goals:
    name = "h✝"
    if parser.tokens[parser.index + 1 :] and parser.tokens[parser.index + 1][1] == ":":
        name = parser.next()
        parser.expect(":")
    formula = _proposition(goal, parser)
    return tuple(_extended(goal, name, e, goal.target) for e in (formula, ("not", formula)))


def _induction(goal: Goal, parser: Parser) -> Cases:
    name = parser.expect("<name>")
    parser.expect("with")
    if dict(goal.variables).get(name) != "Nat":
        raise Mismatch("induction on a variable of type Nat only")
    if name in names_in(*(formula for _, formula in goal.hypotheses)):
        raise Mismatch("a hypothesis is about the variable")
    variables = tuple(v for v in goal.variables if v[0] != name)
    zero = Goal(variables, goal.hypotheses, substitute(goal.target, name, 0))
    succ = Goal(
        (*variables, ("n✝", "Nat")),
        (*goal.hypotheses, ("ih✝", substitute(goal.target, name, "n✝"))),
        substitute(goal.target, name, ("add", "n✝", 1)),
    )
    return Cases((("zero", zero), ("succ", succ)))


def rename_last(goal: Goal, names: list[str]) -> Goal:
    """The goal of `| succ n ih =>`: its variable n✝ and hypothesis ih✝ get these names.

    Raises TacticError.
    """
    if len(names) > 2:
        raise TacticError(0, "too many names")
    for old, new in zip(("n✝", "ih✝"), names):
        if new in dict(goal.hypotheses) or new in dict(goal.variables):
            raise TacticError(0, f"{new} is used")
        goal = renamed(goal, old, new)
    return goal


def _rcases(goal: Goal, parser: Parser) -> Goals:
    term = parser.expression()
    parser.expect("with")
    return _split(goal, term, _pattern(parser))


def _obtain(goal: Goal, parser: Parser) -> Goals:
    pattern = _pattern(parser)
    parser.expect(":=")
    return _split(goal, parser.expression(), pattern)


def _pattern(parser: Parser) -> str | tuple:
    """A name, ("alts", ...) or ("tuple", ...)."""
    alternatives = [_one_pattern(parser)]
    while parser.accept("|"):
        alternatives.append(_one_pattern(parser))
    return alternatives[0] if len(alternatives) == 1 else ("alts", *alternatives)


def _one_pattern(parser: Parser) -> str | tuple:
    if parser.accept("("):
        pattern = _pattern(parser)
        parser.expect(")")
        return pattern
    if parser.accept("⟨"):
        return ("tuple", *parser.bracketed(lambda: _pattern(parser)))
    name = parser.expect("<name>")
    if "." in name:
        raise parser.error("expected a pattern")
    return name


def _split(goal: Goal, term: Expr, pattern: str | tuple) -> Goals:
    type_ = infer(goal, term)
    if isinstance(term, str) and term in dict(goal.hypotheses):
        goal = goal.without(term)
    return _destruct(goal, [(type_, pattern)])


def _destruct(goal: Goal, work: list[tuple[Expr, str | tuple]]) -> Goals:
    """The goals after each (formula, pattern) of `work` in turn is taken apart."""
    if not work:
        return (goal,)
    (e, pattern), rest = work[0], work[1:]

    def bound(name: str, type_: Expr, variable: str | None = None) -> tuple[Goal, list]:
        """(`goal`, `rest`) once `name : type_` is in it."""
        formulas = (goal.target, *(formula for formula, _ in rest))
        new, (target, *formulas) = bind(goal, name, type_, formulas, variable)
        return new.with_target(target), [(f, p) for f, (_, p) in zip(formulas, rest)]

    if isinstance(pattern, str):
        return _destruct(*bound(pattern, e))
    if e == "False":
        return ()
    parts, second = pattern[1:], pattern[2] if len(pattern) == 3 else (pattern[0], *pattern[2:])
    if kind(e) == "or" and pattern[0] == "alts":
        left = _destruct(goal, [(e[1], parts[0]), *rest])
        return (*left, *_destruct(goal, [(e[2], second), *rest]))
    if pattern[0] != "tuple" or kind(e) not in ("and", "iff", "ex") or len(parts) < 2:
        raise Mismatch("the pattern does not fit")
    if e[0] == "ex":
        if not isinstance(parts[0], str):
            raise Mismatch("the witness needs a name")
        # The body is added after binding: an older variable of that name stays another one.
        inner, rest = bound(parts[0], e[2] or "α", "✝")
        return _destruct(inner, [(substitute(e[3], e[1], parts[0]), second), *rest])
    one, two = directions(e) if e[0] == "iff" else e[1:]
    return _destruct(goal, [(one, parts[0]), (two, second), *rest])


def _rw(goal: Goal, parser: Parser) -> Goals:
    parser.expect("[")
    rules = parser.separated(lambda: (parser.accept("←"), parser.expression()))
    parser.expect("]")
    place = parser.expect("<name>") if parser.accept("at") else None
    goal = rewrite_goal(goal, rules, place)
    try:
        return _rfl(goal, parser)
    except Mismatch:
        return (goal,)


TACTICS = {
    "intro": _intro,
    "intros": _intro,
    "exact": _exact,
    "refine": _refine,
    "apply": _apply,
    "constructor": _constructor,
    "left": _left,
    "right": _right,
    "exfalso": _exfalso,
    "contradiction": _contradiction,
    "assumption": _assumption,
    "rfl": _rfl,
    "trivial": _trivial,
    "exists": _exists,
    "have": _have,
    "show": _show,
    "by_cases": _by_cases,
    "rcases": _rcases,
    "obtain": _obtain,
    "rw": _rw,
    "induction": _induction,
}
