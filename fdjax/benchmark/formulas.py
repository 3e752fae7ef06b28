"""Expressions of a small part of Lean: syntax trees, the parser and the printer.

An expression is a name (str), a numeral (int) or a tuple whose first entry is its kind:
("and" | "or" | "imp" | "iff" | "eq" | "ne" | "add" | "mul", left, right), ("not", a),
("all" | "ex", variable, type or None, body), ("app", function, arg, ...). Proof terms may also be
("fun", names, body), ("anon", part, ...), ("proj", term, field) and ("hole",).
They are plain tuples because the search builds, compares and hashes millions of them.
"""

import itertools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

Expr = str | int | tuple

# symbol: (kind, precedence, minimum precedence of the left side, of the right side), as in Lean.
INFIX = {
    "↔": ("iff", 20, 21, 21),
    "→": ("imp", 25, 26, 25),
    "∨": ("or", 30, 31, 30),
    "∧": ("and", 35, 36, 35),
    "=": ("eq", 50, 51, 51),
    "≠": ("ne", 50, 51, 51),
    "+": ("add", 65, 65, 66),
    "*": ("mul", 70, 70, 71),
}
_SYMBOL = {kind: (symbol, *rest) for symbol, (kind, *rest) in INFIX.items()}
_MAX = 1024


class Goal(NamedTuple):
    """`variables` are (name, type), `hypotheses` are (name, formula); `target` is to be proved."""

    variables: tuple[tuple[str, Expr], ...]
    hypotheses: tuple[tuple[str, Expr], ...]
    target: Expr

    def with_target(self, target: Expr) -> "Goal":
        return Goal(self.variables, self.hypotheses, target)

    def assuming(self, *hypotheses: tuple[str, Expr]) -> "Goal":
        return Goal(self.variables, (*self.hypotheses, *hypotheses), self.target)

    def without(self, name: str) -> "Goal":
        return self._replace(hypotheses=tuple(h for h in self.hypotheses if h[0] != name))


def kind(e: Expr) -> str | None:
    """The kind of a compound expression; None for a name or a numeral."""
    return e[0] if isinstance(e, tuple) else None


def arrow(e: Expr) -> tuple[Expr, Expr] | None:
    """(premise, conclusion) of `a → b`, `¬a` or `a ≠ b`, else None. Lean unfolds the latter two."""
    if not isinstance(e, tuple):
        return None
    if e[0] == "imp":
        return e[1], e[2]
    if e[0] == "not":
        return e[1], "False"
    return (("eq", e[1], e[2]), "False") if e[0] == "ne" else None


def directions(e: Expr) -> tuple[Expr, Expr]:
    """(a → b, b → a) of `a ↔ b`."""
    return ("imp", e[1], e[2]), ("imp", e[2], e[1])


# --- Text -----------------------------------------------------------------------------------


def render(e: Expr, min_precedence: int = 0) -> str:
    """Lean's text of a formula, in parentheses if its precedence is below `min_precedence`."""
    if not isinstance(e, tuple):
        return str(e)
    if e[0] in _SYMBOL:
        symbol, precedence, left, right = _SYMBOL[e[0]]
        text = f"{render(e[1], left)} {symbol} {render(e[2], right)}"
    elif e[0] == "not":
        return f"¬{render(e[1], 40)}"
    elif e[0] in ("all", "ex"):
        binder = e[1] if e[2] is None else f"{e[1]} : {render(e[2])}"
        text, precedence = f"{'∀' if e[0] == 'all' else '∃'} {binder}, {render(e[3])}", 25
    else:
        text, precedence = " ".join(render(part, _MAX) for part in e[1:]), 1023
    return f"({text})" if precedence < min_precedence else text


class ParseError(ValueError):
    """`position` is an offset into the parsed text, in characters."""

    def __init__(self, position: int, reason: str):
        super().__init__(reason)
        self.position = position


