"""What a stage's config stands for: objective, optimizer, update, curriculum, worker, source."""

import dataclasses
import functools
import math
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from fdjax.batches.arrays import minibatches
from fdjax.batches.microbatches import Microbatch, microbatches, padding
from fdjax.config import (
    CombinedStage,
    CurriculumConfig,
    DistillationConfig,
    ExpertIterationStage,
    PolicyGradientConfig,
    RolloutStage,
    StageConfig,
    SupervisedStage,
    distillation_part,
    learns_from_feedback,
    policy_gradient_part,
    provider_names,
)
from fdjax.feedback.providers import Resources, make_provider
from fdjax.models import transformer
from fdjax.models.config import ModelConfig
from fdjax.objectives.combined import Combined, Part
from fdjax.objectives.distillation import Distillation
from fdjax.objectives.policy_gradient import PolicyGradient
from fdjax.objectives.protocol import Model, Objective
from fdjax.objectives.supervised import Supervised
from fdjax.reporting import costs
from fdjax.rollout.curriculum import Curriculum
from fdjax.rollout.generate import Sampling
from fdjax.rollout.journal import Journal
from fdjax.rollout.prompts import all_buckets
from fdjax.rollout.worker import RolloutWorker
from fdjax.runtime import chips, sharding
from fdjax.runtime.metrics import Timers, console
from fdjax.runtime.profile import annotated
from fdjax.training import state, step
from fdjax.training.environment import repair_answer_ids
from fdjax.training.manifest import Run
from fdjax.training.sources import Score, Source, from_rollouts, parts_of_step
from fdjax.training.supervised_sources import expert_iteration, report_left_out, supervised
from fdjax.types import Provider

# --- Objective -----------------------------------------------------------------------------------


def make_objective(stage: StageConfig) -> Objective:
    if isinstance(stage, CombinedStage):
        weights = stage.loss_weights
        return Combined(
            (
                Part("distillation", weights.distillation, _distillation(stage)),
                Part("policy_gradient", weights.policy_gradient, _policy_gradient(stage)),
            )
        )
    if isinstance(stage, DistillationConfig):
        return _distillation(stage)
    if isinstance(stage, PolicyGradientConfig):
        return _policy_gradient(stage)
    return Supervised()


def _distillation(stage: StageConfig) -> Distillation:
    fd = distillation_part(stage)
    variants = fd.variants
    return Distillation(
        alpha=fd.alpha,
        estimator=variants.estimator,
        top_k=variants.top_k,
        support=variants.support,
        tail=variants.tail,
        entry_clip=variants.entry_clip,
        token_clip=variants.token_clip,
        is_clip=fd.is_clip,
        ratio_mean=variants.ratio_mean,
        line_cap=variants.line_cap,
        aggregation=variants.aggregation,
        trust_rate=variants.trust_rate if fd.teacher == "trust_region" else 0.0,
        temperature=stage.temperature,
    )


def _policy_gradient(stage: RolloutStage) -> PolicyGradient:
    grpo = policy_gradient_part(stage)
    return PolicyGradient(
        temperature=stage.temperature,
        surrogate=grpo.surrogate,
        clip_low=grpo.clip_low,
        clip_high=grpo.clip_high,
        dual_clip=grpo.variants.dual_clip,
        aggregation=grpo.aggregation,
        responses=stage.prompts_per_step * stage.samples_per_prompt / stage.minibatches,
        is_clip=grpo.is_clip,
        kl=grpo.variants.kl,
        kl_coefficient=grpo.kl_coefficient or 0.0,
    )


# --- Update --------------------------------------------------------------------------------------


# (state, batch on the host) -> (state, metrics); the state passed in is donated
BatchUpdate = Callable[[state.TrainState, Any], tuple[state.TrainState, dict[str, float]]]


def epochs(stage: StageConfig) -> int:
    return stage.epochs if isinstance(stage, RolloutStage) else 1


def updates_per_step(stage: StageConfig) -> int:
    return stage.minibatches * stage.epochs if isinstance(stage, RolloutStage) else 1


def stage_optimizer(stage: StageConfig):
    total = stage.steps * updates_per_step(stage)
    return state.make_optimizer(stage.optimizer, total_updates=total)


def objective_model(config: ModelConfig) -> Model:
    hidden_states, head = (
        functools.partial(function, config)
        for function in (transformer.hidden_states, transformer.head)
    )
    return Model(hidden_states, head)


