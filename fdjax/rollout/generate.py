"""Attempts from requests: theorems and prompts in, attempts out as they end."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from fdjax.config import GenerationConfig
from fdjax.models import decoding
from fdjax.models.config import ModelConfig
from fdjax.rollout.engine import Drawing
from fdjax.rollout.episodes import Conversations, Episodes, StepLog
from fdjax.rollout.prompts import Prompts, all_buckets, name_hash, read_attempt, shared_bucket
from fdjax.rollout.scheduler import Figures, Sample, plan, run
from fdjax.rollout.until import until_table
from fdjax.runtime import hosts, sharding
from fdjax.runtime.metrics import Timers, console
from fdjax.types import Attempt, Theorem

DECODE_BYTES = "decode_bytes"  # that decoding read: scheduler.Figures


@dataclasses.dataclass(frozen=True)
class Generator:
    """What generates: the shape of the model, its devices, and how prompts and answers read."""

    model: ModelConfig
    mesh: jax.sharding.Mesh
    prompts: Prompts
    settings: GenerationConfig = dataclasses.field(default_factory=GenerationConfig)
    episodes: Episodes | None = None  # None: an attempt is one answer


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
    top_p: float | None = None  # engine.Drawing
    min_p: float | None = None


def generate(
    generator: Generator,
    params,
    requests: Sequence[Request],
    sampling: Sampling,
    timers: Timers | None = None,
    log: StepLog | None = None,
) -> Iterator[tuple[int, Attempt]]:
    """Yields (place of the request, attempt) as each attempt ends, while others are written.

    An attempt depends on (seed, stream, step, name, sample index), its prompt and the parameters,
    never on what was written beside it; an episode also on what its environment answers. All
    prompts are padded to one bucket. `timers` gets the seconds of "weights", of "device" and of
    waiting for the "environment", and the count of DECODE_BYTES; `log` keeps the environment's
    steps; a step that it already holds is not run again.
    """
    if not requests:
        return
    prompts, model, episodes = generator.prompts, generator.model, generator.episodes
    budget = prompts.response_length
    if episodes:
        budget = min(budget, episodes.config.turn_tokens or budget)
    queue = [
        Sample(place, name_hash(request.name), index, budget)
        for place, request in enumerate(requests)
        for index in range(sampling.samples)
    ]
    mesh = sharding.decoding_mesh(generator.mesh, model)
    shapes = plan(
        generator.settings,
        model,
        mesh,
        samples=len(queue),
        prompt=shared_bucket([request.prompt for request in requests], all_buckets(prompts)),
        response=prompts.response_length,
        episodes=episodes and episodes.config,
    )
    timers = timers or Timers()
    with timers("weights"):
        weights = decoding.weights(model, params, mesh, generator.settings.head_dtype)
        weights = jax.block_until_ready(weights)
    drawing = Drawing(
        np.float32(sampling.temperature),
        *_ends(generator),
        *(p if p is None else np.float32(p) for p in (sampling.top_p, sampling.min_p)),
    )
    seeds = sampling.seed, name_hash(sampling.stream), sampling.step
    with jax.set_mesh(mesh):
        key = _key(*np.array(seeds, np.uint32))
    figures, conversation = Figures(len(queue)), None
    if episodes:
        theorems = [request.theorem for request in requests]
        places = [(sample.prompt, sample.index) for sample in queue]
        log = log or StepLog()
        conversation = Conversations(
            episodes, prompts, theorems, places, sampling.stream, log, timers
        )
    written = run(
        shapes,
        model,
        weights,
        mesh,
        [request.prompt for request in requests],
        queue,
        drawing,
        key,
        figures,
        reporter(figures, shapes.slots, sampling.stream),
        conversation,
    )
    del weights  # `run` has them, until it ends
    if conversation:
        yield from conversation.attempts(written)
    else:
        yield from _single_answers(prompts, requests, queue, written)
    timers.add("device", figures.seconds)
    timers.count(DECODE_BYTES, figures.bytes_read)


def _ends(generator: Generator) -> tuple[np.ndarray, np.ndarray | None]:
    """The stop ids of a response or turn, and the table of the text that ends it."""
    prompts, vocabulary = generator.prompts, generator.model.vocab_size
    if generator.episodes is None:
        stop_ids, table = prompts.tokenizer.stop_ids, prompts.until_table(vocabulary)
    else:
        stop_ids, until = generator.episodes.dialogue.stop_ids, generator.episodes.dialogue.until
        table = until_table(prompts.tokenizer, until, vocabulary) if until else None
    return np.array(stop_ids, np.int32), table


def _single_answers(prompts, requests, queue, written) -> Iterator[tuple[int, Attempt]]:
    for response in written:
        sample = queue[response.sample]
        attempt = read_attempt(
            prompts,
            requests[sample.prompt].theorem,
            sample.index,
            response.tokens.tolist(),
            response.logprobs.tolist(),
            response.finished,
            float(response.entropy.mean()),
        )
        yield sample.prompt, attempt


def grouped(attempts: Iterable[tuple[int, Attempt]], count: int) -> list[list[Attempt]]:
    """The attempts at each of `count` requests, in the order of their samples."""
    groups: list[list[Attempt]] = [[] for _ in range(count)]
    for place, attempt in attempts:
        groups[place].append(attempt)
    return [sorted(group, key=lambda attempt: attempt.sample) for group in groups]


def reporter(figures: Figures, slots: int, what: str, every: float = 30.0) -> Callable[[], None]:
    """A function that prints how far generation is, if `every` seconds passed since it last did."""
    began = last = time.monotonic()

    def report() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < every or not hosts.is_first():
            return
        last, seconds = now, now - began
        line = (
            f"{what}: {figures.done} of {figures.total} attempts, "
            f"{figures.tokens / seconds:,.0f} tokens/s, {figures.active} of {slots} slots"
        )
        if figures.done:
            left = int(seconds * (figures.total - figures.done) / figures.done)
            line += f", left {left // 60}:{left % 60:02d}"
        console.print(line, markup=False)

    return report


@jax.jit
def _key(seed, stream, step):
    key = jax.random.key(seed, impl="threefry2x32")
    return jax.random.fold_in(jax.random.fold_in(key, stream), step)
