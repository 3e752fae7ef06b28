"""The environment of a run, from its config: who answers the turns of an attempt, and how."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from fdjax.config import Config, ConfigError, EnvironmentConfig, naming_field
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
    then the first turns of its dialogue. What that keeps and the chat template does not is printed.
    Raises ConfigError.
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


def check_environment(config: Config) -> None:
    """Raises ConfigError for fields that are of tools, where there are none, and where no second
    turn fits."""
    e, response = config.environment, config.prompt.response_length
    if e.name is None:
        return
    for field in ("format", "lean_seconds", "tools") if e.name != "tools" else ():
        value, default = getattr(e, field), getattr(EnvironmentConfig(), field)
        if value != default:
            raise ConfigError(
                f"environment.{field} is {value!r}, must be {default} for environment.name="
                f"{e.name}, which has no tools"
            )
    if (e.turn_tokens or 0) > response:
        raise ConfigError(
            f"environment.turn_tokens is {e.turn_tokens}, must be at most prompt.response_length = "
            f"{response}, which holds all turns and answers of an attempt"
        )
    least = (e.turn_tokens or e.min_turn_tokens) + e.answer_tokens + e.min_turn_tokens
    if e.turns > 1 and response < least:
        raise ConfigError(
            f"prompt.response_length is {response}, must be at least {least} for environment.name="
            f"{e.name}: a turn, an answer of answer_tokens={e.answer_tokens} and min_turn_tokens="
            f"{e.min_turn_tokens} of the next turn"
        )
