"""The model in training writes the feedback itself, drawn by the same sampler as its attempts."""

import collections
import dataclasses
from collections.abc import Sequence

from fdjax.config import ConfigError
from fdjax.feedback.diagnostics import diagnostics, error_place
from fdjax.feedback.plain import plain, without_thoughts
from fdjax.feedback.questions import to_ask
from fdjax.models.flops import forward_flops
from fdjax.rollout.generate import Prompting, roll_out
from fdjax.rollout.prompts import Template, theorem_fields
from fdjax.types import Attempt, Feedback, Item, Moment, Provider, Theorem

LONGEST = 10_000  # characters; the length in tokens is the bound that matters


def policy(
    prompting: Prompting, settings, *, successes: bool, seed: int, batch: int, draw: int
) -> Provider:
    """`settings`: the fields of feedback.policy in fdjax.config. `batch`: attempts commented on
    at a time, a multiple of the rows of the mesh.

    What is written depends on (seed, stream, step, theorem, sample, draw), on the prompt and on
    the parameters of `moment`. To be awaited where the device is driven from
    (Collector.provider_samples). Raises ConfigError as `check_settings` does.
    """
    check_settings(settings)
    writing = dataclasses.replace(
        prompting,
        template=Template("", ""),  # the whole response is feedback: no proof is looked for
        response_length=settings.response_length,
    )
    lean = diagnostics("error")

    async def provide(
        groups: Sequence[Sequence[Item]], moment: Moment
    ) -> list[list[Feedback | None]]:
        errors = await lean(groups, moment)
        asked = to_ask(groups, moment, successes)
        prompts = {at: prompt(groups[at[0]][at[1]], errors[at[0]][at[1]]) for at in asked}
        written = write({at: ids for at, ids in prompts.items() if ids}, groups, moment)
        said: list[list[Feedback | None]] = [[None] * len(group) for group in groups]
        for (g, i), ids in prompts.items():
            said[g][i] = read(len(ids or ()), written.get((g, i)), groups[g][i])
        return said

    def prompt(item: Item, error: Feedback | None) -> list[int] | None:
        """The ids, with as many of Lean's lines as the budget allows; None if it is too small."""
        theorem, attempt, _ = item
        lines = error.text.splitlines() if error else []
        for kept in range(len(lines), -1, -1):
            asked = text(settings, theorem, attempt, lines[:kept])
            ids = prompting.template.encode(prompting.tokenizer, asked)
            if len(ids) <= max(prompting.teacher_buckets):
                return ids
        return None

    def write(prompts: dict, groups, moment: Moment) -> dict[tuple[int, int], Attempt]:
        if not prompts:
            return {}
        average = settings.average and moment.teacher_params is not None
        names = _names(groups)
        rolled = roll_out(
            writing,
            moment.teacher_params if average else moment.params,
            [groups[g][i][0] for g, i in prompts],
            list(prompts.values()),
            samples=1,
            temperature=settings.temperature,
            seed=seed,
            stream=f"feedback {moment.stream} {draw}",
            step=moment.step,
            batch=batch,
            names=[names[g][i] for g, i in prompts],
        )
        return {at: sample for at, [sample] in zip(prompts, rolled)}

    def read(asked: int, written: Attempt | None, item: Item) -> Feedback:
        length = len(written.tokens) if written else 0
        tokens = asked + length if written else 0
        said = without_thoughts(written.proof) if written else ""
        messages = tuple(filter(None, map(str.strip, plain(said, LONGEST).splitlines())))
        trouble = (
            "prompt too long"
            if written is None
            else "cut off"
            if not written.finished
            else "empty answer"
            if not messages
            else None
        )
        return Feedback(
            () if trouble else messages,
            "policy",
            tokens=tokens,
            own_flops=forward_flops(prompting.model, 0, tokens, logits=length),
            first_error=None if trouble else error_place(item[2]),
            asked=1,
            unanswered=int(trouble is not None),
            troubles=(f"policy: {trouble}",) if trouble else (),
        )

    return provide


def text(settings, theorem: Theorem, attempt: Attempt, lean: Sequence[str]) -> str:
    """The prompt: theorem, attempt and Lean's lines."""
    fields = theorem_fields(theorem) | {"attempt": attempt.proof, "lean": "\n".join(lean)}
    return settings.prompt.format(**fields)


def check_settings(settings) -> None:
    """Raises ConfigError naming the field."""
    some = Theorem(id="", name="t", signature=": True")
    try:
        text(settings, some, Attempt("", 0, (), (), True, "", ()), ())
    except (KeyError, IndexError, ValueError) as error:
        raise ConfigError(
            f"feedback.policy.prompt={settings.prompt!r} is no template ({error}). Its fields can "
            "be {goal} {signature} {name} {context} {informal} {header} {doc} {attempt} {lean}."
        ) from error
    if not settings.response_length > 0:
        raise ConfigError(
            f"feedback.policy.response_length is {settings.response_length}, must be positive"
        )
    if settings.temperature < 0:
        raise ConfigError(
            f"feedback.policy.temperature is {settings.temperature}, must not be negative"
        )


def _names(groups: Sequence[Sequence[Item]]) -> list[list[str]]:
    """What tells the samples of a step apart: theorem, how often it was met before, sample."""
    met: collections.Counter[str] = collections.Counter()
    names = []
    for group in groups:
        theorem = group[0][0].id if group else ""
        names.append([f"{theorem} {met[theorem]} {attempt.sample}" for _, attempt, _ in group])
        met[theorem] += 1
    return names
