"""The engine against a brute-force sampler that reruns the whole model for every token."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_model
from engine_runs import (
    NO_STOP,
    TINY,
    begun,
    drawing,
    key,
    random_prompts,
    sample_key,
    samples,
    shapes,
    write,
)
from tiny_model import random_params

from fdjax.models import decoding, transformer
from fdjax.rollout import engine
from fdjax.runtime import sharding

LENGTHS = (6, 1, 4, 5, 2, 6, 3, 4)
B, G, P, R = len(LENGTHS), 2, max(LENGTHS), 7
STOP = (3, 11)
NAMES = range(100, 100 + B)
PROMPTS = random_prompts(TINY, LENGTHS)
QUEUE = samples(NAMES, G, R)
GEMMA = dataclasses.replace(  # windows, caps, two rotations, biases, adapters, a head of its own
    tiny_model.GEMMA,
    vocab_size=TINY.vocab_size,
    logit_softcap=4.0,
    attention_bias=True,
    tie_embeddings=False,
    lora_rank=2,
)
hidden_states = jax.jit(transformer.hidden_states, static_argnums=0)


@pytest.fixture(scope="module")
def params():
    return random_params(TINY)


def logits_after(config, params, prompt, response):
    """Float64 logits [t + 1, V] of the response's first t + 1 tokens, by one full forward pass."""
    ids = [*prompt, *response]
    tokens = jnp.array([ids + [0] * (P + R - len(ids))])
    hidden = hidden_states(config, params, tokens, jnp.arange(P + R)[None] < len(ids))[0]
    hidden = np.asarray(hidden[len(prompt) - 1 : len(ids)], np.float64)
    logits = hidden @ np.asarray(transformer.unembedding(params), np.float64)
    cap = config.logit_softcap
    return cap * np.tanh(logits / cap) if cap else logits


def brute_force(config, params, prompt, key, temperature, stop_ids):
    response, logprobs, entropy, finished = [], [], [], False
    while len(response) < R and not finished:
        logits = logits_after(config, params, prompt, response)[-1]
        noise = np.zeros_like(logits)
        if temperature > 0:
            logits = logits / temperature
            noise = jax.random.gumbel(jax.random.fold_in(key, len(response)), logits.shape)
        token = int(np.argmax(logits + np.asarray(noise)))
        logprobs.append(logits[token] - np.log(np.exp(logits - logits.max()).sum()) - logits.max())
        chances = np.exp(logits - logits.max())
        chances /= chances.sum()
        entropy.append(-(chances * np.log(chances)).sum())
        response.append(token)
        finished = token in stop_ids
    return response, logprobs, entropy, finished


@pytest.mark.parametrize(
    ("config", "temperature"), [(TINY, 1.0), (TINY, 0.6), (TINY, 0.0), (GEMMA, 1.0), (GEMMA, 0.0)]
)
def test_equals_brute_force(config, temperature):
    """With 16 samples in 4 slots, which are refilled while others go on."""
    params = random_params(config)
    written = write(config, params, PROMPTS, QUEUE, drawing(temperature, STOP))
    lengths = set()
    for out, sample in zip(written, QUEUE):
        response, logprobs, entropy, finished = brute_force(
            config,
            params,
            PROMPTS[sample.prompt],
            sample_key(sample.name, sample.index),
            temperature,
            STOP,
        )
        lengths.add(len(response))
        assert out.tokens.tolist() == response and out.finished == finished
        np.testing.assert_allclose(out.logprobs, logprobs, atol=1e-5)
        np.testing.assert_allclose(out.entropy, entropy, atol=1e-5)
        dtypes = [x.dtype for x in (out.tokens, out.logprobs, out.entropy)]
        assert dtypes == [np.int32, np.float32, np.float32]
    assert R in lengths and min(lengths) < R  # both ways of ending were met


