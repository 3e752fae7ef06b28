"""What each kind of stage trains on: the batch of a step, as arrays on the host.

A source is made once per stage and called with a step's index. Supervised sources depend on that
alone; the others roll out the policy first.
"""

import asyncio
import collections
import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdjax.config import ConfigError
from fdjax.data.theorems import Theorem
from fdjax.feedback.protocol import Provider
from fdjax.lean.verdict import DECIDED, Verdict
from fdjax.objectives.policy_gradient import advantages
from fdjax.rollout import batching
from fdjax.rollout.attempts import Attempt
from fdjax.rollout.batching import Shape
from fdjax.rollout.collect import Prompting
from fdjax.rollout.experience import Collector, Group, in_epochs
from fdjax.rollout.prompts import bucket, encode

Metrics = dict[str, float]


class Step(NamedTuple):
    batch: Any  # with all weights 0 where there is nothing to learn from
    metrics: Metrics  # of the rollouts; the update adds its own


Source = Callable[[int, Any], Step]  # (step, params) -> Step; steps are called in order


# --- Supervised ----------------------------------------------------------------------------------


def supervised(config, prompting: Prompting, theorems, provider: Provider, seed: int) -> Source:
    """Every theorem with its plain proof, and as many rows again as make `feedback_fraction` of
    all: what the provider says of a proof cut short, answered by a proof that does as it says.

    Rows over the token budgets are left out and counted. Raises ConfigError naming a theorem that
    has no reference proof.
    """
    template, tokenizer = prompting.template, prompting.tokenizer
    for theorem in theorems:
        if theorem.reference is None or not theorem.reference.startswith(template.prefill):
            raise ConfigError(
                f"theorem {theorem.id} of the split {config.theorems} has no reference proof "
                f"that begins with prompt.prefill {template.prefill!r}"
            )
    if not 0 <= config.feedback_fraction < 1:
        raise ConfigError(f"feedback_fraction is {config.feedback_fraction}, must be in [0, 1)")
    rng = random.Random(seed)
    odds = config.feedback_fraction / (1 - config.feedback_fraction)
    told = [theorems[i % len(theorems)] for i in range(round(odds * len(theorems)))]
    groups = [[(t, _cut_short(t, prompting, rng), Verdict("failed"))] for t in told]
    feedbacks = asyncio.run(provider(groups)) if groups else []
    texts = [(template.text(t), t.reference) for t in theorems] + [
        (template.text(t, f.text), f.proof)
        for t, [f] in zip(told, feedbacks)
        if f is not None and f.proof is not None
    ]
    longest = max(prompting.student_buckets + prompting.teacher_buckets)
    rows = []
    for prompt, proof in texts:
        response = tokenizer.encode(proof.removeprefix(template.prefill)) + [tokenizer.eos_id]
        row = batching.SupervisedRow(encode(tokenizer, prompt), response)
        if len(row.prompt) <= longest and len(response) <= prompting.response_length:
            rows.append(row)
    if not rows:
        raise ConfigError("no supervised example fits the token budgets of `prompt`")
    shape = Shape(config.batch_size, longest, prompting.response_length)

    def step(index: int, params) -> Step:
        chosen = [rows[i] for i in in_epochs(len(rows), config.batch_size, index, (seed, 2))]
        batch = batching.supervised_batch(chosen, shape, tokenizer.pad_id)
        padding = 1 - float(batch.mask.mean())
        return Step(batch, {"padding": padding, "left_out": len(texts) - len(rows)})

    return step


def _cut_short(theorem: Theorem, prompting: Prompting, rng: random.Random) -> Attempt:
    """The theorem's reference up to a random line: an attempt that stopped too early."""
    template = prompting.template
    lines = theorem.reference.removeprefix(template.prefill).split("\n")
    proof = template.prefill + "\n".join(lines[: rng.randrange(len(lines))])
    return Attempt(theorem.id, 0, (), (), True, proof, ())


# --- From rollouts -------------------------------------------------------------------------------


def from_rollouts(
    collector: Collector, to_batch: Callable[[list[Group]], Step], *, steps: int, depth: int
) -> Source:
    """Launches rollouts up to `depth` steps ahead of the step that learns from them."""
    waiting: collections.deque = collections.deque()

    def step(index: int, params) -> Step:
        while index + len(waiting) < min(index + depth + 1, steps):
            waiting.append(collector.launch(index + len(waiting), params))
        with collector.timers("wait"):
            groups = waiting.popleft().result()
        batch, metrics = to_batch(groups)
        return Step(batch, rollout_metrics(groups) | metrics)

    return step


