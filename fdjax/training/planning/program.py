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
    """Of one chip. Of a collective the bytes that it sends, around a ring."""

    hbm: float = 0.0  # bytes read and written
    flops: float = 0.0  # of matrix products
    all_reduce: float = 0.0
    all_gather: float = 0.0
    reduce_scatter: float = 0.0
    all_to_all: float = 0.0
    permute: float = 0.0

    @property
    def ici(self) -> float:
        """Bytes sent by collectives of all kinds."""
        return sum(self[2:])

    def plus(self, other: "Cost", times: float = 1.0) -> "Cost":
        return Cost(*(a + times * b for a, b in zip(self, other)))


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


def cost(program: Program, name: str, leave_out: str = "", seen: set | None = None) -> Cost:
    """Of a computation; of a conditional the dearest branch. `seen`: channels of collectives that
    were counted: an asynchronous one stands in each fusion that goes on beside it.
    """
    total, seen = Cost(), set() if seen is None else seen
    for op in program[name].values():
        if op.name == leave_out or op.kind in FREE or op.kind.endswith("-done"):
            continue
        if op.kind == "fusion":
            [inner] = called(op, "calls")
            part = cost(program, inner, seen=seen)._replace(hbm=0.0)
            total = total.plus(part).plus(Cost(_traffic(program, program[name], op)))
            continue
        inside = [cost(program, other) for other in called(op)]
        if op.kind == "while":
            for part in inside:
                total = total.plus(part, _trips(program, program[name], op))
        elif op.kind == "conditional":
            total = total.plus(Cost(*map(max, zip(*inside))))
        else:  # call, async-start: what runs stands inside
            for part in inside:
                total = total.plus(part)
            if not inside:
                total = total.plus(_own_cost(program, program[name], op, seen))
    return total


def _own_cost(program, ops, op, seen):
    sent = {}
    if _is_collective(op):
        channel = re.search(r"channel_id=(\d+)", op.attributes)
        if not (_is_fused(op) and channel and channel[1] in seen):
            sent[COLLECTIVES[op.kind.removesuffix("-start")]] = _sent(op)
        if channel:
            seen.add(channel[1])
    flops = _products(ops, op) + _kernel_flops(ops, op)
    return Cost(hbm=_traffic(program, ops, op), flops=flops, **sent)


def _is_fused(op):
    """Does a collective, or a part of it, run beside what it is fused with?"""
    return "async_collective_fusion_config" in op.attributes or "AsyncCollective" in op.attributes


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
            if operand != name or user.kind == "tuple" or _is_fused(user):
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
        return (
            0
            if "AsyncCollectiveStart" in root.attributes
            else _written(program, inner, root, results)
        )
    if op.kind == "parameter" or (_is_fused(op) and "AsyncCollectiveDone" not in op.attributes):
        return 0  # what a fusion hands on; what is gathered counts once, at its end
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
    if op.kind == "dot":
        contracted = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", op.attributes)[1]
        dims = _dims(ops, op.operands[0])
        width = math.prod(dims[int(at)] for at in contracted.split(",") if at)
        return 2.0 * math.prod(arrays(op.result)[0].dims) * width
    if op.kind != "convolution":
        return 0.0
    # Products of batches, and those with a shard that travels around a ring, are convolutions, most
    # of whose places lie in padding: only those within the operand count.
    left, right, out = re.search(r"dim_labels=(\w+)_(\w+)->(\w+)", op.attributes).groups()
    sizes, kernel = _dims(ops, op.operands[0]), _dims(ops, op.operands[1])
    result = arrays(op.result)[0].dims
    pairs = 1
    for axis in sorted(set(left) & set("0123456789")):
        window = _window(op.attributes, int(axis))
        pairs *= _pairs(sizes[left.index(axis)], result[out.index(axis)], *window)
    features = result[out.index("b")] * result[out.index("f")] * kernel[right.index("i")]
    return 2.0 * pairs * features


def _dims(ops, name):
    return arrays(ops[name].result)[0].dims


def _window(attributes, axis):
    """(size, stride, padding before, dilation of the operand, of the window) of a convolution."""
    text = re.search(r"window=\{([^}]*)\}", attributes)[1]
    fields = dict(part.split("=") for part in text.split())

    def field(name, default):
        return fields[name].split("x")[axis] if name in fields else default

    before = int(field("pad", "0_0").split("_")[0])
    strides = (int(field(name, "1")) for name in ("stride", "lhs_dilate", "rhs_dilate"))
    stride, dilation, spread = strides
    return int(field("size", "1")), stride, before, dilation, spread


def _pairs(size, places, window, stride, before, dilation, spread):
    """How many (place of the result, place in the window) fall on an element of the operand."""
    pairs = 0
    for k in range(window):
        for place in range(places):
            at = place * stride + k * spread - before
            pairs += 0 <= at <= (size - 1) * dilation and at % dilation == 0
    return pairs


def _kernel_flops(ops, op):
    """Of a Pallas kernel, as it says itself."""
    if op.kind != "custom-call" or "cost_estimate" not in op.attributes:
        return 0.0
    found = re.search(r"cost_estimate\W+flops\W+(\d+)", op.attributes)
    return float(found[1]) if found else 0.0


def _trips(program, ops, loop):
    """How often a loop runs: its condition compares with a constant, maybe one that it carries."""
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
