"""Rotary position embeddings (Su et al., 2021) and the ways to stretch them over long contexts."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdjax.models.config import ModelConfig, RopeScaling


class Rotation(NamedTuple):
    """Cosines and sines f32[B, T, 1, H/2] of each token's position, one axis for the heads."""

    cos: jax.Array
    sin: jax.Array


def rotations(config: ModelConfig, positions_BT: jax.Array) -> tuple[Rotation, Rotation | None]:
    """(of the layers that see everything, of the windowed ones where those differ)."""
    c = config
    frequencies = _frequencies(c.head_dim, c.rope_theta)
    factor = 1.0
    if c.rope_scaling is not None:
        frequencies = _stretch(frequencies, c.head_dim, c.rope_theta, c.rope_scaling)
        factor = c.rope_scaling.attention_factor
    everything = _rotation(positions_BT, frequencies, factor)
    if not c.window or not c.window_rope_theta:
        return everything, None
    return everything, _rotation(positions_BT, _frequencies(c.head_dim, c.window_rope_theta), 1.0)


def rotate(x_BTNH: jax.Array, rotation: Rotation, scale: float = 1.0) -> jax.Array:
    """In fp32, halves paired as in Llama's public weights (i with i + H/2)."""
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


def _stretch(frequencies, head_dim, theta, scaling: RopeScaling):
    """Slow turns are slowed down by the factor, fast ones are kept, with a ramp between."""
    s = scaling
    slowed = frequencies / s.factor
    match s.kind:
        case "linear":
            return slowed
        case "llama3":  # the ramp is over turns within the original context (Llama 3.1)
            turns = s.original_context * frequencies / (2 * math.pi)
            kept = (turns - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor)
        case "yarn":  # the ramp is over dimensions (YaRN, Peng et al. 2023; as in transformers)

            def dimension(turns):
                per_turn = math.log(s.original_context / (turns * 2 * math.pi))
                return head_dim * per_turn / (2 * math.log(theta))

            first = max(math.floor(dimension(s.beta_fast)), 0)
            last = min(math.ceil(dimension(s.beta_slow)), head_dim - 1)
            ramp = jnp.arange(head_dim // 2, dtype=jnp.float32) - first
            kept = 1 - ramp / max(last - first, 0.001)
    kept = jnp.clip(kept, 0, 1)
    return slowed * (1 - kept) + frequencies * kept
