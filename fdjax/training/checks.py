"""Whether a config can run, before it does. Each check raises ConfigError naming the fields."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from ml_collections import ConfigDict

from fdjax.batches import arrays as batching
from fdjax.config import ConfigError, naming_field, part
from fdjax.data.splits import SPLITS
from fdjax.runtime import sharding
from fdjax.runtime.files import writable
from fdjax.training import sources as stages
from fdjax.training.build import (
    feedback_provider,
    make_curriculum,
    make_objective,
    optimizer_config,
)
from fdjax.training.manifest import Run
from fdjax.types import Theorem

_TEACHING = {"teacher": ("ema", "frozen", "live", "trust_region"), "ema_per": ("update", "batch")}


def check_workdir(workdir: Path) -> None:
    if not writable(workdir):
        raise ConfigError(f"workdir={workdir}: no folder that can be written to")


def check_numbers(config: ConfigDict) -> None:
    """Of what all stages share."""
    if not 0 <= config.seed < 2**31:
        raise ConfigError(f"seed is {config.seed}, must be in [0, 2**31)")
    check_positive(config, ("keep_checkpoints",))
    with naming_field("data"):
        check_not_negative(config.data, ("seed",))
    with naming_field("prompt"):
        check_positive(config.prompt, ("response_length",))
        check_sizes(config.prompt, ("student_buckets", "teacher_buckets"))


def check_evaluation(run: Run) -> None:
    e = run.config.evaluation
    with naming_field("evaluation"):
        counts = ("theorems", "train_samples", "heldout_samples", "batch")
        check_positive(e, (*counts, "temperature", "low_temperature"))
        _check_rows(run, "batch", e.batch)
        for field in ("train", "heldout"):
            _check_split(run, field, e[field])


def check_stage(run: Run, name: str) -> None:
    """Makes all that the stage will be made of, so that no bad value waits for hours."""
    stage = run.config[name]
    counts = ["steps", "show_every", "save_every", "prompts_per_step", "samples_per_prompt"]
    if "batch_size" not in stage:
        counts += ["minibatches", "epochs"]
    with naming_field(name, ValueError):
        check_positive(stage, (*counts, "temperature"))
        check_optimizer(stage.optimizer)
        optimizer_config(stage)
        if stage.objective == "combined":
            check_combined(stage)
        make_objective(stage)
        supervised = stage.objective == "supervised"
        _check_split(run, "theorems", stage.theorems, prompts=not supervised)
        if supervised:
            check_supervised(stage)
        make_curriculum(run, name, run.theorems[stage.theorems])
        updates, parts = stage.get("minibatches", 1), stage.optimizer.microbatches
        fixed = "batch_size" in stage  # then its rollouts are sampled as evaluation does
        if not fixed:
            check_sizes(stage, ("row_buckets",))
            check_not_negative(stage, ("pipeline_depth",))
        buckets = (stage.batch_size,) if fixed else tuple(stage.row_buckets)
        for rows in buckets:
            if rows % updates:
                raise ConfigError(f"{rows} rows do not split into minibatches={updates}")
            rows //= updates
            _check_rows(run, "batch_size" if fixed else "row_buckets", rows)
            if rows % parts:
                raise ConfigError(f"{rows} rows do not split into optimizer.microbatches={parts}")
        if not fixed:
            _check_rows(run, "prompts_per_step", stage.prompts_per_step)
            if stage.generation_batch:
                _check_rows(run, "generation_batch", stage.generation_batch)
            batching.row_bucket(stage.prompts_per_step * stage.samples_per_prompt, buckets)
        if stage.objective == "expert_iteration":
            check_positive(stage, ("steps_per_round", "per_theorem"))
        if distillation := part(stage, "distillation"):
            check_teacher(run, distillation)
            stages.distillation(distillation, run.prompting)
            for field, known in _TEACHING.items():
                if distillation[field] not in known:
                    told = f"{field} is {distillation[field]!r}; known are {', '.join(known)}"
                    raise ConfigError(told)
        if policy_gradient := part(stage, "policy_gradient"):
            check_policy_gradient(
                policy_gradient, run.theorems[stage.theorems], run.prompting.response_length
            )
    if stage.objective in ("supervised", "distillation", "combined"):
        feedback_provider(run)  # its errors name the field themselves


def check_references(run: Run, name: str) -> None:
    """Of a supervised stage; once it is known what Lean accepts as theorems."""
    stage, prefill = run.config[name], run.prompting.template.prefill
    if stage.objective != "supervised":
        return
    without = [
        theorem
        for theorem in run.theorems[stage.theorems]
        if theorem.reference is None or not theorem.reference.startswith(prefill)
    ]
    for theorem in run.prompting.fitting_prompts(without):  # the others are left out
        raise ConfigError(
            f"{name}: theorem {theorem} of theorems={stage.theorems!r} has no reference proof that "
            f"begins with prompt.prefill {prefill!r}"
        )


def check_positive(block: ConfigDict, fields: Iterable[str]) -> None:
    for field in fields:
        if not block[field] > 0:
            raise ConfigError(f"{field} is {block[field]}, must be positive")


def check_not_negative(block: ConfigDict, fields: Iterable[str]) -> None:
    for field in fields:
        if not block[field] >= 0:
            raise ConfigError(f"{field} is {block[field]}, must not be negative")


def check_share(block: ConfigDict, field: str) -> None:
    if not 0 <= block[field] <= 1:
        raise ConfigError(f"{field} is {block[field]}, must be in [0, 1]")


def check_sizes(block: ConfigDict, fields: Iterable[str]) -> None:
    for field in fields:
        sizes = tuple(block[field])
        if not sizes or not all(isinstance(size, int) and size > 0 for size in sizes):
            raise ConfigError(f"{field} is {sizes}, must be one or more positive numbers")


def check_optimizer(optimizer: ConfigDict) -> None:
    with naming_field("optimizer"):
        check_positive(optimizer, ("microbatches",))
        check_not_negative(optimizer, ("learning_rate", "warmup", "weight_decay"))
        if optimizer.clip_norm is not None:  # no bound
            check_positive(optimizer, ("clip_norm",))


def check_supervised(stage: ConfigDict) -> None:
    check_share(stage, "feedback_fraction")
    check_not_negative(stage, ("feedback_start",))


def check_teacher(run: Run, stage: ConfigDict) -> None:
    check_share(stage, "ema_rate")
    theorem, template = run.theorems[stage.theorems][0], run.prompting.template
    if template.text(theorem, "a") == template.text(theorem, "b"):
        raise ConfigError(
            f"the teacher would not read the feedback: {template.teacher!r}, the teacher's prompt "
            "(prompt.teacher, or prompt.template), has no {feedback}"
        )


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
            f" still: distillation.teacher is {teacher!r}, set it to 'frozen' or 'trust_region'"
        )
    if grpo.refill:
        raise ConfigError(
            f"policy_gradient.refill={grpo.refill}: both parts learn from the same rollouts, set 0"
        )


def check_policy_gradient(stage: ConfigDict, theorems: Sequence[Theorem], budget: int) -> None:
    """`theorems` are the stage's, `budget` that of its responses in tokens."""
    if stage.samples_per_prompt < 2:
        raise ConfigError(
            f"samples_per_prompt is {stage.samples_per_prompt}, must be at least 2: an attempt is "
            "compared with its group"
        )
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


def _check_rows(run: Run, field: str, rows: int) -> None:
    devices = math.prod(run.prompting.mesh.shape[axis] for axis in sharding.ROWS)
    if rows < 1 or rows % devices:
        raise ConfigError(f"{field}: {rows} rows, must be a multiple of replica * fsdp = {devices}")


def _check_split(run: Run, field: str, split: str, prompts: bool = True) -> None:
    """`prompts`: all of them must fit the budget; else those over it are left out."""
    if not run.theorems.get(split):
        raise ConfigError(f"{field}={split!r} has no theorems; see data, {', '.join(SPLITS)}")
    one_by_one = (run.prompting.fitting_prompts([t]) for t in run.theorems[split])
    if not prompts and not any(one_by_one):
        raise ConfigError(f"no prompt of {field}={split!r} fits prompt.student_buckets")
    for theorem in run.theorems[split] if prompts else ():
        run.prompting.student_prompt(theorem)  # raises PromptTooLong
