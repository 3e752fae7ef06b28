"""The provider that a config names, and the fields of the config that decide what it writes.

A new provider is a file, an entry in PROVIDERS, and a block of its name in FeedbackConfig.
"""

import dataclasses
import hashlib
import os
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from fdjax.config import (
    ConfigError,
    FeedbackConfig,
    naming_field,
    provider_names,
    requests_llm,
    uses_references,
)
from fdjax.feedback.client import LLMClient, Question
from fdjax.feedback.compose import first, guarded, most_agreed, on_first_host, shuffled
from fdjax.feedback.lean_messages import lean_messages
from fdjax.feedback.llm import llm
from fdjax.feedback.oracle import oracle
from fdjax.feedback.peers import peers
from fdjax.feedback.policy import policy
from fdjax.feedback.questions import describe, read_prompt
from fdjax.feedback.reference import Solve, reference, solver
from fdjax.lean.farm import Farm
from fdjax.rollout.generate import Generator
from fdjax.runtime import hosts
from fdjax.types import Attempt, Candidate, Message, Provider, Theorem, Verdict


class Resources(NamedTuple):
    """What providers use besides the config."""

    generator: Generator
    farm: Farm
    folder: str | os.PathLike  # keeps the answers that were paid for
    seed: int
    client: LLMClient | None = None  # make_provider sets the last two
    solve: Solve | None = None


def make_provider(
    config: FeedbackConfig, resources: Resources, *, shuffle: bool | None = None
) -> Provider:
    """`shuffle` replaces that of the config. Raises ConfigError naming the field."""
    _check_hosts(config)
    client = LLMClient(config.llm, resources.folder) if requests_llm(config) else None
    references = uses_references(config)
    solve = solver(resources.farm, client, config.reference) if references else None
    resources = resources._replace(client=client, solve=solve)

    providers = [PROVIDERS[name](config, resources) for name in provider_names(config)]
    provider = first(providers) if len(providers) > 1 else providers[0]
    if "policy" not in provider_names(config):  # all hosts sample the policy
        provider = on_first_host(provider)
    return shuffled(provider) if (config.shuffle if shuffle is None else shuffle) else provider


def check_service(config: FeedbackConfig, folder: str | os.PathLike) -> None:
    """Sends the language model one small question in the form of the run's. Raises ConfigError
    where the run would get no answers.
    """
    written = "llm" in provider_names(config)
    prompt = config.llm.prompt if written else config.reference.prompt
    question = Question(read_prompt(prompt), describe(_SAMPLE, None))
    LLMClient(config.llm, folder).check(question)


_SAMPLE = (
    Theorem("sample", "swap", "(p q : Prop) (h : p ∧ q) : q ∧ p", goal="h : p ∧ q\n⊢ q ∧ p"),
    Attempt("sample", 0, (), (), True, Candidate(" by\n  exact h"), ()),
    Verdict("failed", (Message("error", "type mismatch", "", 12, 13),)),
)


def _llm(config: FeedbackConfig, resources: Resources) -> Provider:
    solve = resources.solve if config.llm.show_reference else None
    tokenizer = resources.generator and resources.generator.prompts.tokenizer
    return _drawn(
        config,
        lambda draw: llm(resources.client, solve, tokenizer, successes=config.successes, draw=draw),
    )


def _policy(config: FeedbackConfig, resources: Resources) -> Provider:
    return _drawn(
        config,
        lambda draw: policy(
            resources.generator,
            config.policy,
            successes=config.successes,
            seed=resources.seed,
            draw=draw,
        ),
    )


def _drawn(config: FeedbackConfig, write: Callable[[int], Provider]) -> Provider:
    draws = [guarded(write(draw), config.leak_limit) for draw in range(config.draws)]
    return most_agreed(draws) if len(draws) > 1 else draws[0]


PROVIDERS: dict[str, Callable[[FeedbackConfig, Resources], Provider]] = {
    "lean_messages": lambda config, _: guarded(lean_messages(config.lean_messages.level), None),
    "oracle": lambda config, _: guarded(oracle(config.oracle.level), None),
    "peers": lambda config, _: guarded(peers(config.peers), None),
    "reference": lambda _, resources: reference(resources.solve),
    "llm": _llm,
    "policy": _policy,
}


def manifest_fields(config: FeedbackConfig) -> dict[str, Any]:
    """The fields that decide what the named providers write (`shuffle` aside), without those that
    decide only what it costs. No config holds a secret.
    """
    names = provider_names(config)
    fields: dict[str, Any] = {"provider": ",".join(names)}
    if "llm" in names or "policy" in names:
        fields |= {f: getattr(config, f) for f in ("successes", "draws", "leak_limit")}
    for name in names:
        fields[name] = dataclasses.asdict(getattr(config, name))
    if "llm" in names:
        reading = {f: getattr(config.llm, f) for f in ("show_reference", "max_chars")}
        fields["llm"] = reading | _request_fields(config, "llm")
    if uses_references(config):
        count = config.reference.max_requests
        request = _request_fields(config, "reference") if count else {}
        fields["reference"] = {"max_requests": count} | request
    return fields


def _request_fields(config: FeedbackConfig, block: Literal["llm", "reference"]) -> dict[str, Any]:
    prompt, options = getattr(config, block).prompt, dict(config.llm.options)
    with naming_field(f"feedback.{block}.prompt"):
        text = hashlib.sha256(read_prompt(prompt).encode()).hexdigest()[:16]
    return {"model": config.llm.model, "options": options, "prompt": prompt, "prompt_text": text}


def _check_hosts(config: FeedbackConfig) -> None:
    names = provider_names(config)
    outside = {"llm", "reference"} & set(names)  # whose answers the hosts must share
    if hosts.count() > 1 and "policy" in names and outside:
        raise ConfigError(
            f"feedback.provider is {config.provider!r}: on several hosts the policy cannot write "
            f"feedback beside {' and '.join(sorted(outside))}; leave one of them out"
        )
