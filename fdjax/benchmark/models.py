"""Small models, which refute statements before any search for a proof."""

import functools

from fdjax.benchmark.formulas import Expr, Goal, directions, substitute

# A table has a row per model over a domain of two elements, 0 and 1, and a column per proposition,
# value of a predicate or function, and element. A column, and so the value of any formula or
# element, is an integer: bit i is its truth, or which of the two elements it is, in model i.
_SMALL = ("p", "q", "r", "s", "t")
_LARGE = ("p", "q", "P0", "P1", "Q0", "Q1", "f0", "f1", "a", "b", "c", "x", "y")


def _columns(names: tuple[str, ...]) -> tuple[dict[str, int], int]:
    """(name -> column, the column of truth)."""
    rows = 1 << len(names)
    everything = (1 << rows) - 1
    columns = {}
    for i, name in enumerate(names):
        block = 1 << i
        columns[name] = everything // ((1 << (2 * block)) - 1) * ((1 << block) - 1) << block
    columns["True"], columns["False"] = everything, 0
    return columns, everything


_TABLES = (_columns(_SMALL), _columns(_LARGE))


@functools.lru_cache(maxsize=1 << 16)
def _models(e: Expr, table: int) -> int:
    """The models of `e` as bits. Raises KeyError or TypeError for what the table cannot express."""
    columns, everything = _TABLES[table]
    if isinstance(e, str):
        return columns[e]
    kind = e[0]
    if kind in ("all", "ex"):
        at_0 = _models(substitute(e[3], e[1], "False"), table)
        at_1 = _models(substitute(e[3], e[1], "True"), table)
        return at_0 & at_1 if kind == "all" else at_0 | at_1
    if kind == "not":
        return everything ^ _models(e[1], table)
    if kind == "app":
        value = _models(e[2], table)
        return columns[f"{e[1]}0"] & ~value | columns[f"{e[1]}1"] & value
    if kind in ("add", "mul"):
        raise KeyError(kind)
    a, b = _models(e[1], table), _models(e[2], table)
    if kind in ("and", "or"):
        return a & b if kind == "and" else a | b
    if kind == "imp":
        return (everything ^ a) | b
    return a ^ b if kind == "ne" else everything ^ a ^ b  # iff, eq


@functools.lru_cache(maxsize=1 << 16)
def _forced(e: Expr) -> tuple[int, int]:
    """The Kripke models of two worlds, root below top, whose (root, top) forces `e`, as bits."""
    if isinstance(e, str):
        columns, everything = _WORLDS
        if e in ("True", "False"):
            return columns[e], columns[e]
        return columns[e + "0"] & columns[e + "1"], columns[e + "1"]
    kind = e[0]
    if kind == "not":
        return _forced(("imp", e[1], "False"))
    if kind == "iff":
        (a0, a1), (b0, b1) = (_forced(direction) for direction in directions(e))
        return a0 & b0, a1 & b1
    (a0, a1), (b0, b1) = _forced(e[1]), _forced(e[2])
    if kind == "and":
        return a0 & b0, a1 & b1
    if kind == "or":
        return a0 | b0, a1 | b1
    if kind != "imp":
        raise KeyError(kind)
    everything = _WORLDS[1]
    top = (everything ^ a1) | b1
    return top & ((everything ^ a0) | b0), top


_WORLDS = _columns(tuple(f"{p}{world}" for p in "pqrs" for world in "01"))


def counterexample(goal: Goal, classical: bool = True) -> bool:
    """Whether a small model refutes `goal`: one over two elements or, for propositions without
    classical logic, one of two worlds. False if the tables cannot express the goal.
    """
    propositional = goal.variables and goal.variables[0][1] == "Prop"
    table = 0 if propositional else 1
    try:
        if propositional and not classical:
            bits = _WORLDS[1] ^ _forced(goal.target)[0]
            for _, formula in goal.hypotheses:
                bits &= _forced(formula)[0]
            return bits != 0
        bits = _TABLES[table][1] ^ _models(goal.target, table)
        for _, formula in goal.hypotheses:
            if not bits:
                break
            bits &= _models(formula, table)
    except (KeyError, TypeError):
        return False
    return bits != 0


def consistent(hypotheses: tuple[tuple[str, Expr], ...]) -> bool:
    """Whether an assignment of truth values satisfies all hypotheses; False with predicates, too,
    which are not in this table."""
    return counterexample(Goal((("p", "Prop"),), hypotheses, "False"))
