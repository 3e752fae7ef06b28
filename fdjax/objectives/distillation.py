"""Feedback Distillation: the student learns the distribution of a teacher that reads feedback.

    L = sum_it w_it min(sg(q/q_gen), c) D(p_it, q_it) / max(sum_it [w_it > 0], 1)

p is the teacher's next-token distribution (its prompt: theorem and feedback; stop-gradient), q the
student's (its prompt: the theorem), of the same response tokens, both at the sampling temperature;
q_gen is the generator's. Options, with their formulas and sources: docs/method.md.
"""

import dataclasses
import functools
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from fdjax.models.transformer import to_logits
from fdjax.objectives.chunked import chunked_map, chunked_sum
from fdjax.objectives.divergence import coarsen, divergence, entropy, log_prob, sampled_divergence
from fdjax.objectives.protocol import Mean, Metrics, Model, Params, response_hidden


class DistillationBatch(NamedTuple):
    """The response is the last R columns of both token arrays; prompts are left-padded."""

    student_tokens: jax.Array  # i32[N, P+R]
    student_attention_mask: jax.Array  # bool[N, P+R]
    teacher_tokens: jax.Array  # i32[N, Q+R]
    teacher_attention_mask: jax.Array  # bool[N, Q+R]
    response_mask: jax.Array  # bool[N, R], tokens that the model wrote; for metrics
    weights: jax.Array  # f32[N, R], of batches/token_weights.py; 0 where nothing is learned
    generator_logprobs: jax.Array  # f32[N, R]
    first_error_token: jax.Array  # i32[N], index in the response; R if there is none
    lines: jax.Array  # i32[N, R], the line of the proof that a token begins in; below R


