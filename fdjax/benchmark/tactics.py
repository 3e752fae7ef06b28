"""What each tactic does to a goal, in Lean's manner."""

from fdjax.benchmark.elaboration import Elaborator, Mismatch, arrow, bind, is_open
from fdjax.benchmark.formulas import Expr, Goal, Parser, names_in, substitute
from fdjax.benchmark.rewriting import rewrite


class TacticError(Exception):
    def __init__(self, position: int, reason: str):
        super().__init__(reason)
        self.position = position  # characters from the start of the tactic


class Cases(tuple):
    """What `induction` leaves: (constructor, goal) of each case."""


def tactic(goals: tuple[Goal, ...], text: str) -> tuple[tuple[Goal, ...], tuple]:
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
    if parser.peek != "<end>":
        raise parser.error("unexpected text after the tactic")
    if isinstance(new, Cases):
        return goals[1:], new
    return (*new, *goals[1:]), ()


def elaborate(goal: Goal, term: Expr, expected: Expr, holes: bool = False) -> tuple[Goal, ...]:
    """Checks `term` against `expected`; the goals left by its `?_`. Raises Mismatch."""
    elaborator = Elaborator(goal)
    elaborator.check(term, expected)
    left = tuple(g._replace(target=elaborator.resolve(g.target)) for g in elaborator.left)
    if (left and not holes) or any(is_open(g.target) for g in left):
        raise Mismatch("a placeholder is left")
    _closed(elaborator)
    return left


def _closed(elaborator: Elaborator) -> None:
    """Lean refuses a term some of whose implicit arguments stay unknown."""
    for number in range(next(elaborator.count)):
        if is_open(elaborator.resolve(("?", number))):
            raise Mismatch("an implicit argument stays unknown")


def infer(goal: Goal, term: Expr) -> Expr:
    elaborator = Elaborator(goal)
    type_ = elaborator.resolve(elaborator.infer(term))
    if elaborator.left or is_open(type_):
        raise Mismatch("an implicit argument stays unknown")
    _closed(elaborator)
    return type_


def _same(goal: Goal, a: Expr, b: Expr) -> bool:
    try:
        Elaborator(goal).unify(a, b)
    except Mismatch:
        return False
    return True


def _intro(goal: Goal, parser: Parser):
    names = []
    while parser.peek == "<name>":
        names.append(parser.next())
    for name in names or ["_"]:
        e = goal.target
        if isinstance(e, tuple) and e[0] == "all":
            goal, (target,) = bind(goal, name, e[2] or "α", (e[3],), e[1])
        elif step := arrow(e):
            goal, (target,) = bind(goal, name, step[0], (step[1],))
        else:
            raise Mismatch("nothing to introduce")
        goal = goal._replace(target=target)
    return (goal,)


def _exact(goal: Goal, parser: Parser):
    return elaborate(goal, parser.expression(), goal.target)


def _refine(goal: Goal, parser: Parser):
    return elaborate(goal, parser.expression(), goal.target, holes=True)


def _arity(e: Expr) -> int:
    count = 0
    while isinstance(e, tuple) and (e[0] == "all" or arrow(e)):
        e, count = (e[3] if e[0] == "all" else arrow(e)[1]), count + 1
    return count


def _apply(goal: Goal, parser: Parser):
    term = parser.expression()
    base = Elaborator(goal)
    type_ = base.resolve(base.infer(term))
    most = _arity(type_)
    for count in range(max(0, most - _arity(goal.target)), most + 1):
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
        new = [goal._replace(target=elaborator.resolve(p)) for p in premises]
        if any(is_open(g.target) for g in new):
            raise Mismatch("a premise stays unknown")
        _closed(elaborator)
        return tuple(new)
    raise Mismatch("could not unify the conclusion with the goal")


def _constructor(goal: Goal, parser: Parser):
    e = goal.target
    kind = e[0] if isinstance(e, tuple) else e
    if kind == "and":
        return tuple(goal._replace(target=part) for part in e[1:])
    if kind == "iff":
        there, back = ("imp", e[1], e[2]), ("imp", e[2], e[1])
        return goal._replace(target=there), goal._replace(target=back)
    if kind == "True":
        return ()
    if kind == "or":
        return (goal._replace(target=e[1]),)
    if kind == "eq":
        return _rfl(goal, parser)
    raise Mismatch("no constructor to apply")


