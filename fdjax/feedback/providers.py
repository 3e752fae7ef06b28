"""The provider that a config names, and what of the config decides on what it says."""

import hashlib
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from fdjax.config import ConfigError, naming_field
from fdjax.feedback.compose import asked_once, first, merged, most_agreed, together
from fdjax.feedback.diagnostics import LEVELS, diagnostics
from fdjax.feedback.endpoint import Endpoint
from fdjax.feedback.leak import guarded
from fdjax.feedback.llm import llm
from fdjax.feedback.peers import ORDERS, OWN, peers
from fdjax.feedback.policy import policy
from fdjax.feedback.questions import read_prompt
from fdjax.feedback.reference import reference, solver
from fdjax.feedback.shuffled import shuffled
from fdjax.lean.farm import Farm
from fdjax.rollout.generate import Prompting
from fdjax.runtime import hosts
from fdjax.types import Provider

NAMES = ("diagnostics", "llm", "policy", "reference", "peers")
COMPOSE = ("first", "merge")
PICK = {"agreed": most_agreed, "merge": merged}


class Means(NamedTuple):
    """What providers work with, beside the config."""

    prompting: Prompting
    farm: Farm
    folder: str | os.PathLike  # keeps the answers that were paid for
    seed: int
    batch: int  # attempts that the policy comments on at a time


def make_provider(config, means: Means, *, shuffle: bool | None = None) -> Provider:
    """`config`: the fields of `feedback` in fdjax.config, of which `shuffle` can be set apart.

    Raises ConfigError naming the field that cannot be.
    """
    names = provider_names(config)
    _check(config)
    endpoint = Endpoint(config.llm, means.folder) if _asks_an_endpoint(config) else None
    with naming_field("feedback.reference.prompt"):
        instructions = read_prompt(config.reference.prompt) if config.reference.asks else ""
    solve = solver(means.farm, endpoint, instructions, config.reference.asks)

    def drawn(write: Callable[[int], Provider]) -> Provider:
        draws = [guarded(write(draw), config.leak_limit) for draw in range(config.draws)]
        return draws[0] if len(draws) == 1 else together(draws, PICK[config.pick])

    def make(name: str) -> Provider:
        match name:
            case "diagnostics":
                return guarded(diagnostics(config.help), limit=1.0)
            case "peers":
                return guarded(peers(**config.peers), limit=1.0)
            case "reference":
                return reference(solve)
            case "llm":
                with naming_field("feedback.llm.prompt"):
                    asked = read_prompt(config.llm.prompt)
                return drawn(
                    lambda draw: llm(
                        endpoint,
                        asked,
                        successes=config.successes,
                        show_peers=config.llm.show_peers,
                        longest=config.llm.longest,
                        solve=solve if config.llm.show_reference else None,
                        draw=draw,
                    )
                )
            case "policy":
                return drawn(
                    lambda draw: policy(
                        means.prompting,
                        config.policy,
                        successes=config.successes,
                        seed=means.seed,
                        batch=means.batch,
                        draw=draw,
                    )
                )

    providers = [make(name) for name in names]
    provider = providers[0]
    if len(providers) > 1:
        provider = first(providers) if config.compose == "first" else together(providers, merged)
    if not samples_policy(config):  # that one all hosts compute
        provider = asked_once(provider)
    return shuffled(provider) if (config.shuffle if shuffle is None else shuffle) else provider


def provider_names(config) -> tuple[str, ...]:
    """Raises ConfigError for an unknown one, or none."""
    names = tuple(name.strip() for name in config.provider.split(","))
    for name in names:
        if name not in NAMES:
            raise ConfigError(
                f"feedback.provider is {config.provider!r}; known are {', '.join(NAMES)}, also "
                "several of them with commas between"
            )
    if len(set(names)) < len(names):
        raise ConfigError(f"feedback.provider is {config.provider!r}: name each provider once")
    return names


def samples_policy(config) -> bool:
    """Must the provider be asked where the device is driven from?"""
    return "policy" in provider_names(config)


def manifest_fields(config) -> dict[str, Any]:
    """The fields that decide on what the named providers say (`shuffle` aside), without those
    that only decide on costs. Nothing that is secret is ever part of a config.
    """
    names = provider_names(config)
    fields: dict[str, Any] = {"provider": ",".join(names)}
    if "diagnostics" in names:
        fields["help"] = config.help
    if len(names) > 1:
        fields["compose"] = config.compose
    if "llm" in names or "policy" in names:
        fields |= {f: config[f] for f in ("successes", "draws", "pick", "leak_limit")}
    if "llm" in names:
        own = {f: config.llm[f] for f in ("show_reference", "show_peers", "longest")}
        fields["llm"] = own | _asked(config.llm, config.llm.prompt)
    for name in ("policy", "peers"):
        if name in names:
            fields[name] = config[name].to_dict()
    if _needs_references(config):
        asks = config.reference.asks
        asked = _asked(config.llm, config.reference.prompt) if asks else {}
        fields["reference"] = {"asks": asks} | asked
    return fields


def _asked(settings, prompt: str) -> dict[str, Any]:
    text = hashlib.sha256(read_prompt(prompt).encode()).hexdigest()[:16]
    options = settings.options.to_dict()
    return {"model": settings.model, "options": options, "prompt": prompt, "prompt_text": text}


def _needs_references(config) -> bool:
    names = provider_names(config)
    return "reference" in names or ("llm" in names and config.llm.show_reference)


def _asks_an_endpoint(config) -> bool:
    asks = _needs_references(config) and config.reference.asks > 0
    return asks or "llm" in provider_names(config)


def _check(config) -> None:
    for field, known in (("help", LEVELS), ("compose", COMPOSE), ("pick", PICK)):
        if config[field] not in known:
            raise ConfigError(
                f"feedback.{field} is {config[field]!r}; known are {', '.join(known)}"
            )
    asks = {"llm", "reference"} & set(provider_names(config))  # a service or Lean
    if hosts.count() > 1 and samples_policy(config) and asks:
        raise ConfigError(
            f"feedback.provider is {config.provider!r}: on several hosts the policy cannot write "
            f"feedback beside {' and '.join(sorted(asks))}; leave one of them out"
        )
    if config.draws < 1:
        raise ConfigError(f"feedback.draws is {config.draws}, must be at least 1")
    if not 0 <= config.leak_limit <= 1:
        raise ConfigError(f"feedback.leak_limit is {config.leak_limit}, must be in [0, 1]")
    if config.reference.asks < 0:
        raise ConfigError(
            f"feedback.reference.asks is {config.reference.asks}, must not be negative"
        )
    for field, known in (("order", ORDERS), ("own", OWN)):
        if config.peers[field] not in known:
            raise ConfigError(
                f"feedback.peers.{field} is {config.peers[field]!r}; known are {', '.join(known)}"
            )
    shown = config.peers.successes, config.peers.failures
    if shown[0] < 1 or shown[1] < 0:
        raise ConfigError(
            f"feedback.peers shows {shown[0]} successes and {shown[1]} failures; it needs at "
            "least 1 and 0"
        )
