"""Losses over a vocabulary, a few columns of tokens at a time.

The logits of a whole batch (N*R*V) would be the largest array of a training step. Here a scan
computes them chunk by chunk from hidden states and head; only one chunk exists at a time.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fdjax.runtime.sharding import map_rows

# (hidden f[c, D], head, columns [c, ...], constants) -> (sum, {name: f[c]}) of c tokens, the head
# f[D, V] or any pytree
ChunkLoss = Callable[[jax.Array, jax.Array, Any, Any], tuple[jax.Array, Any]]


def chunked_sum(
    loss: ChunkLoss,
    hidden_NRD: jax.Array,
    head_DV: jax.Array,
    columns: Any,
    constants: Any = None,
    *,
    where_NR: jax.Array,
    chunk: int,
) -> tuple[jax.Array, Any]:
    """Sum `loss` over chunks of about `chunk` tokens. -> (sum f[], per-token values f[N, R]).

    `columns` is a pytree of [N, R, ...] cut as the hidden states are; `constants` go to each chunk
    whole. The tokens of `where_NR` (bool) come first, and no chunk without them is computed: its
    values are 0. A chunk may have others beside them: `loss` must multiply by a weight in `columns`
    that is 0 there.

    Gradients reach hidden states and head only, through the sum only. They are taken chunk by chunk
    in the forward pass, since the sum's cotangent only scales them (as in the fused linear
    cross-entropy of Liger Kernel): logits are computed once per step.

    On a mesh each device has chunks of its own rows, of about `chunk` tokens. It gathers the head
    once and adds up its own gradient of it, which the devices reduce once.
    """
    return _chunked_sum(loss, chunk, hidden_NRD, head_DV, columns, constants, where_NR)


def chunked_map(
    function: Callable[[jax.Array, jax.Array, Any], Any],
    hidden_NRD: jax.Array,
    head_DV: jax.Array,
    columns: Any,
    *,
    chunk: int,
) -> Any:
    """`function(hidden, head, columns)` per chunk -> per-token values [N, R], differentiable.

    For losses that are no sum over tokens. The backward pass computes the logits again.
    """

    def on_rows(rows, head_DV):
        # The head is no carry: the backward pass would keep a copy of it for each chunk.
        split, merge = _chunks(*rows[0].shape[:2], chunk)
        body = jax.checkpoint(lambda _, xs: (None, function(xs[0], head_DV, xs[1])))
        _, values = jax.lax.scan(body, None, jax.tree.map(split, rows))
        return jax.tree.map(merge, values), ()

    return map_rows(on_rows, (hidden_NRD, columns), head_DV)[0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _chunked_sum(loss, chunk, hidden, head, columns, constants, where):
    def body(whole, total, rows):
        hidden, column = rows
        value, per_token = loss(hidden, whole[0], column, whole[1])
        return total + value, per_token

    def on_rows(rows, whole):
        zero = jnp.zeros((), hidden.dtype)
        total, per_token = _scan_where(functools.partial(body, whole), zero, *rows, chunk)
        return per_token, total

    per_token, total = map_rows(on_rows, (where, (hidden, columns)), (head, constants))
    return total, per_token


def _forward(loss, chunk, hidden, head, columns, constants, where):
    value_and_grad = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)

    def body(whole, sums, rows):
        (hidden, column), (total, dhead) = rows, sums
        (value, per_token), (dhidden, more) = value_and_grad(hidden, whole[0], column, whole[1])
        return (total + value, jax.tree.map(jnp.add, dhead, more)), (per_token, dhidden)

    def on_rows(rows, whole):
        zeros = (jnp.zeros((), hidden.dtype), jax.tree.map(jnp.zeros_like, whole[0]))
        sums, values = _scan_where(functools.partial(body, whole), zeros, *rows, chunk)
        return values, sums

    values, sums = map_rows(on_rows, (where, (hidden, columns)), (head, constants))
    (per_token, dhidden), (total, dhead) = values, sums
    return (total, per_token), (dhidden, dhead)


def _backward(loss, chunk, gradients, cotangents):
    scale, _ = cotangents
    dhidden, dhead = jax.tree.map(lambda g: (scale * g).astype(g.dtype), gradients)
    return dhidden, dhead, None, None, None


_chunked_sum.defvjp(_forward, _backward)


def _scan_where(body, init, where, rows, chunk):
    """`jax.lax.scan` over chunks that have tokens of `where` bool[N, R]. -> (carry, values [N, R,
    ...], 0 of other chunks).
    """
    order = jnp.argsort(~where.reshape(-1), stable=True)
    place = jnp.argsort(order)
    split, merge = _chunks(*where.shape, chunk)

    def forth(x):
        return split(jnp.take(x.reshape(-1, *x.shape[2:]), order, axis=0).reshape(x.shape))

    def back(x):
        x = merge(x)
        return jnp.take(x.reshape(-1, *x.shape[2:]), place, axis=0).reshape(x.shape)

    chunks = jax.tree.map(forth, rows)
    count, width = jax.tree.leaves(chunks)[0].shape[:2]
    needed = -(-where.sum() // width)

    def take(i):
        return jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, i, keepdims=False), chunks)

    def turn(state):
        i, carry, values = state
        carry, value = body(carry, take(i))
        values = jax.tree.map(
            lambda xs, x: jax.lax.dynamic_update_index_in_dim(xs, x, i, 0), values, value
        )
        return i + 1, carry, values

    shapes = jax.eval_shape(body, init, take(0))[1]
    values = jax.tree.map(lambda x: jnp.zeros((count, *x.shape), x.dtype), shapes)
    # The constant bound is for readers of the compiled text (training/planning/program.py).
    _, carry, values = jax.lax.while_loop(
        lambda state: (state[0] < needed) & (state[0] < count), turn, (0, init, values)
    )
    return carry, jax.tree.map(back, values)


def _chunks(N, R, chunk):
    """Functions [N, R, ...] -> chunks [count, c, ...], of about `chunk` tokens, and back."""
    # At least two, so that no array has N*R*V elements in small batches either.
    count = min(N * R, max(2, -(-N * R // chunk)))

    def split(x):
        x = x.reshape(N * R, *x.shape[2:])
        x = jnp.pad(x, [(0, -N * R % count)] + [(0, 0)] * (x.ndim - 1))
        return x.reshape(count, -1, *x.shape[1:])

    def merge(x):
        x = x.reshape(-1, *x.shape[2:])[: N * R]
        return x.reshape(N, R, *x.shape[1:])

    return split, merge
