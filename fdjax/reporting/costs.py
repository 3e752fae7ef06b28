"""What a step costs, so that methods can be compared at equal budgets.

FLOPs are those of the model on real tokens, whatever is padded, recomputed or computed in vain:

    forward  = 2 * parameters * tokens + 4 * layers * heads * head_dim * sum of contexts
    training = 3 * forward  (6 per parameter and token, as Kaplan et al. 2020)
             - 2 * frozen parameters * tokens

`parameters` are those of the layers' matrices, adapters included, and those of the head for tokens
whose logits are needed: the response's. Beside adapters all else is frozen: gradients pass through
it, and none of its own is taken. A token's context is what it attends to, itself included. Sampling
counts a prompt once for its whole group and each token of the attempts; a teacher counts as a
forward pass, and so does each feedback that the policy reads for and writes. Evaluations are no
cost of training.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fdjax.models import lora
from fdjax.models.config import ModelConfig
from fdjax.models.flops import forward_flops, matrices_flops
from fdjax.objectives.combined import Combined
from fdjax.objectives.distillation import Distillation
from fdjax.objectives.policy_gradient import PolicyGradientBatch
from fdjax.objectives.protocol import Objective

PREFIX = "cost/"  # of the figures in metrics.jsonl
KINDS = {  # as a table shows them
    "rollouts": "rollouts",
    "tokens_generated": "tokens generated",
    "tokens_trained": "tokens trained on",
    "flops": "FLOPs",
    "lean_seconds": "seconds of Lean",  # wall time, summed over candidates; cached ones cost none
    "feedback_tokens": "feedback tokens",
    "feedback_seconds": "feedback seconds",
    "feedback_money": "feedback money",
}
PARTS = ("sampling", "training", "teacher", "feedback")  # of the FLOPs


def of_rollouts(model: ModelConfig, prompts: Mapping[str, Sequence[int]], groups) -> dict:
    """Of attempts, Lean's verdicts and the feedback on them. `prompts`: by the theorem's id."""
    items = [item for group in groups for item in group]
    sampling = 0
    for group in groups:
        prompt = len(prompts[group[0][0].id])
        sampling += forward_flops(model, 0, prompt, logits=0)
        for _, attempt, _, _ in group:
            length = len(attempt.tokens)
            sampling += forward_flops(model, prompt, prompt + length, logits=length)
    checked = {(t.id, a.candidate): v.seconds for t, a, v, _ in items if not v.from_cache}
    said = [feedback for *_, feedback in items if feedback is not None]
    writing = sum(f.own_flops for f in said)
    return _costs(
        rollouts=len(items),
        tokens_generated=sum(sum(a.trained) for _, a, _, _ in items),
        flops=sampling + writing,
        flops_sampling=sampling,
        flops_feedback=writing,
        lean_seconds=sum(checked.values()),
        feedback_tokens=sum(f.tokens for f in said),
        feedback_seconds=sum(f.seconds for f in said),
        feedback_money=sum(f.money for f in said),
    )


def of_update(model: ModelConfig, objective: Objective, batch: Any, epochs: int = 1) -> dict:
    """Of learning `epochs` times from a batch of host arrays."""
    if isinstance(objective, Combined):
        costs: dict[str, float] = {}
        for part in objective.parts:
            if part.name in batch:
                own = of_update(model, part.objective, batch[part.name], epochs)
                costs = added(costs, own)
        return costs
    learned = batch.loss_mask if hasattr(batch, "loss_mask") else batch.weights > 0
    response = learned.shape[1]
    mask = batch.student_mask if hasattr(batch, "student_mask") else batch.mask
    training = training_flops(model, mask, response)
    teacher = 0
    if isinstance(objective, Distillation):
        teachers = 2 if objective.trust_rate else 1
        teacher = teachers * rows_flops(model, batch.teacher_mask, response)
        if objective.weighs_rows:  # the logits of all, once more
            logits = 2 * model.width * model.vocab_size * int(mask[:, -response:].sum())
            teacher += (teachers + 1) * logits
    return _costs(
        tokens_trained=epochs * int(learned.sum()),
        flops=epochs * (training + teacher),
        flops_training=epochs * training,
        flops_teacher=epochs * teacher,
    )


def of_scoring(model: ModelConfig, batch: PolicyGradientBatch, policies: int) -> dict:
    """Of asking so many policies for the log-probabilities of a batch's responses."""
    flops = policies * rows_flops(model, batch.student_mask, batch.loss_mask.shape[1])
    return _costs(flops=flops, flops_teacher=flops)


def rows_flops(model: ModelConfig, mask_NT: np.ndarray, response: int) -> int:
    """Of a forward pass over the rows, with logits for what is there of the last `response`."""
    lengths = mask_NT.sum(axis=1)
    logits = mask_NT[:, -response:].sum(axis=1)
    return sum(forward_flops(model, 0, int(n), logits=int(k)) for n, k in zip(lengths, logits))


def training_flops(model: ModelConfig, mask_NT: np.ndarray, response: int) -> int:
    """Of a forward pass as `rows_flops` has it, and of the gradients of what is trained."""
    flops = 3 * rows_flops(model, mask_NT, response)
    if model.lora_rank:
        tokens, logits = int(mask_NT.sum()), int(mask_NT[:, -response:].sum())
        flops -= matrices_flops(lora.without(model), tokens, logits)
    return flops


def added(metrics: Mapping[str, float], costs: Mapping[str, float]) -> dict[str, float]:
    """`metrics` with `costs` on top of the costs among them."""
    return {**metrics, **{name: metrics.get(name, 0) + value for name, value in costs.items()}}


def total(lines: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The sums over lines of metrics.jsonl, without the prefix; empty where none has a cost."""
    sums: dict[str, float] = {}
    for line in lines:
        sums = added(sums, {k.removeprefix(PREFIX): v for k, v in line.items() if is_cost(k)})
    return sums


def amount(value: float) -> str:
    """1,234 or 1.23e+15: what is too long to be read is not counted one by one."""
    if value >= 1e8:
        return f"{value:.3g}"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def is_cost(name: str) -> bool:
    return name.startswith(PREFIX)


def _costs(**figures: float) -> dict[str, float]:
    return {PREFIX + name: value for name, value in figures.items()}
