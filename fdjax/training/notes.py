"""Console lines that say why most attempts of a step taught nothing."""

from collections.abc import Iterator, Mapping
from typing import Any

from fdjax.config import RolloutStage
from fdjax.training.sources import parts_of_step

MOST = 0.5  # share of the attempts of a step


def notes(
    stage: RolloutStage, step: int, metrics: Mapping[str, Any], response_length: int
) -> Iterator[str]:
    """A line for each reason for which most attempts of the step were lost, and one if the step or
    an update was skipped. `metrics`: those of its rollouts and its update.
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
        # Only refused attempts count as lost: successes may get no feedback.
        wanted = max(1 - truncated - undecided - metrics["solve_rate"], 0.0)
        given = metrics.get("feedback/given", 0.0)
        if given < MOST * wanted:
            problems = {
                name.removeprefix("feedback/"): count
                for name, count in metrics.items()
                if ": " in name and not name.startswith("feedback/by_")
            }
            reasons = ", ".join(f"{name} ({count:g})" for name, count in problems.items())
            yield (
                f"{given:.0%} of the attempts have feedback, though {wanted:.0%} ended and were "
                f"refused: {reasons or 'no provider gave any'}"
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
