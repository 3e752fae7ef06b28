"""A decoder-only transformer: RMSNorm, RoPE, grouped-query attention, SwiGLU, scanned layers.

Flax modules inside, pure functions of (config, params) outside. It ends at hidden states: logits
over a vocabulary are large, so whoever needs some takes them from `unembedding`.
"""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
from flax import linen as nn

from fdjax.models import cache as kv
from fdjax.models.config import ModelConfig
from fdjax.sharding import shard_rows

Params = dict  # nested dict of fp32 arrays; those under "layers" have a leading layer axis


# --- Public functions ----------------------------------------------------------------------------


def init(config: ModelConfig, key: jax.Array) -> Params:
    """Random fp32 parameters. Scanned and unrolled layers have the same layout."""
    tokens = jnp.zeros((1, 1), jnp.int32)
    return Transformer(config).init(key, tokens, tokens, tokens == 0)["params"]


def hidden_states(
    config: ModelConfig, params: Params, tokens_BT: jax.Array, mask_BT: jax.Array
) -> jax.Array:
    """tokens i32[B, T], mask bool[B, T] (left-padded) -> final-normed hidden states f32[B, T, D].

    A token's position is the number of unmasked tokens before it. Rows of masked tokens are
    finite and mean nothing.
    """
    hidden_BTD, _ = _apply(config, params, tokens_BT, _positions(mask_BT), mask_BT)
    return hidden_BTD


def unembedding(params: Params) -> jax.Array:
    """The head f32[D, V]: logits = hidden @ head. The transposed embedding where it is tied."""
    return params["lm_head"] if "lm_head" in params else params["embedding"].T


def prefill(
    config: ModelConfig,
    params: Params,
    tokens_BP: jax.Array,
    mask_BP: jax.Array,
    *,
    group: int,
    budget: int,
) -> tuple[jax.Array, kv.KVCache]:
    """Read left-padded prompts once. -> (f32[B, D] at the last position, cache of their tokens).

    The cache has room for `group` samples of `budget` new tokens per prompt.
    """
    hidden_BPD, (keys, values) = _apply(config, params, tokens_BP, _positions(mask_BP), mask_BP)
    return hidden_BPD[:, -1], kv.create(keys, values, mask_BP, group=group, budget=budget)


def decode(
    config: ModelConfig, params: Params, tokens_BG: jax.Array, cache: kv.KVCache
) -> tuple[jax.Array, kv.KVCache]:
    """One more token per sample, i32[B, G]. -> (f32[B, G, D], the cache with these tokens).

    Layers are scanned whatever `config.scan_unroll` says: unrolled, XLA's CPU backend copies each
    layer's part of the cache for every token, a fifth slower in all.
    """
    config = dataclasses.replace(config, scan_unroll=1)
    positions_BG = jnp.broadcast_to(cache.next_position_B[:, None], tokens_BG.shape)
    hidden_BGD, (keys, values) = _apply(
        config, params, tokens_BG, positions_BG, cache.prompt_mask, cache
    )
    return hidden_BGD, kv.append(cache, keys, values)


def _apply(config, params, tokens, positions, mask, cache=None):
    return Transformer(config).apply({"params": params}, tokens, positions, mask, cache)


def _positions(mask_BT):
    return jnp.maximum(jnp.cumsum(mask_BT, axis=-1, dtype=jnp.int32) - 1, 0)


# --- Modules -------------------------------------------------------------------------------------


class Transformer(nn.Module):
    """Tokens to final-normed hidden states, and each layer's new keys and values [L, B, T, K, H].

    Without a cache `mask` covers the tokens and they attend to one another; with one, T is the
    group axis: each token continues a sample of its own and attends to that sample's cache.
    """

    config: ModelConfig

    @nn.compact
    def __call__(self, tokens_BT, positions_BT, mask, cache=None):
        c = self.config
        embedding = self.param(
            "embedding", nn.initializers.normal(0.02), (c.vocab_size, c.width), jnp.float32
        )
        if not c.tie_embeddings:
            self.param("lm_head", nn.initializers.normal(0.02), (c.width, c.vocab_size))

        # One row per token: XLA's CPU backend is over twice as slow at the gradient of a product
        # with two leading axes, because it fuses a transposition into what computes the factor.
        x_MD = jnp.take(embedding, tokens_BT.reshape(-1), axis=0).astype(c.dtype)
        rotation = _rotation(positions_BT, c.head_dim, c.rope_theta)
        block = nn.remat(Block, prevent_cse=False) if c.remat else Block
        layers = nn.scan(
            block,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=(nn.broadcast, nn.broadcast, nn.broadcast, 0),
            length=c.num_layers,
            # Only a loop keeps the compiler from undoing remat: 8 layers took 104 MB of temporary
            # memory scanned, 641 MB unrolled, 685 MB without remat.
            unroll=1 if c.remat else c.scan_unroll,
        )(c, name="layers")
        length, layer_caches = (None, None) if cache is None else (cache.length, cache.layers)
        x_MD, new = layers(x_MD, rotation, mask, length, layer_caches)
        hidden_MD = _norm(c, "final_norm", dtype="float32")(x_MD)
        return shard_rows(hidden_MD.reshape(*tokens_BT.shape, c.width)), new


