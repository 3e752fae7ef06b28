"""Reference proofs: the data's, or those of a stronger model. Lean verifies both."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from fdjax.config import ReferenceConfig, naming_field
from fdjax.feedback.client import LLMClient, Question
from fdjax.feedback.compose import with_costs
from fdjax.feedback.proofs import first_difference, read_proof, shown
from fdjax.feedback.questions import as_data, read_prompt, theorem_blocks
from fdjax.lean.extract import parse_candidate
from fdjax.lean.farm import Farm
from fdjax.types import Candidate, Feedback, FeedbackContext, Feedbacks, Item, Provider, Theorem


class Solution(NamedTuple):
    proof: Candidate | None  # verified; None: there is none
    costs: Feedback | None = None  # without messages; None where no model was asked


Solve = Callable[[Sequence[Theorem]], Awaitable[list[Solution]]]


def solver(farm: Farm, client: LLMClient | None, config: ReferenceConfig) -> Solve:
    """The data's proof if Lean accepts it; else the first that Lean accepts of at most
    `config.max_requests` proofs of the language model, requested one after the other. `client` can
    be None where that number is 0.

    Raises ConfigError for a prompt that cannot be read.
    """
    with naming_field("feedback.reference.prompt"):
        instructions = read_prompt(config.prompt) if config.max_requests else ""
    verified: dict[Theorem, Candidate] = {}

    async def verify(candidates: dict[Theorem, Candidate | None]) -> None:
        given = [(theorem, c) for theorem, c in candidates.items() if c is not None]
        pending = [farm.submit(theorem, candidate) for theorem, candidate in given]
        verdicts = await asyncio.gather(*map(asyncio.wrap_future, pending))
        verified.update(pair for pair, verdict in zip(given, verdicts) if verdict.proved)

    async def solve(theorems: Sequence[Theorem]) -> list[Solution]:
        costs: dict[Theorem, Feedback] = {}
        unsolved = [t for t in dict.fromkeys(theorems) if t not in verified]
        await verify({t: _reference_of(t, farm) for t in unsolved})
        for draw in range(config.max_requests):
            unsolved = [t for t in unsolved if t not in verified]
            questions = [
                Question(instructions, as_data(theorem_blocks(t)), draw, may_repeat=True)
                for t in unsolved
            ]
            answers = dict(zip(unsolved, await client.ask(questions)))
            helpers = farm.allow_helpers
            await verify({t: read_proof(a.text or "", t, helpers) for t, a in answers.items()})
            for theorem, answer in answers.items():
                cost = Feedback((), "reference", **answer.costs(useful=theorem in verified))
                costs[theorem] = with_costs(cost, costs.get(theorem))
        # The first of equal theorems bears the costs.
        return [Solution(verified.get(t), costs.pop(t, None)) for t in theorems]

    return solve


def reference(solve: Solve) -> Provider:
    """Shows the proof to all attempts at its theorem."""

    async def provide(groups: Sequence[Sequence[Item]], context: FeedbackContext) -> Feedbacks:
        requested = [
            [i for i in range(len(group)) if context.is_requested(g, i)]
            for g, group in enumerate(groups)
        ]
        with_requests = [g for g, indices in enumerate(requested) if indices]
        solutions = await solve([groups[g][0][0] for g in with_requests])
        feedbacks: Feedbacks = [[None] * len(group) for group in groups]
        for g, (proof, costs) in zip(with_requests, solutions):
            for i in requested[g]:
                feedbacks[g][i] = with_costs(_describe(groups[g][i], proof), costs)
                costs = None  # the first of the group bears them
        return feedbacks

    return provide


def _reference_of(theorem: Theorem, farm: Farm) -> Candidate | None:
    text = theorem.reference
    return None if text is None else parse_candidate(text, theorem, farm.allow_helpers)


def _describe(item: Item, proof: Candidate | None) -> Feedback | None:
    if proof is None:
        return None
    return Feedback(
        (shown(proof),),
        "reference",
        leak=1.0,
        first_error=first_difference(item, proof),
        proof=proof,
    )
