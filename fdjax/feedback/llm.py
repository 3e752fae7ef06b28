"""A language model behind an OpenAI-compatible service writes the feedback."""

from collections.abc import Sequence

from fdjax.config import naming_field
from fdjax.feedback.client import Answer, LLMClient, Question
from fdjax.feedback.compose import with_costs
from fdjax.feedback.questions import (
    as_messages,
    attempts_to_ask_about,
    describe,
    read_prompt,
    turn_blocks,
)
from fdjax.feedback.reference import Solution, Solve
from fdjax.models.tokenizer import Tokenizer
from fdjax.types import Candidate, Feedback, FeedbackContext, Feedbacks, Item, Provider, Verdict


def llm(
    client: LLMClient,
    solve: Solve | None,
    tokenizer: Tokenizer | None = None,
    *,
    successes: bool,
    draw: int,
) -> Provider:
    """Asks about each finished attempt that Lean refused; with `successes` also about proved ones.
    The model reads the theorem, the attempt, with `tokenizer` its turns and what was answered to
    them, Lean's messages and, with `solve`, a reference proof.

    Raises ConfigError for a prompt that cannot be read.
    """
    config = client.config
    with naming_field("feedback.llm.prompt"):
        instructions = read_prompt(config.prompt)

    async def provide(groups: Sequence[Sequence[Item]], context: FeedbackContext) -> Feedbacks:
        places = attempts_to_ask_about(groups, context, successes)
        solutions = dict.fromkeys((g for g, _ in places), Solution(None))
        if solve is not None:
            solved = await solve([groups[g][0][0] for g in solutions])
            solutions = dict(zip(solutions, solved))
        answers = await client.ask(
            [
                Question(instructions, question(groups[g][i], solutions[g].proof), draw)
                for g, i in places
            ]
        )
        feedbacks: Feedbacks = [[None] * len(group) for group in groups]
        for (g, i), answer in zip(places, answers):
            proof, costs = solutions[g]
            feedbacks[g][i] = with_costs(read(answer, groups[g][i][2], proof), costs)
            solutions[g] = Solution(proof)  # the first of the group bears the costs
        return feedbacks

    def question(item: Item, proof: Candidate | None) -> str:
        return describe(item, proof, turn_blocks(tokenizer, item[1]) if tokenizer else ())

    def read(answer: Answer, verdict: Verdict, proof: Candidate | None) -> Feedback:
        messages = as_messages(answer.text or "", config.max_chars)
        return Feedback(
            messages,
            f"llm: {config.model}",
            first_error=verdict.first_error if messages else None,
            proof=proof if messages else None,
            **answer.costs(useful=bool(messages)),
        )

    return provide
