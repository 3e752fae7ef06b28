"""Grouped-query attention, rotary position embeddings, and the cache of keys and values.

Scores and softmax are in fp32. Queries arrive scaled. `window` i32[] is the number of tokens a
query attends to, itself included (None: all). `softcap` bounds the scores (0: no bound).
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdjax.models.config import ModelConfig, RopeScaling
from fdjax.runtime.sharding import shard_rows

MASKED = -1e30  # finite: a fully masked row (pads) must not become NaN
BLOCK = 1024  # queries whose scores exist at once


def soft_cap(x: jax.Array, cap: float) -> jax.Array:
    """cap * tanh(x / cap), within (-cap, cap); `x` itself if the cap is 0."""
    return cap * jnp.tanh(x / cap) if cap else x


# --- Attention -----------------------------------------------------------------------------------


def causal(
    query_BTNH: jax.Array,
    key_BTKH: jax.Array,
    value_BTKH: jax.Array,
    mask_BT: jax.Array,
    *,
    window: jax.Array | None = None,
    softcap: float = 0.0,
) -> jax.Array:
    """Each token attends to itself and to unmasked earlier tokens. -> [B, T, N, H].

    Sequences longer than BLOCK are processed in blocks of queries, and the backward pass recomputes
    each block's scores: no array of T * T scores exists.
    """
    B, T, N, H = query_BTNH.shape
    K = key_BTKH.shape[2]

    def attend(query_BQNH, column_Q):
        query = query_BQNH.reshape(B, -1, K, N // K, H)
        scores = jnp.einsum(
            "bqkmh,bskh->bkmqs", query, key_BTKH, preferred_element_type=jnp.float32
        )
        scores = soft_cap(scores, softcap)
        # Rows are left-padded, so the difference of columns is that of positions.
        distance_QT = column_Q[:, None] - jnp.arange(T)[None]
        visible = (distance_QT >= 0)[None] & mask_BT[:, None, :]
        if window is not None:
            visible &= (distance_QT < window)[None]
        scores = jnp.where(visible[:, None, None], scores, MASKED)
        weights = jax.nn.softmax(scores, axis=-1).astype(value_BTKH.dtype)
        return jnp.einsum("bkmqs,bskh->bqkmh", weights, value_BTKH).reshape(query_BQNH.shape)

    if T <= BLOCK:
        return attend(query_BTNH, jnp.arange(T))
    count = -(-T // BLOCK)
    padded = jnp.pad(query_BTNH, ((0, 0), (0, count * BLOCK - T), (0, 0), (0, 0)))
    blocks = padded.reshape(B, count, BLOCK, N, H).swapaxes(0, 1)
    columns = jnp.arange(count * BLOCK).reshape(count, BLOCK)
    out = jax.lax.map(lambda block: jax.checkpoint(attend)(*block), (blocks, columns))
    return out.swapaxes(0, 1).reshape(B, count * BLOCK, N, H)[:, :T]


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
    """One new token per sample attends to its prompt, its response and itself. -> [B, G, N, H].

    `layer` is one layer of `KVCache.layers`, `length` is the cache's. The three groups of scores
    share one softmax. The new token is not in the cache yet, so layers only read the cache.
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


# --- Cache ---------------------------------------------------------------------------------------


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class KVCache:
    """Keys and values of earlier tokens, in the model's dtype; L layers, K heads of width H.

    A prompt's are stored once and shared by its G samples. Keys have RoPE applied.
    """

    prompt_keys: jax.Array  # [L, B, P, K, H], written by the prefill
    prompt_values: jax.Array  # [L, B, P, K, H]
    prompt_mask: jax.Array  # bool[B, P], left-padded
    keys: jax.Array  # [L, B, G, R, K, H], one column written per decoded token
    values: jax.Array  # [L, B, G, R, K, H]
    length: jax.Array  # i32[]: written columns of `keys` and `values`

    @property
    def layers(self) -> tuple[jax.Array, ...]:
        """The arrays with a leading layer axis, in the order in which `cached` takes them."""
        return self.prompt_keys, self.prompt_values, self.keys, self.values

    @property
    def next_position_B(self) -> jax.Array:
        """i32[B]: the position of the next decoded token, the same for all samples of a prompt."""
        return self.prompt_mask.sum(-1, dtype=jnp.int32) + self.length


