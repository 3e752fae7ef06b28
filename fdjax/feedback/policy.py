"""The model in training writes the feedback, written by the same engine as its attempts."""

import collections
import dataclasses
import functools
from collections.abc import Sequence

from fdjax.config import ConfigError, PolicyFeedbackConfig
from fdjax.feedback.lean_messages import describe_error
from fdjax.feedback.questions import (
    MAX_TURNS_CHARS,
    as_messages,
    as_text,
    attempts_to_ask_about,
    turn_blocks,
    without_thoughts,
)
from fdjax.lean.report import largest
from fdjax.models.flops import forward_flops
from fdjax.rollout.generate import Generator, Request, Sampling, generate
from fdjax.rollout.prompts import Template, theorem_fields
from fdjax.types import (
    Attempt,
    Candidate,
    Feedback,
    FeedbackContext,
    Feedbacks,
    Item,
    Provider,
    Theorem,
)

MAX_CHARS = 10_000  # of a response; its length in tokens is the limit that matters


def policy(
    generator: Generator,
    config: PolicyFeedbackConfig,
    *,
    successes: bool,
    seed: int,
    draw: int,
) -> Provider:
    """What is written depends on (seed, stream, step, theorem, sample, draw), on the prompt and on
    the parameters of the context. To be awaited on the thread that drives the device
    (RolloutWorker.policy_writes). Raises ConfigError for a prompt that is no template.
    """
    _check_prompt(config)
    prompts = generator.prompts
    writing = dataclasses.replace(
        prompts,
        template=Template("", ""),  # the whole response is feedback: no proof is looked for
        response_length=config.response_length,
    )
    writer = dataclasses.replace(generator, prompts=writing, episodes=None)

    async def provide(groups: Sequence[Sequence[Item]], context: FeedbackContext) -> Feedbacks:
        places = attempts_to_ask_about(groups, context, successes)
        encoded = {(g, i): encode(groups[g][i]) for g, i in places}
        responses = write({at: ids for at, ids in encoded.items() if ids}, groups, context)
        feedbacks: Feedbacks = [[None] * len(group) for group in groups]
        for (g, i), ids in encoded.items():
            feedbacks[g][i] = read(len(ids or ()), responses.get((g, i)), groups[g][i])
        return feedbacks

    def encode(item: Item) -> list[int] | None:
        """The ids, with as much of the turns and then of Lean's lines as the budget allows; None if
        it is too small.
        """
        theorem, attempt, _ = item
        error = describe_error(item)
        lines = error.text.splitlines() if error else []
        several = attempt.turns > 1 and "{turns}" in config.prompt

        @functools.cache
        def ids(kept: int, size: int) -> list[int]:
            turns = as_text(turn_blocks(prompts.tokenizer, attempt, size)) if several else ""
            text = _prompt(config, theorem, attempt, lines[:kept], turns)
            return prompts.template.encode(prompts.tokenizer, text)

        def fits(kept: int, size: int) -> bool:
            return len(ids(kept, size)) <= max(prompts.teacher_buckets)

        sizes = [MAX_TURNS_CHARS >> halved for halved in range(6)] if several else [0]
        size = next((size for size in sizes if fits(len(lines), size)), sizes[-1])
        kept = len(lines)
        if not fits(kept, size):
            kept = largest(0, kept - 1, lambda kept: fits(kept, size))
        return ids(kept, size) if fits(kept, size) else None

    def write(
        encoded: dict[tuple[int, int], list[int]], groups, context: FeedbackContext
    ) -> dict[tuple[int, int], Attempt]:
        if not encoded:
            return {}
        by_teacher = config.by_teacher and context.teacher_params is not None
        params = context.teacher_params if by_teacher else context.params
        names = _names(groups)
        requests = [Request(groups[g][i][0], ids, names[g][i]) for (g, i), ids in encoded.items()]
        stream = f"feedback {context.stream} {draw}"
        sampling = Sampling(1, config.temperature, seed, stream, context.step)
        places = list(encoded)
        responses = generate(writer, params, requests, sampling)
        return {places[place]: response for place, response in responses}

    def read(prompt_length: int, response: Attempt | None, item: Item) -> Feedback:
        """`response`: None where the prompt was too long."""
        if response is None:
            problems = ("policy: prompt too long",)
            return Feedback((), "policy", requests=1, failed_requests=1, problems=problems)
        messages, problem = (), "cut off"
        if response.finished:
            messages = as_messages(without_thoughts(response.candidate.text), MAX_CHARS)
            problem = None if messages else "empty answer"
        length = len(response.tokens)
        tokens = prompt_length + length
        return Feedback(
            messages,
            "policy",
            tokens=tokens,
            own_flops=forward_flops(generator.model, 0, tokens, logits=length),
            first_error=None if problem else item[2].first_error,
            requests=1,
            failed_requests=int(problem is not None),
            problems=(f"policy: {problem}",) if problem else (),
        )

    return provide


def _prompt(
    config: PolicyFeedbackConfig,
    theorem: Theorem,
    attempt: Attempt,
    lean: Sequence[str] = (),
    turns: str = "",
) -> str:
    written = {"attempt": attempt.candidate.text, "lean": "\n".join(lean), "turns": turns}
    return config.prompt.format(**theorem_fields(theorem) | written)


def _check_prompt(config: PolicyFeedbackConfig) -> None:
    theorem = Theorem(id="", name="t", signature=": True")
    try:
        _prompt(config, theorem, Attempt("", 0, (), (), True, Candidate(""), ()))
    except (KeyError, IndexError, ValueError) as error:
        raise ConfigError(
            f"feedback.policy.prompt={config.prompt!r} is no template ({error}). Its fields can "
            "be {goal} {signature} {name} {context} {informal} {header} {doc} {attempt} {lean} "
            "{turns}."
        ) from error


def _names(groups: Sequence[Sequence[Item]]) -> list[list[str]]:
    """Of the samples of a step, each different: theorem, its occurrence in the step, sample."""
    occurrences: collections.Counter[str] = collections.Counter()
    names = []
    for group in groups:
        theorem = group[0][0].id if group else ""
        count = occurrences[theorem]
        names.append([f"{theorem} {count} {attempt.sample}" for _, attempt, _ in group])
        occurrences[theorem] += 1
    return names
