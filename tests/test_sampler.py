"""The sampler against a brute-force one that reruns the whole model for every token."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdjax.models import transformer
from fdjax.models.config import ModelConfig
from fdjax.rollout.sampler import draw, sample
from fdjax.runtime import sharding

TINY = ModelConfig(
    vocab_size=23, width=16, num_layers=2, num_heads=4, num_kv_heads=2, head_dim=8, mlp_width=24
)
B, G, P, R = 8, 2, 6, 7
STOP = jnp.array([3, 11], jnp.int32)
NEVER = jnp.array([-1, -1], jnp.int32)
PAD = 22
hidden_states = jax.jit(transformer.hidden_states, static_argnums=0)


@pytest.fixture(scope="module")
def params():
    return sharpened(TINY)


def sharpened(config):
    """Random parameters whose logits differ enough for the context to matter."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(lambda: transformer.init(config, jax.random.key(0)))
    return jax.tree.map(lambda x: jnp.asarray(0.4 * rng.standard_normal(x.shape), x.dtype), shapes)


@pytest.fixture(scope="module")
def prompts():
    tokens = jax.random.randint(jax.random.key(1), (B, P), 0, TINY.vocab_size)
    lengths = jnp.array([6, 1, 4, 5, 2, 6, 3, 4])
    return tokens, jnp.arange(P)[None] >= P - lengths[:, None]


@pytest.fixture(scope="module")
def keys():
    return jax.random.split(jax.random.key(2), (B, G))


def logits_after(config, params, prompt, mask, response):
    """Float64 logits [t + 1, V] of the response's first t + 1 tokens, by one full forward pass."""
    room = R - len(response)
    tokens = jnp.concatenate([prompt, jnp.array(response + [0] * room, jnp.int32)])
    mask = jnp.concatenate([mask, jnp.arange(R) < len(response)])
    hidden = hidden_states(config, params, tokens[None], mask[None])[0]
    hidden = np.asarray(hidden[P - 1 : P + len(response)], np.float64)
    return hidden @ np.asarray(transformer.unembedding(params), np.float64)


def brute_force(config, params, prompt, mask, key, temperature, stop_ids):
    response, logprobs, entropy, finished = [], [], [], False
    while len(response) < R and not finished:
        logits = logits_after(config, params, prompt, mask, response)[-1]
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


@pytest.mark.parametrize("temperature", [1.0, 0.6, 0.0])
def test_equals_brute_force(params, prompts, keys, temperature):
    tokens, mask = prompts
    out = sample(TINY, params, tokens, mask, keys, temperature, STOP, max_new=R, pad_id=PAD)
    lengths = set()
    for b in range(B):
        for g in range(G if temperature else 1):
            response, logprobs, entropy, finished = brute_force(
                TINY, params, tokens[b], mask[b], keys[b, g], temperature, {3, 11}
            )
            n = len(response)
            lengths.add(n)
            assert out.response_tokens[b, g].tolist() == response + [PAD] * (R - n)
            assert out.response_mask[b, g].tolist() == [True] * n + [False] * (R - n)
            np.testing.assert_allclose(out.logprobs[b, g, :n], logprobs, atol=1e-5)
            np.testing.assert_allclose(out.entropy[b, g, :n], entropy, atol=1e-5)
            assert (out.logprobs[b, g, n:] == 0).all() and (out.entropy[b, g, n:] == 0).all()
            assert bool(out.finished[b, g]) == finished
    assert R in lengths and min(lengths) < R  # both ways of ending were met
    dtypes = [x.dtype for x in out]
    assert dtypes == [np.dtype(d) for d in ("int32", "bool", "float32", "float32", "bool")]


def test_entropy_of_large_and_of_certain_logits():
    rng = np.random.default_rng(0)
    logits = (1000 + 30 * rng.standard_normal((2, 3, 50))).astype(np.float32)
    logits[0, 0] = 7.0  # uniform
    logits[0, 1, 4] += 1e4  # certain
    _, _, entropy = draw(jnp.asarray(logits), jax.random.split(jax.random.key(0), (2, 3)), 1.7)
    exact = logits.astype(np.float64) / 1.7
    chances = np.exp(exact - exact.max(-1, keepdims=True))
    chances /= chances.sum(-1, keepdims=True)
    expected = -(chances * np.log(np.maximum(chances, 1e-300))).sum(-1)
    assert entropy[0, 1] == 0 and expected[0, 0] == pytest.approx(np.log(50))
    np.testing.assert_allclose(entropy, expected, rtol=1e-4, atol=1e-6)


def test_distribution_of_two_tokens_is_exact(params):
    """Chi-square over pairs of tokens, on a vocabulary of 6; a fixed seed, so never flaky."""
    config = dataclasses.replace(TINY, vocab_size=6)
    params = sharpened(config)
    count, temperature = 4000, 0.8
    prompt, mask = jnp.array([[0, 1, 2, 3, 4, 5]]), jnp.ones((1, P), bool)
    keys = jax.random.split(jax.random.key(5), (1, count))
    out = sample(config, params, prompt, mask, keys, temperature, NEVER, max_new=2)
    first, second = np.moveaxis(np.asarray(out.response_tokens[0]), -1, 0)
    observed = np.zeros((6, 6))
    np.add.at(observed, (first, second), 1)

    def softmax(logits):
        e = np.exp((logits - logits.max()) / temperature)
        return e / e.sum()

    expected = np.empty((6, 6))
    for token in range(6):
        logits = logits_after(config, params, prompt[0], mask[0], [token])
        expected[token] = count * softmax(logits[0])[token] * softmax(logits[1])
    assert (expected > 5).sum() > 20 and expected.max() < count / 3
    rare = expected <= 5
    cells = [(observed[~rare], expected[~rare]), (observed[rare].sum(), expected[rare].sum())]
    chi_square = sum((((o - e) ** 2) / e).sum() for o, e in cells)
    assert chi_square < 66.6  # 99.9th percentile of 35 degrees of freedom, an upper bound on ours


