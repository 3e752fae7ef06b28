"""Groups of samples of shared prompts: one prefill per prompt, one decode loop on the device."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.lax import Precision

from fdjax.models import transformer
from fdjax.models.attention import KVCache, soft_cap
from fdjax.models.config import ModelConfig


class Rollout(NamedTuple):
    """B prompts, G samples of each, at most R tokens. Behind a sample's end: pad, False, 0."""

    response_tokens: jax.Array  # i32[B, G, R]
    response_mask: jax.Array  # bool[B, G, R]: true up to the token that ends it, inclusive
    logprobs: jax.Array  # f32[B, G, R]: of the tokens, full softmax at the sampling temperature
    entropy: jax.Array  # f32[B, G, R]: nats, of the distribution that each token is drawn from
    finished: jax.Array  # bool[B, G]: ended by a stop id or by `until`, not by the budget


class _Loop(NamedTuple):
    step: jax.Array  # i32[]: tokens written per sample
    token: jax.Array  # i32[B, G]: the last one written
    matched: jax.Array | None  # [B, G]: the state of the search for `until`
    rollout: Rollout
    cache: KVCache


@functools.partial(jax.jit, static_argnames=("config", "max_new"))
def sample(
    config: ModelConfig,
    params: transformer.Params,
    prompt_tokens_BP: jax.Array,
    prompt_mask_BP: jax.Array,
    keys_BG: jax.Array,
    temperature: jax.Array | float,
    stop_ids: jax.Array,
    until_LV: jax.Array | None = None,
    *,
    max_new: int,
    pad_id: jax.Array | int = 0,
) -> Rollout:
    """Sample G responses of at most `max_new` tokens to each left-padded prompt.

    prompt_tokens i32[B, P], prompt_mask bool[B, P] (at least one token each), keys_BG typed
    threefry keys [B, G], stop_ids i32[S]. Compiled once per shape: temperature, stop ids and pad
    are traced. Temperature 0 is greedy, with log-probabilities and entropy of temperature 1.
    `until_LV` (rollout/until.py) ends a sample at the token that completes a text.

    A sample's noise depends on its key and the token's index in the response only: equal keys and
    prompts give equal samples in any row, group or batch. Gumbel-max rather than inverse CDF,
    which in fp32 leaves the tail of a large vocabulary without mass.

    Raises ValueError for keys of another kind.
    """
    typed = jnp.issubdtype(keys_BG.dtype, jax.dtypes.prng_key)
    if not typed or jax.random.key_impl(keys_BG) != "threefry2x32":
        raise ValueError(
            f"keys_BG has dtype {keys_BG.dtype}, must hold typed threefry keys (jax.random.key): "
            "the noise of other generators depends on the batch"
        )
    group = keys_BG.shape[1]
    head_DV = transformer.unembedding(params)
    hidden_BD, cache = transformer.prefill(
        config, params, prompt_tokens_BP, prompt_mask_BP, group=group, budget=max_new
    )

    def write(rollout: Rollout, matched, step, hidden_BGD):
        """Draw token `step` of every sample that has not ended. -> (token, matched, rollout)"""
        # HIGHEST: accelerators round the factors of an fp32 product otherwise.
        logits_BGV = jnp.einsum("bgd,dv->bgv", hidden_BGD, head_DV, precision=Precision.HIGHEST)
        logits_BGV = soft_cap(logits_BGV, config.logit_softcap)
        token, logprob, entropy = draw(logits_BGV, _fold_in(keys_BG, step), temperature)
        active = ~rollout.finished
        token = jnp.where(active, token, pad_id)
        rollout = Rollout(
            rollout.response_tokens.at[:, :, step].set(token),
            rollout.response_mask.at[:, :, step].set(active),
            rollout.logprobs.at[:, :, step].set(jnp.where(active, logprob, 0.0)),
            rollout.entropy.at[:, :, step].set(jnp.where(active, entropy, 0.0)),
            rollout.finished | (active & jnp.isin(token, stop_ids)),
        )
        if matched is not None:
            matched = jnp.where(active, until_LV[matched, token], matched)
            found = matched == len(until_LV)
            rollout = rollout._replace(finished=rollout.finished | found)
        return token, matched, rollout

    def advance(loop: _Loop) -> _Loop:
        hidden_BGD, cache = transformer.decode(config, params, loop.token, loop.cache)
        token, matched, rollout = write(loop.rollout, loop.matched, loop.step, hidden_BGD)
        return _Loop(loop.step + 1, token, matched, rollout, cache)

    def unfinished(loop: _Loop) -> jax.Array:
        return (loop.step < max_new) & ~jnp.all(loop.rollout.finished)

    shape = (*keys_BG.shape, max_new)
    empty = Rollout(
        jnp.full(shape, pad_id, jnp.int32),
        jnp.zeros(shape, bool),
        jnp.zeros(shape, jnp.float32),
        jnp.zeros(shape, jnp.float32),
        jnp.zeros(keys_BG.shape, bool),
    )
    # All samples of a prompt draw their first token from the same logits.
    hidden_BGD = jnp.broadcast_to(hidden_BD[:, None], (*keys_BG.shape, hidden_BD.shape[-1]))
    start = None if until_LV is None else jnp.zeros(keys_BG.shape, until_LV.dtype)
    token, matched, rollout = write(empty, start, 0, hidden_BGD)
    loop = _Loop(jnp.int32(1), token, matched, rollout, cache)
    return jax.lax.while_loop(unfinished, advance, loop).rollout


def draw(
    logits_BGV: jax.Array, keys_BG: jax.Array, temperature: jax.Array | float
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Draw a token of each row of fp32 logits: argmax(logits / temperature + Gumbel noise), at
    temperature 0 argmax(logits).

    -> (tokens i32[B, G], their log-probabilities f32[B, G], the entropies f32[B, G] of the whole
    softmax in nats)
    """
    greedy = jnp.equal(temperature, 0)
    logits_BGV = logits_BGV / jnp.where(greedy, 1.0, temperature)
    vocabulary = logits_BGV.shape[-1]
    gumbel = jax.vmap(jax.vmap(lambda key: jax.random.gumbel(key, (vocabulary,), jnp.float32)))
    # A branch rather than a select: greedy decoding draws no noise, and XLA's CPU backend cannot
    # fuse the noise into the argmax, where it would run as scalar code (a third as fast).
    noise_BGV = jax.lax.cond(greedy, lambda keys: jnp.zeros_like(logits_BGV), gumbel, keys_BG)
    token_BG = jnp.argmax(logits_BGV + noise_BGV, axis=-1).astype(jnp.int32)
    shifted_BGV = logits_BGV - jnp.max(logits_BGV, axis=-1, keepdims=True)
    chosen_BG = jnp.take_along_axis(shifted_BGV, token_BG[..., None], axis=-1)[..., 0]
    mass_BGV = jnp.exp(shifted_BGV)
    total_BG = jnp.sum(mass_BGV, axis=-1)
    # logsumexp - sum softmax * logits; neither term is negative, so nothing cancels.
    entropy_BG = jnp.log(total_BG) - jnp.sum(mass_BGV * shifted_BGV, axis=-1) / total_BG
    return token_BG, chosen_BG - jnp.log(total_BG), entropy_BG


def _fold_in(keys_BG, step):
    return jax.vmap(jax.vmap(lambda key: jax.random.fold_in(key, step)))(keys_BG)
