"""The model as generation runs it: layer after layer over a cache of keys and values.

Training scans stacked layers. Here each layer has arrays of its own: no token copies a layer's
weights or cache out of a stack (on the CPU that was a third of the time of a token). New tokens are
collected in a small buffer that all slots write at the same column, and join the cache together.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from fdjax.models import attention, transformer
from fdjax.models.attention import NEVER, Part, Rotation
from fdjax.models.config import ModelConfig
from fdjax.models.transformer import Block, Params, RMSNorm
from fdjax.runtime import sharding
from fdjax.runtime.sharding import shard_rows

Weights = dict[str, Any]  # embedding [V, D], lm_head [D, V], final_norm, layers: a tuple


class Layer(NamedTuple):
    """Keys and values of one layer, with RoPE applied, in the model's dtype; K heads of width H."""

    keys: jax.Array  # [S, K, H, C]
    values: jax.Array  # [S, K, C, H]


RotationTable = tuple[Rotation, Rotation | None]  # of positions [1, C]: `attention.rotations`


class KVCache(NamedTuple):
    """What the tokens of S slots left. A token's column is its position."""

    layers: tuple[Layer, ...]
    length_S: jax.Array  # i32[S]: written columns


# --- Weights -------------------------------------------------------------------------------------


def weights(config: ModelConfig, params: Params, mesh: Mesh, head_dtype: str = "") -> Weights:
    """A copy of `params` on `mesh`, of the same devices, in the compute dtype; the head in
    `head_dtype`, if that is another.

    Norms stay fp32. A head that is the embedding is transposed here, not for every token.
    """
    return copier(config, mesh, head_dtype)(params)


@functools.lru_cache(maxsize=8)
def copier(config: ModelConfig, mesh: Mesh, head_dtype: str = "") -> Callable:
    """The jitted function that `weights` calls."""

    def copy(params):
        head_DV = transformer.unembedding(params).astype(head_dtype or config.dtype)
        stacked, norm = params["layers"], params["final_norm"]
        layers = [jax.tree.map(lambda x, i=i: x[i], stacked) for i in range(config.num_layers)]
        cast = _cast({"embedding": params["embedding"], "layers": tuple(layers)}, config.dtype)
        return cast | {"lm_head": head_DV, "final_norm": norm}

    shapes = jax.eval_shape(lambda: copy(transformer.init(config, jax.random.key(0))))
    return jax.jit(copy, out_shardings=sharding.tree_shardings(shapes, mesh))


def _cast(tree, dtype):
    def cast(path, x):
        return x if path[-1].key == "scale" else x.astype(dtype)

    return jax.tree_util.tree_map_with_path(cast, tree)


# --- The model -----------------------------------------------------------------------------------


def rotation_table(config: ModelConfig, positions: int) -> RotationTable:
    """The rotations of positions 0, 1, ...: computed in a loop of steps, cosines and sines would be
    computed again for each layer and head.
    """
    return attention.rotations(config, jnp.arange(positions)[None])


def prefill(
    config: ModelConfig, weights: Weights, tokens_BP: jax.Array, mask_BP: jax.Array
) -> tuple[Layer, ...]:
    """Reads right-padded prompts i32[B, P]. -> their keys and values, [B, K, H, P], [B, K, P, H]"""

    def attend(layer, query, key, value, **limits):
        choice = {"implementation": config.attention}
        y = attention.causal(query, key, value, mask_BP, **limits, **choice)
        return y, _columns(key, value)

    rotations = attention.rotations(config, transformer.positions(mask_BP))
    _, layers = _forward(config, weights, tokens_BP, rotations, attend)
    return layers