def test_entropy_of_large_and_of_certain_logits():
    rng = np.random.default_rng(0)
    logits = (1000 + 30 * rng.standard_normal((6, 50))).astype(np.float32)
    logits[0] = 7.0  # uniform
    logits[1, 4] += 1e4  # certain
    keys = jax.random.split(jax.random.key(0), 6)
    _, _, entropy = engine.draw(jnp.asarray(logits), keys, drawing(1.7))
    exact = logits.astype(np.float64) / 1.7
    chances = np.exp(exact - exact.max(-1, keepdims=True))
    chances /= chances.sum(-1, keepdims=True)
    expected = -(chances * np.log(np.maximum(chances, 1e-300))).sum(-1)
    assert entropy[1] == 0 and expected[0] == pytest.approx(np.log(50))
    np.testing.assert_allclose(entropy, expected, rtol=1e-4, atol=1e-6)


def assert_distributed(observed, expected, bound):
    """Chi-square; rare cells are taken together. A fixed seed, so never flaky."""
    rare = expected <= 5
    cells = [(observed[~rare], expected[~rare])]
    if rare.any():
        cells.append((observed[rare].sum(), expected[rare].sum()))
    assert sum((((o - e) ** 2) / np.maximum(e, 1e-9)).sum() for o, e in cells) < bound


def test_distribution_of_two_tokens_is_exact():
    """Pairs of tokens, on a vocabulary of 6."""
    config = dataclasses.replace(TINY, vocab_size=6)
    params = random_params(config)
    count, temperature, prompt = 4000, 0.8, [0, 1, 2, 3, 4, 5]
    written = write(
        config,
        params,
        [prompt],
        samples([5], count, budget=2),
        drawing(temperature),
        layout=shapes(slots=500, chunk=2, starts=500),
    )
    first, second = np.array([w.tokens for w in written]).T
    observed = np.zeros((6, 6))
    np.add.at(observed, (first, second), 1)

    def softmax(logits):
        e = np.exp((logits - logits.max()) / temperature)
        return e / e.sum()

    expected = np.empty((6, 6))
    for token in range(6):
        logits = logits_after(config, params, prompt, [token])
        expected[token] = count * softmax(logits[0])[token] * softmax(logits[1])
    assert (expected > 5).sum() > 20 and expected.max() < count / 3
    # 99.9th percentile of 35 degrees of freedom, an upper bound on ours
    assert_distributed(observed, expected, 66.6)


@pytest.mark.parametrize(
    ("top_p", "min_p", "temperature"),
    [(0.7, 0, 1.0), (0.95, 0, 0.6), (1e-6, 0, 1.0), (1, 0.2, 1.0), (1, 1, 1.0), (0.9, 0.15, 1.3)],
)
def test_nucleus_and_least_probability(top_p, min_p, temperature):
    """Against a sort in numpy: what can be drawn, how often, and with which figures."""
    count, vocabulary = 4000, 40
    logits = (2 * np.random.default_rng(3).standard_normal(vocabulary)).astype(np.float32)
    keys = jax.random.split(jax.random.key(1), count)
    rows = jnp.broadcast_to(jnp.asarray(logits)[None], (count, vocabulary))
    how = drawing(temperature, top_p=top_p, min_p=min_p)
    tokens, logprobs, entropy = map(np.asarray, engine.draw(rows, keys, how))

    chances = np.exp(logits.astype(np.float64) / temperature)
    chances /= chances.sum()
    order = np.argsort(-chances)
    before = np.cumsum(chances[order]) - chances[order]
    kept = set(order[before < top_p]) & set(np.flatnonzero(chances >= min_p * chances.max()))
    kept = sorted(kept)
    left_out = sorted(set(range(vocabulary)) - set(kept))
    assert not np.isin(tokens, left_out).any() and 0 < len(kept) < vocabulary
    expected = count * chances[kept] / chances[kept].sum()
    observed = np.array([(tokens == token).sum() for token in kept], float)
    assert (observed[expected > 12] > 0).all()
    # 99.9th percentile of 30 degrees of freedom, an upper bound on ours
    assert len(kept) <= 30
    assert_distributed(observed, expected, 59.7)
    np.testing.assert_allclose(logprobs, np.log(chances[tokens]), atol=1e-5)
    np.testing.assert_allclose(entropy, -(chances * np.log(chances)).sum(), rtol=1e-5)