_TOKEN = re.compile(
    r"\s*(?:(?P<name>[^\W\d][\w']*(?:\.[^\W\d][\w']*)*)|(?P<num>\d+)|(?P<field>\.(?:[1-9]\d*|[^\W\d][\w']*))"
    r"|(?P<op>:=|=>|(?P<hole>\?[^\W\d]\w*)|[∧∨→↔=≠+*¬∀∃(),⟨⟩:↦|\[\]←;]))"
)
_WORDS = frozenset(["fun", "with", "at", "by", "from", "then", "else", "if", "let", "have", "show"])


class Parser:
    """A Pratt parser over the tokens of one text, used for formulas, terms and tactics."""

    def __init__(self, text: str):
        self.text = text
        self.tokens: list[tuple[str, str, int]] = []  # (kind, text, position)
        position, end = 0, len(text.rstrip())
        while position < end:
            match = _TOKEN.match(text, position)
            if match is None:
                start = position + len(text[position:]) - len(text[position:].lstrip())
                raise ParseError(start, f"unexpected {text[start]!r}")
            kind = "hole" if match["hole"] else match.lastgroup
            value, start = match[kind], match.start(kind)
            kind = "op" if value in _WORDS else kind
            if kind == "field" and (start == 0 or text[start - 1].isspace()):
                raise ParseError(start, f"unexpected {value!r}")
            self.tokens.append((kind, value, start))
            position = match.end()
        self.tokens.append(("end", "", end))
        self.index = 0

    @property
    def peek(self) -> str:
        kind, value, _ = self.tokens[self.index]
        return value if kind == "op" else f"<{kind}>"

    def next(self) -> str:
        self.index += 1
        return self.tokens[self.index - 1][1]

    def accept(self, *values: str) -> bool:
        if self.peek in values:
            self.index += 1
            return True
        return False

    def expect(self, *values: str) -> str:
        if self.peek not in values:
            raise self.error(f"expected {' or '.join(values)}")
        return self.next()

    def finish(self, what: str) -> None:
        if self.peek != "<end>":
            raise self.error(f"unexpected text after the {what}")

    def error(self, reason: str) -> ParseError:
        return ParseError(self.tokens[self.index][2], reason)

    def names(self) -> list[str]:
        """One name or more."""
        names = [self.expect("<name>")]
        while self.peek == "<name>":
            names.append(self.next())
        return names

    def separated(self, item: Callable[[], Any]) -> list:
        """One `item` or more, with commas between them."""
        items = [item()]
        while self.accept(","):
            items.append(item())
        return items

    def bracketed(self, item: Callable[[], Any]) -> list:
        """What follows `⟨`: items with commas between them, perhaps none, and `⟩`."""
        items = [] if self.peek == "⟩" else self.separated(item)
        self.expect("⟩")
        return items

    def expression(self, min_precedence: int = 0) -> Expr:
        left = self._prefix()
        while self.peek in INFIX:
            kind, precedence, low_left, low_right = INFIX[self.peek]
            if precedence < min_precedence or self._level < low_left:
                break
            self.next()
            left = (kind, left, self.expression(low_right))
            self._level = precedence
        return left

    def _prefix(self) -> Expr:
        if self.accept("¬"):
            e = ("not", self.expression(40))
            self._level = _MAX
            return e
        if self.peek in ("∀", "∃"):
            kind = "all" if self.next() == "∀" else "ex"
            bracket = self.accept("(")
            names = self.names()
            type_ = self.expression() if self.accept(":") else None
            if bracket:
                self.expect(")")
            self.expect(",")
            body = self.expression()
            for name in reversed(names):
                body = (kind, name, type_, body)
            self._level = 0
            return body
        if self.accept("fun"):
            names = self.names()
            self.expect("=>", "↦")
            e = ("fun", tuple(names), self.expression())
            self._level = 0
            return e
        head = self._atom()
        if head is None:
            raise self.error("expected a term")
        args = []
        while (arg := self._atom()) is not None:
            args.append(arg)
        if self.peek == "fun":  # a trailing `fun` needs no parentheses
            args.append(self._prefix())
            self._level = 0
            return ("app", head, *args)
        self._level = 1023 if args else _MAX
        return ("app", head, *args) if args else head

    def _atom(self) -> Expr | None:
        if self.peek == "<name>":
            e = self.next()
        elif self.peek == "<num>":
            e = int(self.next())
        elif self.accept("<hole>"):
            e = ("hole",)
        elif self.accept("("):
            e = self.expression()
            self.expect(")")
        elif self.accept("⟨"):
            e = ("anon", *self.bracketed(self.expression))
        else:
            return None
        while self.peek == "<field>":
            e = ("proj", e, self.next()[1:])
        return e