def _side(index: int):
    def side(goal: Goal, parser: Parser):
        e = goal.target
        if not (isinstance(e, tuple) and e[0] == "or"):
            raise Mismatch("the goal is no disjunction")
        return (goal._replace(target=e[index]),)

    return side


def _exfalso(goal: Goal, parser: Parser):
    return (goal._replace(target="False"),)


def _contradiction(goal: Goal, parser: Parser):
    formulas = [formula for _, formula in goal.hypotheses]
    for e in formulas:
        if e == "False" or (isinstance(e, tuple) and e[0] == "ne" and e[1] == e[2]):
            return ()
        step = arrow(e)
        if step and step[1] == "False" and any(_same(goal, f, step[0]) for f in formulas):
            return ()
    raise Mismatch("no contradiction among the hypotheses")


def _assumption(goal: Goal, parser: Parser):
    if any(_same(goal, formula, goal.target) for _, formula in goal.hypotheses):
        return ()
    raise Mismatch("no hypothesis is the goal")


def _rfl(goal: Goal, parser: Parser):
    e = goal.target
    if isinstance(e, tuple) and e[0] in ("eq", "iff") and _same(goal, e[1], e[2]):
        return ()
    raise Mismatch("the sides are not the same")


def _trivial(goal: Goal, parser: Parser):
    if goal.target == "True":
        return ()
    for close in (_assumption, _rfl, _contradiction):
        try:
            return close(goal, parser)
        except Mismatch:
            pass
    if isinstance(goal.target, tuple) and goal.target[0] == "and":
        return tuple(
            g for part in goal.target[1:] for g in _trivial(goal._replace(target=part), parser)
        )
    raise Mismatch("not trivial")


def _exists(goal: Goal, parser: Parser):
    parts = [parser.expression()]
    while parser.accept(","):
        parts.append(parser.expression())
    new = elaborate(goal, ("anon", *parts, ("hole",)), goal.target, holes=True)
    try:
        return tuple(g for n in new for g in _trivial(n, parser))
    except Mismatch:
        return new


def _have(goal: Goal, parser: Parser):
    name = parser.next() if parser.peek == "<name>" else "this"
    type_ = parser.expression() if parser.accept(":") else None
    parser.expect(":=")
    term = parser.expression()
    if type_ is None:
        type_ = infer(goal, term)
    else:
        Elaborator(goal).proposition(type_)
        elaborate(goal, term, type_)
    goal, (target,) = bind(goal, name, type_, (goal.target,))
    return (goal._replace(target=target),)


def _show(goal: Goal, parser: Parser):
    type_ = parser.expression()
    Elaborator(goal).proposition(type_)
    Elaborator(goal).unify(type_, goal.target)
    return (goal._replace(target=type_),)


def _by_cases(goal: Goal, parser: Parser):
    name = "h✝"
    if [token[1] for token in parser.tokens[parser.index + 1 : parser.index + 2]] == [":"]:
        name = parser.next()
        parser.expect(":")
    formula = parser.expression()
    Elaborator(goal).proposition(formula)
    new = []
    for side in (formula, ("not", formula)):
        inner, (target,) = bind(goal, name, side, (goal.target,))
        new.append(inner._replace(target=target))
    return tuple(new)


def rename_last(goal: Goal, names: list[str]) -> Goal:
    """`goal` of `| succ n ih =>`: its variable n✝ and hypothesis ih✝ get these names."""
    if len(names) > 2:
        raise TacticError(0, "too many names")
    for old, new in zip(("n✝", "ih✝"), names):
        if new in dict(goal.hypotheses) or new in dict(goal.variables):
            raise TacticError(0, f"{new} is used")
        goal = Goal(
            tuple((new if n == old else n, t) for n, t in goal.variables),
            tuple((new if n == old else n, substitute(f, old, new)) for n, f in goal.hypotheses),
            substitute(goal.target, old, new),
        )
    return goal


def _induction(goal: Goal, parser: Parser):
    name = parser.expect("<name>")
    parser.expect("with")
    if dict(goal.variables).get(name) != "Nat":
        raise Mismatch("induction on a variable of type Nat only")
    if any(name in names_in(formula) for _, formula in goal.hypotheses):
        raise Mismatch("a hypothesis is about the variable")
    variables = tuple(v for v in goal.variables if v[0] != name)
    zero = Goal(variables, goal.hypotheses, substitute(goal.target, name, 0))
    succ = Goal(
        (*variables, ("n✝", "Nat")),
        (*goal.hypotheses, ("ih✝", substitute(goal.target, name, "n✝"))),
        substitute(goal.target, name, ("add", "n✝", 1)),
    )
    return Cases((("zero", zero), ("succ", succ)))


