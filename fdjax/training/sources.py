"""Where the batches of FD, GRPO and both together come from: arrays on the host, made of the groups
that a step rolled out. Supervised stages: supervised_sources.py.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdjax.batches import arrays
from fdjax.batches.advantages import (
    advantages,
    informative_groups,
    outcomes,
    overlong,
    zero_variance,
)
from fdjax.batches.arrays import Shape
from fdjax.batches.process_rewards import process_advantages
from fdjax.batches.rewards import rewards
from fdjax.batches.token_weights import token_weights
from fdjax.config import (
    CombinedStage,
    DistillationConfig,
    PolicyGradientConfig,
    RolloutStage,
    StageConfig,
    distillation_part,
    policy_gradient_part,
)
from fdjax.feedback.metrics import feedback_metrics
from fdjax.objectives.policy_gradient import PolicyGradientBatch
from fdjax.reporting import costs
from fdjax.reporting.budgets import episode_metrics
from fdjax.rollout.attempts import policy_entropy
from fdjax.rollout.generate import Generator
from fdjax.rollout.prompts import shared_bucket
from fdjax.rollout.worker import RolloutWorker
from fdjax.training.state import TrainState
from fdjax.types import Group

Metrics = dict[str, float]
# (parameters, batch) -> f32[N, R]: log-probabilities of a batch's responses, from the device. FD
# needs none.
Score = Callable[[Any, PolicyGradientBatch], np.ndarray]


class RolloutPlan(NamedTuple):
    """For one step: the rollouts to begin now, and how many of those begun form its batch."""

    begin: Sequence[int] = ()
    finish: int = 0


class Source(NamedTuple):
    """`make_batch`: (step, a list of groups for each rollout to learn from, state that is to learn)
    -> (batch, metrics of the rollouts). All weights are 0 where there is nothing to learn from.
    """

    rollouts: Callable[[int], RolloutPlan]
    make_batch: Callable[[int, list[list[Group]], TrainState], tuple[Any, Metrics]]


ToBatch = Callable[[int, list[Group], TrainState], tuple[Any, Metrics]]  # of a step's groups


def from_rollouts(
    stage: RolloutStage, worker: RolloutWorker, score: Score | None, start: int
) -> Source:
    """A rollout for each step, begun up to `pipeline_depth` steps ahead. Training begins at the
    step `start`.
    """
    to_batch = make_to_batch(stage, worker.generator, score)
    policy_gradient = policy_gradient_part(stage)

    def rollouts(step: int) -> RolloutPlan:
        first = step if step == start else step + stage.pipeline_depth
        return RolloutPlan(
            range(first, min(step + stage.pipeline_depth + 1, stage.steps)), finish=1
        )

    def make_batch(step: int, rolled_out: list[list[Group]], state: TrainState):
        [groups] = rolled_out
        groups, refills = refill(worker, step, groups, state, policy_gradient)
        worker.curriculum.note(step, groups)
        batch, metrics = to_batch(step, groups, state)
        known = rollout_metrics(groups) | worker.curriculum.metrics(step)
        known |= rollout_costs(worker.generator, groups)
        known |= {} if refills is None else {"refills": refills}
        return batch, costs.added(known, metrics)

    return Source(rollouts, make_batch)


def refill(
    worker: RolloutWorker,
    step: int,
    groups: list[Group],
    state: TrainState,
    grpo: PolicyGradientConfig | None,
) -> tuple[list[Group], int | None]:
    """`groups` and those of up to `max_refills` further rollouts, and how many these were; None
    where the stage has no refills.

    Dynamic sampling (DAPO): where the rewards of a group agree, other theorems, new to the step,
    are attempted by the policy that is to learn from them. It ends early when none is left.
    """
    if grpo is None or not grpo.variants.max_refills:
        return groups, None
    wanted, refills = len(groups), 0
    while (
        refills < grpo.variants.max_refills
        and len(informative_groups(groups, rewards(grpo, groups))) < wanted
    ):
        more = worker.rollout(step, state.params, state.teacher, refill=refills + 1)
        if not more:
            break
        groups, refills = groups + more, refills + 1
    return groups, refills


def rollout_metrics(groups: list[Group]) -> Metrics:
    out = outcomes(groups)
    return {
        "solve_rate": float(out.proved.sum() / max(out.decided.sum(), 1)),
        "groups_solved": float(out.proved.any(1).mean()),
        "zero_variance_groups": float(zero_variance(out.proved, out.decided).mean()),
        "policy_entropy": policy_entropy(a for g in groups for _, a, _, _ in g),
        "response_tokens": float(out.lengths.mean()),
        "truncated": float((~out.finished).mean()),
        "unverified": int((~out.decided).sum()),
        "from_cache": float(np.mean([v.from_cache for g in groups for _, _, v, _ in g])),
        **episode_metrics([[item[:3] for item in group] for group in groups]),
    } | feedback_metrics(groups)


def rollout_costs(generator: Generator, groups: list[Group]) -> Metrics:
    theorems = {group[0][0].id: group[0][0] for group in groups}
    prompts = {name: generator.prompts.student(theorem) for name, theorem in theorems.items()}
    return costs.of_rollouts(generator.model, prompts, groups)


def make_to_batch(stage: RolloutStage, generator: Generator, score: Score | None) -> ToBatch:
    if isinstance(stage, CombinedStage):
        return combined(stage, generator, score)
    if distillation := distillation_part(stage):
        return distillation_batches(distillation, generator)
    return policy_gradient_batches(stage, policy_gradient_part(stage), generator, score)


def combined(stage: CombinedStage, generator: Generator, score: Score) -> ToBatch:
    """A batch for each part, by name; where parts take turns, for the one whose turn it is."""
    makers = {
        "distillation": distillation_batches(stage.distillation, generator),
        "policy_gradient": policy_gradient_batches(stage, stage.policy_gradient, generator, score),
    }

    def to_batch(step: int, groups: list[Group], state: TrainState):
        parts = {name: makers[name](step, groups, state) for name in parts_of_step(stage, step)}
        metrics = functools.reduce(costs.added, [metrics for _, metrics in parts.values()])
        return {name: batch for name, (batch, _) in parts.items()}, metrics

    return to_batch


def parts_of_step(stage: StageConfig, step: int) -> tuple[str, ...]:
    """Which objectives learn at `step`: all parts, or in turns the one whose turn it is."""
    if not isinstance(stage, CombinedStage):
        return (stage.objective,)
    turns = stage.turns
    return (turns[step % len(turns)],) if turns else ("distillation", "policy_gradient")


# --- Feedback Distillation -----------------------------------------------------------------------


def distillation_batches(fd: DistillationConfig, generator: Generator) -> ToBatch:
    """Which attempts are distilled, and how much each token counts: batches/token_weights.py."""
    prompts = generator.prompts

    def to_batch(_: int, groups: list[Group], state: TrainState):
        rows, dropped = [], 0
        for weighted in token_weights(fd, groups):
            theorem, attempt, feedback, first_error_token, weights = weighted
            teacher_prompt, over_budget = prompts.teacher(theorem, feedback)
            dropped += over_budget
            if teacher_prompt is None:
                continue  # nothing is left to learn from
            rows.append(
                arrays.DistillationRow(
                    prompts.student(theorem), teacher_prompt, attempt, first_error_token, weights
                )
            )
        places = [r.first_error_token for r in rows if r.first_error_token is not None]
        metrics = {
            "rows": len(rows),
            "messages_dropped": dropped,
        }
        if places:
            metrics["first_error"] = float(np.mean(places))
        shape = Shape(
            len(rows),
            shared_bucket([r.student_prompt for r in rows], prompts.student_buckets),
            prompts.response_length,
        )
        teacher = shared_bucket([r.teacher_prompt for r in rows], prompts.teacher_buckets)
        batch = arrays.distillation_batch(rows, shape, teacher, prompts.tokenizer.pad_id)
        return batch, metrics

    return to_batch


# --- GRPO ----------------------------------------------------------------------------------------


def policy_gradient_batches(
    stage: RolloutStage, grpo: PolicyGradientConfig, generator: Generator, score: Score
) -> ToBatch:
    """Rewards 1 and 0, or a function's, less what the config takes off for length and for leaving
    the reference. With process rewards each token has an advantage of its own.

    Attempts that Lean could not decide are left out of their group's mean. Zero-variance groups
    are not computed, unless a KL holds them to the reference; with refills they are never taken,
    and of the others as many as a step has prompts.
    """
    prompts, variants = generator.prompts, grpo.variants
    from_trainer = stage.minibatches * stage.epochs > 1 or grpo.is_clip is not None

    def to_batch(_: int, groups: list[Group], state: TrainState):
        if variants.max_refills:
            informative = informative_groups(groups, rewards(grpo, groups))
            groups = informative[: stage.prompts_per_step]
        out = outcomes(groups)
        rewards_BG, taken_BG = rewards(grpo, groups), out.decided
        metrics = _reward_metrics(grpo, rewards_BG, out.decided)
        if variants.overlong_buffer:
            penalty = overlong(out.lengths, prompts.response_length, variants.overlong_buffer)
            rewards_BG = rewards_BG + variants.overlong_penalty * penalty
        if variants.mask_truncated:
            taken_BG = taken_BG & out.finished
        process = _process_rewards(grpo, groups)
        if not grpo.kl_coefficient:
            has_gradient = ~zero_variance(rewards_BG, out.decided)
            if process:
                has_gradient |= [any(map(any, of_group)) for of_group in process]
            taken_BG = taken_BG & has_gradient[:, None]

        def taken_advantages(rewards_BG: np.ndarray) -> np.ndarray:
            return advantages(rewards_BG, out.decided, use_std=grpo.normalize_std)[taken_BG]

        rows = [
            arrays.PolicyGradientRow(
                prompts.student(groups[g][i][0]),
                groups[g][i][1],
                float(advantage),
                process[g][i] if process else None,
            )
            for (g, i), advantage in zip(np.argwhere(taken_BG), taken_advantages(rewards_BG))
        ]
        shape = Shape(
            len(rows),
            shared_bucket([r.prompt for r in rows], prompts.student_buckets),
            prompts.response_length,
        )
        batch = arrays.policy_gradient_batch(rows, shape, prompts.tokenizer.pad_id)
        metrics |= {"rows": len(rows)} | ({"groups": len(groups)} if variants.max_refills else {})
        if not rows:  # nothing to score
            return batch, metrics
        policies = from_trainer + (grpo.kl_coefficient is not None)
        if policies:
            metrics |= costs.of_scoring(generator.model, batch, policies)
        if from_trainer:
            batch = batch._replace(old_logprobs=score(state.params, batch))
        if grpo.kl_coefficient:
            batch = batch._replace(reference_logprobs=score(state.teacher, batch))
        if grpo.kl_coefficient and variants.kl == "k1":
            gap_NR = np.where(batch.loss_mask, batch.old_logprobs - batch.reference_logprobs, 0)
            kl_BG = np.zeros_like(rewards_BG)
            kl_BG[taken_BG] = gap_NR.sum(1)
            less = taken_advantages(rewards_BG - grpo.kl_coefficient * kl_BG)
            batch = batch._replace(advantages=less)
        return batch, metrics

    return to_batch


def _reward_metrics(
    grpo: PolicyGradientConfig, rewards_BG: np.ndarray, decided_BG: np.ndarray
) -> Metrics:
    """Where the reward is not the verdict, which `solve_rate` is of."""
    if (grpo.reward is None and grpo.variants.turn_discount is None) or not decided_BG.any():
        return {}
    return {"reward": float(rewards_BG[decided_BG].mean())}


def _process_rewards(grpo: PolicyGradientConfig, groups: list[Group]) -> list[list[list[float]]]:
    """Advantages by group, attempt and token; [] where the config has none."""
    coefficient, credit = grpo.variants.process_reward, grpo.variants.process_credit
    if coefficient is None:
        return []
    return [
        process_advantages(group, coefficient, credit=credit, use_std=grpo.normalize_std)
        for group in groups
    ]
