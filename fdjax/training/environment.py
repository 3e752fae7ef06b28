"""The environment of a run, from its config: who answers the turns of an attempt, and how."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from fdjax.config import Config, naming_field
from fdjax.environment.registry import make_environment
from fdjax.environment.repair import Repair, describe
from fdjax.environment.tools_environment import ToolEnvironment
from fdjax.lean.backend import BackendUnavailable
from fdjax.lean.farm import Farm
from fdjax.rollout.dialogue import make_dialogue
from fdjax.rollout.episodes import Episodes
from fdjax.rollout.generate import Generator
from fdjax.rollout.prompts import ends_with_stop
from fdjax.runtime.metrics import console
from fdjax.types import Item, Theorem


def with_environment(
    config: Config, generator: Generator, farm: Farm, theorems: Iterable[Theorem]
) -> Generator:
    """The generator whose attempts are episodes, if the config names an environment. Prompts are
    then the first turns of its dialogue. Prints where the dialogue's ids differ from the chat
    template's. Raises ConfigError.
    """
    settings, prompts = config.environment, generator.prompts
    if settings.name is None:
        return generator
    tokenizer = prompts.tokenizer
    with naming_field("environment", BackendUnavailable):
        environment = make_environment(
            settings.name,
            farm,
            prompts.find_proof,
            turns=settings.turns,
            answer_budget=settings.answer_tokens,
            measure=lambda text: len(tokenizer.encode(text)),
            lean_seconds=settings.lean_seconds,
            tools=settings.tools,
            imports=tuple(sorted({module for t in theorems for module in t.imports})),
        )
    schemas = environment.schemas if isinstance(environment, ToolEnvironment) else ()
    dialogue = make_dialogue(tokenizer, prompts.template, schemas, settings.format)
    for note in dialogue.notes:
        console.print(f"environment: {note}", markup=False)
    return dataclasses.replace(
        generator,
        prompts=dataclasses.replace(prompts, first_turn=dialogue.prompt),
        episodes=Episodes(environment, dialogue, settings),
    )


def repair_answer_ids(generator: Generator) -> Callable[[Item], Sequence[int]] | None:
    """What `repair` would answer to an attempt of one turn with this verdict, as ids between that
    turn and the next; None where the environment is another."""
    episodes = generator.episodes
    if episodes is None or not isinstance(episodes.environment, Repair):
        return None
    repair, dialogue = episodes.environment, episodes.dialogue

    def answer_ids(item: Item) -> Sequence[int]:
        _, attempt, verdict = item
        answer = repair.answer(attempt.refusal or describe(verdict, attempt.candidate.text))
        ids = attempt.segments[-1].tokens
        ended = ends_with_stop(ids, attempt.finished, dialogue.stop_ids)
        return dialogue.answers((answer,), ended=ended, last_ids=ids)

    return answer_ids
