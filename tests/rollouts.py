"""A generator without a model, attempts from text, and a worker whose rollouts the test decides."""

import collections
import functools
from collections.abc import Callable
from types import SimpleNamespace

from fdjax import benchmark
from fdjax.config import PromptConfig
from fdjax.models import tokenizer
from fdjax.models.config import ModelConfig
from fdjax.rollout.generate import Generator, Request, Sampling, generate, grouped
from fdjax.rollout.prompts import Prompts, Template, read_attempt
from fdjax.runtime import sharding
from fdjax.types import Attempt, Group, Theorem

THEOREMS = benchmark.generate(7, 40)


@functools.cache
def small_generator() -> Generator:
    """With a tokenizer of THEOREMS; nothing can be sampled from it."""
    prompt = PromptConfig()
    template = Template(prompt.student, prompt.teacher, prompt.prefill)
    texts = [template.text(t, "a proof is after use") + t.reference for t in THEOREMS]
    trained = tokenizer.train(texts, 400)
    prompts = Prompts(trained, template, (64,), (96,), response_length=48)
    return Generator(ModelConfig(vocab_size=trained.vocab_size), sharding.make_mesh(), prompts)


def written_tokens(generator: Generator, params, **changes) -> list[list[list[int]]]:
    """The tokens of the attempts at six of THEOREMS, by theorem and sample."""
    requests = [Request(t, generator.prompts.student(t), t.id) for t in THEOREMS[:6]]
    sampling = Sampling(samples=4, temperature=1.0, seed=0, stream="s")._replace(**changes)
    pairs = generate(generator, params, requests, sampling)
    return [[list(a.tokens) for a in group] for group in grouped(pairs, len(requests))]


def attempt(prompts: Prompts, theorem: Theorem, text: str, finished: bool = True) -> Attempt:
    ids = prompts.tokenizer.encode(text) + [prompts.tokenizer.eos_id] * finished
    return read_attempt(prompts, theorem, 0, ids, [-0.1] * len(ids), finished, 0.3)


class FakeWorker:
    """In place of a RolloutWorker: `groups_of(step, refill)` are the groups of a rollout.

    `generated` lists the rollouts that were begun, `noted` what the curriculum was shown, unless
    the test brings a curriculum of its own.
    """

    def __init__(self, generator, groups_of: Callable[[int, int], list[Group]], curriculum=None):
        self.generator, self.groups_of = generator, groups_of
        self.generated, self.noted = [], []
        self.curriculum = curriculum or SimpleNamespace(
            theorems=THEOREMS,
            note=lambda step, groups: self.noted.append((step, len(groups))),
            metrics=lambda step: {},
        )

    def generate(self, step: int, params, refill: int = 0):
        self.generated.append((step, refill))
        return self.groups_of(step, refill)

    def verify(self, generated):
        return generated

    def give_feedback(self, verified, params, teacher_params=None) -> list[Group]:
        return verified

    def rollout(self, step: int, params, teacher_params=None, refill: int = 0) -> list[Group]:
        return self.generate(step, params, refill)


class Steps:
    """The batches of a source, step after step as in the loop of training, without its updates."""

    def __init__(self, source, worker):
        self.source, self.worker, self.pending = source, worker, collections.deque()

    def __call__(self, step: int):
        """(batch, metrics)"""
        state = SimpleNamespace(params=None, teacher=None)
        begin, learn = self.source.rollouts(step)
        for number in begin:
            self.pending.append(self.worker.verify(self.worker.generate(number, state.params)))
        rollouts = [
            self.worker.give_feedback(self.pending.popleft(), state.params, state.teacher)
            for _ in range(learn)
        ]
        return self.source.make_batch(step, rollouts, state)
