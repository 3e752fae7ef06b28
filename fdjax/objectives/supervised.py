"""Supervised fine-tuning: weighted cross-entropy of the tokens of a response."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdjax.models.transformer import to_logits
from fdjax.objectives.chunked import chunked_sum
from fdjax.objectives.divergence import log_prob
from fdjax.objectives.protocol import Mean, Metrics, Model, Params, response_hidden


class SupervisedBatch(NamedTuple):
    """The last R columns of `tokens` have weights; P columns precede them."""

    tokens: jax.Array  # i32[N, P+R]
    attention_mask: jax.Array  # bool[N, P+R]
    weights: jax.Array  # f32[N, R], 0 where nothing is learned


@dataclasses.dataclass(frozen=True)
class Supervised:
    """L = sum_it w_it (-log q(y_it)) / sum_it [w_it > 0]."""

    chunk: int = 1024  # tokens whose logits exist at once

    def denominator(self, batch: SupervisedBatch) -> jax.Array:
        return (batch.weights > 0).sum()

    def loss(
        self, model: Model, params: Params, teacher_params: None, batch: SupervisedBatch
    ) -> tuple[jax.Array, Metrics]:
        del teacher_params
        budget = batch.weights.shape[1]
        hidden = response_hidden(model, params, batch.tokens, batch.attention_mask, budget)
        columns = {"target": batch.tokens[:, -budget:], "weight": batch.weights}
        learned = batch.weights > 0
        total, token = chunked_sum(
            _chunk_loss,
            hidden,
            model.unembedding(params),
            columns,
            where_NR=learned,
            chunk=self.chunk,
        )
        return total, {
            "nll": Mean.over(-token["logprob"], learned),
            "accuracy": Mean.over(token["correct"], learned),
        }


def _chunk_loss(hidden, head, column, _):
    logits = to_logits(hidden, head)
    logprob = log_prob(logits, column["target"])
    constant = jax.lax.stop_gradient(logits)
    at_target = jnp.take_along_axis(constant, column["target"][..., None], axis=-1)[..., 0]
    return -(column["weight"] * logprob).sum(), {
        "logprob": logprob,
        "correct": at_target >= constant.max(axis=-1),  # one pass less than argmax
    }
