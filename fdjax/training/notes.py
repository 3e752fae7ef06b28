"""What the console says of a step whose attempts mostly taught nothing, and why."""

from collections.abc import Iterator, Mapping
from typing import Any

from fdjax.config import RolloutStage
from fdjax.training.sources import parts_of_step

MOST = 0.5


def notes(
    stage: RolloutStage, step: int, metrics: Mapping[str, Any], response_length: int
) -> Iterator[str]:
    """A line for each reason by which most attempts of the step were lost, and one where the step
    is skipped. `metrics`: those of its rollouts and its update.
    """
    attempts = metrics.get("cost/rollouts") or 0
    if not attempts or not isinstance(stage, RolloutStage):
        return
    truncated = metrics["truncated"]
    undecided = metrics["unverified"] / attempts
    if truncated > MOST:
        yield (
            f"{truncated:.0%} of the attempts are cut off by prompt.response_length="
            f"{response_length}: the model does not end its answers, or needs more tokens"
        )
    if undecided > MOST:
        yield f"Lean came to no decision on {undecided:.0%} of the attempts (lean.timeout, crashes)"
    if "distillation" in parts_of_step(stage, step):
        # Successes may get no feedback; that is no loss.
        wanted = max(1 - truncated - undecided - metrics["solve_rate"], 0.0)
        given = metrics.get("feedback/given", 0.0)
        if given < MOST * wanted:
            problems = {k.removeprefix("feedback/"): v for k, v in metrics.items() if ": " in k}
            reasons = ", ".join(f"{name} ({count:g})" for name, count in problems.items())
            yield (
                f"{given:.0%} of the attempts have feedback, though {wanted:.0%} ended and were "
                f"refused: {reasons or 'the providers had none to give'}"
            )
        elif metrics.get("rows", 0) < MOST * given * (1 - truncated) * attempts:
            yield (
                f"{metrics['rows']:g} rows of {given * attempts:.0f} attempts with feedback: the "
                "others are cut off, outside of distill_attempts, have no token to learn, or do "
                "not fit prompt.teacher_buckets"
            )
    if metrics.get("rows") == 0:
        groups = f"; in {metrics['zero_variance_groups']:.0%} of the groups all verdicts agree"
        yield f"nothing to learn from: the step is skipped{groups}"
    elif metrics.get("skipped") and metrics.get("rows"):
        yield f"an update was skipped: its loss is {metrics['loss']}, its gradient not finite or 0"
