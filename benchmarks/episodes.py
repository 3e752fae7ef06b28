"""Episodes of three turns against single turns with as many tokens, on the same model.

    python benchmarks/episodes.py [small] [large] [--repeats=5] [--latency=0.005]

Responses have the same lengths: an episode's three turns of the model with the answers between
them, each `latency` seconds after its turn; and one turn in which the model writes all of it.
Prints tokens/s of responses (medians of interleaved repeats) and their ratio; the exit code is 1
where it is below 0.7. `drawn` counts only what the model writes. The host's work on text is left
out.
"""

import argparse
import sys
import time
from typing import NamedTuple

import jax
import numpy as np
from generation import LARGE, NEVER, PROMPT, SMALL, interleaved, lognormal

from fdjax.config import EnvironmentConfig, GenerationConfig
from fdjax.models import decoding, transformer
from fdjax.models.config import ModelConfig
from fdjax.rollout import engine
from fdjax.rollout.scheduler import Figures, Sample, plan, run
from fdjax.rollout.waiting import Answer, Written
from fdjax.runtime import sharding

TURNS, BOUND = 3, 0.7


class Work(NamedTuple):
    """Samples of some prompts: tokens of each turn, and of each answer."""

    config: ModelConfig
    weights: decoding.Weights
    prompts: list[list[int]]
    turns: np.ndarray  # i32[B, G, TURNS]
    answers: np.ndarray  # i32[B, G, TURNS - 1]
    turn_tokens: int
    answer_tokens: int


def make_work(config, prompts, samples, mean, turn_tokens, answer_tokens) -> Work:
    rng = np.random.default_rng(0)

    def draw(mean, longest, *shape):
        return np.clip(np.round(lognormal(rng, shape, mean, 0.5)), 1, longest).astype(np.int32)

    params = jax.jit(transformer.init, static_argnums=0)(config, jax.random.key(0))
    weights = decoding.weights(config, params, mesh_of(config))
    return Work(
        config,
        jax.block_until_ready(weights),
        rng.integers(0, config.vocab_size, (prompts, PROMPT)).tolist(),
        draw(mean, turn_tokens, prompts, samples, TURNS),
        draw(answer_tokens / 2, answer_tokens, prompts, samples, TURNS - 1),
        turn_tokens,
        answer_tokens,
    )


def mesh_of(config) -> jax.sharding.Mesh:
    return sharding.decoding_mesh(sharding.make_mesh(fsdp=1), config)


class Answering:
    """The `waiting.Conversation` of the work: answers of given lengths, `latency` after a turn."""

    lag = 1

    def __init__(self, work: Work, latency: float):
        self.work, self.latency, self.waited = work, latency, 0.0
        self.turns = work.turns.reshape(-1, TURNS)
        self.answer_lengths = work.answers.reshape(-1, TURNS - 1)
        self.number = np.zeros(len(self.turns), int)
        self.told = np.zeros(len(self.turns))

    def may_go_on(self, turn: Written) -> bool:
        return self.number[turn.sample] + 1 < TURNS

    def tell(self, turn: Written) -> None:
        self.told[turn.sample] = time.monotonic()

    def answers(self, samples) -> list[Answer | None]:
        begun = time.monotonic()
        time.sleep(max(0.0, max(self.told[samples]) + self.latency - begun))
        self.waited += time.monotonic() - begun
        return [self._answer(sample) for sample in samples]

    def _answer(self, sample: int) -> Answer | None:
        self.number[sample] += 1
        number = self.number[sample]
        if number == TURNS:
            return None
        count = self.answer_lengths[sample, number - 1]
        before = self.turns[sample, :number].sum() + self.answer_lengths[sample, :number].sum()
        return Answer([1] * count, before, before + self.turns[sample, number])


def written_by(work: Work, lengths: np.ndarray, conversation: Answering | None) -> int:
    """Tokens that the model wrote; `lengths`: of the first turns."""
    episodes = EnvironmentConfig(
        turns=TURNS, turn_tokens=work.turn_tokens, answer_tokens=work.answer_tokens
    )
    response = TURNS * work.turn_tokens + (TURNS - 1) * work.answer_tokens
    queue = [
        Sample(place, place, index, int(length))
        for place, row in enumerate(lengths)
        for index, length in enumerate(row)
    ]
    mesh = mesh_of(work.config)
    shapes = plan(
        GenerationConfig(),
        work.config,
        mesh,
        samples=len(queue),
        prompt=PROMPT,
        response=response,
        episodes=episodes if conversation else None,
    )
    drawing = engine.Drawing(np.float32(1), NEVER)
    figures = Figures(len(queue))
    args = shapes, work.config, work.weights, mesh, work.prompts, queue, drawing, jax.random.key(0)
    for turn in run(*args, figures, conversation=conversation):
        if conversation:
            conversation.tell(turn)
    return figures.tokens


def compare(name: str, work: Work, repeats: int, latency: float) -> bool:
    waited = []

    def in_turns():
        conversation = Answering(work, latency)
        found = written_by(work, work.turns[..., 0], conversation)
        waited.append(conversation.waited)
        return found

    def in_one():
        return written_by(work, work.turns.sum(-1) + work.answers.sum(-1), None)

    drawn, read = int(work.turns.sum()), int(work.answers.sum())
    if (in_turns(), in_one()) != (drawn, drawn + read):
        raise RuntimeError("the two do not have the same number of tokens")
    seconds = interleaved({"turns": in_turns, "one": in_one}, repeats)
    ratio, total = seconds["one"] / seconds["turns"], drawn + read
    print(
        f"{name}: {work.turns[..., 0].size} samples, {TURNS} turns of {work.turns.mean():.1f} "
        f"tokens, answers of {work.answers.mean():.1f}\n"
        f"  {total / seconds['turns']:,.0f} tokens/s (drawn {drawn / seconds['turns']:,.0f}), in "
        f"one turn {total / seconds['one']:,.0f}: ratio {ratio:.2f}, must be {BOUND}\n"
        f"  waited for answers {np.median(waited[-repeats:]):.3f} of {seconds['turns']:.3f} s",
        flush=True,
    )
    return ratio >= BOUND


CASES = {
    "small": lambda: make_work(SMALL, 16, 8, 14, 28, 48),
    "large": lambda: make_work(LARGE, 8, 4, 40, 96, 96),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=list(CASES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--latency", type=float, default=0.005)
    args = parser.parse_args()
    found = [compare(name, CASES[name](), args.repeats, args.latency) for name in args.cases]
    return 0 if all(found) else 1


if __name__ == "__main__":
    sys.exit(main())
