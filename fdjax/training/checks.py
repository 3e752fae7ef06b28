"""Whether a config can run with its theorems and devices, before it does. Each check raises
ConfigError naming the fields; what the fields alone decide is checked in fdjax/config.
"""

import functools
from collections.abc import Sequence
from pathlib import Path

from fdjax.batches.rewards import load_reward
from fdjax.config import (
    Config,
    ConfigError,
    SupervisedStage,
    distillation_part,
    learns_from_feedback,
    naming_field,
    part_field,
    policy_gradient_part,
    provider_names,
    requests_llm,
)
from fdjax.data.splits import SPLITS
from fdjax.feedback.providers import check_service
from fdjax.rollout import scheduler
from fdjax.rollout.prompts import all_buckets
from fdjax.runtime import sharding
from fdjax.training.build import make_objective, stage_provider
from fdjax.training.manifest import Run


def check_profile(config: Config, names: Sequence[str], profile: range) -> None:
    steps = {name: config.blocks[name].steps for name in names}
    if profile and profile[0] >= max(steps.values()):
        known = ", ".join(f"{name} has {count}" for name, count in steps.items())
        raise ConfigError(
            f"--profile={profile[0]}:{len(profile)}: no stage has a step {profile[0]}, counted "
            f"from 0: {known}"
        )


def check_finished(config: Config, workdir: Path, names: Sequence[str]) -> None:
    for name in names:
        if not is_finished(config, workdir, name):
            steps = config.blocks[name].steps
            raise ConfigError(f"{workdir / name} has no checkpoint of step {steps}: train it first")


def check_generation(run: Run) -> None:
    """Of attempts, and of what the policy writes about them."""
    prompts, model = run.generator.prompts, run.generator.model
    plan = functools.partial(
        scheduler.plan,
        run.config.generation,
        model,
        sharding.decoding_mesh(run.generator.mesh, model),
        samples=run.config.generation.slots,
        prompt=max(all_buckets(prompts)),
    )
    episodes = run.generator.episodes and run.generator.episodes.config
    plan(response=prompts.response_length, episodes=episodes)
    feedback = run.config.feedback
    if "policy" in provider_names(feedback):
        plan(response=feedback.policy.response_length, episodes=None)


def check_evaluation(run: Run) -> None:
    e = run.config.evaluation
    for field in ("train", "heldout"):
        _check_split(run, f"evaluation.{field}", getattr(e, field))


def check_stage(run: Run, name: str) -> None:
    """Makes all that the stage will be made of, so that no bad value waits for hours."""
    stage = run.config.blocks[name]
    supervised = isinstance(stage, SupervisedStage)  # leaves out what does not fit
    _check_split(run, f"{name}.theorems", stage.theorems, leave_out=supervised)
    with naming_field(name, ValueError):
        make_objective(stage)
    if distillation_part(stage):
        _check_teacher(run, name, stage.theorems)
    if grpo := policy_gradient_part(stage):
        if grpo.reward:
            with naming_field(f"{part_field(name, stage, 'policy_gradient')}.reward"):
                load_reward(grpo.reward)
        count = len(run.theorems[stage.theorems])
        if grpo.variants.max_refills and count <= stage.prompts_per_step:
            raise ConfigError(
                f"{name}.variants.max_refills={grpo.variants.max_refills}: with prompts_per_step="
                f"{stage.prompts_per_step} no theorem of {stage.theorems!r} is left to refill a "
                "step with; set one of them lower"
            )
    if not is_finished(run.config, run.workdir, name):
        stage_provider(run, stage)  # its errors name the field themselves


def check_questions(run: Run, names: Sequence[str]) -> None:
    """Raises ConfigError where a stage is still to send questions to a language model that does not
    answer.
    """
    feedback = run.config.feedback
    asking = [name for name in names if learns_from_feedback(run.config.blocks[name])]
    if requests_llm(feedback) and not all(is_finished(run.config, run.workdir, n) for n in asking):
        check_service(feedback, run.workdir)


def is_finished(config: Config, workdir: Path, name: str) -> bool:
    """Has the stage a checkpoint of its last step, damaged or not?"""
    return (workdir / name / "checkpoints" / str(config.blocks[name].steps)).is_dir()


def check_references(run: Run, name: str) -> None:
    """Of a supervised stage, once it is known which statements Lean accepts."""
    stage, prompts = run.config.blocks[name], run.generator.prompts
    if not isinstance(stage, SupervisedStage):
        return
    prefill = prompts.template.prefill
    without = [
        theorem
        for theorem in run.theorems[stage.theorems]
        if theorem.reference is None or not theorem.reference.startswith(prefill)
    ]
    for theorem in prompts.fitting(without):  # the others are left out
        raise ConfigError(
            f"{name}: theorem {theorem.id} of theorems={stage.theorems!r} has no reference proof "
            f"that begins with prompt.prefill {prefill!r}"
        )


def _check_teacher(run: Run, name: str, split: str) -> None:
    theorem, template = run.theorems[split][0], run.generator.prompts.template
    if template.text(theorem, "a") == template.text(theorem, "b"):
        raise ConfigError(
            f"{name}: the teacher would not read the feedback: {template.teacher!r}, the teacher's "
            "prompt (prompt.teacher, or prompt.template), has no {feedback}"
        )


def _check_split(run: Run, field: str, split: str, leave_out: bool = False) -> None:
    """Raises ConfigError where a prompt is over the budget, unless those are left out."""
    theorems, prompts = run.theorems.get(split), run.generator.prompts
    if not theorems:
        raise ConfigError(f"{field}={split!r} has no theorems; see data, {', '.join(SPLITS)}")
    if not leave_out:
        with naming_field(field):
            for theorem in theorems:
                prompts.student(theorem)
    elif not any(prompts.fitting([theorem]) for theorem in theorems):
        raise ConfigError(f"no prompt of {field}={split!r} fits prompt.student_buckets")
