"""Episodes with tools, played from calls, for tests."""

import asyncio

from lean_samples import SWAP

from fdjax.environment.check import check_tool
from fdjax.environment.files import file_tools
from fdjax.environment.protocol import Call, Step, Turn
from fdjax.environment.submit import submit_tool
from fdjax.environment.tools import DEFAULT_LIMITS
from fdjax.environment.tools_environment import ToolEnvironment
from fdjax.lean.extract import NoProof, parse_candidate


def find_proof(text, theorem):
    if not text.startswith("by"):
        raise NoProof("the answer holds no proof")
    return text, range(len(text))


def environment(farm, *more, limits=DEFAULT_LIMITS, **options) -> ToolEnvironment:
    tools = (check_tool(farm), *file_tools(limits), *more, submit_tool(farm.allow_helpers))
    return ToolEnvironment(tools, find_proof, limits=limits, **options)


def call(tool: str, **arguments) -> Call:
    return Call(tool, arguments)


def play(environment, *turns: Turn | tuple[Call, ...], theorem=SWAP) -> list[Step]:
    """The steps of an episode; each is also replayed from what a journal keeps."""
    episode, steps = environment.reset(theorem), []
    for turn in turns:
        assert not steps or not steps[-1].done
        turn = turn if isinstance(turn, Turn) else Turn("", tuple(turn))
        step = asyncio.run(environment.step(episode, turn))
        again = environment.replay(episode, turn, step._replace(episode=None))
        assert again == step.episode and again is not episode
        episode = step.episode
        steps.append(step)
    return steps


def judged(farm, step: Step, theorem=SWAP):
    """Lean's verdict on what an episode submitted."""
    candidate = parse_candidate(step.submission.text, theorem, farm.allow_helpers)
    return farm.submit(theorem, candidate).result()
