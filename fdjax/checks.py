"""What settings of a stage must have in common. Each check raises ConfigError naming the fields."""

from collections.abc import Iterable, Sequence

from ml_collections import ConfigDict

from fdjax.config import ConfigError
from fdjax.data.theorems import Theorem


def check_positive(block: ConfigDict, fields: Iterable[str]) -> None:
    for field in fields:
        if not block[field] > 0:
            raise ConfigError(f"{field} is {block[field]}, must be positive")


def check_combined(stage: ConfigDict) -> None:
    names = ("distillation", "policy_gradient")
    if set(stage.weights) != set(names):
        raise ConfigError(f"weights names {', '.join(stage.weights)}, must be {', '.join(names)}")
    check_positive(stage.weights, names)
    if not set(stage.turns) <= set(names):
        raise ConfigError(f"turns={tuple(stage.turns)}; known are {', '.join(names)}")
    teacher, grpo = stage.distillation.teacher, stage.policy_gradient
    if grpo.kl_coefficient and teacher not in ("frozen", "trust_region"):
        raise ConfigError(
            f"policy_gradient.kl_coefficient={grpo.kl_coefficient} needs a reference that stands"
            f" still: distillation.teacher is {teacher!r}, set it to 'frozen'"
        )
    if grpo.refill:
        raise ConfigError(
            f"policy_gradient.refill={grpo.refill}: both parts learn from the same rollouts, set 0"
        )


def check_policy_gradient(stage: ConfigDict, theorems: Sequence[Theorem], budget: int) -> None:
    """`theorems` are the stage's, `budget` that of its responses in tokens."""
    buffer = stage.overlong_buffer
    if not 0 <= buffer <= budget:
        raise ConfigError(f"overlong_buffer is {buffer}, must be in [0, {budget}], the budget")
    if buffer:
        check_positive(stage, ("overlong_penalty",))
    if stage.kl_coefficient and stage.kl == "k1" and stage.mask_truncated:
        raise ConfigError(
            "kl='k1' is part of every attempt's reward, and mask_truncated leaves some attempts"
            " out: set kl to 'k2' or 'k3', or mask_truncated to False"
        )
    if stage.refill < 0:
        raise ConfigError(f"refill is {stage.refill}, must not be negative")
    if stage.refill and len(theorems) <= stage.prompts_per_step:
        raise ConfigError(
            f"refill={stage.refill}: with prompts_per_step={stage.prompts_per_step} no theorem of"
            f" {stage.theorems!r} is left to refill a step with; set refill or prompts_per_step"
            " lower"
        )
