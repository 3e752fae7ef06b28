"""A decoder-only transformer: RMSNorm, RoPE, grouped-query attention, gated MLP, scanned layers.

One implementation serves all model families; `ModelConfig` selects the features. The public
interface is pure functions of (config, params). A forward pass ends at hidden states: logits over
a vocabulary are large, so callers compute the ones they need with `head` and `to_logits`.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from fdjax.models import attention, lora
from fdjax.models.attention import rotate, soft_cap
from fdjax.models.config import ModelConfig
from fdjax.runtime.sharding import shard_rows

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

    A token's position is the number of unmasked tokens before it. Hidden states of masked tokens
    are finite and meaningless.
    """
    return Transformer(config).apply({"params": params}, tokens_BT, positions(mask_BT), mask_BT)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class CappedHead:
    """A head whose logits are cap * tanh(hidden @ matrix / cap), as Gemma 2 has it."""

    matrix: jax.Array  # f[D, V]
    softcap: float = dataclasses.field(metadata={"static": True})


def unembedding(params: Params) -> jax.Array:
    """The head's matrix f32[D, V]; the transposed embedding if they are tied."""
    return params["lm_head"] if "lm_head" in params else params["embedding"].T


def head(config: ModelConfig, params: Params) -> jax.Array | CappedHead:
    """The unembedding as `to_logits` takes it, with the model's logit cap if it has one."""
    matrix_DV = unembedding(params)
    return CappedHead(matrix_DV, config.logit_softcap) if config.logit_softcap else matrix_DV


def to_logits(
    hidden: jax.Array, head_DV: jax.Array | CappedHead, temperature: float = 1.0
) -> jax.Array:
    """hidden f[..., D] -> f[..., V] in at least fp32, capped before the division by temperature."""
    softcap = 0.0
    if isinstance(head_DV, CappedHead):
        head_DV, softcap = head_DV.matrix, head_DV.softcap
    dtype = jnp.promote_types(hidden.dtype, jnp.float32)
    logits = soft_cap(jnp.matmul(hidden, head_DV, preferred_element_type=dtype), softcap)
    return logits if temperature == 1.0 else logits / temperature


def positions(mask_BT: jax.Array) -> jax.Array:
    """i32[B, T]: the number of unmasked tokens before one that is not masked."""
    return jnp.maximum(jnp.cumsum(mask_BT, axis=-1, dtype=jnp.int32) - 1, 0)


def embed(config: ModelConfig, embedding_VD: jax.Array, tokens_BT: jax.Array) -> jax.Array:
    """-> [B * T, D] in the compute dtype. One row per token: with two leading axes, XLA's CPU
    backend fuses a transposition into the gradient of each product, which then takes over twice as
    long.
    """
    x_MD = jnp.take(embedding_VD, tokens_BT.reshape(-1), axis=0).astype(config.dtype)
    if config.scale_embeddings:
        x_MD *= jnp.asarray(math.sqrt(config.width), config.dtype)
    return x_MD


# (query, key, value, *, window, softcap) -> (what each query attends to, what the layer keeps)
Attend = Callable[..., tuple[jax.Array, Any]]

# --- Modules -------------------------------------------------------------------------------------


class Transformer(nn.Module):
    """Tokens to final-normed hidden states; `mask` says which tokens others attend to.

    The layers are scanned: their parameters are stacked.
    """

    config: ModelConfig

    @nn.compact
    def __call__(self, tokens_BT, positions_BT, mask_BT):
        c = self.config
        embedding = self.param(
            "embedding", nn.initializers.normal(0.02), (c.vocab_size, c.width), jnp.float32
        )
        if not c.tie_embeddings:
            self.param("lm_head", nn.initializers.normal(0.02), (c.width, c.vocab_size))

        x_MD = embed(c, embedding, tokens_BT)
        block = nn.remat(Block, prevent_cse=False) if c.remat else Block
        layers = nn.scan(
            block,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=(nn.broadcast, 0, nn.broadcast),
            length=c.num_layers,
            # In unrolled layers the compiler undoes remat: 8 layers took 104 MB of temporary memory
            # scanned, 641 MB unrolled, 685 MB without remat.
            unroll=1 if c.remat else c.scan_unroll,
        )(c, name="layers")
        windowed_L = jnp.array(c.windowed_layers) if c.window else None
        rotations = attention.rotations(c, positions_BT)
        x_MD, _ = layers(x_MD, rotations, windowed_L, mask_BT)
        hidden_MD = RMSNorm(c, "float32", name="final_norm")(x_MD)
        return shard_rows(hidden_MD.reshape(*tokens_BT.shape, c.width))


