"""Attempts from prompts: pad, sample on the device, read back. The host side of generation."""

import dataclasses
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from fdjax.models.config import ModelConfig
from fdjax.rollout.prompts import Prompts, bucket, left_padded, name_hash, read_attempt
from fdjax.rollout.sampler import sample
from fdjax.runtime import sharding
from fdjax.types import Attempt, Theorem


@dataclasses.dataclass(frozen=True)
class Generator:
    """What generates: the shape of the model, its devices, and how prompts and answers read."""

    model: ModelConfig
    mesh: jax.sharding.Mesh
    prompts: Prompts


class Request(NamedTuple):
    """Attempts at one theorem. `name` enters their random keys."""

    theorem: Theorem
    prompt: Sequence[int]
    name: str


class Sampling(NamedTuple):
    """How requests are answered. `stream` and `step` enter the random keys."""

    samples: int  # attempts per request
    temperature: float
    seed: int
    stream: str
    step: int = 0
    batch: int | None = None  # requests on the device at a time; None: all


def generate(
    generator: Generator, params, requests: Sequence[Request], sampling: Sampling
) -> Iterator[list[Attempt]]:
    """Yields the attempts of each request, in order, batch after batch.

    An attempt depends on (seed, stream, step, name, sample index), its prompt and the parameters,
    never on what else was in its batch. All prompts are padded to one bucket. Lazy, so that Lean
    checks one batch while the next is generated.
    """
    prompts = generator.prompts
    buckets = sorted({*prompts.student_buckets, *prompts.teacher_buckets})
    longest = max(len(request.prompt) for request in requests)
    length = bucket(longest, buckets, "the longest prompt", "prompt.*_buckets")
    batch = sampling.batch or len(requests)
    for start in range(0, len(requests), batch):
        some = requests[start : start + batch]
        yield from _generate_batch(generator, params, some, sampling, rows=batch, length=length)


def _generate_batch(
    generator: Generator,
    params,
    requests: Sequence[Request],
    sampling: Sampling,
    *,
    rows: int,
    length: int,
) -> list[list[Attempt]]:
    tokenizer = generator.prompts.tokenizer
    # The last batch is filled up with its first prompt: one shape for all.
    fill = rows - len(requests)
    token_ids = [request.prompt for request in requests] + [requests[0].prompt] * fill
    tokens_BP, mask_BP = left_padded(token_ids, length, tokenizer.pad_id)
    names_B = np.array([name_hash(r.name) for r in requests] + [0] * fill, np.uint32)
    tokens_BP, mask_BP, names_B = sharding.put((tokens_BP, mask_BP, names_B), generator.mesh)
    stream = (sampling.seed, name_hash(sampling.stream), sampling.step)
    out = sample(
        generator.model,
        params,
        tokens_BP,
        mask_BP,
        _keys(*(np.uint32(x) for x in stream), names_B, samples=sampling.samples),
        np.float32(sampling.temperature),
        np.array(tokenizer.stop_ids, np.int32),
        generator.prompts.until_table(generator.model.vocab_size),
        max_new=generator.prompts.response_length,
    )
    out = sharding.fetch(out)
    lengths_BG = out.response_mask.sum(-1)
    return [
        [
            read_attempt(
                generator.prompts,
                request.theorem,
                g,
                out.response_tokens[b, g, : lengths_BG[b, g]].tolist(),
                out.logprobs[b, g, : lengths_BG[b, g]].tolist(),
                bool(out.finished[b, g]),
                float(out.entropy[b, g, : lengths_BG[b, g]].mean()),
            )
            for g in range(sampling.samples)
        ]
        for b, request in enumerate(requests)
    ]


@partial(jax.jit, static_argnames="samples")
def _keys(seed, stream, step, names_B, *, samples: int):
    """Typed keys [B, G], folded from (seed, stream, step, name, sample)."""
    key = jax.random.key(seed)
    for part in (stream, step):
        key = jax.random.fold_in(key, part)
    theorem_keys = jax.vmap(partial(jax.random.fold_in, key))(names_B)
    each = jax.vmap(jax.random.fold_in, (None, 0))
    return jax.vmap(each, (0, None))(theorem_keys, np.arange(samples, dtype=np.uint32))
