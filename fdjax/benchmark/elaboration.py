"""Types of terms: a small elaborator after Lean's, which solves unknowns by unification.

A type is an expression of formulas.py ("Prop", "α", a formula); ("?", n) is an unknown.
"""

import functools
import itertools

from fdjax.benchmark.formulas import (
    Expr,
    Goal,
    arrow,
    directions,
    is_formula,
    kind,
    nat_normal,
    parse,
    substitute,
)


class Mismatch(Exception):
    """The term has no type, or not the expected one."""


# name: (implicit arguments, type). An explicit argument that is a value and no proof is ∀-bound.
_CONSTANTS = {
    "trivial": ("", "True"),
    "True.intro": ("", "True"),
    "False.elim": ("c", "False → c"),
    "absurd": ("a b", "a → ¬a → b"),
    "And.intro": ("a b", "a → b → a ∧ b"),
    "And.left": ("a b", "a ∧ b → a"),
    "And.right": ("a b", "a ∧ b → b"),
    "And.symm": ("a b", "a ∧ b → b ∧ a"),
    "Or.inl": ("a b", "a → a ∨ b"),
    "Or.inr": ("a b", "b → a ∨ b"),
    "Or.symm": ("a b", "a ∨ b → b ∨ a"),
    "Or.elim": ("a b c", "a ∨ b → (a → c) → (b → c) → c"),
    "Not.elim": ("a b", "¬a → a → b"),
    "Iff.intro": ("a b", "(a → b) → (b → a) → (a ↔ b)"),
    "Iff.mp": ("a b", "(a ↔ b) → a → b"),
    "Iff.mpr": ("a b", "(a ↔ b) → b → a"),
    "Iff.symm": ("a b", "(a ↔ b) → (b ↔ a)"),
    "Classical.em": ("", "∀ p : Prop, p ∨ ¬p"),
    "Classical.byContradiction": ("a", "(¬a → False) → a"),
    "rfl": ("a", "a = a"),
    "Eq.symm": ("a b", "a = b → b = a"),
    "Eq.trans": ("a b c", "a = b → b = c → a = c"),
    "congrArg": ("a b", "∀ f : Function, a = b → f a = f b"),
    "Nat.add_comm": ("", "∀ n m : Nat, n + m = m + n"),
    "Nat.add_assoc": ("", "∀ n m k : Nat, n + m + k = n + (m + k)"),
    "Nat.add_left_comm": ("", "∀ n m k : Nat, n + (m + k) = m + (n + k)"),
    "Nat.add_right_comm": ("", "∀ n m k : Nat, n + m + k = n + k + m"),
    "Nat.add_zero": ("", "∀ n : Nat, n + 0 = n"),
    "Nat.zero_add": ("", "∀ n : Nat, 0 + n = n"),
    "Nat.add_succ": ("", "∀ n m : Nat, n + (m + 1) = n + m + 1"),
    "Nat.succ_add": ("", "∀ n m : Nat, n + 1 + m = n + m + 1"),
    "Nat.mul_comm": ("", "∀ n m : Nat, n * m = m * n"),
    "Nat.mul_zero": ("", "∀ n : Nat, n * 0 = 0"),
    "Nat.zero_mul": ("", "∀ n : Nat, 0 * n = 0"),
    "Nat.mul_one": ("", "∀ n : Nat, n * 1 = n"),
    "Nat.one_mul": ("", "∀ n : Nat, 1 * n = n"),
}
# kind of a type: the namespace in which Lean looks up a field.
_NAMESPACE = {"and": "And", "or": "Or", "not": "Not", "iff": "Iff", "eq": "Eq", "False": "False"}
_NUMBERED = {"and": ("And.left", "And.right"), "iff": ("Iff.mp", "Iff.mpr")}
_FORMULAS = {"and", "or", "imp", "iff", "eq", "ne", "not", "all", "ex"}


@functools.cache
def constant(name: str) -> tuple[tuple[str, ...], Expr] | None:
    entry = _CONSTANTS.get(name)
    return entry and (tuple(entry[0].split()), parse(entry[1]))


