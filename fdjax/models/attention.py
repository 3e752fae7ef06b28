"""Grouped-query attention and rotary position embeddings.

Scores and softmax are in fp32. Queries arrive scaled. `window` limits how many tokens a query
attends to (None: all). `softcap` bounds the scores (0: no bound).
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdjax.models import attention_kernels
from fdjax.models.config import ModelConfig, RopeScaling

MASKED = -1e30  # finite: a fully masked row (pads) must not become NaN
BLOCK = 1024  # queries whose scores exist at once


def soft_cap(x: jax.Array, cap: float) -> jax.Array:
    """cap * tanh(x / cap), within (-cap, cap); `x` itself if the cap is 0."""
    return cap * jnp.tanh(x / cap) if cap else x


# --- Attention -----------------------------------------------------------------------------------


class Window(NamedTuple):
    tokens: int  # that a query attends to, itself included
    applies: jax.Array | bool = True  # bool[]: traced where layers are scanned

    @property
    def limit(self) -> jax.Array | int:
        """i32[]; above every distance where it does not apply."""
        if isinstance(self.applies, bool):
            return self.tokens if self.applies else NEVER
        return jnp.where(self.applies, self.tokens, NEVER)


NEVER = 2**30  # a distance that no two tokens have


def causal(
    query_BTNH: jax.Array,
    key_BTKH: jax.Array,
    value_BTKH: jax.Array,
    mask_BT: jax.Array,
    *,
    window: Window | None = None,
    softcap: float = 0.0,
    implementation: str = "xla",
) -> jax.Array:
    """Each token attends to itself and to unmasked earlier tokens. -> [B, T, N, H].

    What masked tokens get is finite and meaningless. `implementation` is one of ModelConfig's
    `attention`; "auto" is "splash" on TPU where the mesh divides the heads, else "xla". Raises
    ValueError, naming model.attention, where it cannot work.
    """
    arrays = (query_BTNH, key_BTKH, value_BTKH, mask_BT)
    implementation = _choose(implementation, query_BTNH.shape[2], key_BTKH.shape[2])
    if implementation == "xla":
        return _by_blocks(*arrays, window=window, softcap=softcap)
    kernel = functools.partial(getattr(attention_kernels, implementation), softcap=softcap)
    if window is None or window.applies is False or window.tokens >= mask_BT.shape[1]:
        return kernel(*arrays)
    windowed = functools.partial(kernel, window=window.tokens)
    if window.applies is True:
        return windowed(*arrays)
    return jax.lax.cond(window.applies, windowed, kernel, *arrays)


PLATFORMS = {"splash": "tpu", "cudnn": "gpu"}


def _choose(implementation, heads, kv_heads):
    mesh = jax.sharding.get_abstract_mesh()
    # The mesh's platform is another than this process's where a program is compiled ahead of time.
    platform = mesh.abstract_device.platform if mesh.shape else jax.default_backend()
    platform = "gpu" if platform == "cuda" else platform
    if implementation == "auto":
        return (
            "splash" if platform == "tpu" and attention_kernels.divides(heads, kv_heads) else "xla"
        )
    if (needed := PLATFORMS.get(implementation, platform)) != platform:
        raise ValueError(
            f"model.attention={implementation} needs a {needed.upper()}, this is a"
            f" {platform.upper()}: take auto or xla"
        )
    return implementation


def _by_blocks(query_BTNH, key_BTKH, value_BTKH, mask_BT, *, window, softcap):
    """By XLA: the reference of the kernels' tests.

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
        # Rows are padded at one end, so the difference of columns is that of positions.
        distance_QT = column_Q[:, None] - jnp.arange(T)[None]
        visible = (distance_QT >= 0)[None] & mask_BT[:, None, :]
        if window is not None:
            visible &= (distance_QT < window.limit)[None]
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


class Part(NamedTuple):
    """Some of the keys and values that new tokens attend to; C columns of each of S slots."""

    keys: jax.Array  # [S, K, H, C]: with the columns last the product takes two thirds of the time
    values: jax.Array  # [S, K, C, H]
    distance_STC: jax.Array  # i32, axes may be 1: tokens from key to query; NEVER: not visible


def cached(
    query_STNH: jax.Array,
    parts: Sequence[Part],
    *,
    window: Window | None = None,
    softcap: float = 0.0,
) -> jax.Array:
    """T new tokens of each slot attend to the keys of all parts. -> [S, T, N, H].

    The scores of the parts share one softmax, without a concatenation of keys or values.
    """
    S, T, N, H = query_STNH.shape
    K = parts[0].values.shape[1]
    M = N // K
    # The rows of a key head: its query heads times the new tokens. More axes take XLA's CPU backend
    # to another product, three times as slow.
    query = query_STNH.reshape(S, T, K, M, H).transpose(0, 2, 3, 1, 4).reshape(S, K, M * T, H)
    limit = NEVER if window is None else window.limit

    def scores(part):
        x = jnp.einsum("skrh,skhc->skrc", query, part.keys, preferred_element_type=jnp.float32)
        x = soft_cap(x, softcap).reshape(S, K, M, T, -1)
        x = jnp.where((part.distance_STC < limit)[:, None, None], x, MASKED)
        return x.reshape(S, K, M * T, -1)

    weights = jnp.concatenate([scores(part) for part in parts], axis=-1)
    weights = jax.nn.softmax(weights, axis=-1).astype(query.dtype)
    ends = np.cumsum([part.values.shape[2] for part in parts])
    split = jnp.split(weights, ends[:-1], axis=-1)
    f32 = jnp.float32
    out = sum(
        jnp.einsum("skrc,skch->skrh", weights, part.values, preferred_element_type=f32)
        for weights, part in zip(split, parts)
    )
    out = out.astype(query.dtype)
    return out.reshape(S, K, M, T, H).transpose(0, 3, 1, 2, 4).reshape(S, T, N, H)


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