def rollout_metrics(groups: list[Group]) -> Metrics:
    attempts = [a for g in groups for _, a, _, _ in g]
    verdicts = [v for g in groups for _, _, v, _ in g]
    solved = [[v.proved for _, _, v, _ in g] for g in groups]
    return {
        "solve_rate": float(np.mean(solved)),
        "groups_solved": float(np.mean([any(s) for s in solved])),
        "groups_flat": float(np.mean([len(set(s)) == 1 for s in solved])),
        "sampled_entropy": -float(np.mean(np.concatenate([a.logprobs for a in attempts]))),
        "response_tokens": float(np.mean([len(a.tokens) for a in attempts])),
        "unfinished": float(np.mean([not a.finished for a in attempts])),
        "unverified": sum(v.status not in DECIDED for v in verdicts),
        "from_cache": float(np.mean([v.from_cache for v in verdicts])),
    }


def distillation(config, prompting: Prompting) -> Callable[[list[Group]], Step]:
    """Gate: attempts that ended by themselves, that Lean could judge, that have feedback."""
    if config.gate not in ("all", "failed"):
        raise ConfigError(f"gate is {config.gate!r}; known are all, failed")
    if config.weights not in ("departure", "all"):
        raise ConfigError(f"weights is {config.weights!r}; known are departure, all")

    def admitted(attempt, verdict, feedback) -> bool:
        statuses = ("failed", "rejected") if config.gate == "failed" else DECIDED
        return attempt.finished and verdict.status in statuses and feedback is not None

    longest = max(prompting.teacher_buckets)

    def to_batch(groups: list[Group]) -> Step:
        rows, too_long = [], 0
        for theorem, attempt, verdict, feedback in (item for g in groups for item in g):
            if not admitted(attempt, verdict, feedback):
                continue
            teacher_prompt = prompting.teacher_prompt(theorem, feedback.text)
            if len(teacher_prompt) > longest:  # a text from outside must not end the run
                too_long += 1
                continue
            departs = _departure(attempt, verdict, feedback)
            rows.append(
                batching.DistillationRow(
                    prompting.student_prompt(theorem),
                    teacher_prompt,
                    attempt,
                    departs,
                    batching.departure_weights(
                        attempt, departs if config.weights == "departure" else None
                    ),
                )
            )
        metrics = {
            "rows": len(rows),
            "feedback_too_long": too_long,
            "departs_at": float(np.mean([r.departs for r in rows if r.departs is not None] or [0])),
        }
        shape = Shape(
            batching.row_bucket(len(rows), config.row_buckets),
            _shared_bucket([r.student_prompt for r in rows], prompting.student_buckets),
            prompting.response_length,
        )
        teacher = _shared_bucket([r.teacher_prompt for r in rows], prompting.teacher_buckets)
        batch = batching.distillation_batch(rows, shape, teacher, prompting.tokenizer.pad_id)
        return Step(batch, metrics)

    return to_batch


def _departure(attempt: Attempt, verdict: Verdict, feedback) -> int | None:
    """The first wrong token: as the feedback says, else where Lean's first error stands."""
    place = feedback.departs_at
    if place is None and not verdict.proved and verdict.first_error is not None:
        place = verdict.first_error.start
    return None if place is None else batching.first_token_at(attempt, place)


def policy_gradient(config, prompting: Prompting) -> Callable[[list[Group]], Step]:
    """Rewards 1 and 0; attempts that Lean could not judge are left out of their group's mean."""

    def to_batch(groups: list[Group]) -> Step:
        rewards_BG = np.array([[v.proved for _, _, v, _ in g] for g in groups], np.float32)
        judged_BG = np.array([[v.status in DECIDED for _, _, v, _ in g] for g in groups])
        advantage_BG = advantages(rewards_BG, judged_BG, use_std=config.normalize_std).values
        rows = [
            batching.PolicyGradientRow(prompting.student_prompt(theorem), attempt, float(a))
            for g, group_advantages in zip(groups, advantage_BG)
            for (theorem, attempt, _, _), a in zip(g, group_advantages)
            if a != 0  # nothing to learn, so nothing is computed
        ]
        shape = Shape(
            batching.row_bucket(len(rows), config.row_buckets),
            _shared_bucket([r.prompt for r in rows], prompting.student_buckets),
            prompting.response_length,
        )
        batch = batching.policy_gradient_batch(rows, shape, prompting.tokenizer.pad_id)
        return Step(batch, {"rows": len(rows)})

    return to_batch


def _shared_bucket(prompts: Sequence[Sequence[int]], buckets: Sequence[int]) -> int:
    longest = max(map(len, prompts), default=0)
    return bucket(longest, buckets, "the longest prompt", "prompt.*_buckets")