def parse(text: str) -> Expr:
    """The whole of `text` as one expression. Raises ParseError."""
    parser = Parser(text)
    e = parser.expression()
    parser.finish("expression")
    return e


def parse_signature(signature: str) -> Goal:
    """The initial goal of "(p q : Prop) (h1 : p ∧ q) : q". Raises ParseError."""
    parser = Parser(signature)
    variables, hypotheses = [], []
    while parser.accept("("):
        names = parser.names()
        parser.expect(":")
        type_ = parser.expression()
        parser.expect(")")
        binders = hypotheses if is_formula(type_) else variables
        binders.extend((name, type_) for name in names)
    parser.expect(":")
    target = parser.expression()
    parser.finish("statement")
    return Goal(tuple(variables), tuple(hypotheses), target)


def is_formula(type_: Expr) -> bool:
    """Whether `type_` is that of a hypothesis, and not Prop, Type, α, Nat, α → Prop ..."""
    while kind(type_) == "imp" and not is_formula(type_[1]):
        type_ = type_[2]
    return type_ not in ("Prop", "Type", "α", "Nat")


def signature_text(goal: Goal) -> str:
    """Binders and type as they follow a theorem's name; neighbours of one type share a binder."""
    shared = itertools.groupby(goal.variables, key=lambda variable: variable[1])
    binders = [(" ".join(name for name, _ in group), type_) for type_, group in shared]
    binders.extend(goal.hypotheses)
    text = "".join(f"({names} : {render(type_)}) " for names, type_ in binders)
    return f"{text}: {render(goal.target)}"


def goal_text(goal: Goal) -> str:
    """The goal as Lean prints it, without the declarations of variables: what prompts show."""
    lines = [f"{name} : {render(formula)}" for name, formula in goal.hypotheses]
    return "\n".join([*lines, f"⊢ {render(goal.target)}"])


# --- Names and numbers ---------------------------------------------------------------------


def substitute(e: Expr, name: str, value: Expr) -> Expr:
    """`e` with `value` in place of the free variable `name`."""
    if e == name:
        return value
    if not isinstance(e, tuple):
        return e
    if e[0] in ("all", "ex"):
        if e[1] == name:
            return e
        bound, body = e[1], e[3]
        if bound in names_in(value):  # rename it, so that it captures nothing
            bound, body = f"{bound}'", substitute(body, bound, f"{bound}'")
        return (e[0], bound, e[2], substitute(body, name, value))
    return (e[0], *(substitute(part, name, value) for part in e[1:]))


def names_in(*expressions: Expr) -> set[str]:
    """The free names of all `expressions`."""
    names: set[str] = set()
    for e in expressions:
        if isinstance(e, str):
            names.add(e)
        elif isinstance(e, tuple):
            bound = e[0] in ("all", "ex")
            names |= names_in(e[3]) - {e[1]} if bound else names_in(*e[1:])
    return names


def nat_normal(e: Expr) -> Expr:
    """Normal form by the defining equations of + and *, which hold by computation."""
    if kind(e) not in ("add", "mul"):
        return e
    a, b = nat_normal(e[1]), nat_normal(e[2])
    if isinstance(a, int) and isinstance(b, int):
        return a + b if e[0] == "add" else a * b
    successor = kind(b) == "add" and isinstance(b[2], int)  # b is m + 1 or the like
    if e[0] == "add":
        if b == 0:
            return a
        if isinstance(b, int) and kind(a) == "add" and isinstance(a[2], int):
            return ("add", a[1], a[2] + b)
        return nat_normal(("add", ("add", a, b[1]), b[2])) if successor else ("add", a, b)
    if isinstance(b, int):
        return 0 if b == 0 else nat_normal(("add", ("mul", a, b - 1), a))
    if successor:
        return nat_normal(("add", ("mul", a, ("add", b[1], b[2] - 1)), a))
    return ("mul", a, b)