def step(
    config: ModelConfig,
    weights: Weights,
    token_S: jax.Array,
    cache: KVCache,
    recent: tuple[Layer, ...],
    index: jax.Array,
    table: RotationTable,
) -> tuple[jax.Array, tuple[Layer, ...]]:
    """One more token of each slot. -> (f32[S, D], `recent` with this token in column `index`).

    `recent`: the tokens since those of the cache, in columns before `index` i32[]. `table`: of all
    positions that occur.
    """
    columns = jnp.arange(recent[0].values.shape[2])
    on_cache = _distance(cache, cache.length_S[:, None] + index)
    on_recent = jnp.where(columns <= index, index - columns, NEVER)[None, None]

    def attend(layer, query, key, value, **limits):
        write = jax.lax.dynamic_update_slice_in_dim
        new, old = _columns(key, value), recent[layer]
        kept = Layer(write(old.keys, new.keys, index, 3), write(old.values, new.values, index, 2))
        parts = (Part(*cache.layers[layer], on_cache), Part(*kept, on_recent))
        return attention.cached(query, parts, **limits), kept

    positions_S1 = (cache.length_S + index)[:, None]
    rotations_S1 = jax.tree.map(lambda x: x[0, positions_S1], table)
    hidden_S1D, recent = _forward(config, weights, token_S[:, None], rotations_S1, attend)
    return hidden_S1D[:, 0], recent


def extend(
    config: ModelConfig, weights: Weights, tokens_ST: jax.Array, cache: KVCache
) -> tuple[jax.Array, tuple[Layer, ...]]:
    """T given tokens of each slot. -> (f32[S, T, D], their keys and values)"""
    new_T = jnp.arange(tokens_ST.shape[1])
    positions_ST = cache.length_S[:, None] + new_T[None]
    on_cache = _distance(cache, positions_ST)
    apart_TT = new_T[:, None] - new_T[None]
    on_new = jnp.where(apart_TT >= 0, apart_TT, NEVER)[None]

    def attend(layer, query, key, value, **limits):
        new = _columns(key, value)
        parts = (Part(*cache.layers[layer], on_cache), Part(*new, on_new))
        return attention.cached(query, parts, **limits), new

    return _forward(config, weights, tokens_ST, attention.rotations(config, positions_ST), attend)


def _forward(config, weights, tokens_ST, rotations, attend):
    """-> (final-normed hidden states f32[S, T, D], what `attend(layer, ...)` keeps of each)"""
    x_MD = transformer.embed(config, weights["embedding"], tokens_ST)
    kept = []
    for i, params in enumerate(weights["layers"]):
        block = Block(config, functools.partial(attend, i))
        windowed = config.windowed_layers[i]
        x_MD, of_layer = block.apply({"params": params}, x_MD, rotations, windowed)
        kept.append(of_layer)
    hidden_MD = RMSNorm(config, "float32").apply({"params": weights["final_norm"]}, x_MD)
    return shard_rows(hidden_MD.reshape(*tokens_ST.shape, config.width)), tuple(kept)


def _columns(key_STKH, value_STKH):
    return Layer(key_STKH.transpose(0, 2, 3, 1), value_STKH.swapaxes(1, 2))


def _distance(cache, positions_ST):
    """i32[S, T, C] to the cache's columns; NEVER to those that are not written."""
    columns = jnp.arange(cache.layers[0].values.shape[2])[None, None]
    written = columns < cache.length_S[:, None, None]
    return jnp.where(written, positions_ST[..., None] - columns, NEVER)


# --- Cache ---------------------------------------------------------------------------------------


def empty_layers(config: ModelConfig, slots: int, columns: int) -> tuple[Layer, ...]:
    S, K, C, H = slots, config.num_kv_heads, columns, config.head_dim

    def zeros(*shape):
        return shard_rows(jnp.zeros(shape, config.dtype), heads=1)

    return tuple(Layer(zeros(S, K, H, C), zeros(S, K, C, H)) for _ in range(config.num_layers))


def first_columns(cache: KVCache, width: int) -> KVCache:
    layers = (Layer(x.keys[..., :width], x.values[:, :, :width]) for x in cache.layers)
    return KVCache(tuple(layers), cache.length_S)


def join(cache: KVCache, new: tuple[Layer, ...], count_S: jax.Array) -> KVCache:
    """The cache with the first `count_S` of T new tokens of each slot behind what it holds.

    Writes T columns of every slot: they must exist, else the last columns are overwritten.
    """

    def write(buffer, new, axis):
        put = functools.partial(jax.lax.dynamic_update_slice_in_dim, axis=axis)
        return jax.vmap(put)(buffer, new, cache.length_S)

    layers = tuple(
        Layer(write(old.keys, new.keys, 2), write(old.values, new.values, 1))
        for old, new in zip(cache.layers, new)
    )
    return KVCache(layers, cache.length_S + count_S)
