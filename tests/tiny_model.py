"""Models whose figures can be checked by hand, and derivatives by differences."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from fdjax.models import transformer
from fdjax.models.config import ModelConfig, RopeScaling
from fdjax.objectives.protocol import Model

QUICK = {"xla_backend_optimization_level": 0}  # compiler options: for what runs once or twice

TINY = ModelConfig(
    vocab_size=19, width=16, num_layers=2, num_heads=4, num_kv_heads=2, head_dim=8, mlp_width=24
)
GEMMA = dataclasses.replace(
    TINY,
    num_layers=3,
    activation="gelu_tanh",
    norm_offset=1.0,
    post_norms=True,
    scale_embeddings=True,
    attention_softcap=2.0,
    window=3,
    window_pattern=(True, True, False),
    window_rope_theta=50.0,
    rope_scaling=RopeScaling("linear", 4.0),
)

# Hidden states are themselves parameters: a loss is then a function of (hidden, head) alone.
FREE = Model(lambda params, tokens, mask: params["hidden"], lambda params: params["head"])


def bag_of_words(vocab_size=64, width=8):
    """(init, Model) of a next-token predictor that compiles in no time: means of embeddings."""

    def init(key):
        embedding = jax.random.normal(key, (vocab_size, width))
        return {"embedding": embedding, "lm_head": embedding[::-1].T}

    def hidden_states(params, tokens, mask):
        seen = jnp.cumsum(mask[..., None] * params["embedding"][tokens], axis=1)
        return seen / jnp.maximum(jnp.cumsum(mask, axis=1), 1)[..., None]

    return init, Model(hidden_states, lambda params: params["lm_head"])


def tiny_transformer(**changes):
    """(init, Model) of a real transformer of a few thousand parameters, with logits far from 0."""
    config = ModelConfig(
        **dict(
            vocab_size=64,
            width=16,
            num_layers=2,
            num_heads=4,
            num_kv_heads=2,
            head_dim=8,
            mlp_width=32,
        )
        | changes
    )

    def init(key):
        params = transformer.init(config, key)
        return params | {"embedding": 20 * params["embedding"]}

    hidden_states = functools.partial(transformer.hidden_states, config)
    return init, Model(hidden_states, transformer.unembedding)


def random_params(config, seed=0):
    """Every parameter random: a scale or bias that the computation leaves out then shows."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        mean = 1.0 if path[-1].key == "scale" else 0.0
        return jnp.asarray(mean + 0.4 * rng.standard_normal(leaf.shape), leaf.dtype)

    shapes = jax.eval_shape(lambda: transformer.init(config, jax.random.key(0)))
    return jax.tree_util.tree_map_with_path(draw, shapes)


def log_softmax(z):
    z = np.asarray(z, np.float64)
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def differences(function, tree, eps=1e-5):
    """Central differences of a scalar `function` of a tree of float64 arrays, every coordinate."""
    leaves, structure = jax.tree.flatten(jax.tree.map(lambda x: np.array(x, np.float64), tree))
    gradients = [np.zeros_like(leaf) for leaf in leaves]
    for leaf, gradient in zip(leaves, gradients):
        for index in np.ndindex(leaf.shape):
            kept, values = leaf[index], []
            for step in (eps, -eps):
                leaf[index] = kept + step
                values.append(function(jax.tree.unflatten(structure, leaves)))
            leaf[index] = kept
            gradient[index] = (values[0] - values[1]) / (2 * eps)
    return jax.tree.unflatten(structure, gradients)


def assert_trees_close(actual, expected, **tolerance):
    jax.tree.map(lambda a, e: np.testing.assert_allclose(a, e, **tolerance), actual, expected)