def stage_update(
    stage: StageConfig, optimizer, model: ModelConfig, shardings: state.TrainState
) -> step.Update:
    fd = distillation_part(stage)
    ema_rate, ema_every = 0.0, 1
    if fd and fd.teacher == "ema":
        ema_rate = fd.ema_rate
        ema_every = updates_per_step(stage) if fd.variants.ema_per == "batch" else 1
    return step.make_update(
        make_objective(stage),
        optimizer,
        objective_model(model),
        ema_rate=ema_rate,
        ema_every=ema_every,
        shardings=shardings,
    )


def make_batch_update(run: Run, stage: StageConfig, train_state) -> BatchUpdate:
    """(state, batch on the host) -> (state, metrics): `epochs` times an update for each minibatch
    of the batch. A metric is the mean over those updates in which it is a number.

    The host skips a minibatch in which nothing has a gradient. The update would compute all of its
    rows first, with the same result.
    """
    objective, shardings = make_objective(stage), state.shardings(train_state, run.generator.mesh)
    update = stage_update(stage, stage_optimizer(stage), run.generator.model, shardings)
    count = stage.minibatches if isinstance(stage, RolloutStage) else 1
    cut, model, peak = microbatch_cutter(run, stage), run.generator.model, peaks(run).flops

    @annotated("update")
    def update_by_batch(train_state, batch):
        parts = []  # of each minibatch its microbatches and its denominator
        for rows in minibatches(batch, count):
            denominator = objective.denominator(rows)  # of arrays on the host
            cuts = [m.batch for m in cut(rows)] if step.has_gradient(denominator) else []
            parts.append((cuts, denominator))
        # Those without rows first: an EMA that moves once a batch moves at the last of them.
        parts.sort(key=lambda part: bool(part[0]))
        on_host = [microbatch for cuts, _ in parts for microbatch in cuts]
        begun = time.perf_counter()
        parts = [(sharding.put(cuts, run.generator.mesh), d) for cuts, d in parts]
        learned = []
        for cuts, denominator in parts * epochs(stage):
            train_state, found = step.learn(update, train_state, cuts, denominator)
            learned.append(found)
        found = sharding.fetch(learned)
        seconds = time.perf_counter() - begun
        metrics = _means([step.figures(x) for x in found])
        metrics |= {"microbatches": len(on_host), "padding": padding(on_host)}
        if peak:
            cost = [costs.of_update(model, objective, x, epochs(stage)) for x in on_host]
            flops = sum(x["cost/flops"] for x in cost)
            metrics |= chips.share("mfu", flops, seconds, peak)
        return train_state, metrics

    return update_by_batch


def peaks(run: Run) -> chips.Peaks:
    axes = run.config.mesh
    return chips.peaks(run.generator.mesh, axes.peak_flops, axes.peak_bandwidth)


def microbatch_cutter(run: Run, stage: StageConfig) -> Callable[[Any], list[Microbatch]]:
    prompts = run.generator.prompts
    return functools.partial(
        microbatches,
        tokens=stage.optimizer.microbatch_tokens,
        shards=sharding.rows(run.generator.mesh),
        prompts=all_buckets(prompts),
    )


def _means(learned: list[dict]) -> dict[str, float]:
    """The mean of each metric over the updates in which it is a number."""
    names = dict.fromkeys(name for metrics in learned for name in metrics)
    values = {n: [float(m[n]) for m in learned if n in m and not np.isnan(m[n])] for n in names}
    return {name: sum(v) / len(v) if v else math.nan for name, v in values.items()}


def make_score(run: Run, stage: RolloutStage) -> Score:
    """Log-probabilities that given parameters assign to the responses of a batch, computed on the
    device, as many rows at a time as an update computes.
    """
    objective, model = _policy_gradient(stage), objective_model(run.generator.model)
    cut = microbatch_cutter(run, stage)

    @jax.jit
    def score(params, batch):
        return objective.logprobs(model, params, batch)

    def on_host(params, batch):
        parts = cut(batch)
        on_device = sharding.put([part.batch for part in parts], run.generator.mesh)
        scores_NR = np.zeros(batch.loss_mask.shape, np.float32)
        for part, found in zip(parts, sharding.fetch([score(params, x) for x in on_device])):
            scores_NR[part.rows, : found.shape[1]] = found[: len(part.rows)]
        return scores_NR

    return on_host


