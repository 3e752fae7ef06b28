"""What a stage's config stands for: its objective, optimizer, curriculum and feedback."""

from collections.abc import Sequence

from ml_collections import ConfigDict

from fdjax.config import ConfigError, part
from fdjax.feedback.providers import Resources, make_provider
from fdjax.objectives.combined import Combined, Part
from fdjax.objectives.distillation import Distillation
from fdjax.objectives.policy_gradient import PolicyGradient
from fdjax.objectives.protocol import Objective
from fdjax.objectives.supervised import Supervised
from fdjax.rollout.curriculum import Curriculum, Settings
from fdjax.training import state
from fdjax.training.manifest import Run
from fdjax.types import Provider, Theorem


def make_objective(config: ConfigDict) -> Objective:
    match config.objective:
        case "supervised" | "expert_iteration":
            return Supervised()
        case "distillation":
            return Distillation(
                alpha=config.alpha,
                estimator=config.estimator,
                top_k=config.top_k or None,
                support=config.support,
                tail=config.tail,
                entry_clip=config.entry_clip or None,
                token_clip=config.token_clip or None,
                is_clip=config.is_clip or None,
                ratio_mean=config.ratio_mean,
                line_cap=config.line_cap or None,
                aggregation=config.aggregation,
                trust_rate=config.trust_rate if config.teacher == "trust_region" else 0.0,
                temperature=config.temperature,
            )
        case "policy_gradient":
            return PolicyGradient(
                temperature=config.temperature,
                surrogate=config.surrogate,
                clip_low=config.clip_low,
                clip_high=config.clip_high,
                dual_clip=config.dual_clip or None,
                aggregation=config.aggregation,
                responses=config.prompts_per_step * config.samples_per_prompt / config.minibatches,
                is_clip=config.is_clip or None,
                kl=config.kl,
                kl_coefficient=config.kl_coefficient,
            )
        case "combined":
            return Combined(
                tuple(
                    Part(name, weight, make_objective(part(config, name)))
                    for name, weight in config.weights.items()
                )
            )
        case unknown:
            raise ConfigError(
                f"objective is {unknown!r}; known are supervised, distillation, policy_gradient, "
                "combined, expert_iteration"
            )


def optimizer_config(config: ConfigDict) -> state.OptimizerConfig:
    optimizer = config.optimizer
    return state.OptimizerConfig(
        learning_rate=optimizer.learning_rate,
        total_steps=config.steps * updates_per_step(config),
        warmup_steps=optimizer.warmup,
        decay_fraction=optimizer.decay_fraction,
        weight_decay=optimizer.weight_decay,
        clip_norm=optimizer.clip_norm,
        moments=optimizer.moments,
    )


def make_curriculum(run: Run, name: str, theorems: Sequence[Theorem]) -> Curriculum:
    """Supervised stages have no settings of one: they take all theorems in turn."""
    stage = run.config[name]
    return Curriculum(
        theorems,
        batch=stage.prompts_per_step,
        seed=run.config.seed,
        settings=Settings(**stage.get("curriculum", {})),
        depth=stage.get("pipeline_depth", 0),
    )


def updates_per_step(config: ConfigDict) -> int:
    return config.get("minibatches", 1) * config.get("epochs", 1)


def feedback_provider(run: Run, *, shuffle: bool | None = None) -> Provider:
    """That of the config; `shuffle` can be set apart. Raises ConfigError."""
    seed, batch = run.config.seed, run.config.evaluation.batch
    resources = Resources(run.prompting, run.farm, run.workdir, seed, batch)
    return make_provider(run.config.feedback, resources, shuffle=shuffle)