class Block(nn.Module):
    """One pre-norm layer: attention, then the gated MLP."""

    config: ModelConfig

    @nn.compact
    def __call__(self, x_MD, rotation, mask, length, layer_cache):
        c = self.config
        B, T, *_ = rotation[0].shape
        N, K, H = c.num_heads, c.num_kv_heads, c.head_dim
        small = nn.initializers.variance_scaling(1 / (2 * c.num_layers), "fan_in", "normal")
        dense = functools.partial(nn.Dense, use_bias=False, dtype=c.dtype)

        x_MD = shard_rows(x_MD)
        y = _norm(c, "attention_norm")(x_MD)
        heads = functools.partial(dense, use_bias=c.attention_bias)
        query = heads(N * H, name="q_proj")(y).reshape(B, T, N, H)
        key = heads(K * H, name="k_proj")(y).reshape(B, T, K, H)
        value = heads(K * H, name="v_proj")(y).reshape(B, T, K, H)
        if c.qk_norm:
            query, key = _norm(c, "q_norm")(query), _norm(c, "k_norm")(key)
        query = _rotate(query, rotation, scale=1 / math.sqrt(H))
        key = _rotate(key, rotation)
        if layer_cache is None:
            y = _causal_attention(query, key, value, mask)
        else:
            y = kv.attend(query, key, value, layer_cache, mask, length)
        x_MD += dense(c.width, name="o_proj", kernel_init=small)(y.reshape(B * T, N * H))

        y = _norm(c, "mlp_norm")(x_MD)
        gate = dense(c.mlp_width, name="gate_proj")(y)
        up = dense(c.mlp_width, name="up_proj")(y)
        x_MD += dense(c.width, name="down_proj", kernel_init=small)(nn.silu(gate) * up)
        return x_MD, (key, value)


def _norm(config, name, dtype=None):
    # Computed in fp32 whatever the dtype of what comes out.
    return nn.RMSNorm(epsilon=config.norm_eps, dtype=dtype or config.dtype, name=name)


def _rotation(positions_BT, head_dim, theta):
    """Cosines and sines f32[B, T, 1, H/2] of RoPE (Su et al., 2021), one axis for the heads."""
    frequencies = theta ** (-jnp.arange(0, head_dim, 2, dtype=jnp.float32) / head_dim)
    angles = positions_BT[..., None, None].astype(jnp.float32) * frequencies[None, None, None]
    return jnp.cos(angles), jnp.sin(angles)


def _rotate(x_BTNH, rotation, scale=1.0):
    """RoPE in fp32, halves paired as in Llama's public weights (i with i + H/2)."""
    cos, sin = rotation
    a, b = jnp.split(x_BTNH.astype(jnp.float32), 2, axis=-1)
    rotated = jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)
    return (rotated * scale).astype(x_BTNH.dtype)


def _causal_attention(query_BTNH, key_BTKH, value_BTKH, mask_BT):
    """Each token attends to itself and to unmasked earlier ones. `query_BTNH` is scaled."""
    B, T, N, H = query_BTNH.shape
    K = key_BTKH.shape[2]
    query = query_BTNH.reshape(B, T, K, N // K, H)
    scores = jnp.einsum("btkmh,bskh->bkmts", query, key_BTKH, preferred_element_type=jnp.float32)
    visible = jnp.tril(jnp.ones((T, T), bool))[None] & mask_BT[:, None, :]
    scores = jnp.where(visible[:, None, None], scores, kv.MASKED)
    weights = jax.nn.softmax(scores, axis=-1).astype(value_BTKH.dtype)
    return jnp.einsum("bkmts,bskh->btkmh", weights, value_BTKH).reshape(B, T, N, H)
