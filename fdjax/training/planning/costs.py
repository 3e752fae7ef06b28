"""What an optimized program costs a chip, loop by loop. What a fusion has inside stays on the chip.

`cost_analysis()` does not do: it counts the body of a loop once.
"""

import math
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from fdjax.training.planning.products import flops, kernel_reads
from fdjax.training.planning.program import (
    COLLECTIVES,
    Op,
    Program,
    arrays,
    called,
    is_collective,
    main_loop,
    trips,
)

FREE = {"parameter", "constant", "get-tuple-element", "tuple", "bitcast", "iota", "partition-id"}
IN_PLACE = ("dynamic-update-slice", "scatter")  # of operand 0


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


def decode_costs(program: Program, steps: int) -> tuple[Cost, Cost]:
    """(of a token of all slots, a token's share of what a chunk of `steps` does besides)"""
    loop = main_loop(program)
    token = Cost()
    for name in called(loop, "body|condition"):
        token = token.plus(cost(program, name))
    return token, Cost().plus(cost(program, "ENTRY", lambda op: op.name != loop.name), 1 / steps)


def head_cost(program: Program) -> Cost:
    """Of the loss over the vocabulary in an update: what runs on each device's rows
    (sharding.map_rows), but not in the model's layers, whose kernels do too."""

    def is_head(op):
        [path] = re.findall(r'op_name="([^"]*)"', op.attributes) or [""]
        return "shard_map" in path and "Transformer" not in path

    return cost(program, "ENTRY", is_head)


def cost(
    program: Program,
    name: str,
    counts: Callable[[Op], bool] = lambda op: True,
    branch: Callable[[Iterable[float]], float] = max,
    seen: set | None = None,
) -> Cost:
    """Of a computation, of its operations that count; of a conditional the dearest `branch`, or
    with min the cheapest. `seen`: channels of collectives that were counted: an asynchronous one
    stands in each fusion that goes on beside it.
    """
    total, seen = Cost(), set() if seen is None else seen
    for op in program[name].values():
        if not counts(op) or op.kind in FREE or op.kind.endswith("-done"):
            continue
        if op.kind == "fusion":
            [inner] = called(op, "calls")
            part = cost(program, inner, branch=branch, seen=seen)._replace(hbm=0.0)
            total = total.plus(part).plus(Cost(_traffic(program, program[name], op)))
            continue
        inside = [cost(program, other, branch=branch) for other in called(op)]
        if op.kind == "while":
            for part in inside:
                total = total.plus(part, trips(program, program[name], op))
        elif op.kind == "conditional":
            total = total.plus(Cost(*map(branch, zip(*inside))))
        else:  # call, async-start: what runs stands inside
            for part in inside:
                total = total.plus(part)
            if not inside:
                total = total.plus(_own_cost(program, program[name], op, seen))
    return total


def _own_cost(program, ops, op, seen):
    sent = {}
    if is_collective(op):
        channel = re.search(r"channel_id=(\d+)", op.attributes)
        if not (_is_fused(op) and channel and channel[1] in seen):
            sent[COLLECTIVES[op.kind.removesuffix("-start")]] = _sent(op)
        if channel:
            seen.add(channel[1])
    hbm = _traffic(program, ops, op) + kernel_reads(ops, op)
    return Cost(hbm=hbm, flops=flops(ops, op), **sent)


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
    if not is_collective(op):
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
