"""Named sizes are models of the family, as large as published."""

import math

import pytest

from configs.models import gemma3, llama, qwen2, qwen3
from fdjax.models.config import from_fields
from fdjax.models.hf import config as hf
from fdjax.models.hf import weights

BILLIONS = {  # of parameters, as the model cards have them; tied embeddings once
    (qwen3, "0.6b"): 0.596,
    (qwen3, "1.7b"): 1.72,
    (qwen3, "4b"): 4.02,
    (qwen3, "8b"): 8.19,
    (qwen3, "14b"): 14.77,
    (qwen3, "32b"): 32.76,
    (qwen2, "math-1.5b"): 1.54,
    (qwen2, "math-7b"): 7.62,
    (llama, "3-8b"): 8.03,
    (llama, "3.1-8b"): 8.03,
    (llama, "deepseek-prover-v2-7b"): 6.91,
    (gemma3, "1b"): 1.00,
    (gemma3, "4b"): 3.88,
    (gemma3, "12b"): 11.77,
}


@pytest.mark.parametrize("family, size", BILLIONS, ids=lambda x: getattr(x, "__name__", x))
def test_published_sizes(family, size):
    config = from_fields(family.shape(size, dtype="bfloat16"))
    count = sum(map(math.prod, weights.shapes(config).values()))
    assert count / 1e9 == pytest.approx(BILLIONS[family, size], abs=0.006)
    data = hf.config_json(config, "bfloat16")
    assert data["model_type"].startswith(family.__name__.split(".")[-1])


def test_every_size_is_tested():
    for family in (qwen3, qwen2, llama, gemma3):
        assert set(family.SIZES) == {size for of, size in BILLIONS if of is family}
