"""The text of an optimized program: computations, each of operations, and how often loops run.

Arrays in memory space 0 are in HBM, others, S(1) and so on, on the chip.
"""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple


class Op(NamedTuple):
    name: str
    kind: str
    result: str  # its shape
    inside: str  # what stands in the parentheses
    attributes: str
    is_root: bool

    @property
    def operands(self) -> list[str]:
        return re.findall(r"%([\w.\-]+)", self.inside)


class Array(NamedTuple):
    dims: tuple[int, ...]
    size: int  # bytes, without the padding of tiles
    in_hbm: bool


Program = dict[str, dict[str, Op]]  # computations, each its operations by name

WIDTHS = {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "bf16": 2, "f16": 2}
WIDTHS |= {"s32": 4, "u32": 4, "f32": 4, "s64": 8, "u64": 8, "f64": 8}
COLLECTIVES = {  # and their fields of Cost
    "all-reduce": "all_reduce",
    "all-gather": "all_gather",
    "reduce-scatter": "reduce_scatter",
    "all-to-all": "all_to_all",
    "collective-permute": "permute",
}


def parse(text: str) -> Program:
    """-> also the computation that all begins with, as "ENTRY"."""
    program: Program = {}
    ops: dict[str, Op] = {}
    for line in text.splitlines():
        if head := re.match(r"(ENTRY )?%?([\w.\-]+) \(.*\{$", line):
            ops = program[head[2]] = {}
            if head[1]:
                program["ENTRY"] = ops
        elif found := re.match(r"\s+(ROOT )?%?([\w.\-]+) = (.*)", line):
            is_tuple = found[3].startswith("(")
            result, rest = _balanced(found[3]) if is_tuple else found[3].split(" ", 1)
            kind, rest = rest.strip().split("(", 1)
            inside, attributes = _balanced("(" + rest)
            ops[found[2]] = Op(found[2], kind, result, inside, attributes, bool(found[1]))
    return program


def _balanced(text):
    """Splits behind the parenthesis that closes the first one."""
    depth = 0
    for at, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if not depth:
            return text[: at + 1], text[at + 1 :]
    raise ValueError(f"a parenthesis is open: {text[:80]}")


def arrays(shape: str) -> list[Array]:
    found = re.findall(r"([a-z]\w*)\[([\d,]*)\](\{[^}]*\})?", shape)
    result = []
    for dtype, dims, layout in found:
        dims = tuple(int(x) for x in dims.split(",") if x)
        size = math.prod(dims) * WIDTHS.get(dtype, 4)
        result.append(Array(dims, size, not re.search(r"S\([1-9]\d*\)", layout)))
    return result


def called(op: Op, role: str = "calls|body|condition|branch_computations") -> list[str]:
    """The computations that an operation runs, not those that a reduction adds with."""
    found = re.findall(rf"\b(?:{role})=(\{{[^}}]*\}}|%[\w.\-]+)", op.attributes)
    return [name for text in found for name in re.findall(r"%([\w.\-]+)", text)]


def main_loop(program: Program) -> Op:
    """The loop of the entry with the longest body."""
    loops = [op for op in program["ENTRY"].values() if op.kind == "while"]
    return max(loops, key=lambda op: len(program[called(op, "body")[0]]))


def everything(program: Program, name: str) -> Iterator[Op]:
    """The operations of a computation and of those that it runs."""
    for op in program[name].values():
        yield op
        for other in called(op):
            yield from everything(program, other)


def largest_moved(program: Program) -> int:
    """Bytes of the largest array in a collective of the loop; 0: it has none."""
    ops = everything(program, called(main_loop(program), "body")[0])
    sizes = [x.size for op in ops if is_collective(op) for x in arrays(op.result)]
    return max(sizes, default=0)


def is_collective(op):
    return op.kind.removesuffix("-start") in COLLECTIVES


# --- Loops ---------------------------------------------------------------------------------------


def trips(program, ops, loop):
    """How often a loop runs at most: its condition compares with a constant, maybe one that it
    carries, beside whatever else may end it.
    """
    if known := re.search(r"known_trip_count\W+n\W+(\d+)", loop.attributes):
        return int(known[1])
    condition = program[called(loop, "condition")[0]]
    compare = next(
        op for op in everything(program, called(loop, "condition")[0]) if op.kind == "compare"
    )
    if "direction=LT" in compare.attributes:
        for name in condition:
            if (value := _constant(ops, loop, condition, name)) is not None:
                return math.ceil(value / _step(program, loop, condition, compare))
        for fused in (program[name] for op in condition.values() for name in called(op)):
            for op in fused.values():
                if op.kind == "compare" and fused[op.operands[-1]].kind == "constant":
                    return int(fused[op.operands[-1]].inside.strip("()"))
    raise ValueError(f"how often does this loop run? {loop.name}")


def _constant(ops, loop, condition, name):
    op = condition[name]
    if op.kind == "get-tuple-element" and (found := re.search(r"index=(\d+)", op.attributes)):
        op = ops[ops[loop.operands[0]].operands[int(found[1])]]
        while op.kind == "copy":
            op = ops[op.operands[0]]
    if op.kind == "constant" and op.result.startswith(("s32[]", "u32[]")) and op.inside != "(0)":
        return int(op.inside.strip("()"))
    return None


def _step(program, loop, condition, compare):
    """What a turn of the loop adds to its counter: unrolled loops add 2 or more."""
    counter = condition.get(compare.operands[0])
    found = re.search(r"index=(\d+)", counter.attributes) if counter else None
    if found is None:
        return 1
    body = program[called(loop, "body")[0]]
    root = next(op for op in body.values() if op.is_root)
    following = body[root.operands[int(found[1])]]
    added = [body[name].inside for name in following.operands if body[name].kind == "constant"]
    return int(added[0].strip("()")) if following.kind == "add" and added else 1