@dataclasses.dataclass(frozen=True, kw_only=True)
class Distillation:
    """Settings of the loss. None is off. fdjax/config has their defaults and checks them."""

    alpha: float  # 0 forward KL, 1 reverse KL, between them Jensen-Shannon (divergence.py)
    estimator: Literal["full", "k1", "k2", "k3"]  # the whole vocabulary, or the sampled token
    top_k: int | None  # size of the divergence's support; None: the whole vocabulary
    support: Literal["union", "student", "teacher"]  # whose top k
    tail: bool  # one bucket for all outside of the support; False: both are renormalised
    entry_clip: float | None  # upper bound on an entry of the vocabulary
    token_clip: float | None  # upper bound on a token; of estimators: on |log q - log p|
    is_clip: float | None  # c, the cap of the importance weight; None: no such weight
    ratio_mean: Literal["token", "sequence"]  # sequence: all tokens of a row get the row's mean
    line_cap: float | None  # cap of a line's weight (`line_weights`)
    aggregation: Literal["token_mean", "sequence_mean"]
    trust_rate: float | None  # share of the student's logits in the teacher's: a trust region
    temperature: float  # of sampling
    chunk: int = 1024  # tokens whose logits exist at once

    @property
    def weighs_rows(self) -> bool:
        """Do weights depend on the log-probabilities of a whole row?"""
        return self.ratio_mean == "sequence" or self.line_cap is not None

    def denominator(self, batch: DistillationBatch) -> jax.Array:
        learned = batch.weights > 0
        return (learned if self.aggregation == "token_mean" else learned.any(axis=1)).sum()

    def loss(
        self, model: Model, params: Params, teacher_params: Params | None, batch: DistillationBatch
    ) -> tuple[jax.Array, Metrics]:
        """`teacher_params` None: the teacher is the student itself, with feedback in its prompt."""
        budget = batch.weights.shape[1]
        teachers = (params if teacher_params is None else teacher_params,)
        if self.trust_rate:
            teachers += (params,)
        teachers = jax.lax.stop_gradient(teachers)
        columns = {
            "teachers": tuple(
                response_hidden(
                    model, t, batch.teacher_tokens, batch.teacher_attention_mask, budget
                )
                for t in teachers
            ),
            "target": batch.student_tokens[:, -budget:],
            "weight": batch.weights,
            "learned": batch.weights > 0,
            "generator": batch.generator_logprobs,
        }
        teacher_heads = tuple(model.unembedding(t) for t in teachers)
        hidden = response_hidden(
            model, params, batch.student_tokens, batch.student_attention_mask, budget
        )
        head = model.unembedding(params)
        columns["weight"] = self._weights(hidden, head, columns, teacher_heads, batch.lines)
        total, token = chunked_sum(
            self._chunk_loss,
            hidden,
            head,
            columns,
            teacher_heads,
            where_NR=batch.response_mask | columns["learned"],
            chunk=self.chunk,
        )
        return total, _metrics(token, batch)

    def _weights(self, hidden, head, columns, teacher_heads, lines):
        """f[N, R]. Weights that depend on a whole row cost one more pass over its logits."""
        weight, learned = columns["weight"], columns["learned"]
        length = jnp.maximum(learned.sum(axis=1, keepdims=True), 1)
        if self.aggregation == "sequence_mean":
            weight = weight / length
        if not self.weighs_rows:
            return weight

        def chunk_logprobs(hidden, head, column):
            logits = to_logits(hidden, head, self.temperature)
            teacher_logits = self._teacher_logits(column["teachers"], teacher_heads)
            return log_prob(logits, column["target"]), log_prob(teacher_logits, column["target"])

        logprob, teacher_logprob = chunked_map(
            chunk_logprobs,
            *jax.lax.stop_gradient((hidden, head)),
            columns,
            chunk=self.chunk,
        )
        if self.ratio_mean == "sequence":
            capped = jnp.minimum(_ratio(logprob, columns), self.is_clip)
            weight = weight * (jnp.where(learned, capped, 0).sum(axis=1, keepdims=True) / length)
        if self.line_cap is not None:
            gap = jnp.abs(logprob - teacher_logprob)
            weight = weight * line_weights(gap, lines, learned, self.line_cap)
        return weight

    def _chunk_loss(self, hidden, head, column, teacher_heads):
        logits = to_logits(hidden, head, self.temperature)
        teacher_logits = self._teacher_logits(column["teachers"], teacher_heads)
        constant = jax.lax.stop_gradient(logits)
        logprob = log_prob(constant, column["target"])
        teacher_logprob = log_prob(teacher_logits, column["target"])
        value = self._divergence(logits, teacher_logits, teacher_logprob, column["target"])

        ratio = _ratio(logprob, column)
        capped = ratio if self.is_clip is None else jnp.minimum(ratio, self.is_clip)
        per_token = self.is_clip is not None and self.ratio_mean == "token"
        weight = column["weight"] * (capped if per_token else 1)
        return (weight * value).sum(), {
            "divergence": jax.lax.stop_gradient(value),
            "logprob": logprob,
            "teacher_logprob": teacher_logprob,
            "entropy": entropy(constant),
            "teacher_entropy": entropy(teacher_logits),
            "ratio": ratio,
            "capped": ratio > capped,
        }

    def _teacher_logits(self, teachers, heads):
        logits, *student = (
            to_logits(hidden, head, self.temperature) for hidden, head in zip(teachers, heads)
        )
        if student:
            logits += self.trust_rate * (student[0] - logits)
        return logits

    def _divergence(self, logits, teacher_logits, teacher_logprob, target):
        if self.estimator != "full":
            logprob = log_prob(logits, target)
            return sampled_divergence(self.estimator, logprob, teacher_logprob, self.token_clip)
        if self.top_k is not None:
            logits, teacher_logits = coarsen(
                logits, teacher_logits, target, self.top_k, self.support, self.tail
            )
        value = divergence(logits, teacher_logits, self.alpha, self.entry_clip)
        return value if self.token_clip is None else jnp.minimum(value, self.token_clip)


def line_weights(gap: jax.Array, lines: jax.Array, learned: jax.Array, cap: float) -> jax.Array:
    """min(d_1 / d_k, cap) f[N, R] for the tokens of line k, where d_k is the mean of `gap` f[N, R],
    |log q - log p|, over the line's learned tokens, and line 1 the first with any.

    Lines on which student and teacher differ more weigh less (SOD 2026, whose product of
    d_u / d_(u+1) over the steps u < k telescopes to this; its cap is 1.2).
    """
    budget = gap.shape[1]

    def by_line(values):
        add = functools.partial(jax.ops.segment_sum, num_segments=budget)
        return jnp.take_along_axis(jax.vmap(add)(values, lines), lines, axis=1)

    d = by_line(jnp.where(learned, gap, 0)) / jnp.maximum(by_line(learned.astype(gap.dtype)), 1)
    first = jnp.take_along_axis(d, learned.argmax(axis=1, keepdims=True), axis=1)
    return jnp.minimum((first + 1e-6) / (d + 1e-6), cap)


def _ratio(logprob, columns):
    # The generator's log-probabilities of columns without a weight may be anything.
    return jnp.exp(jnp.where(columns["learned"], logprob - columns["generator"], 0))


def _metrics(token, batch: DistillationBatch) -> Metrics:
    wrote, learned = batch.response_mask, batch.weights > 0
    after = jnp.arange(batch.weights.shape[1])[None, :] - batch.first_error_token[:, None]
    gap = jnp.abs(token["logprob"] - batch.generator_logprobs)
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
        "generator_gap": Mean.over(gap, wrote),
    }