def init_state(run: Run, params, stage: StageConfig) -> state.TrainState:
    """A fresh state around the parameters of the stage before, which are donated, or around random
    ones if they are None.
    """
    mesh, teacher, optimizer = run.generator.mesh, teacher_fields(stage), stage_optimizer(stage)
    if params is not None:
        return state.restart(params, optimizer, mesh, **teacher)
    init = functools.partial(transformer.init, run.generator.model)
    key = jax.random.key(run.config.seed)
    return state.create(init, key, optimizer, mesh, **teacher)


def teacher_fields(stage: StageConfig) -> dict[str, Any]:
    """Does the state hold a second set of parameters (an EMA, or the start, also as the KL's
    reference), and in which dtype? As `state.create` takes it.
    """
    fd, grpo = distillation_part(stage), policy_gradient_part(stage)
    held = bool((fd and fd.teacher != "live") or (grpo and grpo.kl_coefficient))
    return {"with_teacher": held, "teacher_dtype": fd.teacher_dtype if fd else "float32"}


# --- Rollouts ------------------------------------------------------------------------------------


def make_curriculum(run: Run, stage: StageConfig, theorems) -> Curriculum:
    """Supervised stages take all theorems in turn."""
    return Curriculum(
        theorems,
        batch=stage.prompts_per_step,
        seed=run.config.seed,
        config=getattr(stage, "curriculum", CurriculumConfig()),
        depth=stage.pipeline_depth if isinstance(stage, RolloutStage) else 0,
    )


def make_worker(run: Run, name: str, timers: Timers) -> RolloutWorker:
    """The rollouts of a stage: whose theorems it attempts, and who writes feedback."""
    stage, generator = run.config.blocks[name], run.generator
    theorems, prompts = run.theorems[stage.theorems], generator.prompts
    if isinstance(stage, SupervisedStage):
        fitting = prompts.fitting(theorems)
        report_left_out(len(theorems) - len(fitting), len(theorems), f"prompts of {name}")
        theorems = fitting
        # It learns from single answers, and what follows them: `repair_answer_ids`.
        generator = dataclasses.replace(generator, episodes=None)
    provider = stage_provider(run, stage)
    sampling = Sampling(
        samples=stage.samples_per_prompt,
        temperature=stage.temperature,
        seed=run.config.seed,
        stream=name,
    )
    return RolloutWorker(
        generator=generator,
        sampling=sampling,
        farm=run.farm,
        curriculum=make_curriculum(run, stage, theorems),
        journal=Journal(run.workdir / name / "rollouts"),
        timers=timers,
        provider_at=lambda index: (
            None if parts_of_step(stage, index) == ("policy_gradient",) else provider
        ),
        policy_writes="policy" in provider_names(run.config.feedback),
    )


def make_source(run: Run, name: str, worker: RolloutWorker, start: int) -> Source:
    stage, seed = run.config.blocks[name], run.config.seed
    if isinstance(stage, SupervisedStage):
        if learns_from_feedback(stage) and stage.feedback_start >= stage.steps:
            console.print(
                f"[bold]warning[/]: {name} learns nothing of feedback: it ends after "
                f"{name}.steps={stage.steps}, before {name}.feedback_start={stage.feedback_start}"
            )
        answer_ids = repair_answer_ids(run.generator)
        return supervised(stage, worker, run.config.data, seed, start, answer_ids)
    if isinstance(stage, ExpertIterationStage):
        return expert_iteration(stage, worker, seed, start)
    score = make_score(run, stage) if policy_gradient_part(stage) else None
    return from_rollouts(stage, worker, score, start)


def stage_provider(run: Run, stage: StageConfig) -> Provider | None:
    """Supervised stages teach to read true feedback, also those of the shuffled control."""
    if not learns_from_feedback(stage):
        return None
    return feedback_provider(run, shuffle=False if isinstance(stage, SupervisedStage) else None)


def feedback_provider(run: Run, *, shuffle: bool | None = None) -> Provider:
    """That of the config; `shuffle` can be set apart. Raises ConfigError."""
    resources = Resources(run.generator, run.farm, run.workdir, run.config.seed)
    return make_provider(run.config.feedback, resources, shuffle=shuffle)
