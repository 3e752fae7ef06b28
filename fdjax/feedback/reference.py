"""Proofs that someone else knows: the data, or a stronger model. Lean has the last word."""

import asyncio
import dataclasses
import textwrap
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from fdjax.feedback.compose import with_costs
from fdjax.feedback.diagnostics import departure, shown
from fdjax.feedback.endpoint import Endpoint, Question
from fdjax.feedback.questions import as_data, costs, statement
from fdjax.lean.extract import NoProof, extract, parse_candidate
from fdjax.lean.farm import Farm
from fdjax.types import Candidate, Feedback, Item, Moment, Provider, Theorem


class Solution(NamedTuple):
    proof: Candidate | None  # verified; None: nobody knows one
    costs: Feedback | None = None  # without messages; None where nobody was asked


Solve = Callable[[Sequence[Theorem]], Awaitable[list[Solution]]]


def solver(farm: Farm, endpoint: Endpoint | None, instructions: str, asks: int) -> Solve:
    """The data's own proof if Lean accepts it; else the first that Lean accepts of at most
    `asks` proofs of the endpoint, asked for one after the other.
    """
    known: dict[Theorem, Candidate] = {}

    async def verify(candidates: dict[Theorem, Candidate]) -> None:
        waiting = [farm.submit(theorem, candidate) for theorem, candidate in candidates.items()]
        verdicts = await asyncio.gather(*map(asyncio.wrap_future, waiting))
        known.update(
            (t, c) for (t, c), verdict in zip(candidates.items(), verdicts) if verdict.proved
        )

    async def solve(theorems: Sequence[Theorem]) -> list[Solution]:
        paid: dict[Theorem, Feedback] = {}
        unknown = [t for t in dict.fromkeys(theorems) if t not in known]
        await verify(
            {
                t: parse_candidate(t.reference, t, farm.allow_helpers)
                for t in unknown
                if t.reference is not None
            }
        )
        for draw in range(asks if endpoint is not None else 0):
            unknown = [t for t in unknown if t not in known]
            questions = [Question(instructions, as_data(statement(t)), draw) for t in unknown]
            answers = dict(zip(unknown, await endpoint.ask(questions)))
            proofs = {
                t: read_proof(a.text or "", t, farm.allow_helpers) for t, a in answers.items()
            }
            await verify({t: proof for t, proof in proofs.items() if proof is not None})
            for theorem, answer in answers.items():
                cost = Feedback((), "reference", **costs(answer, used=theorem in known))
                paid[theorem] = with_costs(cost, paid.get(theorem))
        # A theorem met twice is paid for once.
        return [Solution(known.get(t), paid.pop(t, None)) for t in theorems]

    return solve


def reference(solve: Solve) -> Provider:
    """Shows the proof, to all attempts of its theorem alike."""

    async def provide(
        groups: Sequence[Sequence[Item]], moment: Moment
    ) -> list[list[Feedback | None]]:
        wanted = [[moment.wants(g, i) for i in range(len(own))] for g, own in enumerate(groups)]
        some = [g for g, group in enumerate(wanted) if any(group)]
        solved = dict(zip(some, await solve([groups[g][0][0] for g in some])))
        said: list[list[Feedback | None]] = [[None] * len(group) for group in groups]
        for g, (proof, paid) in solved.items():
            for i in filter(wanted[g].__getitem__, range(len(groups[g]))):
                said[g][i] = with_costs(_shown(groups[g][i], proof), paid)
                paid = None  # by the first of the group
        return said

    return provide


def read_proof(answer: str, theorem: Theorem, allow_helpers: bool = False) -> Candidate | None:
    """The candidate in a model's answer, with its helper lemmas where they are allowed; None where
    there is none. The tactics of an outermost `by` are set on lines of their own,
    indented by two, as our prompts begin a proof.
    """
    try:
        start, end = extract(answer, theorem, allow_helpers)
    except NoProof:
        return None
    read = parse_candidate(answer[start:end], theorem, allow_helpers)
    text = read.text[: read.main_start] + _as_ours(read.proof)
    return dataclasses.replace(read, text=text)


def _as_ours(proof: str) -> str:
    head, by, body = proof.partition("by")
    if head.strip() or not by or not body[:1].isspace():
        return proof
    first, _, rest = body.partition("\n")
    lines = [first.strip(), *textwrap.dedent(rest).splitlines()]
    return " by\n" + "\n".join(f"  {line}".rstrip() for line in lines if line.strip())


def _shown(item: Item, proof: Candidate | None) -> Feedback | None:
    if proof is None:
        return None
    said = (shown(proof),)
    return Feedback(said, "reference", leak=1.0, first_error=departure(item, proof), proof=proof)
