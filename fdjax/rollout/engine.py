"""The device's side of generation: slots that each hold one sample, decoded together in chunks.

A slot is filled from a prefilled prompt, decoded until its sample ends, and filled again. What a
slot draws depends on its prompt, key and budget, never on its neighbours.

    prompts -- prefill, insert --> slots -- decode --> slots
                                   slots -- park --> store -- extend, insert --> slots

The lower line is that of a sample that waits for what others answer: a store keeps its cache
meanwhile, its slot is given to another.
"""

import functools
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax.lax import Precision

from fdjax.models import decoding
from fdjax.models.attention import soft_cap
from fdjax.models.config import ModelConfig
from fdjax.models.decoding import KVCache, Layer, Weights
from fdjax.runtime.sharding import shard_rows

T = TypeVar("T")


class Slots(NamedTuple):
    """S samples in the making. The last token of each is not in the cache yet."""

    cache: KVCache
    token_S: jax.Array  # i32: the last token, of the prompt at first
    drawn_S: jax.Array  # i32: tokens of the response so far, those of others included
    budget_S: jax.Array  # i32: how many it may have
    matched_S: jax.Array  # i32: the state of the search for `until`
    active_S: jax.Array  # bool: false for a slot whose sample has ended, and for an empty one
    key_S: jax.Array  # typed threefry keys


class Start(NamedTuple):
    """M samples to begin, or to go on with, each in a slot of its own; a slot that does not exist
    takes none."""

    slot_M: jax.Array  # i32
    prompt_M: jax.Array  # i32: rows of the prefilled prompts, or of the store
    token_M: jax.Array  # i32: the last token that was read
    length_M: jax.Array  # i32: tokens that were read
    drawn_M: jax.Array  # i32: those of them that are of the response
    budget_M: jax.Array  # i32
    name_M: jax.Array  # u32, with the sample's index folded into the key
    sample_M: jax.Array  # u32


class Drawing(NamedTuple):
    """How tokens are drawn. All is traced."""

    temperature: jax.Array | float  # 0: greedy, with log-probabilities of temperature 1
    stop_ids: jax.Array  # i32[n]: a sample ends with any of them
    until_LV: jax.Array | None = None  # a sample ends at the token that completes a text: until.py
    # Only the likeliest tokens that together have this probability; only tokens at least this
    # likely, relative to the likeliest. None: all tokens, and nothing is computed for it.
    top_p: jax.Array | float | None = None
    min_p: jax.Array | float | None = None


class Drawn(NamedTuple):
    """What a chunk of N steps drew. Entries after a sample's end are 0."""

    token_SN: jax.Array  # i32
    logprob_SN: jax.Array  # f32: of the full softmax at the sampling temperature
    entropy_SN: jax.Array  # f32: nats, of the same
    count_S: jax.Array  # i32: tokens drawn in this chunk
    ended_S: jax.Array  # bool: by a stop id or by `until` in this chunk, not by the budget
    active_S: jax.Array  # bool: goes on


@functools.partial(jax.jit, static_argnames=("config", "slots", "columns"))
def empty(config: ModelConfig, *, slots: int, columns: int) -> Slots:
    zeros = jnp.zeros(slots, jnp.int32)
    cache = KVCache(decoding.empty_layers(config, slots, columns), zeros)
    keys = jax.random.split(jax.random.key(0, impl="threefry2x32"), slots)
    return _placed(Slots(cache, zeros, zeros, zeros, zeros, zeros > 0, keys))


@functools.partial(jax.jit, static_argnames="config")
def prefill(
    config: ModelConfig, weights: Weights, tokens_BP: jax.Array, mask_BP: jax.Array
) -> tuple[Layer, ...]:
    """`decoding.prefill`; all prompts on each device, since a slot may need any of them."""
    layers = decoding.prefill(config, weights, tokens_BP, mask_BP)
    return jax.tree.map(lambda x: shard_rows(x, axis=None, heads=1), layers)


