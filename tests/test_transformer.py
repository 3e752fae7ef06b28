"""The transformer against a float64 numpy implementation, and its variants against each other."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import GEMMA, TINY, random_params

from fdjax.models import attention, transformer
from fdjax.models.config import from_fields

VARIANTS = {
    "qk_norm": TINY,
    "biases_untied": dataclasses.replace(
        TINY, qk_norm=False, attention_bias=True, tie_embeddings=False
    ),
    "multi_head_other_constants": dataclasses.replace(
        TINY, qk_norm=False, num_kv_heads=4, rope_theta=50.0, norm_eps=0.1
    ),
    "multi_query_all_options": dataclasses.replace(TINY, num_kv_heads=1, attention_bias=True),
}
hidden_states = jax.jit(transformer.hidden_states, static_argnums=0)


def random_batch(config, seed=0, lengths=(7, 4, 1)):
    T = max(lengths)
    tokens = jax.random.randint(jax.random.key(seed), (len(lengths), T), 0, config.vocab_size)
    return tokens, jnp.arange(T)[None] >= T - jnp.array(lengths)[:, None]


def reference_hidden(config, params, tokens_T):
    """One unpadded sequence, float64, a position and a head at a time. -> [T, D]."""
    p = jax.tree.map(lambda x: np.asarray(x, np.float64), params)

    def norm(x, scale):
        return x / np.sqrt((x * x).mean() + config.norm_eps) * scale

    def rope(x, position):
        half = config.head_dim // 2
        out = np.empty_like(x)
        for i in range(half):
            angle = position * config.rope_theta ** (-2 * i / config.head_dim)
            out[i] = x[i] * np.cos(angle) - x[i + half] * np.sin(angle)
            out[i + half] = x[i + half] * np.cos(angle) + x[i] * np.sin(angle)
        return out

    def project(layer, name, x):
        w = layer[name]
        y = w["kernel"].T @ x + w.get("bias", 0.0)
        return y.reshape(-1, config.head_dim)

    x = [p["embedding"][t] for t in np.asarray(tokens_T)]
    for i in range(config.num_layers):
        layer = jax.tree.map(lambda a, i=i: a[i], p["layers"])
        keys, values, out = [], [], []
        for position, row in enumerate(x):
            y = norm(row, layer["attention_norm"]["scale"])
            q, k = project(layer, "q_proj", y), project(layer, "k_proj", y)
            if config.qk_norm:
                q = [norm(h, layer["q_norm"]["scale"]) for h in q]
                k = [norm(h, layer["k_norm"]["scale"]) for h in k]
            keys.append([rope(h, position) for h in k])
            values.append(project(layer, "v_proj", y))
            heads = []
            for n in range(config.num_heads):
                shared = n * config.num_kv_heads // config.num_heads
                query = rope(q[n], position)
                scores = [query @ k[shared] / np.sqrt(config.head_dim) for k in keys]
                weights = np.exp(scores - np.max(scores))
                weights /= weights.sum()
                heads.append(sum(w * v[shared] for w, v in zip(weights, values)))
            row = row + layer["o_proj"]["kernel"].T @ np.concatenate(heads)
            y = norm(row, layer["mlp_norm"]["scale"])
            gate = layer["gate_proj"]["kernel"].T @ y
            up = layer["up_proj"]["kernel"].T @ y
            out.append(row + layer["down_proj"]["kernel"].T @ (gate / (1 + np.exp(-gate)) * up))
        x = out
    return np.stack([norm(row, p["final_norm"]["scale"]) for row in x])


@pytest.mark.parametrize("name", VARIANTS)
def test_equals_float64_reference_under_left_padding(name):
    config = VARIANTS[name]
    params = random_params(config)
    tokens, mask = random_batch(config)
    hidden = hidden_states(config, params, tokens, mask)
    assert hidden.dtype == jnp.float32 and np.isfinite(hidden).all()
    for row in range(len(tokens)):
        length = int(mask[row].sum())
        expected = reference_hidden(config, params, tokens[row, -length:])
        np.testing.assert_allclose(hidden[row, -length:], expected, atol=2e-5, rtol=2e-5)


def test_head_is_the_embedding_only_where_tied():
    tied = random_params(TINY)
    np.testing.assert_array_equal(transformer.unembedding(tied), tied["embedding"].T)
    untied = random_params(VARIANTS["biases_untied"])
    np.testing.assert_array_equal(transformer.unembedding(untied), untied["lm_head"])
    assert untied["lm_head"].shape == (TINY.width, TINY.vocab_size)


def test_later_tokens_and_pads_change_nothing_before_them():
    params = random_params(TINY)
    tokens, mask = random_batch(TINY)
    hidden = hidden_states(TINY, params, tokens, mask)
    changed = jnp.where(mask, tokens, (tokens + 5) % TINY.vocab_size).at[:, -1].add(1)
    other = hidden_states(TINY, params, changed % TINY.vocab_size, mask)
    before = np.where(mask[..., None], hidden - other, 0.0)[:, :-1]
    np.testing.assert_array_equal(before, 0.0)
    assert (np.abs(hidden[:, -1] - other[:, -1]).max(-1) > 1e-3).all()


def test_scan_and_remat_change_neither_layout_nor_values_nor_gradients():
    params = random_params(TINY)
    tokens, mask = random_batch(TINY)

    def evaluate(**changes):
        config = dataclasses.replace(TINY, **changes)
        shapes = jax.eval_shape(lambda: transformer.init(config, jax.random.key(0)))
        assert jax.tree.map(jnp.shape, shapes) == jax.tree.map(jnp.shape, params)

        def loss(params):
            return jnp.sum(jnp.sin(transformer.hidden_states(config, params, tokens, mask)))

        return jax.jit(jax.value_and_grad(loss))(params)

    unrolled = evaluate(scan_unroll=TINY.num_layers)
    for changed in (evaluate(scan_unroll=1), evaluate(remat=True)):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4, rtol=1e-4), unrolled, changed
        )


def test_parameters_are_fp32_with_names_that_rules_can_match():
    config = dataclasses.replace(TINY, attention_bias=True, tie_embeddings=False, dtype="bfloat16")
    params = jax.eval_shape(lambda: transformer.init(config, jax.random.key(0)))
    paths = {
        "/".join(k.key for k in path): x for path, x in jax.tree_util.tree_leaves_with_path(params)
    }
    assert {x.dtype for x in paths.values()} == {np.dtype("float32")}
    projections = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    kernels = {f"layers/{name}/kernel" for name in projections}
    biases = {f"layers/{name}/bias" for name in projections[:3]}
    layer_norms = ("attention_norm", "mlp_norm", "q_norm", "k_norm")
    norms = {f"layers/{name}/scale" for name in layer_norms} | {"final_norm/scale"}
    assert set(paths) == kernels | biases | norms | {"embedding", "lm_head"}
    assert paths["layers/q_proj/kernel"].shape == (2, 16, 32)


def test_bfloat16_stays_near_fp32():
    params = random_params(TINY)
    tokens, mask = random_batch(TINY)
    exact = hidden_states(TINY, params, tokens, mask)
    half = dataclasses.replace(TINY, dtype="bfloat16")
    rounded = hidden_states(half, params, tokens, mask)
    assert rounded.dtype == jnp.float32
    difference = np.abs(np.where(mask[..., None], rounded - exact, 0)).max()
    assert 1e-4 < difference < 0.2


def test_a_windowed_layer_attends_to_so_many_tokens():
    """In one layer with window 3, the last token attends to the third last but not beyond."""
    config = dataclasses.replace(TINY, num_layers=1, window=3)
    params = random_params(config)
    tokens, mask = random_batch(config, lengths=(7,))
    hidden = hidden_states(config, params, tokens, mask)[0, -1]
    for place, attended in ((-3, True), (-4, False)):
        other = tokens.at[0, place].add(1) % config.vocab_size
        moved = jnp.abs(hidden_states(config, params, other, mask)[0, -1] - hidden).max()
        assert (moved > 1e-3) == attended, place


def test_configs_of_plain_data():
    fields = json.loads(json.dumps(dataclasses.asdict(GEMMA)))
    assert from_fields(fields) == GEMMA
    assert GEMMA.windowed_layers == (True, True, False) and not any(TINY.windowed_layers)
    for changes, message in [
        ({"widht": 3}, "widht: no such field"),
        ({"activation": "relu"}, "activation is 'relu'"),
        ({"num_kv_heads": 3}, "num_heads=4 is no multiple of num_kv_heads=3"),
        ({"dtype": "float16"}, "dtype is 'float16'"),
        ({"rope_scaling": {"kind": "dynamic", "factor": 2.0}}, "rope_scaling.kind is 'dynamic'"),
        ({"rope_scaling": {"kind": "yarn", "factor": 2.0}}, "yarn needs original_context"),
    ]:
        with pytest.raises(ValueError, match=message):
            from_fields(fields | changes)


def test_blocks_of_queries_change_nothing(monkeypatch):
    """Values and gradients, with a full and a partial last block; no [T, T] array exists."""
    config = dataclasses.replace(GEMMA, num_layers=2, window_pattern=(True, False), remat=True)
    params = random_params(config)
    tokens, mask = random_batch(config, lengths=(15, 9))

    def compiled():
        def loss(params):
            hidden = transformer.hidden_states(config, params, tokens, mask)
            return jnp.where(mask[..., None], jnp.sin(hidden), 0).sum()

        return jax.jit(jax.value_and_grad(loss)).lower(params).compile()

    whole = compiled()
    assert "15,15]" in whole.as_text()
    expected = whole(params)
    for size in (5, 4):
        monkeypatch.setattr(attention, "BLOCK", size)
        blocks = compiled()
        assert "15,15]" not in blocks.as_text()
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4, rtol=2e-4),
            blocks(params),
            expected,
        )
