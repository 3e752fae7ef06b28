"""What a stage trains on: the batch of a step, as arrays on the host, made of what was rolled out.

A source is made once per stage and called with a step's index and the state that is to learn. Those
of supervised stages are in supervised_stages.py.
"""

import collections
import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdjax.batches import arrays as batching
from fdjax.batches.advantages import advantages, flat, mixed, outcomes, overlong
from fdjax.batches.arrays import Shape
from fdjax.batches.token_weights import Credit
from fdjax.config import part
from fdjax.feedback.metrics import feedback_metrics
from fdjax.objectives.policy_gradient import PolicyGradientBatch
from fdjax.reporting import costs as costs
from fdjax.rollout.attempts import policy_entropy
from fdjax.rollout.generate import Prompting
from fdjax.rollout.prompts import bucket
from fdjax.rollout.worker import RolloutWorker
from fdjax.training.state import TrainState
from fdjax.types import Group

Metrics = dict[str, float]


class Step(NamedTuple):
    batch: Any  # with all weights 0 where there is nothing to learn from
    metrics: Metrics  # of the rollouts; the update adds its own


Source = Callable[[int, TrainState], Step]  # of a step; steps are called in order
ToBatch = Callable[[int, list[Group], TrainState], Step]  # of a step and what was rolled out
# (parameters, batch) -> f32[N, R]: what a policy says of a batch's responses, from the device
Score = Callable[[Any, PolicyGradientBatch], np.ndarray]


def from_rollouts(
    worker: RolloutWorker, to_batch: ToBatch, *, steps: int, depth: int, refill: int = 0
) -> Source:
    """Launches rollouts up to `depth` steps ahead of the step that learns from them.

    Where verdicts agree throughout a group, up to `refill` more rollouts of a step look for other
    groups in its place, on theorems new to the step, by the policy that is to learn from them
    (dynamic sampling, DAPO). They end early when no theorem is left.
    """
    waiting: collections.deque = collections.deque()

    def step(index: int, state: TrainState) -> Step:
        while index + len(waiting) < min(index + depth + 1, steps):
            waiting.append(worker.launch(index + len(waiting), state))
        with worker.timers("wait"):
            groups = waiting.popleft()(state)
        wanted, refills = len(groups), 0
        while refills < refill and len(mixed(groups)) < wanted:
            further = worker.launch(index, state, refill=refills + 1)
            with worker.timers("wait"):
                further = further(state)
            if not further:
                break
            groups, refills = groups + further, refills + 1
        worker.curriculum.note(index, groups)
        batch, metrics = to_batch(index, groups, state)
        known = rollout_metrics(groups) | worker.curriculum.metrics(index)
        known |= worker.cost(groups) | ({"refills": refills} if refill else {})
        return Step(batch, costs.added(known, metrics))

    return step


def rollout_metrics(groups: list[Group]) -> Metrics:
    out = outcomes(groups)
    return {
        "solve_rate": float(out.proved.mean(dtype=np.float64)),
        "groups_solved": float(out.proved.any(1).mean()),
        "zero_variance_groups": float(flat(out.proved, out.judged).mean()),
        "policy_entropy": policy_entropy(a for g in groups for _, a, _, _ in g),
        "response_tokens": float(out.lengths.mean()),
        "truncated": float((~out.finished).mean()),
        "unverified": int((~out.judged).sum()),
        "from_cache": float(np.mean([v.from_cache for g in groups for _, _, v, _ in g])),
    } | feedback_metrics(groups)


def distillation(config, prompting: Prompting) -> ToBatch:
    """What is distilled, and how much each token counts: fdjax/batches/token_weights.py."""
    credit = Credit(**{f.name: config[f.name] for f in dataclasses.fields(Credit)})

    def to_batch(_: int, groups: list[Group], state: TrainState) -> Step:
        rows, dropped = [], 0
        for theorem, attempt, feedback, first_error_token, weights in credit.give(groups):
            teacher_prompt, over_budget = prompting.teacher_prompt(theorem, feedback)
            dropped += over_budget
            if over_budget == len(feedback.messages):
                continue  # nothing is left to learn from
            student_prompt = prompting.student_prompt(theorem)
            rows.append(
                batching.DistillationRow(
                    student_prompt, teacher_prompt, attempt, first_error_token, weights
                )
            )
        metrics = {
            "rows": len(rows),
            "messages_dropped": dropped,
            "first_error": float(
                np.mean(
                    [r.first_error_token for r in rows if r.first_error_token is not None] or [0]
                )
            ),
        }
        shape = Shape(
            batching.row_bucket(len(rows), config.row_buckets),
            shared_bucket([r.student_prompt for r in rows], prompting.student_buckets),
            prompting.response_length,
        )
        teacher = shared_bucket([r.teacher_prompt for r in rows], prompting.teacher_buckets)
        batch = batching.distillation_batch(rows, shape, teacher, prompting.tokenizer.pad_id)
        return Step(batch, metrics)

    return to_batch


