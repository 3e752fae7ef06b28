"""Feedback Distillation: the student learns what the teacher, who has read feedback, would say.

    L = sum_it w_it min(sg(q/q_sampler), c) D(p_it, q_it) / max(sum_it [w_it > 0], 1)

p is the teacher's next-token distribution (theorem and feedback; stop-gradient), q the student's
(theorem only), on the same response tokens, both at the sampling temperature.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdjax.objectives.chunked import chunked_sum
from fdjax.objectives.divergence import (
    coarsen,
    divergence,
    entropy,
    log_prob,
    sampled_divergence,
    to_logits,
)
from fdjax.objectives.protocol import Mean, Metrics, Model, Params, response_hidden


class DistillationBatch(NamedTuple):
    """The response is the last R columns of both token arrays; prompts are left-padded."""

    student_tokens: jax.Array  # i32[N, P+R]
    student_mask: jax.Array  # bool[N, P+R], what is attended to
    teacher_tokens: jax.Array  # i32[N, Q+R]
    teacher_mask: jax.Array  # bool[N, Q+R]
    response_mask: jax.Array  # bool[N, R], tokens that the model wrote; for metrics
    weights: jax.Array  # f32[N, R], 0 where nothing is learned
    sampler_logprobs: jax.Array  # f32[N, R]
    departs: jax.Array  # i32[N], the first wrong response token; R if none or not known


@dataclasses.dataclass(frozen=True)
class Distillation:
    alpha: float = 0.0  # 0 forward KL, 1 reverse KL, between them Jensen-Shannon (divergence.py)
    temperature: float = 1.0  # of sampling
    ratio_cap: float | None = 2.0  # c, the cap of the importance weight; None: no such weight
    top_k: int | None = None  # support of the divergence, plus a tail bucket; None: full vocabulary
    sampled_token: bool = False  # estimate reverse KL from the sampled token alone
    chunk: int = 1024  # tokens whose logits exist at once

    needs_teacher = True

    def __post_init__(self):
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"distillation: alpha is {self.alpha}, must be in [0, 1]")
        if self.sampled_token and (self.alpha != 1 or self.top_k is not None):
            raise ValueError(
                "distillation: sampled_token estimates reverse KL: set alpha=1, top_k=None"
            )

    def denominator(self, batch: DistillationBatch) -> jax.Array:
        return (batch.weights > 0).sum()

    def loss(
        self,
        model: Model,
        params: Params,
        teacher_params: Params | None,
        batch: DistillationBatch,
    ) -> tuple[jax.Array, Metrics]:
        """`teacher_params` None: a live teacher, the student itself with the feedback read."""
        budget = batch.weights.shape[1]
        teacher_params = jax.lax.stop_gradient(params if teacher_params is None else teacher_params)
        columns = {
            "teacher": response_hidden(
                model, teacher_params, batch.teacher_tokens, batch.teacher_mask, budget
            ),
            "target": batch.student_tokens[:, -budget:],
            "weight": batch.weights,
            "sampler": batch.sampler_logprobs,
        }
        hidden = response_hidden(model, params, batch.student_tokens, batch.student_mask, budget)
        total, token = chunked_sum(
            self._chunk_loss,
            hidden,
            model.unembedding(params),
            columns,
            model.unembedding(teacher_params),
            chunk=self.chunk,
        )
        return total, _metrics(token, batch)

    def _chunk_loss(self, hidden, head, column, teacher_head):
        logits = to_logits(hidden, head, self.temperature)
        teacher_logits = to_logits(column["teacher"], teacher_head, self.temperature)
        constant = jax.lax.stop_gradient(logits)
        logprob = log_prob(constant, column["target"])
        teacher_logprob = log_prob(teacher_logits, column["target"])

        if self.sampled_token:
            value = sampled_divergence(log_prob(logits, column["target"]), teacher_logprob)
        elif self.top_k is not None:
            pair = coarsen(logits, teacher_logits, column["target"], self.top_k)
            value = divergence(*pair, self.alpha)
        else:
            value = divergence(logits, teacher_logits, self.alpha)

        learned = column["weight"] > 0
        # Columns without a weight may hold anything as the sampler's log-probability.
        ratio = jnp.exp(jnp.where(learned, logprob - column["sampler"], 0))
        capped = ratio if self.ratio_cap is None else jnp.minimum(ratio, self.ratio_cap)
        weight = column["weight"] * (1 if self.ratio_cap is None else capped)
        return (weight * value).sum(), {
            "divergence": jax.lax.stop_gradient(value),
            "logprob": logprob,
            "teacher_logprob": teacher_logprob,
            "entropy": entropy(constant),
            "teacher_entropy": entropy(teacher_logits),
            "ratio": ratio,
            "capped": ratio > capped,
        }


def _metrics(token, batch: DistillationBatch) -> Metrics:
    wrote, learned = batch.response_mask, batch.weights > 0
    after = jnp.arange(batch.weights.shape[1])[None, :] - batch.departs[:, None]
    gap = jnp.abs(token["logprob"] - batch.sampler_logprobs)
    return {
        "divergence": Mean.over(token["divergence"], learned),
        "divergence_before": Mean.over(token["divergence"], wrote & (after < 0)),
        "divergence_at": Mean.over(token["divergence"], wrote & (after == 0)),
        "divergence_after": Mean.over(token["divergence"], wrote & (after > 0)),
        "entropy": Mean.over(token["entropy"], wrote),
        "teacher_entropy": Mean.over(token["teacher_entropy"], wrote),
        "teacher_prob": Mean.over(jnp.exp(token["teacher_logprob"]), wrote),
        "ratio": Mean.over(token["ratio"], learned),
        "ratio_square": Mean.over(token["ratio"] ** 2, learned),
        "ratio_capped": Mean.over(token["capped"], learned),
        "sampler_gap": Mean.over(gap, wrote),
    }
