"""Grouped-query attention: of a sequence to itself, and of new tokens to a cache.

Scores and softmax are fp32. Queries come scaled; `window` i32[] is how many tokens a query sees,
itself included (None: all), `softcap` the bound that tanh puts on scores (0: none).
"""

import jax
import jax.numpy as jnp

from fdjax.models.head import soft_cap

MASKED = -1e30  # finite: a row of pads, all of it masked, must not become NaN
BLOCK = 1024  # queries whose scores exist at once


def causal(
    query_BTNH: jax.Array,
    key_BTKH: jax.Array,
    value_BTKH: jax.Array,
    mask_BT: jax.Array,
    *,
    window: jax.Array | None = None,
    softcap: float = 0.0,
) -> jax.Array:
    """Each token attends to itself and to unmasked earlier ones. -> [B, T, N, H].

    Longer sequences than BLOCK go by blocks of queries, whose scores the backward pass makes again:
    no array of T * T scores exists.
    """
    B, T, N, H = query_BTNH.shape

    def attend(query_BQNH, column_Q):
        return _causal(query_BQNH, column_Q, key_BTKH, value_BTKH, mask_BT, window, softcap)

    if T <= BLOCK:
        return attend(query_BTNH, jnp.arange(T))
    count = -(-T // BLOCK)
    padded = jnp.pad(query_BTNH, ((0, 0), (0, count * BLOCK - T), (0, 0), (0, 0)))
    blocks = padded.reshape(B, count, BLOCK, N, H).swapaxes(0, 1)
    columns = jnp.arange(count * BLOCK).reshape(count, BLOCK)
    out = jax.lax.map(lambda block: jax.checkpoint(attend)(*block), (blocks, columns))
    return out.swapaxes(0, 1).reshape(B, count * BLOCK, N, H)[:, :T]


def _causal(query_BQNH, column_Q, key_BTKH, value_BTKH, mask_BT, window, softcap):
    """Of the queries that stand in these columns."""
    B, Q, N, H = query_BQNH.shape
    T, K = key_BTKH.shape[1:3]
    query = query_BQNH.reshape(B, Q, K, N // K, H)
    scores = jnp.einsum("bqkmh,bskh->bkmqs", query, key_BTKH, preferred_element_type=jnp.float32)
    scores = soft_cap(scores, softcap)
    # Pads stand before a row's tokens, so columns count as positions do.
    back_QT = column_Q[:, None] - jnp.arange(T)[None]
    visible = (back_QT >= 0)[None] & mask_BT[:, None, :]
    if window is not None:
        visible &= (back_QT < window)[None]
    scores = jnp.where(visible[:, None, None], scores, MASKED)
    weights = jax.nn.softmax(scores, axis=-1).astype(value_BTKH.dtype)
    return jnp.einsum("bkmqs,bskh->bqkmh", weights, value_BTKH).reshape(B, Q, N, H)


def cached(
    query_BGNH: jax.Array,
    key_BGKH: jax.Array,
    value_BGKH: jax.Array,
    layer: tuple[jax.Array, ...],
    prompt_mask_BP: jax.Array,
    length: jax.Array,
    *,
    window: jax.Array | None = None,
    softcap: float = 0.0,
) -> jax.Array:
    """One new token per sample attends to prompt, earlier response and itself. -> [B, G, N, H].

    `layer` and `length` are the cache's. The three blocks of scores go through one softmax. The
    token itself is not yet in the cache, so that layers only read it.
    """
    prompt_keys, prompt_values, keys, values = layer
    B, G, N, H = query_BGNH.shape
    K, P, R = key_BGKH.shape[2], prompt_keys.shape[1], keys.shape[2]
    query = query_BGNH.reshape(B, G, K, N // K, H)

    f32 = jnp.float32
    on_prompt = jnp.einsum("bgkmh,bpkh->bgkmp", query, prompt_keys, preferred_element_type=f32)
    on_response = jnp.einsum("bgkmh,bgrkh->bgkmr", query, keys, preferred_element_type=f32)
    on_self = jnp.einsum("bgkmh,bgkh->bgkm", query, key_BGKH, preferred_element_type=f32)
    on_prompt, on_response, on_self = (
        soft_cap(x, softcap) for x in (on_prompt, on_response, on_self)
    )
    written_R = jnp.arange(R) < length
    if window is not None:
        written_R &= length - jnp.arange(R) < window
        prompt_mask_BP &= (P + length - jnp.arange(P) < window)[None]
    on_prompt = jnp.where(prompt_mask_BP[:, None, None, None], on_prompt, MASKED)
    on_response = jnp.where(written_R[None, None, None, None], on_response, MASKED)
    scores = jnp.concatenate([on_prompt, on_response, on_self[..., None]], axis=-1)

    weights = jax.nn.softmax(scores, axis=-1).astype(query.dtype)
    out = (
        jnp.einsum("bgkmp,bpkh->bgkmh", weights[..., :P], prompt_values)
        + jnp.einsum("bgkmr,bgrkh->bgkmh", weights[..., P : P + R], values)
        + weights[..., P + R :] * value_BGKH[:, :, :, None]
    )
    return out.reshape(B, G, N, H)