@functools.partial(jax.jit, donate_argnames="slots")
def insert(slots: Slots, prompts: tuple[Layer, ...], new: Start, key: jax.Array) -> Slots:
    """Copies the keys and values of prompts to the slots of their samples.

    A sample's key is folded from `key`, its name and its index. Raises ValueError for a key of
    another kind than threefry.
    """
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or key.dtype != slots.key_S.dtype:
        raise ValueError(
            f"key has dtype {key.dtype}, must be a typed threefry key (jax.random.key): "
            "the noise of other generators depends on the slots"
        )
    at, width = new.slot_M, prompts[0].values.shape[2]

    def put(x, value):
        return x.at[at].set(value, mode="drop")

    layers = tuple(
        Layer(
            old.keys.at[at, :, :, :width].set(x.keys[new.prompt_M], mode="drop"),
            old.values.at[at, :, :width].set(x.values[new.prompt_M], mode="drop"),
        )
        for old, x in zip(slots.cache.layers, prompts)
    )
    fold = jax.vmap(jax.random.fold_in)
    keys_M = fold(jax.vmap(jax.random.fold_in, (None, 0))(key, new.name_M), new.sample_M)
    slots = Slots(
        KVCache(layers, put(slots.cache.length_S, new.length_M - 1)),
        token_S=put(slots.token_S, new.token_M),
        drawn_S=put(slots.drawn_S, new.drawn_M),
        budget_S=put(slots.budget_S, new.budget_M),
        matched_S=put(slots.matched_S, 0),
        active_S=put(slots.active_S, True),
        key_S=put(slots.key_S, keys_M),
    )
    return _placed(slots)


@functools.partial(jax.jit, static_argnames=("config", "rows", "columns"))
def empty_store(config: ModelConfig, *, rows: int, columns: int) -> KVCache:
    """Room for the caches of samples that wait."""
    layers = decoding.empty_layers(config, rows, columns)
    return _placed(KVCache(layers, jnp.zeros(rows, jnp.int32)))


@functools.partial(jax.jit, donate_argnames="store")
def park(store: KVCache, slots: Slots, slot_M: jax.Array, row_M: jax.Array) -> KVCache:
    """The store with a copy of each slot's cache in a row; a row that does not exist takes none."""
    return _placed(
        jax.tree.map(lambda x, y: x.at[row_M].set(y[slot_M], mode="drop"), store, slots.cache)
    )


@functools.partial(jax.jit, static_argnames="config", donate_argnames="store")
def extend(
    config: ModelConfig,
    weights: Weights,
    store: KVCache,
    row_M: jax.Array,
    tokens_MT: jax.Array,
    count_M: jax.Array,
) -> KVCache:
    """The store whose rows have also read the first `count_M` of T given tokens: teacher-forced.

    T further columns exist for each of the rows; a row that does not exist takes none.
    """
    held = jax.tree.map(lambda x: x[row_M], store)
    _, new = decoding.extend(config, weights, tokens_MT, held)
    held = decoding.join(held, new, count_M)
    return _placed(jax.tree.map(lambda x, y: x.at[row_M].set(y, mode="drop"), store, held))


@functools.partial(jax.jit, static_argnames=("config", "steps", "width"), donate_argnames="slots")
def decode(
    config: ModelConfig,
    weights: Weights,
    slots: Slots,
    drawing: Drawing,
    enough: jax.Array | int,
    *,
    steps: int,
    width: int,
) -> tuple[Slots, Drawn]:
    """At most `steps` further tokens of each active slot; ends once `enough` slots are free.

    `width` columns of the cache hold all that is written when it begins, and `steps` further
    columns exist for each slot.
    """
    S = slots.token_S.shape[0]
    cache, read = slots.cache, decoding.first_columns(slots.cache, width)

    def unfinished(loop):
        step, slots, _, _ = loop
        return (step < steps) & (S - jnp.sum(slots.active_S) < enough)

    def advance(loop):
        step, slots, recent, drawn = loop
        token_S = slots.token_S
        hidden_SD, recent = decoding.step(config, weights, token_S, read, recent, step, table)
        keys_S = jax.vmap(jax.random.fold_in)(slots.key_S, slots.drawn_S)
        logits_SV = soft_cap(_logits(hidden_SD, weights["lm_head"]), config.logit_softcap)
        token, logprob, entropy = draw(logits_SV, keys_S, drawing)
        active = slots.active_S
        token = jnp.where(active, token, slots.token_S)
        ended, matched = jnp.isin(token, drawing.stop_ids), slots.matched_S
        if drawing.until_LV is not None:
            matched = jnp.where(active, drawing.until_LV[matched, token], matched)
            ended |= matched == len(drawing.until_LV)
        ended &= active
        count = slots.drawn_S + active
        going_on = active & ~ended & (count < slots.budget_S)
        slots = slots._replace(
            token_S=token, drawn_S=count, matched_S=matched.astype(jnp.int32), active_S=going_on
        )

        def put(buffer, value):
            return buffer.at[:, step].set(jnp.where(active, value, 0))

        drawn = Drawn(
            put(drawn.token_SN, token),
            put(drawn.logprob_SN, logprob),
            put(drawn.entropy_SN, entropy),
            drawn.count_S + active,
            drawn.ended_S | ended,
            going_on,
        )
        return step + 1, slots, recent, drawn

    i32_SN = shard_rows(jnp.zeros((S, steps), jnp.int32))
    f32_SN = i32_SN.astype(jnp.float32)
    nothing = Drawn(i32_SN, f32_SN, f32_SN, i32_SN[:, 0], i32_SN[:, 0] > 0, slots.active_S)
    recent = decoding.empty_layers(config, S, steps)
    table = decoding.rotation_table(config, cache.layers[0].values.shape[2])
    # The cache stays outside the loop: what the loop carries, XLA may copy for every token.
    loop = (jnp.int32(0), slots._replace(cache=None), recent, nothing)
    _, slots, recent, drawn = jax.lax.while_loop(unfinished, advance, loop)
    cache = decoding.join(cache, recent, drawn.count_S)
    # The host reads all of it.
    drawn = jax.tree.map(lambda x: shard_rows(x, axis=None), drawn)
    return _placed(slots._replace(cache=cache)), drawn


