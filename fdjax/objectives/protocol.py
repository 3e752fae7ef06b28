"""The interface of an objective: a sum over a microbatch, and the number to divide it by.

Every sum (loss or metric) is over tokens or rows of one microbatch; every divisor belongs to the
whole batch. Sums add up over microbatches, so splitting a batch changes nothing but memory.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from fdjax.models.transformer import CappedHead
from fdjax.runtime.sharding import shard_rows

Params = Any  # a pytree of arrays
Batch = Any  # a NamedTuple of arrays, defined beside its objective


class Model(NamedTuple):
    """A language model as two functions.

    hidden_states: (params, tokens i32[N, T], mask bool[N, T]) -> final hidden states f32[N, T, D].
    unembedding: params -> head f32[D, V], or a CappedHead; `to_logits` takes both.
    """

    hidden_states: Callable[[Params, jax.Array, jax.Array], jax.Array]
    unembedding: Callable[[Params], jax.Array | CappedHead]


class Mean(NamedTuple):
    """A metric as a sum and its divisor: total / count, NaN where the count is 0."""

    total: jax.Array
    count: jax.Array

    @classmethod
    def over(cls, values: jax.Array, mask: jax.Array) -> "Mean":
        """The mean of `values` where `mask`; equal shapes."""
        return cls(jnp.where(mask, values, 0).sum(), mask.sum())


Metrics = dict[str, Mean]
Sums = jax.Array | dict[str, jax.Array]  # of a loss, or of each of its parts by name


class Objective(Protocol):
    """A frozen dataclass of settings with these methods."""

    def denominator(self, batch: Batch) -> Sums:
        """The divisor of the loss of the whole batch; 0 if nothing in it has a gradient.

        Where the loss has parts, each is divided by its own, and the quotients are added.
        """

    def loss(
        self, model: Model, params: Params, teacher_params: Params | None, batch: Batch
    ) -> tuple[Sums, Metrics]:
        """(the sum that `denominator` divides, metrics) of one microbatch."""


def response_hidden(
    model: Model, params: Params, tokens_NT: jax.Array, mask_NT: jax.Array, budget: int
) -> jax.Array:
    """Hidden states f32[N, R, D] that predict the response, the last R = `budget` columns.

    The token of response column t is predicted one column before it: P - 1 + t.
    """
    hidden_NTD = model.hidden_states(params, tokens_NT, mask_NT)
    return shard_rows(hidden_NTD[:, -budget - 1 : -1])