# --- Patterns -------------------------------------------------------------------------------


def _pattern(parser: Parser):
    """A name, ("alts", ...) or ("tuple", ...)."""
    alternatives = [_one_pattern(parser)]
    while parser.accept("|"):
        alternatives.append(_one_pattern(parser))
    return alternatives[0] if len(alternatives) == 1 else ("alts", *alternatives)


def _one_pattern(parser: Parser):
    if parser.accept("("):
        pattern = _pattern(parser)
        parser.expect(")")
        return pattern
    if parser.accept("⟨"):
        parts = []
        if parser.peek != "⟩":
            parts.append(_pattern(parser))
            while parser.accept(","):
                parts.append(_pattern(parser))
        parser.expect("⟩")
        return ("tuple", *parts)
    name = parser.expect("<name>")
    if "." in name:
        raise parser.error("expected a pattern")
    return name


def _rcases(goal: Goal, parser: Parser):
    term = parser.expression()
    parser.expect("with")
    return _split(goal, term, _pattern(parser))


def _obtain(goal: Goal, parser: Parser):
    pattern = _pattern(parser)
    parser.expect(":=")
    return _split(goal, parser.expression(), pattern)


def _split(goal: Goal, term: Expr, pattern) -> tuple[Goal, ...]:
    type_ = infer(goal, term)
    if isinstance(term, str) and term in dict(goal.hypotheses):
        goal = goal._replace(hypotheses=tuple(h for h in goal.hypotheses if h[0] != term))
    return _destruct(goal, [(type_, pattern)])


def _destruct(goal: Goal, work: list) -> tuple[Goal, ...]:
    """The goals after taking apart each (formula, pattern) of `work` in turn."""
    if not work:
        return (goal,)
    (type_, pattern), rest = work[0], work[1:]
    kind = type_[0] if isinstance(type_, tuple) else type_
    if isinstance(pattern, str):
        formulas = tuple(t for t, _ in rest)
        goal, (target, *formulas) = bind(goal, pattern, type_, (goal.target, *formulas))
        goal = goal._replace(target=target)
        return _destruct(goal, [(f, p) for f, (_, p) in zip(formulas, rest)])
    if kind == "False":
        return ()
    if kind == "or" and pattern[0] == "alts":
        _, first, *others = pattern
        second = others[0] if len(others) == 1 else ("alts", *others)
        left = _destruct(goal, [(type_[1], first), *rest])
        return (*left, *_destruct(goal, [(type_[2], second), *rest]))
    if pattern[0] != "tuple" or kind not in ("and", "iff", "ex") or len(pattern) < 3:
        raise Mismatch("the pattern does not fit")
    _, first, *others = pattern
    second = others[0] if len(others) == 1 else ("tuple", *others)
    if kind == "ex":
        if not isinstance(first, str):
            raise Mismatch("the witness needs a name")
        formulas = (goal.target, *(t for t, _ in rest))
        # The body is put in after binding, so that an older variable of that name is no trouble.
        inner, formulas = bind(goal, first, type_[2] or "α", (*formulas,), "✝")
        body = substitute(type_[3], type_[1], first)
        target, *later = formulas
        more = [(f, p) for f, (_, p) in zip(later, rest)]
        return _destruct(inner._replace(target=target), [(body, second), *more])
    one, two = type_[1], type_[2]
    if kind == "iff":
        one, two = ("imp", one, two), ("imp", two, one)
    return _destruct(goal, [(one, first), (two, second), *rest])


# --- Rewriting ------------------------------------------------------------------------------


def _rw(goal: Goal, parser: Parser):
    parser.expect("[")
    rules = []
    while True:
        backwards = parser.accept("←")
        rules.append((backwards, parser.expression()))
        if not parser.accept(","):
            break
    parser.expect("]")
    place = parser.expect("<name>") if parser.accept("at") else None
    for backwards, term in rules:
        if place is None:
            goal = goal._replace(target=rewrite(goal, term, backwards, goal.target))
            continue
        formula = dict(goal.hypotheses).get(place)
        if formula is None or term == place:
            raise Mismatch("no such hypothesis")
        new = rewrite(goal, term, backwards, formula)
        others = tuple(h for h in goal.hypotheses if h[0] != place)
        goal = goal._replace(hypotheses=(*others, (place, new)))
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
    "left": _side(1),
    "right": _side(2),
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