def _placed(tree: T) -> T:
    """With rows and heads cut as the mesh says: what leaves one function enters the next as it is,
    so that none is compiled twice."""
    return jax.tree.map(lambda x: shard_rows(x, heads=1 if x.ndim == 4 else None), tree)


def _logits(hidden_SD, head_DV):
    """In fp32, from a head in fp32 or in the compute dtype."""
    # HIGHEST: accelerators round the factors of an fp32 product otherwise.
    precision = Precision.HIGHEST if head_DV.dtype == jnp.float32 else None
    hidden_SD = hidden_SD.astype(head_DV.dtype)
    return jnp.matmul(hidden_SD, head_DV, precision=precision, preferred_element_type=jnp.float32)


def draw(
    logits_SV: jax.Array, keys_S: jax.Array, drawing: Drawing
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Draw a token of each row of fp32 logits: argmax(logits / temperature + Gumbel noise), at
    temperature 0 argmax(logits).

    Gumbel-max rather than inverse CDF, which in fp32 leaves the tail of a large vocabulary without
    mass. -> (tokens i32[S], their log-probabilities f32[S], the entropies f32[S] in nats, of the
    whole softmax, also where top_p and min_p leave out a part of it)
    """
    greedy = jnp.equal(drawing.temperature, 0)
    logits_SV = logits_SV / jnp.where(greedy, 1.0, drawing.temperature)
    shifted_SV = logits_SV - jnp.max(logits_SV, axis=-1, keepdims=True)
    mass_SV = jnp.exp(shifted_SV)
    total_S = jnp.sum(mass_SV, axis=-1)
    vocabulary = logits_SV.shape[-1]
    gumbel = jax.vmap(lambda key: jax.random.gumbel(key, (vocabulary,), jnp.float32))
    # A branch rather than a select: greedy decoding draws no noise, and XLA's CPU backend cannot
    # fuse the noise into the argmax, where it would run as scalar code (a third as fast).
    noise_SV = jax.lax.cond(greedy, lambda keys: jnp.zeros_like(logits_SV), gumbel, keys_S)
    noisy_SV = logits_SV + noise_SV
    if drawing.top_p is not None:
        least_S1 = _nucleus(shifted_SV, mass_SV, total_S, drawing.top_p)[:, None]
        noisy_SV = jnp.where(shifted_SV >= least_S1, noisy_SV, -jnp.inf)
    if drawing.min_p is not None:
        noisy_SV = jnp.where(mass_SV >= drawing.min_p, noisy_SV, -jnp.inf)
    token_S = jnp.argmax(noisy_SV, axis=-1).astype(jnp.int32)
    chosen_S = jnp.take_along_axis(shifted_SV, token_S[:, None], axis=-1)[:, 0]
    # logsumexp - sum softmax * logits; neither term is negative, so nothing cancels.
    entropy_S = jnp.log(total_S) - jnp.sum(mass_SV * shifted_SV, axis=-1) / total_S
    return token_S, chosen_S - jnp.log(total_S), entropy_S


def _nucleus(shifted_SV, mass_SV, total_S, top_p):
    """f32[S]: the largest value of `shifted` whose tokens, with those above it, have `top_p` of the
    mass. It is found by halving, within 2.4e-8: nothing is sorted.
    """

    def halve(_, bounds):
        low_S, high_S = bounds
        middle_S = (low_S + high_S) / 2
        mass_S = jnp.sum(jnp.where(shifted_SV >= middle_S[:, None], mass_SV, 0.0), axis=-1)
        enough_S = mass_S >= top_p * total_S
        return jnp.where(enough_S, middle_S, low_S), jnp.where(enough_S, high_S, middle_S)

    # exp of less than -104 is 0 in fp32.
    bounds = jnp.full_like(total_S, -104.0), jnp.zeros_like(total_S)
    return jax.lax.fori_loop(0, 32, halve, bounds)[0]