class Block(nn.Module):
    """One pre-norm layer: attention, then the gated MLP. -> (hidden states, what `attend` keeps)

    `windowed` bool: is its attention windowed? None: that of no layer is.
    """

    config: ModelConfig
    attend: Attend | None = None  # None: the tokens attend to one another, as far as `mask` allows

    @nn.compact
    def __call__(self, x_MD, rotations, windowed, mask_BT=None):
        c = self.config
        N, K, H = c.num_heads, c.num_kv_heads, c.head_dim
        small = nn.initializers.variance_scaling(1 / (2 * c.num_layers), "fan_in", "normal")
        norm = functools.partial(RMSNorm, c, c.dtype)
        rotation, window = _rotation_and_window(c, rotations, windowed)
        B, T, *_ = rotation.cos.shape

        x_MD = shard_rows(x_MD)
        y = norm(name="attention_norm")(x_MD)
        heads = functools.partial(self._project, use_bias=c.attention_bias)
        query = heads("q_proj", y, N * H).reshape(B, T, N, H)
        key = heads("k_proj", y, K * H).reshape(B, T, K, H)
        value = heads("v_proj", y, K * H).reshape(B, T, K, H)
        if c.qk_norm:
            query, key = norm(name="q_norm")(query), norm(name="k_norm")(key)
        query = rotate(query, rotation, scale=1 / math.sqrt(c.query_scalar or H))
        key = rotate(key, rotation)
        limits = {"window": window, "softcap": c.attention_softcap}
        if self.attend is None:
            choice = {"implementation": c.attention}
            y, kept = attention.causal(query, key, value, mask_BT, **limits, **choice), None
        else:
            y, kept = self.attend(query, key, value, **limits)
        y = self._project("o_proj", y.reshape(B * T, N * H), c.width, kernel_init=small)
        x_MD += norm(name="attention_post_norm")(y) if c.post_norms else y

        y = norm(name="mlp_norm")(x_MD)
        gate = self._project("gate_proj", y, c.mlp_width)
        up = self._project("up_proj", y, c.mlp_width)
        y = _ACTIVATIONS[c.activation](gate) * up
        y = self._project("down_proj", y, c.width, kernel_init=small)
        x_MD += norm(name="mlp_post_norm")(y) if c.post_norms else y
        return x_MD, kept

    def _project(self, name, x_MD, features, use_bias=False, **init):
        c = self.config
        y_MF = nn.Dense(features, use_bias=use_bias, dtype=c.dtype, name=name, **init)(x_MD)
        if c.lora_rank and name in c.lora_targets:
            y_MF += lora.Adapter(c, features, name=name + lora.SUFFIX)(x_MD)
        return y_MF


_ACTIVATIONS = {"silu": nn.silu, "gelu_tanh": functools.partial(nn.gelu, approximate=True)}


class RMSNorm(nn.Module):
    """RMS norm times (`norm_offset` + scale): computed in fp32, returned in `dtype`."""

    config: ModelConfig
    dtype: str

    @nn.compact
    def __call__(self, x):
        offset = self.config.norm_offset
        scale = self.param("scale", nn.initializers.constant(1 - offset), x.shape[-1:])
        scale = scale + offset if offset else scale
        x = x.astype(jnp.float32)
        mean_square = jnp.mean(jnp.square(x), axis=-1, keepdims=True)
        factor = jax.lax.rsqrt(mean_square + self.config.norm_eps)
        return (x * (factor * scale[(None,) * (x.ndim - 1)])).astype(self.dtype)


def _rotation_and_window(config, rotations, windowed):
    """Of one layer. `windowed` is traced where the layers are scanned."""
    full, within = rotations
    if windowed is None or windowed is False:
        return full, None
    window = attention.Window(config.window, windowed)
    if within is None:
        return full, window
    if windowed is True:
        return within, window
    return jax.tree.map(lambda a, b: jnp.where(windowed, a, b), within, full), window
