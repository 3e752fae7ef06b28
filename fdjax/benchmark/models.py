"""Small models, to throw away what is not valid before any proof is looked for."""

import functools

from fdjax.benchmark.formulas import Expr, Goal, substitute

# Formulas are judged in every model over a domain of two elements: a column per proposition,
# predicate at 0 and at 1, function at 0 and at 1, and element; a row per model. A formula is the
# integer whose bits say in which models it holds, an element the one that says where it is 1.
_SMALL = ("p", "q", "r", "s", "t")
_LARGE = ("p", "q", "P0", "P1", "Q0", "Q1", "f0", "f1", "a", "b", "c", "x", "y")


def _columns(names: tuple[str, ...]) -> tuple[dict[str, int], int]:
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
    """The models of `e` as bits. Raises KeyError for what the table has no column for."""
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
    if kind == "and":
        return a & b
    if kind == "or":
        return a | b
    if kind == "imp":
        return (everything ^ a) | b
    if kind == "ne":
        return a ^ b
    return everything ^ a ^ b  # iff, eq


@functools.lru_cache(maxsize=1 << 16)
def _forced(e: Expr) -> tuple[int, int]:
    """Kripke models of two worlds, root below top: bits of those whose (root, top) forces `e`."""
    if isinstance(e, str):
        columns, everything = _WORLDS
        if e in ("True", "False"):
            return columns[e], columns[e]
        return columns[e + "0"] & columns[e + "1"], columns[e + "1"]
    kind = e[0]
    if kind == "not":
        return _forced(("imp", e[1], "False"))
    (a0, a1), (b0, b1) = _forced(e[1]), _forced(e[2])
    if kind == "and":
        return a0 & b0, a1 & b1
    if kind == "or":
        return a0 | b0, a1 | b1
    everything = _WORLDS[1]
    top = (everything ^ a1) | b1
    root = top & ((everything ^ a0) | b0)
    if kind == "imp":
        return root, top
    if kind != "iff":
        raise KeyError(kind)
    top &= (everything ^ b1) | a1
    return root & top & ((everything ^ b0) | a0), top


_WORLDS = _columns(tuple(f"{p}{world}" for p in "pqrs" for world in "01"))


def counterexample(goal: Goal, classical: bool = True) -> bool:
    """Does a small model refute `goal`: two elements, or for propositions without classical
    logic two worlds? False where the tables cannot say.
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
    """Do the hypotheses hold together in some model over two elements?"""
    return counterexample(Goal((("p", "Prop"),), hypotheses, "False"))
