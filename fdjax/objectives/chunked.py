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

# (hidden f[1, c, D], head, columns [1, c, ...], constants) -> (sum, {name: f[1, c]}), the head
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
    whole. Tokens are ordered so that those of `where_NR` (bool) come first; a chunk with none of
    them is skipped, and its values are 0. A chunk may have others beside them: `loss` must multiply
    by a weight in `columns` that is 0 there.

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
    where_NR: jax.Array,
    chunk: int,
) -> Any:
    """`function(hidden, head, columns)` per chunk -> per-token values [N, R], differentiable.

    For losses that are no sum over tokens. Chunks are those of `chunked_sum`. The backward pass
    computes the logits again.
    """

    def on_rows(rows, head_DV):
        # The head is no carry: the backward pass would keep a copy of it for each chunk.
        def body(_, chunk):
            counts, (hidden, column) = chunk
            value = functools.partial(function, hidden, head_DV, column)
            return None, jax.lax.cond(counts, value, functools.partial(_zeros, value))

        chunks, merge = _split(*rows, chunk)
        return merge(jax.lax.scan(jax.checkpoint(body), None, chunks)[1]), ()

    return map_rows(on_rows, (where_NR, (hidden_NRD, columns)), head_DV)[0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _chunked_sum(loss, chunk, hidden, head, columns, constants, where):
    def on_rows(rows, whole):
        def body(total, chunk):
            counts, (hidden, column) = chunk
            value = functools.partial(loss, hidden, whole[0], column, whole[1])
            more, per_token = jax.lax.cond(counts, value, functools.partial(_zeros, value))
            return total + more, per_token

        chunks, merge = _split(*rows, chunk)
        total, per_token = jax.lax.scan(body, jnp.zeros((), hidden.dtype), chunks)
        return merge(per_token), total

    per_token, total = map_rows(on_rows, (where, (hidden, columns)), (head, constants))
    return total, per_token


def _forward(loss, chunk, hidden, head, columns, constants, where):
    value_and_grad = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)

    def on_rows(rows, whole):
        head, constants = whole

        def add(sums, hidden, column):
            total, dhead = sums
            (value, per_token), (dhidden, more) = value_and_grad(hidden, head, column, constants)
            return (total + value, jax.tree.map(jnp.add, dhead, more)), (per_token, dhidden)

        def body(sums, chunk):
            counts, (hidden, column) = chunk

            def skip(sums, hidden, column):
                return sums, _zeros(add, sums, hidden, column)[1]

            return jax.lax.cond(counts, add, skip, sums, hidden, column)

        chunks, merge = _split(*rows, chunk)
        zeros = (jnp.zeros((), hidden.dtype), jax.tree.map(jnp.zeros_like, head))
        sums, values = jax.lax.scan(body, zeros, chunks)
        return merge(values), sums

    values, sums = map_rows(on_rows, (where, (hidden, columns)), (head, constants))
    (per_token, dhidden), (total, dhead) = values, sums
    return (total, per_token), (dhidden, dhead)


def _backward(loss, chunk, gradients, cotangents):
    scale, _ = cotangents
    dhidden, dhead = jax.tree.map(lambda g: (scale * g).astype(g.dtype), gradients)
    return dhidden, dhead, None, None, None


_chunked_sum.defvjp(_forward, _backward)


def _zeros(function, *args):
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(function, *args))


def _split(where, rows, chunk):
    """(tokens of `where` [N, R] first, in chunks; function from values of chunks to [N, R, ...]).

    The chunks are (does it have such a token? bool[count], `rows` as [count, 1, c, ...]).
    """
    N, R = where.shape
    # At least two chunks, so that no array has N*R*V elements in small batches either.
    count = min(N * R, max(2, -(-N * R // chunk)))
    width = -(-N * R // count)
    order = jnp.argsort(~where.reshape(-1), stable=True)

    def split(x):
        x = jnp.take(x.reshape(N * R, *x.shape[2:]), order, axis=0)
        x = jnp.pad(x, [(0, count * width - N * R)] + [(0, 0)] * (x.ndim - 1))
        return x.reshape(count, 1, width, *x.shape[1:])

    def merge(x):
        x = jnp.take(x.reshape(count * width, *x.shape[3:]), jnp.argsort(order), axis=0)
        return x.reshape(N, R, *x.shape[1:])

    chunks = (split(where).any(axis=(1, 2)), jax.tree.map(split, rows))
    return chunks, functools.partial(jax.tree.map, merge)