def empty_cache(prompt_keys, prompt_values, prompt_mask, group: int, budget: int) -> KVCache:
    """A cache of prompts with room for `group` samples of `budget` tokens each."""
    L, B, _, K, H = prompt_keys.shape
    empty = jnp.zeros((L, B, group, budget, K, H), prompt_keys.dtype)
    empty = shard_rows(empty, axis=1)
    return KVCache(prompt_keys, prompt_values, prompt_mask, empty, empty, jnp.int32(0))


def append(cache: KVCache, keys_LBGKH: jax.Array, values_LBGKH: jax.Array) -> KVCache:
    """Writes one token's keys and values of all layers: one in-place update per decoded token."""

    def write(buffer, new):
        return jax.lax.dynamic_update_slice_in_dim(buffer, new[:, :, :, None], cache.length, axis=3)

    keys, values = write(cache.keys, keys_LBGKH), write(cache.values, values_LBGKH)
    return dataclasses.replace(cache, keys=keys, values=values, length=cache.length + 1)


# --- Rotary position embeddings (Su et al. 2021) -------------------------------------------------


class Rotation(NamedTuple):
    """Cosines and sines f32[B, T, 1, H/2] of each token's position; the 1 is the axis of heads."""

    cos: jax.Array
    sin: jax.Array


def rotations(config: ModelConfig, positions_BT: jax.Array) -> tuple[Rotation, Rotation | None]:
    """(of layers with full attention, of windowed layers or None if those use the same)."""
    c = config
    frequencies = _frequencies(c.head_dim, c.rope_theta)
    factor = 1.0
    if c.rope_scaling is not None:
        frequencies = _stretch(frequencies, c.head_dim, c.rope_theta, c.rope_scaling)
        factor = c.rope_scaling.attention_factor
    full = _rotation(positions_BT, frequencies, factor)
    if not c.window or not c.window_rope_theta:
        return full, None
    return full, _rotation(positions_BT, _frequencies(c.head_dim, c.window_rope_theta), 1.0)


def rotate(x_BTNH: jax.Array, rotation: Rotation, scale: float = 1.0) -> jax.Array:
    """Computed in fp32; element i is paired with i + H/2, as in Llama's public weights."""
    cos, sin = rotation
    a, b = jnp.split(x_BTNH.astype(jnp.float32), 2, axis=-1)
    rotated = jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)
    return (rotated * scale).astype(x_BTNH.dtype)


def _rotation(positions_BT, frequencies, factor):
    angles = positions_BT[..., None, None].astype(jnp.float32) * frequencies[None, None, None]
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    return Rotation(cos, sin) if factor == 1.0 else Rotation(cos * factor, sin * factor)


def _frequencies(head_dim, theta):
    """f32[H/2], radians per position."""
    return theta ** (-jnp.arange(0, head_dim, 2, dtype=jnp.float32) / head_dim)


def _stretch(frequencies, head_dim, theta, s: RopeScaling):
    """Divides low frequencies by the factor, keeps high ones, interpolates between."""
    slowed = frequencies / s.factor
    match s.kind:
        case "linear":
            return slowed
        case "llama3":  # interpolates over turns within the original context (Llama 3.1)
            turns = s.original_context * frequencies / (2 * math.pi)
            kept = (turns - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor)
        case "yarn":  # over dimensions (YaRN, Peng et al. 2023; as in transformers)

            def dimension(turns):
                per_turn = math.log(s.original_context / (turns * 2 * math.pi))
                return head_dim * per_turn / (2 * math.log(theta))

            first = max(math.floor(dimension(s.beta_fast)), 0)
            last = min(math.ceil(dimension(s.beta_slow)), head_dim - 1)
            ramp = jnp.arange(head_dim // 2, dtype=jnp.float32) - first
            kept = 1 - ramp / max(last - first, 0.001)
    kept = jnp.clip(kept, 0, 1)
    return slowed * (1 - kept) + frequencies * kept
