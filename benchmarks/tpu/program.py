"""What an optimized program costs a chip, from its text: one line per operation.

Arrays in memory space 0 are in HBM, others, S(1) and so on, on the chip. What a fusion has inside
stays on the chip. `cost_analysis()` does not do: it counts the body of a loop once.
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


class Cost(NamedTuple):
    """Of one chip."""

    hbm: float = 0.0  # bytes read and written
    ici: float = 0.0  # bytes sent
    flops: float = 0.0  # of matrix products

    def plus(self, other: "Cost", times: float = 1.0) -> "Cost":
        return Cost(*(a + times * b for a, b in zip(self, other)))


Program = dict[str, dict[str, Op]]  # computations, each its operations by name

WIDTHS = {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "bf16": 2, "f16": 2}
WIDTHS |= {"s32": 4, "u32": 4, "f32": 4, "s64": 8, "u64": 8, "f64": 8}
COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
FREE = {"parameter", "constant", "get-tuple-element", "tuple", "bitcast", "iota", "partition-id"}
IN_PLACE = ("dynamic-update-slice", "scatter")  # of operand 0


# --- Reading -------------------------------------------------------------------------------------


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
    sizes = [x.size for op in ops if _is_collective(op) for x in arrays(op.result)]
    return max(sizes, default=0)


def _is_collective(op):
    return op.kind.removesuffix("-start") in COLLECTIVES


# --- Costs ---------------------------------------------------------------------------------------


def decode_costs(program: Program, steps: int) -> tuple[Cost, Cost]:
    """(of a token of all slots, a token's share of what a chunk of `steps` does besides)"""
    loop = main_loop(program)
    token = Cost()
    for name in called(loop, "body|condition"):
        token = token.plus(cost(program, name))
    return token, Cost().plus(cost(program, "ENTRY", leave_out=loop.name), 1 / steps)


def cost(program: Program, name: str, leave_out: str = "") -> Cost:
    """Of a computation; of a conditional the dearest branch."""
    total = Cost()
    for op in program[name].values():
        if op.name == leave_out or op.kind in FREE or op.kind.endswith("-done"):
            continue
        inside = [cost(program, other) for other in called(op)]
        if op.kind == "while":
            for part in inside:
                total = total.plus(part, _trips(program, program[name], op))
        elif op.kind == "conditional":
            total = total.plus(Cost(*map(max, zip(*inside))))
        elif op.kind == "call":
            total = total.plus(inside[0])
        else:
            for part in inside:  # of a fusion
                total = total.plus(part._replace(hbm=0.0))
            hbm = _traffic(program, program[name], op)
            total = total.plus(Cost(hbm, _sent(op), _products(program[name], op)))
    return total


def _traffic(program, ops, op):
    """Bytes of HBM."""
    results = arrays(op.result)
    if op.kind in ("copy-start", "slice-start"):  # as much is read as is written
        to, source = results[:2] if op.kind == "copy-start" else results[1::-1]
        return to.size * (to.in_hbm + source.in_hbm)
    read = sum(
        _read(program, op, place, array)
        for place, operand in enumerate(op.operands)
        if operand in ops and not ops[operand].result.startswith("(")
        for array in arrays(ops[operand].result)
    )
    return read + _written(program, ops, op)


def _read(program, op, place, array):
    """Bytes of HBM that an operation reads of its operand at `place`."""
    if not array.in_hbm or (op.kind in IN_PLACE and place == 0):
        return 0
    if op.kind in ("slice", "dynamic-slice", "gather") and place == 0:
        return min(array.size, sum(x.size for x in arrays(op.result)))
    if op.kind == "fusion":
        inner = program[called(op)[0]]
        parameter = next(
            x.name for x in inner.values() if x.kind == "parameter" and x.inside == f"({place})"
        )
        return min(array.size, _read_inside(program, inner, parameter, array))
    return array.size


def _read_inside(program, ops, name, array):
    total = array.size if ops[name].is_root else 0
    for user in ops.values():
        for place, operand in enumerate(user.operands):
            if operand != name or user.kind == "tuple":
                continue
            if user.kind == "bitcast":
                total += _read_inside(program, ops, user.name, array)
            else:
                total += _read(program, user, place, array)
    return total


def _written(program, ops, op, results=None):
    """Bytes of HBM that an operation writes; where it writes into an operand, what is new."""
    while op.kind == "bitcast":
        op = ops[op.operands[0]]
    results = arrays(op.result) if results is None else results
    if op.kind == "tuple":
        parts = zip(op.operands, results)
        return sum(_written(program, ops, ops[name], [x]) for name, x in parts)
    if op.kind == "fusion":
        inner = program[called(op)[0]]
        root = next(x for x in inner.values() if x.is_root)
        return _written(program, inner, root, results)
    if op.kind in IN_PLACE and results[0].in_hbm:
        new = ops[op.operands[1 if op.kind == "dynamic-update-slice" else 2]]
        return sum(x.size for x in arrays(new.result))
    return sum(x.size for x in results if x.in_hbm)


def _sent(op):
    """Bytes that a chip sends, around a ring."""
    if not _is_collective(op):
        return 0.0
    sizes = [x.size for x in arrays(op.result)]
    moved = max(sizes) if op.kind.endswith("-start") else sum(sizes)
    n = _group(op.attributes)
    around = (n - 1) / n
    match op.kind.removesuffix("-start"):
        case "all-reduce":
            return 2 * around * moved
        case "reduce-scatter":
            return (n - 1) * moved
        case "collective-permute":
            return moved
    return around * moved


def _group(attributes):
    """How many chips a collective joins. Groups are written in three ways."""
    if found := re.search(r"replica_groups=\[\d+,(\d+)\]", attributes):
        return int(found[1])
    if found := re.search(r"replica_groups=\{\{([\d,]+)\}", attributes):
        return len(found[1].split(","))
    found = re.search(r"replica_groups=mesh\[(.*?)\].*?\{(.*?)\}", attributes)
    if found is None:
        return 2  # a permutation has pairs
    axes = {name: int(n) for name, n in re.findall(r"'(\w+)'=(\d+)", found[1])}
    return math.prod(axes[name] for name in re.findall(r"'(\w+)'", found[2]))


def _products(ops, op):
    if op.kind != "convolution":
        return 0.0
    # A product of batches is a convolution over the batch, of which one place in `size` counts.
    window = re.search(r"window=\{size=([\dx]+)( [^}]*lhs_dilate=\1)?", op.attributes)
    if window and not window[2]:
        raise ValueError(f"what does this product cost? {op.attributes[:200]}")
    labels = re.search(r"dim_labels=(\w+)_", op.attributes)[1]
    contracted = arrays(ops[op.operands[0]].result)[0].dims[labels.index("f")]
    return 2.0 * math.prod(arrays(op.result)[0].dims) * contracted


def _trips(program, ops, loop):
    """How often a loop runs: its condition compares with a constant, maybe one that it carries."""
    condition = program[called(loop, "condition")[0]]
    compare = next(
        op for op in everything(program, called(loop, "condition")[0]) if op.kind == "compare"
    )
    if "direction=LT" in compare.attributes:
        for name in condition:
            if (value := _constant(ops, loop, condition, name)) is not None:
                return value
    raise ValueError(f"how often does this loop run? {loop.name}")


def _constant(ops, loop, condition, name):
    op = condition[name]
    if op.kind == "get-tuple-element" and (found := re.search(r"index=(\d+)", op.attributes)):
        op = ops[ops[loop.operands[0]].operands[int(found[1])]]
        while op.kind == "copy":
            op = ops[op.operands[0]]
    if op.kind == "constant" and op.result.startswith("s32[]") and op.inside != "(0)":
        return int(op.inside.strip("()"))
    return None
