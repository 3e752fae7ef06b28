"""The engine on prompts of token ids, without a tokenizer or theorems."""

import jax
import numpy as np

from fdjax.models import decoding
from fdjax.models.config import ModelConfig
from fdjax.rollout import engine
from fdjax.rollout.engine import Drawing
from fdjax.rollout.scheduler import Figures, Sample, Shapes, Written, run
from fdjax.runtime import sharding

TINY = ModelConfig(
    vocab_size=23, width=16, num_layers=2, num_heads=4, num_kv_heads=2, head_dim=8, mlp_width=24
)
NO_STOP = (-1, -1)


def random_prompts(config, lengths, seed=1):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, config.vocab_size, length).tolist() for length in lengths]


def key():
    return jax.random.key(2, impl="threefry2x32")


def sample_key(name, index):
    return jax.random.fold_in(jax.random.fold_in(key(), name), index)


def drawing(temperature=1.0, stop_ids=NO_STOP, until=None, top_p=None, min_p=None):
    top_p, min_p = (p if p is None else np.float32(p) for p in (top_p, min_p))
    stop_ids = np.array(stop_ids, np.int32)
    return Drawing(np.float32(temperature), stop_ids, until, top_p, min_p)


def shapes(slots=4, chunk=3, prompt=6, response=7, prompts=2, starts=2):
    columns = -(-(prompt + response + chunk) // 8) * 8
    return Shapes(slots, columns, chunk, prompt, prompts, starts)


def samples(names, count, budget=7):
    """`count` samples of each prompt; the prompts' names enter their keys."""
    return [Sample(p, name, g, budget) for p, name in enumerate(names) for g in range(count)]


def write(
    config, params, prompts, queue, how=None, *, layout=None, mesh=None, figures=None, head_dtype=""
) -> list[Written]:
    """The responses in the order of the queue."""
    mesh = sharding.decoding_mesh(mesh or sharding.make_mesh(), config)
    weights = decoding.weights(config, params, mesh, head_dtype)
    figures = figures or Figures(len(queue))
    layout, how = layout or shapes(), how or drawing()
    written = list(run(layout, config, weights, mesh, prompts, queue, how, key(), figures))
    assert sorted(w.sample for w in written) == list(range(len(queue)))
    return sorted(written, key=lambda w: w.sample)


def begun(config, weights, prompts, slots, columns, budget=7, of=None) -> engine.Slots:
    """Slots of which the first hold a sample of each prompt."""
    count, P = len(prompts), max(map(len, prompts))
    tokens = np.array([ids + [0] * (P - len(ids)) for ids in prompts], np.int32)
    lengths = np.array([len(ids) for ids in prompts], np.int32)
    read = engine.prefill(config, weights, tokens, np.arange(P)[None] < lengths[:, None])
    each = np.arange(count, dtype=np.int32)
    start = engine.Start(
        slot_M=each,
        prompt_M=each,
        token_M=np.array([ids[-1] for ids in prompts], np.int32),
        length_M=lengths,
        drawn_M=np.zeros(count, np.int32),
        budget_M=np.full(count, budget, np.int32),
        name_M=(100 + each).astype(np.uint32),
        sample_M=np.zeros(count, np.uint32),
    )
    empty = engine.empty(config, slots=slots, columns=columns)
    return engine.insert(empty, read, start, key() if of is None else of)
