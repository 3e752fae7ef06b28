"""FLOPs of the matrix products of a program, those of splash attention's kernels included."""

import math
import re

from fdjax.training.planning.program import arrays


def flops(ops, op) -> float:
    return _products(ops, op) + _kernel_flops(op)


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


# --- Splash attention ----------------------------------------------------------------------------

# Products of its kernels: scores and values; their gradients need the scores again.
SPLASH = {"fwd": 2, "dq": 3, "dkv": 4}


def _kernel_flops(op):
    if (found := _splash(op)) is None:
        return 0.0
    kind, heads, T, S, H, _, visited = found
    return 2.0 * SPLASH[kind] * heads * T * S * H * visited


def kernel_reads(ops, op) -> float:
    """Bytes of HBM that a kernel reads beside each operand once: two arrays, keys and values or
    queries and gradients, for each of its blocks again."""
    if (found := _splash(op)) is None:
        return 0.0
    kind, heads, T, S, H, blocks, visited = found
    again = T if kind == "dkv" else S
    return 2.0 * heads * again * H * 2 * (blocks * visited - 1)


def _splash(op):
    """(kernel, heads, queries, keys, width of a head, blocks of a row, the share that is visited):
    its grid leaves out what a causal mask hides."""
    kernel = re.match(r"splash_\w+?_(fwd|dq|dkv)_", op.name)
    if op.kind != "custom-call" or not kernel:
        return None
    shapes = op.attributes.split("operand_layout_constraints=")[-1]
    [blocks, _, query, key] = [x.dims for x in arrays(shapes)[:4]]
    count, width = blocks[-2:]  # of the grid; with a window there are fewer columns than rows
    visited = (count + 1) / 2 / count if width == count else width / count
    return kernel[1], math.prod(query[:-2]), query[-2], key[-2], query[-1], count, visited