def test_each_row_has_a_nucleus_of_its_own():
    """Of equal logits, too: all of them are as likely as the last one that is needed."""
    logits = np.full((3, 5), -30, np.float32)
    logits[0, 2], logits[1, :4] = 3, 1
    logits[2] = [4, 4, 3, 0, 0]
    keys = jax.random.split(jax.random.key(1), (200, 3))
    draws = jax.vmap(lambda keys: engine.draw(jnp.asarray(logits), keys, drawing(top_p=0.6))[0])
    drawn = np.asarray(draws(keys))
    assert [set(row) for row in drawn.T] == [{2}, {0, 1, 2, 3}, {0, 1}]


def test_the_likeliest_token_needs_no_nucleus(params):
    greedy = write(TINY, params, PROMPTS, QUEUE, drawing(0.0, STOP))
    narrow = write(TINY, params, PROMPTS, QUEUE, drawing(1.0, STOP, top_p=1e-6))
    least = write(TINY, params, PROMPTS, QUEUE, drawing(1.0, STOP, min_p=1.0))
    tokens = [w.tokens.tolist() for w in greedy]
    assert [w.tokens.tolist() for w in narrow] == [w.tokens.tolist() for w in least] == tokens
    free = write(TINY, params, PROMPTS, QUEUE, drawing(1.0, STOP))
    assert [w.tokens.tolist() for w in free] != tokens


