"""The model over a cache against its forward pass, and the copy of its weights."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import GEMMA, TINY, random_params

from fdjax.models import decoding, transformer
from fdjax.models.decoding import KVCache
from fdjax.runtime import sharding

UNTIED = dataclasses.replace(TINY, qk_norm=False, attention_bias=True, tie_embeddings=False)
CONFIGS = {"tiny": TINY, "biases_untied": UNTIED, "gemma": GEMMA}
LENGTHS = (7, 4, 1)
S, P, C = len(LENGTHS), max(LENGTHS), 16
hidden_states = jax.jit(transformer.hidden_states, static_argnums=0)
prefill = jax.jit(decoding.prefill, static_argnums=0)
step = jax.jit(decoding.step, static_argnums=0)
extend = jax.jit(decoding.extend, static_argnums=0)


def prompts(config):
    """Right-padded tokens i32[S, P] and their mask; what stands behind an end is anything."""
    tokens = jax.random.randint(jax.random.key(0), (S, P), 0, config.vocab_size)
    return tokens, jnp.arange(P)[None] < jnp.array(LENGTHS)[:, None]


def read(config, weights):
    """A cache of C columns that holds the prompts."""
    layers = prefill(config, weights, *prompts(config))
    empty = KVCache(decoding.empty_layers(config, S, C), jnp.zeros(S, jnp.int32))
    return decoding.join(empty, layers, jnp.array(LENGTHS))


def continued(config, params, new):
    """Hidden states f32[S, N, D] of new tokens i32[S, N] by one forward pass over all."""
    tokens, _ = prompts(config)
    whole = np.zeros((S, P + new.shape[1]), np.int32)
    seen = whole > 0
    for row, length in enumerate(LENGTHS):
        end = length + new.shape[1]
        whole[row, :length], whole[row, length:end] = tokens[row, :length], new[row]
        seen[row, :end] = True
    hidden = hidden_states(config, params, whole, seen)
    return np.stack([hidden[row, n : n + new.shape[1]] for row, n in enumerate(LENGTHS)])


def new_tokens(config, count):
    return jax.random.randint(jax.random.key(9), (S, count), 0, config.vocab_size)


@pytest.mark.parametrize("name", CONFIGS)
def test_steps_equal_the_forward_pass(name):
    """Tokens in the buffer of recent ones, in the cache, and both; slots of several lengths."""
    config = CONFIGS[name]
    params = random_params(config)
    weights = decoding.weights(config, params, sharding.make_mesh())
    cache, new = read(config, weights), new_tokens(config, 6)
    expected = continued(config, params, new)
    table = decoding.rotation_table(config, P + 6)
    for chunk in (range(3), range(3, 6)):
        recent = decoding.empty_layers(config, S, 3)
        for index, t in enumerate(chunk):
            index = jnp.int32(index)
            hidden, recent = step(config, weights, new[:, t], cache, recent, index, table)
            assert hidden.dtype == jnp.float32
            np.testing.assert_allclose(hidden, expected[:, t], atol=3e-5)
        cache = decoding.join(cache, recent, jnp.full(S, 3))


@pytest.mark.parametrize("name", CONFIGS)
def test_given_tokens_equal_the_forward_pass(name):
    """Also where only some of them count: what follows is written over the others."""
    config = CONFIGS[name]
    params = random_params(config)
    weights = decoding.weights(config, params, sharding.make_mesh())
    cache, new = read(config, weights), new_tokens(config, 5)
    hidden, layers = extend(config, weights, new, cache)
    np.testing.assert_allclose(hidden, continued(config, params, new), atol=3e-5)

    counts = jnp.array([5, 2, 0])
    cache = decoding.join(cache, layers, counts)
    assert cache.length_S.tolist() == [12, 6, 1]
    more = (new + 1) % config.vocab_size
    mixed = np.array([[*new[s, :n], *more[s]][:5] for s, n in enumerate(counts.tolist())])
    hidden, _ = extend(config, weights, more, cache)
    expected = continued(config, params, mixed)
    for s, count in enumerate(counts.tolist()):
        np.testing.assert_allclose(hidden[s, : 5 - count], expected[s, count:], atol=3e-5)


def test_a_narrow_view_of_the_cache_is_enough():
    weights = decoding.weights(TINY, random_params(TINY), sharding.make_mesh())
    cache, new = read(TINY, weights), new_tokens(TINY, 1)
    recent = decoding.empty_layers(TINY, S, 2)
    narrow = decoding.first_columns(cache, P)
    assert narrow.layers[0].keys.shape[3] == narrow.layers[0].values.shape[2] == P
    table = decoding.rotation_table(TINY, C)
    wide, few = (
        step(TINY, weights, new[:, 0], c, recent, jnp.int32(0), table)[0] for c in (cache, narrow)
    )
    np.testing.assert_allclose(wide, few, atol=1e-6)


@pytest.mark.parametrize("head_dtype", ["", "float32"])
def test_the_copy_of_weights(head_dtype):
    """A layer has arrays of its own, in the compute dtype; norms and, if asked, the head in fp32"""
    for config in (TINY, UNTIED):
        config, params = dataclasses.replace(config, dtype="bfloat16"), random_params(config)
        weights = decoding.weights(config, params, sharding.make_mesh(), head_dtype)
        assert len(weights["layers"]) == config.num_layers
        expected = transformer.unembedding(params).astype(head_dtype or "bfloat16")
        np.testing.assert_array_equal(weights["lm_head"], expected)
        assert weights["lm_head"].dtype == expected.dtype
        np.testing.assert_array_equal(weights["embedding"], params["embedding"].astype("bfloat16"))
        np.testing.assert_array_equal(weights["final_norm"]["scale"], params["final_norm"]["scale"])
        for i, layer in enumerate(weights["layers"]):

            def same(path, x, stacked, i=i):
                dtype = "float32" if path[-1].key == "scale" else "bfloat16"
                assert x.dtype == dtype
                np.testing.assert_array_equal(x, stacked[i].astype(dtype))

            jax.tree_util.tree_map_with_path(same, layer, params["layers"])


def test_weights_on_a_mesh_for_decoding():
    """Heads are cut, and rows over the rest: no layer is cut over rows."""
    mesh = sharding.make_mesh(1, 4, 2)
    params = jax.device_put(
        random_params(UNTIED), sharding.tree_shardings(random_params(UNTIED), mesh)
    )
    decoding_mesh = sharding.decoding_mesh(mesh, UNTIED)  # 2 heads of keys and values
    assert dict(decoding_mesh.shape) == {"replica": 4, "fsdp": 1, "tensor": 2}
    assert set(decoding_mesh.devices.flat) == set(mesh.devices.flat)
    weights = decoding.weights(UNTIED, params, decoding_mesh)
    first = weights["layers"][0]
    assert first["q_proj"]["kernel"].addressable_shards[0].data.shape == (16, 16)
    assert first["down_proj"]["kernel"].addressable_shards[0].data.shape == (12, 16)
    assert weights["embedding"].addressable_shards[0].data.shape == (19, 16)  # 19 is odd
    np.testing.assert_array_equal(
        weights["layers"][1]["o_proj"]["kernel"], params["layers"]["o_proj"]["kernel"][1]
    )


@pytest.mark.parametrize(
    ("heads", "kv_heads", "mlp", "tensor"),
    [(4, 2, 24, 2), (8, 8, 64, 4), (32, 8, 60, 4), (6, 3, 24, 1), (8, 1, 64, 1)],
)
def test_the_mesh_for_decoding(heads, kv_heads, mlp, tensor):
    config = dataclasses.replace(TINY, num_heads=heads, num_kv_heads=kv_heads, mlp_width=mlp)
    mesh = sharding.decoding_mesh(sharding.make_mesh(2, 2, 2), config)
    assert mesh.shape["tensor"] == tensor and mesh.devices.size == 8 and mesh.shape["fsdp"] == 1
