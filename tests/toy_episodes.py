"""An environment without Lean: what it answers, when, and when it ends follow from hashes."""

import asyncio
import dataclasses
import random
import zlib

from rollouts import THEOREMS, small_generator

from fdjax.config import EnvironmentConfig, GenerationConfig
from fdjax.environment.protocol import Step, Submission
from fdjax.rollout.dialogue.plain import Plain
from fdjax.rollout.episodes import Episodes
from fdjax.rollout.generate import Request, Sampling, generate, grouped


@dataclasses.dataclass(frozen=True)
class Toy:
    """One turn in `ends` ends an episode, none if it is 0. A step takes up to `delay` seconds, by
    the clock's whim. The state is a hash of all turns, so that a replay can be told from none.
    """

    ends: int = 5
    delay: float = 0.0
    words: tuple[str, ...] = ("no", "error: unsolved goals", "use intro h, then exact h")
    steps: list = dataclasses.field(default_factory=list)  # the turns that were stepped

    def reset(self, theorem):
        return 0, zlib.crc32(theorem.id.encode()), None

    async def step(self, episode, turn):
        self.steps.append(turn.text)
        await asyncio.sleep(random.uniform(0, self.delay))
        number, hashed, submission = episode
        text = turn.text
        if hashed % 3:  # else the one before stays
            submission = Submission(text, number, tuple(range(len(text))))
        step = Step(None, submission=submission)
        number, hashed, _ = state = self.replay(episode, turn, step)
        return step._replace(
            episode=state,
            answers=(self.words[hashed % len(self.words)],),
            done=bool(self.ends) and hashed % self.ends == 0,
            seconds=0.25,
        )

    def replay(self, episode, turn, step):
        number, hashed, _ = episode
        text = turn.text.encode("utf-8", "surrogatepass")
        return number + 1, zlib.crc32(text, hashed), step.submission


@dataclasses.dataclass(frozen=True)
class Talkative(Plain):
    """Many tokens end a turn: a random model often draws one."""

    @property
    def stop_ids(self):
        return (*self.tokenizer.stop_ids, *range(100, 130))


def with_episodes(generator, environment, slots=8, chunk=4, **settings):
    """The generator, for episodes of `environment`."""
    prompts = dataclasses.replace(generator.prompts, response_length=48)
    fields = {"turns": 3, "turn_tokens": 10, "answer_tokens": 12, "min_turn_tokens": 2}
    config = EnvironmentConfig(name="repair", **fields | settings)
    dialogue = Talkative(prompts.tokenizer, prompts.template)
    return dataclasses.replace(
        generator,
        prompts=prompts,
        settings=GenerationConfig(slots=slots, chunk=chunk),
        episodes=Episodes(environment, dialogue, config),
    )


def toy_generator(model, environment=None, **how):
    made = small_generator()
    model = dataclasses.replace(model, vocab_size=made.model.vocab_size)
    return with_episodes(dataclasses.replace(made, model=model), environment or Toy(), **how)


def episodes(generator, params, count=6, log=None, **changes):
    """The groups of attempts at the first THEOREMS."""
    requests = [Request(t, generator.prompts.student(t), t.id) for t in THEOREMS[:count]]
    sampling = Sampling(samples=4, temperature=1.0, seed=0, stream="s")._replace(**changes)
    groups = grouped(generate(generator, params, requests, sampling, log=log), count)
    assert [[a.sample for a in group] for group in groups] == [[0, 1, 2, 3]] * count
    return groups