class Elaborator:
    """The elaboration of one term at one goal. `values` are those of solved unknowns, `left` the
    goals that `?_` leaves. Methods raise Mismatch where Lean refuses the term."""

    def __init__(self, goal: Goal):
        self.goal = goal
        self.values: dict[int, Expr] = {}
        self.count = itertools.count()
        self.left: list[Goal] = []

    def unknown(self) -> Expr:
        return ("?", next(self.count))

    def resolve(self, e: Expr) -> Expr:
        """`e` with all solved unknowns replaced by their values."""
        if not isinstance(e, tuple):
            return e
        if e[0] == "?":
            value = self.values.get(e[1])
            return e if value is None else self.resolve(value)
        if e[0] in ("all", "ex"):
            return (*e[:3], self.resolve(e[3]))
        return (e[0], *(self.resolve(part) for part in e[1:]))

    def unify(self, a: Expr, b: Expr) -> None:
        """Solves unknowns so that `a` and `b` are equal by definition."""
        a, b = self.resolve(a), self.resolve(b)
        if a == b:
            return
        for x, y in ((a, b), (b, a)):
            if kind(x) == "?":
                if _occurs(x, y):
                    raise Mismatch("an infinite type")
                self.values[x[1]] = y
                return
        if isinstance(a, tuple) and isinstance(b, tuple) and a[0] == b[0] and len(a) == len(b):
            if a[0] in ("all", "ex"):
                name = f"{a[1]}✝{next(self.count)}"
                return self.unify(substitute(a[3], a[1], name), substitute(b[3], b[1], name))
            saved = dict(self.values)
            try:
                for x, y in zip(a[1:], b[1:]):
                    self.unify(x, y)
                return
            except Mismatch:
                self.values = saved
        if (one := arrow(a)) and (two := arrow(b)) and a[0] != b[0]:
            self.unify(one[0], two[0])
            return self.unify(one[1], two[1])
        if _numeric(a) and _numeric(b):
            one, two = nat_normal(a), nat_normal(b)
            if one == two:
                return
            if (one, two) != (a, b):
                return self.unify(one, two)
        raise Mismatch("type mismatch")

    # --- names and their types ---

    def local(self, name: str) -> Expr | None:
        """The type of the latest hypothesis of that name, else of the latest variable."""
        return dict((*self.goal.variables, *self.goal.hypotheses)).get(name)

    def _name(self, name: str) -> Expr:
        """The type of a name, also with fields as in `h1.mp`; implicit arguments are unknowns."""
        type_ = self.local(name)
        if type_ is not None:
            return type_
        head, *fields = name.split(".")
        type_ = self.local(head)
        if type_ is None:
            return "Prop" if name in ("True", "False") else self._constant(name)
        for field in fields:
            type_ = self._field(type_, field)
        return type_

    def _constant(self, name: str) -> Expr:
        entry = constant(name)
        if entry is None:
            raise Mismatch(f"unknown identifier {name}")
        implicit, type_ = entry
        for variable in implicit:
            type_ = substitute(type_, variable, self.unknown())
        return type_

    def _field(self, type_: Expr, field: str) -> Expr:
        """The type of `t.field` for t of `type_`."""
        type_ = self.resolve(type_)
        head = type_ if type_ == "False" else kind(type_)
        if field.isdigit():
            numbered = _NUMBERED.get(head, ())
            if not 1 <= int(field) <= len(numbered):
                raise Mismatch(f"no field {field}")
            name = numbered[int(field) - 1]
        elif head in _NAMESPACE:
            name = f"{_NAMESPACE[head]}.{field}"
        elif head == "ne" and field == "symm":
            return ("ne", type_[2], type_[1])
        elif head == "ne" and field == "elim":
            return self._field(("not", ("eq", *type_[1:])), field)
        else:
            raise Mismatch(f"no field {field}")
        premise, conclusion = arrow(self._constant(name))
        self.unify(premise, type_)
        return self.resolve(conclusion)

    def type_of_value(self, e: Expr) -> Expr:
        """The type of an expression that is no proof: "Prop", "α", "Nat", ("imp", "α", "Prop")."""
        if isinstance(e, int):
            return "Nat"
        if isinstance(e, str):
            type_ = "Prop" if e in ("True", "False") else self.local(e)
            if type_ is None:
                raise Mismatch(f"unknown identifier {e}")
            return type_
        if e[0] in ("all", "ex"):
            variables = (*self.goal.variables, (e[1], e[2] or "α"))
            Elaborator(self.goal._replace(variables=variables)).proposition(e[3])
            return "Prop"
        if e[0] in ("eq", "ne", "add", "mul"):
            one, two = self.type_of_value(e[1]), self.type_of_value(e[2])
            number = e[0] in ("add", "mul")
            if one != two or (number and one != "Nat"):
                raise Mismatch("type mismatch")
            return one if number else "Prop"
        if e[0] in _FORMULAS:
            for part in e[1:]:
                self.proposition(part)
            return "Prop"
        if e[0] == "app":
            type_ = self.type_of_value(e[1])
            for arg in e[2:]:
                step = arrow(type_)
                if step is None or self.type_of_value(arg) != step[0]:
                    raise Mismatch("type mismatch in an application")
                type_ = step[1]
            return type_
        raise Mismatch("expected a value")

    def proposition(self, e: Expr) -> None:
        if self.type_of_value(e) != "Prop":
            raise Mismatch("expected a proposition")

    # --- terms ---

    def infer(self, e: Expr) -> Expr:
        """The type of a term."""
        if isinstance(e, str) and e != "_":
            return self._name(e)
        if kind(e) == "proj":
            return self._field(self.infer(e[1]), e[2])
        if kind(e) == "app":
            return self._application(e, None)
        if kind(e) in _FORMULAS:
            self.proposition(e)
            return "Prop"
        raise Mismatch("the type of this term is not known here")

    def check(self, e: Expr, expected: Expr) -> None:
        """Elaborates the term `e` against the type `expected`."""
        expected = self.resolve(expected)
        if e == "_":
            raise Mismatch("a placeholder is left")
        if kind(e) == "hole":
            self.left.append(self.goal.with_target(expected))
        elif kind(e) == "fun":
            self._function(e, expected)
        elif kind(e) == "anon":
            self._anonymous(e[1:], expected)
        elif kind(e) == "app":
            self._application(e, expected)
        else:
            self.unify(self.infer(e), expected)

    def _anonymous(self, parts: tuple[Expr, ...], expected: Expr) -> None:
        if expected == "True" and not parts:
            return
        if kind(expected) not in ("and", "iff", "ex") or len(parts) < 2:
            raise Mismatch("no such anonymous constructor")
        first, last = parts[0], parts[1] if len(parts) == 2 else ("anon", *parts[1:])
        if expected[0] == "ex":
            if self.type_of_value(first) != (expected[2] or "α"):
                raise Mismatch("the witness has another type")
            self.check(last, substitute(expected[3], expected[1], first))
            return
        one, two = expected[1:] if expected[0] == "and" else directions(expected)
        self.check(first, one)
        self.check(last, two)

    def _function(self, e: Expr, expected: Expr) -> None:
        _, names, body = e
        outer, goal = self.goal, self.goal
        for name in names:
            expected = self.resolve(expected)
            if kind(expected) == "all":
                _, bound, type_, body = expected
                goal, (expected,) = bind(goal, name, type_ or "α", (body,), bound)
            elif step := arrow(expected):
                goal, (expected,) = bind(goal, name, step[0], (step[1],))
            else:
                raise Mismatch("a function where none is expected")
        self.goal = goal
        try:
            self.check(body, expected)
        finally:
            self.goal = outer

    def _application(self, e: Expr, expected: Expr | None) -> Expr:
        _, head, *args = e
        type_ = self.infer(head)
        pending = []
        for arg in args:
            type_ = self.resolve(type_)
            if kind(type_) == "all":
                self._value(arg, type_[2] or "α")
                type_ = substitute(type_[3], type_[1], arg)
            elif step := arrow(type_):
                pending.append((arg, step[0]))
                type_ = step[1]
            else:
                raise Mismatch("a function is expected")
        if type_ in ("Prop", "α", "Nat") or any(p in ("α", "Nat") for _, p in pending):
            self.type_of_value(e)  # a value, such as P a, and no proof
            pending = []
        if expected is not None:
            self.unify(type_, expected)
        late = []  # arguments that need a type which other arguments determine
        for arg, premise in pending:
            if kind(arg) in ("fun", "anon") and is_open(self.resolve(premise)):
                late.append((arg, premise))
            else:
                self.check(arg, premise)
        for arg, premise in late:
            self.check(arg, premise)
        return self.resolve(type_)

    def _value(self, arg: Expr, type_: Expr) -> None:
        actual = self.type_of_value(arg)
        function = kind(actual) == "imp" and actual[1] in ("α", "Nat")
        if not (actual == type_ or (type_ == "Function" and function)):
            raise Mismatch("an argument has another type")


