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

# (hidden f[N, c, D], head, columns [N, c, ...], constants) -> (sum, {name: f[N, c]}), the head
# f[D, V] or any pytree
ChunkLoss = Callable[[jax.Array, jax.Array, Any, Any], tuple[jax.Array, Any]]


def chunked_sum(
    loss: ChunkLoss,
    hidden_NRD: jax.Array,
    head_DV: jax.Array,
    columns: Any,
    constants: Any = None,
    *,
    chunk: int,
) -> tuple[jax.Array, Any]:
    """Sum `loss` over chunks of about `chunk` tokens. -> (sum f[], per-token values f[N, R]).

    `columns` is a pytree of [N, R, ...] cut as the hidden states are; `constants` go to each chunk
    whole. Gradients reach hidden states and head only, through the sum only. They are taken
    chunk by chunk in the forward pass, since the sum's cotangent only scales them (as in the
    fused linear cross-entropy of Liger Kernel): logits are computed once per step.

    On a mesh each device has chunks of its own rows, of about `chunk` tokens. It gathers the head
    once and adds up its own gradient of it, which the devices reduce once.

    Padding columns are zeros in every array, so `loss` must multiply by a weight in `columns`.
    """
    return _chunked_sum(loss, chunk, hidden_NRD, head_DV, columns, constants)


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
        body = jax.checkpoint(lambda _, xs: (None, function(xs[0], head_DV, xs[1])))
        _, values = jax.lax.scan(body, None, _split(rows, chunk))
        return _merge(values, hidden_NRD.shape[1]), ()

    return map_rows(on_rows, (hidden_NRD, columns), head_DV)[0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _chunked_sum(loss, chunk, hidden, head, columns, constants):
    def on_rows(rows, whole):
        def body(total, xs):
            value, per_token = loss(xs[0], whole[0], xs[1], whole[1])
            return total + value, per_token

        zero = jnp.zeros((), hidden.dtype)
        total, per_token = jax.lax.scan(body, zero, _split(rows, chunk))
        return _merge(per_token, hidden.shape[1]), total

    per_token, total = map_rows(on_rows, (hidden, columns), (head, constants))
    return total, per_token


def _forward(loss, chunk, hidden, head, columns, constants):
    value_and_grad = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)

    def on_rows(rows, whole):
        head, constants = whole

        def body(carry, xs):
            total, dhead = carry
            (value, per_token), (dhidden, more) = value_and_grad(xs[0], head, xs[1], constants)
            return (total + value, jax.tree.map(jnp.add, dhead, more)), (per_token, dhidden)

        zeros = (jnp.zeros((), hidden.dtype), jax.tree.map(jnp.zeros_like, head))
        sums, values = jax.lax.scan(body, zeros, _split(rows, chunk))
        return _merge(values, hidden.shape[1]), sums

    values, sums = map_rows(on_rows, (hidden, columns), (head, constants))
    (per_token, dhidden), (total, dhead) = values, sums
    return (total, per_token), (dhidden, dhead)


def _backward(loss, chunk, gradients, cotangents):
    scale, _ = cotangents
    dhidden, dhead = jax.tree.map(lambda g: (scale * g).astype(g.dtype), gradients)
    return dhidden, dhead, None, None


_chunked_sum.defvjp(_forward, _backward)


def _num_chunks(shape, chunk):
    # Chunks are whole columns. At least two where there are two columns, so that no array has N*R*V
    # elements in small batches either.
    N, R, _ = shape
    return min(R, max(2, -(-N * R // chunk)))


def _split(rows, chunk):
    """(hidden [N, R, D], tree of [N, R, ...]) -> all [count, N, c, ...]: columns padded with zeros
    to count * c."""
    count = _num_chunks(rows[0].shape, chunk)

    def split(x):
        N, R = x.shape[:2]
        width = -(-R // count)
        if count * width != R:
            x = jnp.pad(x, [(0, 0), (0, count * width - R)] + [(0, 0)] * (x.ndim - 2))
        return x.reshape(N, count, width, *x.shape[2:]).swapaxes(0, 1)

    return jax.tree.map(split, rows)


def _merge(tree, length):
    """[count, N, c, ...] -> [N, R, ...], the inverse of `_split`."""

    def merge(x):
        count, N, width = x.shape[:3]
        return x.swapaxes(0, 1).reshape(N, count * width, *x.shape[3:])[:, :length]

    return jax.tree.map(merge, tree)
