"""The sampler that the engine replaced, as benchmarks/generation.py's peer: a batch of prompts is
prefilled once, then all their samples are decoded in one loop on the device until the last ends.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdjax.models import attention, transformer
from fdjax.models.attention import MASKED
from fdjax.models.config import ModelConfig
from fdjax.models.transformer import Block, Params, RMSNorm
from fdjax.rollout import engine
from fdjax.rollout.engine import Drawing

# B prompts of P tokens, G samples of each of at most R tokens, L layers, K heads of width H


class Cache(NamedTuple):
    """A prompt's keys and values are stored once and shared by its samples."""

    prompt_keys: jax.Array  # [L, B, P, K, H]
    prompt_values: jax.Array  # [L, B, P, K, H]
    keys: jax.Array  # [L, B, G, R, K, H]
    values: jax.Array  # [L, B, G, R, K, H]


class Written(NamedTuple):
    tokens: jax.Array  # i32[B, G, R]
    logprobs: jax.Array  # f32[B, G, R]
    entropy: jax.Array  # f32[B, G, R]
    ended: jax.Array  # bool[B, G]


@functools.partial(jax.jit, static_argnames=("config", "max_new"))
def sample(
    config: ModelConfig,
    params: Params,
    tokens_BP: jax.Array,
    keys_BG: jax.Array,
    budgets_BG: jax.Array,
    temperature: jax.Array,
    stop_ids: jax.Array,
    *,
    max_new: int,
) -> Written:
    """Responses to prompts i32[B, P] of one length, each ended by a stop id or by its budget."""
    (B, P), G = tokens_BP.shape, keys_BG.shape[1]
    head_DV, drawing = transformer.unembedding(params), Drawing(temperature, stop_ids)
    hidden_BPD, (keys, values) = _forward(
        config, params, tokens_BP, jnp.arange(P)[None].repeat(B, 0), _on_prompt, ()
    )
    shape = (config.num_layers, B, G, max_new, config.num_kv_heads, config.head_dim)
    empty = jnp.zeros(shape, config.dtype)
    cache = Cache(keys, values, empty, empty)

    def write(written, step, hidden_BGD):
        logits_BGV = jnp.einsum(
            "bgd,dv->bgv", hidden_BGD, head_DV, precision=jax.lax.Precision.HIGHEST
        )
        drawn = engine.draw(
            logits_BGV.reshape(B * G, -1), _fold_in(keys_BG, step).reshape(-1), drawing
        )
        token, logprob, entropy = (x.reshape(B, G) for x in drawn)
        active = ~written.ended
        token = jnp.where(active, token, 0)
        ended = jnp.isin(token, stop_ids) | (step + 1 >= budgets_BG)
        return token, Written(
            written.tokens.at[:, :, step].set(token),
            written.logprobs.at[:, :, step].set(jnp.where(active, logprob, 0.0)),
            written.entropy.at[:, :, step].set(jnp.where(active, entropy, 0.0)),
            written.ended | ended,
        )

    def advance(loop):
        step, token_BG, written, cache = loop
        positions_BG = jnp.full((B, G), P + step - 1)
        attend = functools.partial(_on_cache, step - 1)
        hidden_BGD, new = _forward(config, params, token_BG, positions_BG, attend, cache)
        keys, values = (
            jax.lax.dynamic_update_slice_in_dim(buffer, x[:, :, :, None], step - 1, axis=3)
            for buffer, x in zip(cache[2:], new)
        )
        token_BG, written = write(written, step, hidden_BGD)
        return step + 1, token_BG, written, cache._replace(keys=keys, values=values)

    def unfinished(loop):
        step, _, written, _ = loop
        return (step < max_new) & ~jnp.all(written.ended)

    zeros = jnp.zeros((B, G, max_new), jnp.float32)
    nothing = Written(zeros.astype(jnp.int32), zeros, zeros, jnp.zeros((B, G), bool))
    hidden_BGD = jnp.broadcast_to(hidden_BPD[:, -1:], (B, G, config.width))
    token_BG, written = write(nothing, 0, hidden_BGD)
    return jax.lax.while_loop(unfinished, advance, (jnp.int32(1), token_BG, written, cache))[2]


def _forward(config, params, tokens_BT, positions_BT, attend, cache):
    """-> (f32[B, T, D], what `attend` keeps of each layer, stacked)"""
    rotations = attention.rotations(config, positions_BT)

    def layer(x_MD, inputs):
        params, *of_layer = inputs
        block = Block(config, functools.partial(attend, of_layer))
        return block.apply({"params": params}, x_MD, rotations, None)

    x_MD = transformer.embed(config, params["embedding"], tokens_BT)
    unroll = 1 if cache else config.scan_unroll
    x_MD, kept = jax.lax.scan(layer, x_MD, (params["layers"], *cache), unroll=unroll)
    hidden_MD = RMSNorm(config, "float32").apply({"params": params["final_norm"]}, x_MD)
    return hidden_MD.reshape(*tokens_BT.shape, config.width), kept


def _on_prompt(_, query, key, value, **limits):
    mask_BP = jnp.ones(key.shape[:2], bool)
    return attention.causal(query, key, value, mask_BP, **limits), (key, value)


def _on_cache(length, cache, query_BGNH, key_BGKH, value_BGKH, **_):
    """A new token of each sample attends to its prompt, its response and itself."""
    prompt_keys, prompt_values, keys, values = cache
    B, G, N, H = query_BGNH.shape
    K, P, R = key_BGKH.shape[2], prompt_keys.shape[1], keys.shape[2]
    query = query_BGNH.reshape(B, G, K, N // K, H)
    f32 = jnp.float32
    on_prompt = jnp.einsum("bgkmh,bpkh->bgkmp", query, prompt_keys, preferred_element_type=f32)
    on_response = jnp.einsum("bgkmh,bgrkh->bgkmr", query, keys, preferred_element_type=f32)
    on_self = jnp.einsum("bgkmh,bgkh->bgkm", query, key_BGKH, preferred_element_type=f32)
    on_response = jnp.where(jnp.arange(R) < length, on_response, MASKED)
    scores = jnp.concatenate([on_prompt, on_response, on_self[..., None]], axis=-1)
    weights = jax.nn.softmax(scores, axis=-1).astype(query.dtype)
    out = (
        jnp.einsum("bgkmp,bpkh->bgkmh", weights[..., :P], prompt_values)
        + jnp.einsum("bgkmr,bgrkh->bgkmh", weights[..., P : P + R], values)
        + weights[..., P + R :] * value_BGKH[:, :, :, None]
    )
    return out.reshape(B, G, N, H), (key_BGKH, value_BGKH)


def _fold_in(keys_BG, step):
    return jax.vmap(jax.vmap(lambda key: jax.random.fold_in(key, step)))(keys_BG)