def policy_gradient(config, prompting: Prompting, score: Score) -> ToBatch:
    """Rewards 1 and 0, less what the config takes off for length and for leaving the reference.

    Attempts that Lean could not judge are left out of their group's mean. Flat groups are not
    computed, unless a KL holds them to the reference; with `refill` they are never taken, and of
    the others as many as a step has prompts.
    """
    from_trainer = config.minibatches * config.epochs > 1 or config.is_clip > 0

    def to_batch(_: int, groups: list[Group], state: TrainState) -> Step:
        if config.refill:
            groups = mixed(groups)[: config.prompts_per_step]
        out = outcomes(groups)
        rewards_BG, taken_BG = out.proved, out.judged
        if config.overlong_buffer:
            penalty = overlong(out.lengths, prompting.response_length, config.overlong_buffer)
            rewards_BG = rewards_BG + config.overlong_penalty * penalty
        if config.mask_truncated:
            taken_BG = taken_BG & out.finished
        if not config.kl_coefficient:
            taken_BG = taken_BG & ~flat(rewards_BG, out.judged)[:, None]

        def worth(rewards_BG: np.ndarray) -> np.ndarray:
            return advantages(rewards_BG, out.judged, use_std=config.normalize_std)[taken_BG]

        taken = [item for g, row in zip(groups, taken_BG) for item, take in zip(g, row) if take]
        rows = [
            batching.PolicyGradientRow(prompting.student_prompt(theorem), attempt, float(a))
            for (theorem, attempt, _, _), a in zip(taken, worth(rewards_BG))
        ]
        shape = Shape(
            batching.row_bucket(len(rows), config.row_buckets),
            shared_bucket([r.prompt for r in rows], prompting.student_buckets),
            prompting.response_length,
        )
        batch = batching.policy_gradient_batch(rows, shape, prompting.tokenizer.pad_id)
        metrics = {"rows": len(rows)} | ({"groups": len(groups)} if config.refill else {})
        if from_trainer or config.kl_coefficient:
            policies = from_trainer + (config.kl_coefficient > 0)
            metrics |= costs.of_scoring(prompting.model, batch, policies)
        if from_trainer:
            batch = batch._replace(old_logprobs=score(state.params, batch))
        if config.kl_coefficient:
            batch = batch._replace(reference_logprobs=score(state.teacher, batch))
        if config.kl_coefficient and config.kl == "k1":
            gap_NR = np.where(batch.loss_mask, batch.old_logprobs - batch.reference_logprobs, 0)
            farther_BG = np.zeros_like(rewards_BG)
            farther_BG[taken_BG] = gap_NR.sum(1)[: len(rows)]
            less = worth(rewards_BG - config.kl_coefficient * farther_BG)
            batch = batch._replace(advantages=np.pad(less, (0, shape.rows - len(rows))))
        return Step(batch, metrics)

    return to_batch


def combined(config, prompting: Prompting, score: Score) -> ToBatch:
    """A batch for each part, by name; where parts take turns, for the one whose turn it is."""
    makers = {
        "distillation": distillation(part(config, "distillation"), prompting),
        "policy_gradient": policy_gradient(part(config, "policy_gradient"), prompting, score),
    }

    def to_batch(index: int, groups: list[Group], state: TrainState) -> Step:
        turn = parts_of_step(config, index)
        made = {name: makers[name](index, groups, state) for name in turn}
        metrics = functools.reduce(costs.added, [step.metrics for step in made.values()])
        return Step({name: step.batch for name, step in made.items()}, metrics)

    return to_batch


def parts_of_step(config, index: int) -> tuple[str, ...]:
    """Which objectives learn at step `index`: all parts, or in turns the one whose turn it is."""
    if config.objective != "combined":
        return (config.objective,)
    turns = tuple(config.turns)
    return (turns[index % len(turns)],) if turns else tuple(config.weights)


def shared_bucket(prompts: Sequence[Sequence[int]], buckets: Sequence[int]) -> int:
    longest = max(map(len, prompts), default=0)
    return bucket(longest, buckets, "the longest prompt", "prompt.*_buckets")