LAYOUTS = {
    "one at a time": (shapes(slots=3, chunk=1, prompts=1, starts=1), range(B)[::-1], G),
    "more samples, wider prompts": (
        shapes(slots=24, chunk=8, prompt=9, prompts=8, starts=24),
        [5, 2, 7, 0, 1, 3, 4, 6],
        G + 1,
    ),
    "half of the slots": (shapes(slots=8, chunk=3, prompts=4, starts=4), range(B), G),
    "few of the prompts": (shapes(slots=4, chunk=8, prompts=3, starts=3), [6, 1, 4], G),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_sample_depends_on_its_key_and_prompt_only(params, name):
    """Slots, chunks, neighbours, their number and order, prompt padding: the same tokens."""
    expected = write(TINY, params, PROMPTS, QUEUE, drawing(1.0, STOP))
    layout, order, count = LAYOUTS[name]
    queue = samples([NAMES[p] for p in order], count)
    prompts = [PROMPTS[p] for p in order]
    written = write(TINY, params, prompts, queue, drawing(1.0, STOP), layout=layout)
    for out, sample in zip(written, queue):
        if sample.index < G:
            same = expected[(sample.name - NAMES[0]) * G + sample.index]
            assert out.tokens.tolist() == same.tokens.tolist() and out.finished == same.finished
            np.testing.assert_allclose(out.logprobs, same.logprobs, atol=1e-5)
            np.testing.assert_allclose(out.entropy, same.entropy, atol=1e-5)


def test_other_names_and_indices_are_other_samples(params):
    queue = samples([NAMES[0], NAMES[1], NAMES[0]], G)
    out = [w.tokens.tolist() for w in write(TINY, params, [PROMPTS[0]] * 3, queue)]
    assert out[:2] == out[4:] and len({tuple(tokens) for tokens in out}) == 4


def test_each_sample_has_a_budget_of_its_own(params):
    queue = [sample._replace(budget=1 + number % R) for number, sample in enumerate(QUEUE)]
    whole = write(TINY, params, PROMPTS, QUEUE, drawing(1.0, STOP))
    cut = write(TINY, params, PROMPTS, queue, drawing(1.0, STOP))
    for out, expected, sample in zip(cut, whole, queue):
        assert out.tokens.tolist() == expected.tokens[: sample.budget].tolist()
        assert out.finished == (expected.finished and len(expected.tokens) <= sample.budget)
    assert {len(out.tokens) for out in cut} >= {1, R} and any(out.finished for out in cut)


def test_a_slot_that_is_filled_again_searches_anew(params):
    """For a text that any four tokens complete: longer than a chunk, shorter than the budget."""
    until = np.tile(np.arange(1, 5, dtype=np.uint8)[:, None], (1, TINY.vocab_size))
    whole = write(TINY, params, PROMPTS, QUEUE)
    cut = write(TINY, params, PROMPTS, QUEUE, drawing(until=until))
    for out, expected in zip(cut, whole):
        assert out.tokens.tolist() == expected.tokens[:4].tolist() and out.finished


@pytest.mark.parametrize("head_dtype", ["", "float32"])
def test_logprobs_in_bfloat16_stay_near_the_forward_pass(head_dtype):
    config = dataclasses.replace(TINY, tie_embeddings=False, dtype="bfloat16")
    params = random_params(config)
    written = write(config, params, PROMPTS, QUEUE, drawing(0.7), head_dtype=head_dtype)
    for out, sample in list(zip(written, QUEUE))[::5]:
        response = out.tokens.tolist()
        logits = logits_after(config, params, PROMPTS[sample.prompt], response[:-1]) / 0.7
        logprobs = np.asarray(jax.nn.log_softmax(logits))[np.arange(R), response]
        np.testing.assert_allclose(out.logprobs, logprobs, atol=0.1)


@pytest.fixture(scope="module")
def weights(params):
    return decoding.weights(TINY, params, sharding.make_mesh())


def test_a_chunk_ends_once_enough_slots_are_free(weights, monkeypatch):
    """No step of the model is made for samples that have all ended."""
    steps, step = [], decoding.step

    def counting(*args):
        jax.debug.callback(lambda: steps.append(1))
        return step(*args)

    monkeypatch.setattr(decoding, "step", counting)
    fresh = jax.jit(
        lambda slots, how, enough: engine.decode.__wrapped__(
            TINY, weights, slots, how, enough, steps=R, width=8
        )
    )
    slots = begun(TINY, weights, PROMPTS[:4], 5, 16)

    def decoded(stop_ids, enough=5):
        steps.clear()
        how = drawing(stop_ids=np.resize(stop_ids, TINY.vocab_size))  # one compilation
        _, drawn = fresh(slots, how, enough)
        jax.effects_barrier()
        assert (drawn.count_S[:4] > 0).all() and drawn.count_S[4] == 0 and not drawn.active_S[4]
        behind = np.arange(R)[None] >= np.asarray(drawn.count_S)[:, None]
        for drawn_SN in drawn[:3]:
            assert not np.asarray(drawn_SN)[behind].any()
        return len(steps), drawn

    count, drawn = decoded(NO_STOP)
    assert (
        count == R == drawn.count_S.max() and not drawn.ended_S.any() and not drawn.active_S.any()
    )
    token_SN = np.asarray(drawn.token_SN)
    stop_ids = token_SN[:4, 3]
    firsts = np.array([np.isin(row, stop_ids).argmax() + 1 for row in token_SN[:4]])
    assert 1 < firsts.max() < R and firsts.min() < firsts.max()
    count, drawn = decoded(stop_ids)
    assert count == firsts.max() and drawn.count_S[:4].tolist() == firsts.tolist()
    assert drawn.ended_S.tolist() == [True] * 4 + [False]
    count, drawn = decoded(stop_ids, enough=2)  # one is free already
    assert count == firsts.min() and drawn.active_S.sum() < 4
    assert decoded(range(TINY.vocab_size))[0] == 1


def resumed(config, weights, slots, prompts, drawn, given, pieces=(2, 2)):
    """Slots whose samples have read what was `given` to them behind what they drew. They passed
    through the rows of a store in reverse, and each goes on in the next slot."""
    count = len(prompts)
    each = np.arange(count, dtype=np.int32)
    store = engine.empty_store(config, rows=count + 1, columns=32)
    store = engine.park(store, slots, each, each[::-1])
    # The last token drawn is not in the cache yet; the last one given is what the slot has.
    whole = [[ids[-1], *more] for ids, more in zip(drawn, given)]
    at = 0
    for size in pieces:
        parts = [ids[:-1][at : at + size] for ids in whole]
        tokens = np.array([ids + [0] * (size - len(ids)) for ids in parts], np.int32)
        counts = np.array([*map(len, parts)], np.int32)
        store = engine.extend(config, weights, store, each[::-1], tokens, counts)
        at += size
    lengths = [len(p) + len(ids) + len(more) for p, ids, more in zip(prompts, drawn, given)]
    positions = np.array([len(ids) + len(more) for ids, more in zip(drawn, given)], np.int32)
    start = engine.Start(
        slot_M=(each + 1) % len(slots.token_S),
        prompt_M=each[::-1],
        token_M=np.array([ids[-1] for ids in whole], np.int32),
        length_M=np.array(lengths, np.int32),
        drawn_M=positions,
        budget_M=positions + 2,
        name_M=(100 + each).astype(np.uint32),
        sample_M=np.zeros(count, np.uint32),
    )
    return engine.insert(slots, store.layers, start, key())


@pytest.mark.parametrize("config", [TINY, GEMMA], ids=["tiny", "gemma"])
def test_a_sample_goes_on_behind_the_text_of_others(config):
    """As if its prompt had held that text and what it drew before; the place in the response
    decides about the noise, the text of others included."""
    weights = decoding.weights(config, random_params(config), sharding.make_mesh())

    def decode(slots, steps, width):
        return engine.decode(config, weights, slots, drawing(), 4, steps=steps, width=width)

    prompts, given = PROMPTS[:3], ([1, 2, 3], [4], [7, 8])
    slots, first = decode(begun(config, weights, prompts, 4, 32, budget=3), 3, 8)
    drawn = first.token_SN[:3].tolist()
    slots = resumed(config, weights, slots, prompts, drawn, given)
    assert slots.drawn_S.tolist() == [3, 6, 4, 5]
    assert slots.active_S.tolist() == [False, True, True, True]
    assert slots.matched_S.tolist() == [0] * 4  # the text of others ends no match
    _, second = decode(slots, R, 16)
    assert second.count_S.tolist() == [0, 2, 2, 2]
    wholes = [p + ids + more for p, ids, more in zip(prompts, drawn, given)]
    expected = begun(config, weights, wholes, 4, 32)
    positions = np.array([6, 4, 5, 0], np.int32)
    expected = expected._replace(drawn_S=positions, budget_S=positions + 2)
    _, expected = decode(expected, R, 16)
    np.testing.assert_array_equal(second.token_SN[1:, :2], expected.token_SN[:3, :2])
    np.testing.assert_allclose(second.logprob_SN[1:, :2], expected.logprob_SN[:3, :2], atol=2e-5)


def test_rows_and_slots_that_do_not_exist_take_nothing(weights):
    slots = begun(TINY, weights, PROMPTS[:2], 2, 32)
    store = engine.empty_store(TINY, rows=2, columns=32)
    store = engine.park(store, slots, np.array([1, 0], np.int32), np.array([0, 2], np.int32))
    kept = [store.layers[0].values[0], slots.cache.layers[0].values[1]]
    np.testing.assert_array_equal(*kept)
    assert store.length_S.tolist() == [slots.cache.length_S[1], 0]
    tokens = np.ones((2, 3), np.int32)
    rows, counts = np.array([2, 1], np.int32), np.array([3, 1], np.int32)
    before = store.layers[0].values[0]
    store = engine.extend(TINY, weights, store, rows, tokens, counts)
    assert store.length_S.tolist() == [slots.cache.length_S[1], 1]
    np.testing.assert_array_equal(store.layers[0].values[0], before)


@pytest.mark.parametrize("key", [jax.random.key(0, impl="rbg"), jax.random.PRNGKey(0)])
def test_keys_whose_noise_depends_on_the_slots_are_refused(weights, key):
    with pytest.raises(ValueError, match="must be a typed threefry key"):
        begun(TINY, weights, PROMPTS[:1], 2, 16, of=key)


def test_other_default_keys_change_nothing(weights):
    with jax.default_prng_impl("rbg"):
        slots = begun(TINY, weights, PROMPTS[:1], 2, 16)
    assert slots.key_S.dtype == jax.random.key(0, impl="threefry2x32").dtype
    assert (slots.key_S[0] == sample_key(100, 0)).all()
