"""The cost of a step, so that methods can be compared at equal budgets.

FLOPs are those of the model on real tokens; padding, recomputation and discarded work are left out:

    forward  = 2 * parameters * tokens + 4 * layers * heads * head_dim * sum of contexts
    training = 3 * forward  (6 per parameter and token, as Kaplan et al. 2020)
             - 2 * frozen parameters * tokens

`parameters` are those of the layers' matrices, adapters included, and those of the head for tokens
whose logits are needed: those of the response that the model wrote. With adapters all other
parameters are frozen: gradients pass through them, and none is computed for them. A token's context
is the number of tokens that it attends to, itself included. Sampling counts a prompt once for its
whole group, and each token of the attempts, those of tools too. A teacher counts as a forward pass,
and so does what the policy reads and writes to give feedback. Evaluations are no cost of training.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fdjax.batches import microbatches
from fdjax.models import lora
from fdjax.models.config import ModelConfig
from fdjax.models.flops import forward_flops, matrices_flops
from fdjax.objectives.combined import Combined
from fdjax.objectives.distillation import Distillation
from fdjax.objectives.policy_gradient import PolicyGradientBatch
from fdjax.objectives.protocol import Objective

PREFIX = "cost/"  # of the figures in metrics.jsonl
KINDS = {  # with their titles in tables
    "rollouts": "rollouts",
    "tokens_generated": "tokens generated",
    "tokens_trained": "tokens trained on",
    "flops": "FLOPs",
    "lean_seconds": "seconds of Lean",  # wall time, summed over candidates that were not cached
    "feedback_tokens": "feedback tokens",
    "feedback_seconds": "feedback seconds",
    "feedback_money": "feedback money",
}
PARTS = {  # of the FLOPs
    f"flops_{part}": f"FLOPs: {part}" for part in ("sampling", "training", "teacher", "feedback")
}


def of_rollouts(model: ModelConfig, prompts: Mapping[str, Sequence[int]], groups) -> dict:
    """Of attempts, their verification and the feedback on them.

    `prompts`: token ids by theorem id. `groups`: (theorem, attempt, verdict, feedback or None) of
    each attempt at a theorem.
    """
    items = [item for group in groups for item in group]
    sampling = 0
    for group in groups:
        prompt = len(prompts[group[0][0].id])
        sampling += forward_flops(model, 0, prompt, logits=0)
        for _, attempt, _, _ in group:
            length = len(attempt.tokens)
            logits = sum(attempt.trained)  # what a tool answered is only read
            sampling += forward_flops(model, prompt, prompt + length, logits=logits)
    seconds = {(t.id, a.candidate): v.seconds for t, a, v, _ in items if not v.from_cache}
    feedbacks = [feedback for *_, feedback in items if feedback is not None]
    writing = sum(f.own_flops for f in feedbacks)
    return _costs(
        rollouts=len(items),
        tokens_generated=sum(sum(a.trained) for _, a, _, _ in items),
        flops=sampling + writing,
        flops_sampling=sampling,
        flops_feedback=writing,
        lean_seconds=sum(seconds.values()) + sum(a.tool_seconds for _, a, _, _ in items),
        feedback_tokens=sum(f.tokens for f in feedbacks),
        feedback_seconds=sum(f.seconds for f in feedbacks),
        feedback_money=sum(f.money for f in feedbacks),
    )


def of_update(model: ModelConfig, objective: Objective, batch: Any, epochs: int = 1) -> dict:
    """Of learning `epochs` times from a batch of host arrays."""
    if isinstance(objective, Combined):
        costs: dict[str, float] = {}
        for part in objective.parts:
            if part.name in batch:
                costs = added(costs, of_update(model, part.objective, batch[part.name], epochs))
        return costs
    learned, mask = microbatches.learned(batch), microbatches.attention_masks(batch)[0]
    logits = microbatches.written(batch).sum(axis=1)
    training = training_flops(model, mask, logits)
    teacher = 0
    if isinstance(objective, Distillation):
        teachers = 2 if objective.trust_rate else 1
        teacher = teachers * rows_flops(model, batch.teacher_attention_mask, logits)
        if objective.weighs_rows:  # all logits are computed once more
            once_more = 2 * model.width * model.vocab_size * int(logits.sum())
            teacher += (teachers + 1) * once_more
    return _costs(
        tokens_trained=epochs * int(learned.sum()),
        flops=epochs * (training + teacher),
        flops_training=epochs * training,
        flops_teacher=epochs * teacher,
    )


def of_scoring(model: ModelConfig, batch: PolicyGradientBatch, policies: int) -> dict:
    """Of the log-probabilities of a batch's responses under `policies` policies."""
    logits = microbatches.written(batch).sum(axis=1)
    flops = policies * rows_flops(model, batch.student_attention_mask, logits)
    return _costs(flops=flops, flops_teacher=flops)


def rows_flops(model: ModelConfig, mask_NT: np.ndarray, logits_N: np.ndarray) -> int:
    """Of a forward pass over rows, with logits for `logits_N` tokens of each."""
    lengths = mask_NT.sum(axis=1)
    return sum(forward_flops(model, 0, int(n), logits=int(k)) for n, k in zip(lengths, logits_N))


def training_flops(model: ModelConfig, mask_NT: np.ndarray, logits_N: np.ndarray) -> int:
    """Of a forward pass (`rows_flops`) and the gradients of the trained parameters."""
    flops = 3 * rows_flops(model, mask_NT, logits_N)
    if model.lora_rank:
        tokens, logits = int(mask_NT.sum()), int(logits_N.sum())
        flops -= matrices_flops(lora.without(model), tokens, logits)
    return flops


def added(metrics: Mapping[str, float], costs: Mapping[str, float]) -> dict[str, float]:
    """`metrics` with each of `costs` added to the figure of the same name."""
    return {**metrics, **{name: metrics.get(name, 0) + value for name, value in costs.items()}}


def total(lines: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The sums over lines of metrics.jsonl, without the prefix; empty where none has a cost."""
    sums: dict[str, float] = {}
    for line in lines:
        costs = {k: v for k, v in line.items() if k.startswith(PREFIX)}
        sums = added(sums, {k.removeprefix(PREFIX): v for k, v in costs.items()})
    return sums


def cost_columns(
    totals: Sequence[Mapping[str, float]], kinds: Mapping[str, str] = KINDS
) -> tuple[list[str], list[list[str]]]:
    """The titles of the kinds that some total is not 0 of, and the amounts of each total."""
    kept = {kind: title for kind, title in kinds.items() if any(t.get(kind) for t in totals)}
    return list(kept.values()), [[amount(t.get(kind, 0)) for kind in kept] for t in totals]


def amount(value: float) -> str:
    """1,234 or 1.23e+15."""
    if value >= 1e8:
        return f"{value:.3g}"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _costs(**figures: float) -> dict[str, float]:
    return {PREFIX + name: value for name, value in figures.items()}
