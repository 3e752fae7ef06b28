"""A language model behind an OpenAI-compatible service writes the feedback."""

from collections.abc import Sequence

from fdjax.feedback.compose import with_costs
from fdjax.feedback.diagnostics import error_place
from fdjax.feedback.endpoint import Answer, Endpoint, Question
from fdjax.feedback.plain import plain
from fdjax.feedback.questions import costs, describe, to_ask
from fdjax.feedback.reference import Solution, Solve
from fdjax.types import Candidate, Feedback, Item, Moment, Provider, Verdict


def llm(
    endpoint: Endpoint,
    instructions: str,
    *,
    successes: bool,
    show_peers: int,
    longest: int,
    solve: Solve | None,
    draw: int,
) -> Provider:
    """Asks about each finished attempt that Lean refused (with `successes` also about proved
    ones). The model sees theorem, attempt and Lean's messages, at most `show_peers` others of
    the group, and the proof that `solve` knows. An answer is cut to `longest` characters.
    """

    async def provide(
        groups: Sequence[Sequence[Item]], moment: Moment
    ) -> list[list[Feedback | None]]:
        asked = to_ask(groups, moment, successes)
        solved = dict.fromkeys((g for g, _ in asked), Solution(None))
        if solve is not None:
            solved = dict(zip(solved, await solve([groups[g][0][0] for g in solved])))
        answers = await endpoint.ask(
            [
                Question(instructions, describe(groups[g], i, show_peers, solved[g].proof), draw)
                for g, i in asked
            ]
        )
        said: list[list[Feedback | None]] = [[None] * len(group) for group in groups]
        for (g, i), answer in zip(asked, answers):
            proof, paid = solved[g]
            said[g][i] = with_costs(read(answer, groups[g][i][2], proof), paid)
            solved[g] = Solution(proof)  # paid for by the first of the group
        return said

    def read(answer: Answer, verdict: Verdict, proof: Candidate | None) -> Feedback:
        lines = plain(answer.text or "", longest).splitlines()
        messages = tuple(filter(None, map(str.strip, lines)))
        return Feedback(
            messages,
            f"llm: {endpoint.settings.model}",
            first_error=error_place(verdict) if messages else None,
            proof=proof if messages else None,
            **costs(answer, used=bool(messages)),
        )

    return provide