def test_a_sample_depends_on_its_key_and_prompt_only(params, prompts, keys):
    """Other rows, neighbours, group size, prompt padding: the same tokens."""
    tokens, mask = prompts
    out = sample(TINY, params, tokens, mask, keys, 1.0, STOP, max_new=R)
    order = jnp.array([5, 2, 7])
    wider = jnp.pad(tokens[order], ((0, 0), (3, 0)), constant_values=9)
    wider_mask = jnp.pad(mask[order], ((0, 0), (3, 0)))
    fresh = jax.random.split(jax.random.key(77), (3, 2))
    regrouped = jnp.concatenate([fresh, keys[order][:, ::-1]], axis=1)
    again = sample(TINY, params, wider, wider_mask, regrouped, 1.0, STOP, max_new=R)
    for got, expected in zip(again, out):
        np.testing.assert_allclose(got[:, 2:], expected[order][:, ::-1], atol=1e-5)
    assert (again.response_tokens[:, :2] != again.response_tokens[:, 2:]).any()


def test_one_compilation_for_all_temperatures_and_stop_ids(params, prompts, keys):
    tokens, mask = prompts
    sample(TINY, params, tokens, mask, keys, 1.0, STOP, max_new=R)
    before = sample._cache_size()
    for temperature, stop_ids in [(0.3, STOP), (0.0, NEVER), (1.7, NEVER + 5)]:
        sample(TINY, params, tokens, mask, keys[:, ::-1], temperature, stop_ids, max_new=R)
    assert sample._cache_size() == before


def test_the_loop_ends_with_the_last_sample(params, prompts, keys, monkeypatch):
    tokens, mask = prompts
    steps, decode = [], transformer.decode

    def counting(*args):
        jax.debug.callback(lambda: steps.append(1))
        return decode(*args)

    monkeypatch.setattr(transformer, "decode", counting)
    inputs = TINY, params, tokens, mask, keys, 1.0
    fresh = jax.jit(lambda stop_ids: sample.__wrapped__(*inputs, stop_ids, max_new=R))

    def decoded(stop_ids):
        steps.clear()
        out = fresh(jnp.resize(stop_ids, TINY.vocab_size))  # one shape, one compilation
        jax.effects_barrier()
        return len(steps), out

    count, out = decoded(NEVER)
    assert count == R - 1 and not out.finished.any() and out.response_mask.all()
    stop_ids = jnp.unique(out.response_tokens[..., 3])
    count, out = decoded(stop_ids)
    assert 0 < count == out.response_mask.sum(-1).max() - 1 < R - 1 and out.finished.all()
    count, out = decoded(jnp.arange(TINY.vocab_size))
    assert count == 0 and out.finished.all() and (out.response_mask.sum(-1) == 1).all()


def test_logprobs_in_bfloat16_stay_near_the_forward_pass(prompts, keys):
    config = dataclasses.replace(TINY, tie_embeddings=False, dtype="bfloat16")
    params = sharpened(config)
    tokens, mask = prompts
    out = sample(config, params, tokens, mask, keys, 0.7, NEVER, max_new=R)
    for b in range(0, B, 3):
        response = out.response_tokens[b, 0].tolist()
        logits = logits_after(config, params, tokens[b], mask[b], response[:-1]) / 0.7
        logprobs = np.asarray(jax.nn.log_softmax(logits))[np.arange(R), response]
        assert out.logprobs.dtype == jnp.float32
        np.testing.assert_allclose(out.logprobs[b, 0], logprobs, atol=0.1)


def test_eight_devices_sample_as_one(params, prompts, keys):
    tokens, mask = prompts
    alone = sample(TINY, params, tokens, mask, keys, 1.0, STOP, max_new=R)
    mesh = sharding.make_mesh(replica=2, fsdp=2, tensor=2)
    rows = jax.NamedSharding(mesh, jax.P(sharding.ROWS))
    with jax.set_mesh(mesh):
        split = jax.device_put(params, sharding.tree_shardings(params, mesh))
        tokens, mask, keys = jax.device_put((tokens, mask, keys), rows)
        out = sample(TINY, split, tokens, mask, keys, 1.0, STOP, max_new=R)
    for got, expected in zip(out, alone):
        assert got.sharding.is_equivalent_to(rows, got.ndim)
        np.testing.assert_allclose(np.asarray(got), expected, atol=1e-5)


def test_keys_whose_noise_depends_on_the_batch_are_refused(params, prompts):
    tokens, mask = prompts
    keys = jax.random.split(jax.random.key(0, impl="rbg"), (B, G))
    with pytest.raises(ValueError, match="keys_BG has dtype key<rbg>"):
        sample(TINY, params, tokens, mask, keys, 1.0, STOP, max_new=R)
