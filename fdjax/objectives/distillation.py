"""Feedback Distillation: the student learns what the teacher, who has read feedback, would say.

    L = sum_it w_it min(sg(q/q_sampler), c) D(p_it, q_it) / max(sum_it [w_it > 0], 1)

p is the teacher's next-token distribution (theorem and feedback; stop-gradient), q the student's
(theorem only), on the same response tokens, both at the sampling temperature. The options, with
their formulas and sources: docs/method.md.
"""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from fdjax.models.transformer import to_logits
from fdjax.objectives.chunked import chunked_map, chunked_sum
from fdjax.objectives.divergence import (
    ESTIMATORS,
    SUPPORTS,
    coarsen,
    divergence,
    entropy,
    log_prob,
    sampled_divergence,
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
    first_error_token: jax.Array  # i32[N], the first wrong response token; R if none or not known
    lines: jax.Array  # i32[N, R], the line of the proof that a token begins in; below R


@dataclasses.dataclass(frozen=True)
class Distillation:
    """What is None is off.

    Raises ValueError naming the fields that contradict each other.
    """

    alpha: float = 0.0  # 0 forward KL, 1 reverse KL, between them Jensen-Shannon (divergence.py)
    estimator: Literal["full", "k1", "k2", "k3"] = "full"  # the vocabulary, or the sampled token
    top_k: int | None = None  # of the support of the divergence; None: the full vocabulary
    support: Literal["union", "student", "teacher"] = "union"  # whose top k
    tail: bool = True  # a bucket for all outside of the support; False: both renormalised
    entry_clip: float | None = None  # the most that an entry of the vocabulary adds
    token_clip: float | None = None  # the most of a token; of estimators: bounds log q - log p
    is_clip: float | None = 2.0  # c, the cap of the importance weight; None: no such weight
    ratio_mean: Literal["token", "sequence"] = "token"  # sequence: a row's mean for all its tokens
    line_cap: float | None = None  # the most that a line weighs by its divergence (`line_weights`)
    aggregation: Literal["token_mean", "sequence_mean"] = "token_mean"
    trust_rate: float = 0.0  # of the live student's logits in the teacher's: a trust region
    temperature: float = 1.0  # of sampling
    chunk: int = 1024  # tokens whose logits exist at once

    needs_teacher = True

    def __post_init__(self):
        for problem in _contradictions(self):
            raise ValueError(f"distillation: {problem}")

    @property
    def weighs_rows(self) -> bool:
        """Do weights depend on what both say of a whole row?"""
        return self.ratio_mean == "sequence" or self.line_cap is not None

    def denominator(self, batch: DistillationBatch) -> jax.Array:
        learned = batch.weights > 0
        return (learned if self.aggregation == "token_mean" else learned.any(axis=1)).sum()

    def loss(
        self, model: Model, params: Params, teacher_params: Params | None, batch: DistillationBatch
    ) -> tuple[jax.Array, Metrics]:
        """`teacher_params` None: a live teacher, the student itself with the feedback read."""
        budget = batch.weights.shape[1]
        teachers = (params if teacher_params is None else teacher_params,)
        if self.trust_rate:
            teachers += (params,)
        teachers = jax.lax.stop_gradient(teachers)
        columns = {
            "teachers": tuple(
                response_hidden(model, t, batch.teacher_tokens, batch.teacher_mask, budget)
                for t in teachers
            ),
            "target": batch.student_tokens[:, -budget:],
            "weight": batch.weights,
            "learned": batch.weights > 0,
            "sampler": batch.sampler_logprobs,
        }
        teacher_heads = tuple(model.unembedding(t) for t in teachers)
        hidden = response_hidden(model, params, batch.student_tokens, batch.student_mask, budget)
        head = model.unembedding(params)
        columns["weight"] = self._weights(hidden, head, columns, teacher_heads, batch.lines)
        total, token = chunked_sum(
            self._chunk_loss, hidden, head, columns, teacher_heads, chunk=self.chunk
        )
        return total, _metrics(token, batch)

    def _weights(self, hidden, head, columns, teacher_heads, lines):
        """f[N, R]. What depends on a whole row costs a pass over the logits of its own."""
        weight, learned = columns["weight"], columns["learned"]
        if self.aggregation == "sequence_mean":
            weight = weight / jnp.maximum(learned.sum(axis=1, keepdims=True), 1)
        if not self.weighs_rows:
            return weight

        def chunk_logprobs(hidden, head, column):
            logits = to_logits(hidden, head, self.temperature)
            teacher_logits = self._teacher_logits(column["teachers"], teacher_heads)
            return log_prob(logits, column["target"]), log_prob(teacher_logits, column["target"])

        logprob, teacher_logprob = chunked_map(
            chunk_logprobs, *jax.lax.stop_gradient((hidden, head)), columns, chunk=self.chunk
        )
        if self.ratio_mean == "sequence":
            capped = jnp.minimum(_ratio(logprob, columns), self.is_clip)
            weight = weight * _row_mean(capped, learned)
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
        of_token = self.is_clip is not None and self.ratio_mean == "token"
        weight = column["weight"] * (capped if of_token else 1)
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
        logits, *live = (to_logits(h, head, self.temperature) for h, head in zip(teachers, heads))
        for more in live:
            logits += self.trust_rate * (more - logits)
        return logits

    def _divergence(self, logits, teacher_logits, teacher_logprob, target):
        if self.estimator in ESTIMATORS:
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

    Far from the teacher, where it knows little, less is learned (SOD 2026, whose product of
    d_u / d_(u+1) over the steps u < k telescopes to this; its cap is 1.2).
    """
    budget = gap.shape[1]

    def by_line(values):
        add = functools.partial(jax.ops.segment_sum, num_segments=budget)
        return jnp.take_along_axis(jax.vmap(add)(values, lines), lines, axis=1)

    d = by_line(jnp.where(learned, gap, 0)) / jnp.maximum(by_line(learned.astype(gap.dtype)), 1)
    first = jnp.take_along_axis(d, learned.argmax(axis=1, keepdims=True), axis=1)
    return jnp.minimum((first + 1e-6) / (d + 1e-6), cap)


def _contradictions(of: Distillation) -> Iterator[str]:
    known = {
        "estimator": ("full", *ESTIMATORS),
        "support": SUPPORTS,
        "ratio_mean": ("token", "sequence"),
        "aggregation": ("token_mean", "sequence_mean"),
    }
    for field, values in known.items():
        if getattr(of, field) not in values:
            yield f"{field} is {getattr(of, field)!r}; known are {', '.join(values)}"
    if not 0 <= of.alpha <= 1:
        yield f"alpha is {of.alpha}, must be in [0, 1]"
    if not 0 <= of.trust_rate < 1:
        yield f"trust_rate is {of.trust_rate}, must be in [0, 1)"
    for field in ("top_k", "entry_clip", "token_clip", "is_clip"):
        if (value := getattr(of, field)) is not None and not value > 0:
            yield f"{field} is {value}, must be positive"
    if of.line_cap is not None and not of.line_cap >= 1:
        yield f"line_cap is {of.line_cap}, must be at least 1: the first line weighs 1"
    if of.estimator in ESTIMATORS:
        alpha, _ = ESTIMATORS[of.estimator]
        if of.alpha != alpha:
            yield f"estimator={of.estimator} has the gradient of alpha={alpha}: set alpha={alpha}"
        if (of.top_k, of.entry_clip) != (None, None):
            yield f"estimator={of.estimator} sees one token: top_k and entry_clip must be off"
    if of.top_k is None and (of.support != "union" or not of.tail):
        yield f"support={of.support}, tail={of.tail} are about the top_k: set top_k"
    if of.is_clip is None and of.ratio_mean == "sequence":
        yield "ratio_mean=sequence is a mean of capped ratios: set ratio_cap"


def _ratio(logprob, columns):
    # Columns without a weight may hold anything as the sampler's log-probability.
    return jnp.exp(jnp.where(columns["learned"], logprob - columns["sampler"], 0))


def _row_mean(values, mask):
    total = jnp.where(mask, values, 0).sum(axis=1, keepdims=True)
    return total / jnp.maximum(mask.sum(axis=1, keepdims=True), 1)


def _metrics(token, batch: DistillationBatch) -> Metrics:
    wrote, learned = batch.response_mask, batch.weights > 0
    after = jnp.arange(batch.weights.shape[1])[None, :] - batch.first_error_token[:, None]
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