def elaborate(goal: Goal, term: Expr, expected: Expr, holes: bool = False) -> tuple[Goal, ...]:
    """Checks `term` against `expected`. Returns the goals that its `?_` leave; without `holes`
    they are refused. Raises Mismatch."""
    elaborator = Elaborator(goal)
    elaborator.check(term, expected)
    left = tuple(g.with_target(elaborator.resolve(g.target)) for g in elaborator.left)
    if (left and not holes) or any(is_open(g.target) for g in left):
        raise Mismatch("a placeholder is left")
    check_solved(elaborator)
    return left


def infer(goal: Goal, term: Expr) -> Expr:
    """The type of `term`. Raises Mismatch."""
    elaborator = Elaborator(goal)
    type_ = elaborator.resolve(elaborator.infer(term))
    if elaborator.left or is_open(type_):
        raise Mismatch("an implicit argument stays unknown")
    check_solved(elaborator)
    return type_


def check_solved(elaborator: Elaborator) -> None:
    """Lean refuses a term with an implicit argument that stays unknown."""
    for number in range(next(elaborator.count)):
        if is_open(elaborator.resolve(("?", number))):
            raise Mismatch("an implicit argument stays unknown")


def bind(
    goal: Goal, name: str, type_: Expr, formulas: tuple[Expr, ...] = (), bound: str | None = None
) -> tuple[Goal, tuple[Expr, ...]]:
    """(`goal` with `name` added, `formulas` for it). An older `name` gets a dagger, as in Lean.

    `bound` is the variable of `formulas` that `name` stands for. Raises Mismatch for `rfl`.
    """
    if name == "rfl":
        raise Mismatch("`rfl` is a pattern, no name")
    old, fresh = name, f"{name}✝"
    taken = {n for n, _ in (*goal.variables, *goal.hypotheses)}
    if name == "_":
        name = old = "h✝"
    if old in taken:
        while fresh in taken:
            fresh += "✝"
        goal, type_ = renamed(goal, old, fresh), substitute(type_, old, fresh)
        if bound != old:
            formulas = tuple(substitute(f, old, fresh) for f in formulas)
    if bound is not None and bound != name:
        formulas = tuple(substitute(f, bound, name) for f in formulas)
    if bound is None and is_formula(type_):
        return goal.assuming((name, type_)), formulas
    return goal._replace(variables=(*goal.variables, (name, type_))), formulas


def renamed(goal: Goal, old: str, new: str) -> Goal:
    """`goal` with the variable or hypothesis `old` called `new`."""
    return Goal(
        tuple((new if n == old else n, t) for n, t in goal.variables),
        tuple((new if n == old else n, substitute(f, old, new)) for n, f in goal.hypotheses),
        substitute(goal.target, old, new),
    )


def _numeric(e: Expr) -> bool:
    return isinstance(e, int) or kind(e) in ("add", "mul")


def is_open(e: Expr) -> bool:
    """Whether an unknown occurs in `e`."""
    return isinstance(e, tuple) and (e[0] == "?" or any(is_open(part) for part in e[1:]))


def _occurs(x: Expr, e: Expr) -> bool:
    return x == e or (isinstance(e, tuple) and any(_occurs(x, part) for part in e[1:]))
