"""Expressions of a small part of Lean: syntax trees, text to tree and back.

An expression is a name (str), a numeral (int) or a tuple whose first entry says what it is:
("and" | "or" | "imp" | "iff" | "eq" | "ne" | "add" | "mul", left, right), ("not", a),
("all" | "ex", variable, type or None, body), ("app", function, arg, ...), and in proofs also
("fun", names, body), ("anon", part, ...), ("proj", term, field) and ("hole",).
Plain tuples because millions of them are made, compared and hashed.
"""

import re
from typing import NamedTuple

Expr = str | int | tuple

# symbol: (kind, precedence, least precedence of the left side, of the right side), as in Lean.
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
    """What is to be proved: `variables` are (name, type), `hypotheses` (name, formula)."""

    variables: tuple[tuple[str, Expr], ...]
    hypotheses: tuple[tuple[str, Expr], ...]
    target: Expr


# --- Text -----------------------------------------------------------------------------------


def render(e: Expr, least: int = 0) -> str:
    """Lean's text of `e`, in parentheses where its precedence is below `least`."""
    if not isinstance(e, tuple):
        return str(e)
    kind = e[0]
    if kind in _SYMBOL:
        symbol, precedence, left, right = _SYMBOL[kind]
        text = f"{render(e[1], left)} {symbol} {render(e[2], right)}"
    elif kind == "not":
        return f"¬{render(e[1], 40)}"
    elif kind in ("all", "ex"):
        symbol = "∀" if kind == "all" else "∃"
        binder = e[1] if e[2] is None else f"{e[1]} : {render(e[2])}"
        text, precedence = f"{symbol} {binder}, {render(e[3])}", 25
    elif kind == "app":
        text, precedence = " ".join(render(part, _MAX) for part in e[1:]), 1023
    elif kind == "fun":
        text, precedence = f"fun {' '.join(e[1])} => {render(e[2])}", 0
    elif kind == "anon":
        return f"⟨{', '.join(render(part) for part in e[1:])}⟩"
    elif kind == "proj":
        return f"{render(e[1], _MAX)}.{e[2]}"
    else:
        return "_"
    return f"({text})" if precedence < least else text


class ParseError(ValueError):
    """`position` counts characters from the start of the text given to the parser."""

    def __init__(self, position: int, reason: str):
        super().__init__(reason)
        self.position = position


_TOKEN = re.compile(
    r"\s*(?:(?P<name>[^\W\d][\w']*(?:\.[^\W\d][\w']*)*)|(?P<num>\d+)|(?P<field>\.(?:[1-9]\d*|[^\W\d][\w']*))"
    r"|(?P<op>:=|=>|(?P<hole>\?[^\W\d]\w*)|[∧∨→↔=≠+*¬∀∃(),⟨⟩:↦|\[\]←;]))"
)
_WORDS = frozenset(["fun", "with", "at", "by", "from", "then", "else", "if", "let", "have", "show"])


class Parser:
    """A Pratt parser over the tokens of one text; used by the tactics' parser too."""

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

    @property
    def position(self) -> int:
        return self.tokens[self.index][2]

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

    def error(self, reason: str) -> ParseError:
        return ParseError(self.position, reason)

    def expression(self, least: int = 0) -> Expr:
        left = self._prefix(least)
        while self.peek in INFIX:
            kind, precedence, low_left, low_right = INFIX[self.peek]
            if precedence < least or self._level < low_left:
                break
            self.next()
            left = (kind, left, self.expression(low_right))
            self._level = precedence
        return left

    def _prefix(self, least: int) -> Expr:
        if self.accept("¬"):
            e = ("not", self.expression(40))
            self._level = _MAX
            return e
        if self.peek in ("∀", "∃"):
            kind = "all" if self.next() == "∀" else "ex"
            bracket = self.accept("(")
            names = [self.expect("<name>")]
            while self.peek == "<name>":
                names.append(self.next())
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
            names = [self.expect("<name>")]
            while self.peek == "<name>":
                names.append(self.next())
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
        if self.peek == "fun" and args is not None:  # a trailing `fun` needs no parentheses
            args.append(self._prefix(0))
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
            parts = []
            if not self.accept("⟩"):
                parts.append(self.expression())
                while self.accept(","):
                    parts.append(self.expression())
                self.expect("⟩")
            e = ("anon", *parts)
        else:
            return None
        while self.peek == "<field>":
            e = ("proj", e, self.next()[1:])
        return e


def parse(text: str) -> Expr:
    """The whole of `text` as one expression. Raises ParseError."""
    parser = Parser(text)
    e = parser.expression()
    if parser.peek != "<end>":
        raise parser.error("unexpected text after the expression")
    return e


def parse_signature(signature: str) -> Goal:
    """The initial goal of "(p q : Prop) (h1 : p ∧ q) : q". Raises ParseError."""
    parser = Parser(signature)
    variables, hypotheses = [], []
    while parser.accept("("):
        names = [parser.expect("<name>")]
        while parser.peek == "<name>":
            names.append(parser.next())
        parser.expect(":")
        type_ = parser.expression()
        parser.expect(")")
        formula = is_formula(type_)
        (hypotheses if formula else variables).extend((name, type_) for name in names)
    parser.expect(":")
    target = parser.expression()
    if parser.peek != "<end>":
        raise parser.error("unexpected text after the statement")
    return Goal(tuple(variables), tuple(hypotheses), target)


def is_formula(type_: Expr) -> bool:
    """Is this the type of a hypothesis (and not Prop, Type, α, Nat, α → Prop ...)?"""
    while isinstance(type_, tuple) and type_[0] == "imp" and not is_formula(type_[1]):
        type_ = type_[2]
    return type_ not in ("Prop", "Type", "α", "Nat")


def signature_text(goal: Goal) -> str:
    """Binders and type as they follow a theorem's name; neighbours of one type share one."""
    groups: list[tuple[list[str], Expr]] = []
    for name, type_ in goal.variables:
        if groups and groups[-1][1] == type_:
            groups[-1][0].append(name)
        else:
            groups.append(([name], type_))
    groups.extend(([name], formula) for name, formula in goal.hypotheses)
    binders = "".join(f"({' '.join(names)} : {render(type_)}) " for names, type_ in groups)
    return f"{binders}: {render(goal.target)}"


def goal_text(goal: Goal) -> str:
    """The goal as a model sees it: as Lean prints it, without the variables' declarations."""
    lines = [f"{name} : {render(formula)}" for name, formula in goal.hypotheses]
    return "\n".join([*lines, f"⊢ {render(goal.target)}"])


# --- Names ---------------------------------------------------------------------------------


def substitute(e: Expr, name: str, value: Expr) -> Expr:
    """`e` with `value` for the free variable `name`."""
    if e == name:
        return value
    if not isinstance(e, tuple):
        return e
    if e[0] in ("all", "ex"):
        if e[1] == name:
            return e
        bound, body = e[1], e[3]
        if bound == value or (isinstance(value, tuple) and bound in names_in(value)):
            bound, body = f"{bound}'", substitute(body, bound, f"{bound}'")  # no capture
        return (e[0], bound, e[2], substitute(body, name, value))
    return (e[0], *(substitute(part, name, value) for part in e[1:]))


def names_in(e: Expr) -> set[str]:
    """Free names."""
    if isinstance(e, str):
        return {e}
    if not isinstance(e, tuple):
        return set()
    if e[0] in ("all", "ex"):
        return names_in(e[3]) - {e[1]}
    return set().union(*(names_in(part) for part in e[1:]))
