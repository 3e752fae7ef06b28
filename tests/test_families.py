"""Every model family against transformers, on tiny random models."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from engine_runs import drawing, samples, shapes, write
from hf_models import VARIANTS, torch

from fdjax.models.config import RopeScaling
from tests import hf_models

ATOL = 1e-4
TOKENS, MASK = hf_models.batch()
OFF = {  # a feature of each variant -> the fields without it
    "qwen3": {"qk_norm": False, "rope_theta": 100.0, "norm_eps": 0.1},
    "qwen3_untied_theta": {"rope_theta": 1e4, "qk_norm": False},
    "qwen2": {"attention_bias": False, "norm_eps": 1e-6},
    "qwen2_windows": {"window": 0, "window_pattern": (True,)},
    "llama2": {"rope_theta": 100.0},
    "llama3": {"rope_scaling": None},
    "llama_yarn": {
        "rope_scaling": None,
        "rope_scaling.attention_factor": RopeScaling("yarn", 16.0, 16),
    },
    "gemma2": {
        "activation": "silu",
        "norm_offset": 0.0,
        "post_norms": False,
        "scale_embeddings": False,
        "query_scalar": 0.0,
        "attention_softcap": 0.0,
        "logit_softcap": 0.0,
        "window": 0,
        "window_pattern": (False, True),
    },
    "gemma3": {"qk_norm": False, "window": 6, "window_rope_theta": 0.0},
    "gemma3_scaled": {"rope_scaling": None, "window_rope_theta": 1e4, "logit_softcap": 0.0},
}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """variant -> (the model of transformers, its ModelConfig, its parameters)."""

    @functools.cache
    def load(variant, seed=0):
        model = hf_models.make(variant, seed)
        config, params = hf_models.load(model, tmp_path_factory.mktemp(variant))
        # One layer compiled rather than four, with the same results.
        return model, dataclasses.replace(config, scan_unroll=1), params

    return load


def difference(config, params, expected):
    """Largest difference of logits where there are tokens."""
    with jax.disable_jit():  # compiling a model costs far more than running it once
        found = hf_models.logits(config, params, TOKENS, MASK)
    return np.abs(np.asarray(found) - expected)[MASK].max()


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits(loaded, variant):
    """Left-padded rows of several lengths; and each feature is needed."""
    model, config, params = loaded(variant)
    expected = hf_models.reference_logits(model, TOKENS, MASK)
    assert difference(config, params, expected) < ATOL
    for feature, without in OFF[variant].items():
        changed = dataclasses.replace(config, **{feature.split(".")[0]: without})
        assert changed != config
        assert difference(changed, params, expected) > 100 * ATOL, feature
    if not config.tie_embeddings:
        tied = params | {"lm_head": params["embedding"].T}
        assert difference(config, tied, expected) > 100 * ATOL


def test_logits_in_bfloat16(loaded):
    """Both round differently: near one another, as near as transformers' own to its fp32."""
    model, config, params = loaded("gemma3_scaled")
    exact = hf_models.reference_logits(model, TOKENS, MASK)
    half = dataclasses.replace(config, dtype="bfloat16")
    ours = difference(half, params, exact)
    theirs = hf_models.make("gemma3_scaled").to(torch.bfloat16)
    theirs = np.abs(hf_models.reference_logits(theirs, TOKENS, MASK) - exact)[MASK].max()
    assert 100 * ATOL < ours < 2 * theirs


@pytest.mark.parametrize(
    ("variant", "seed"),
    [("qwen3", 4), ("qwen2", 0), ("llama3", 1), ("gemma2", 0), ("gemma3_scaled", 2)],
)
def test_greedy_decoding(loaded, variant, seed):
    """64 tokens after unequal prompts: the ids of `generate`, and the log-probabilities that a
    full forward pass gives to the same tokens."""
    model, config, params = loaded(variant, seed)
    tokens, mask = hf_models.batch((9, 5, 2))
    written = write(
        config,
        params,
        [row[seen].tolist() for row, seen in zip(tokens, mask)],
        samples(range(3), 1, budget=64),
        drawing(0.0),
        layout=shapes(slots=2, chunk=16, prompt=9, response=64),
    )
    ours = np.stack([out.tokens for out in written])
    expected = model.generate(
        torch.tensor(tokens),
        attention_mask=torch.tensor(mask).long(),
        max_new_tokens=64,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
    ).numpy()[:, 9:]
    np.testing.assert_array_equal(ours, expected)
    assert min(len(set(row)) for row in expected.tolist()) >= 20

    whole = np.concatenate([tokens, ours], 1), np.concatenate([mask, ours >= 0], 1)
    exact = torch.tensor(hf_models.reference_logits(model, *whole)).double().log_softmax(-1)
    logprobs = np.take_along_axis(exact.numpy()[:, 8:-1], ours[..., None], -1)[..., 0]
    assert np.abs(np.stack([out.logprobs for out in written]) - logprobs).max() < ATOL
