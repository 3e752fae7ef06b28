"""GRPO (Shao et al. 2024): rewards compared within a group, a clipped policy gradient per token.

    L = -sum_it a_it min(rho_it A_i, clip(rho_it, 1-eps_low, 1+eps_high) A_i) / denominator

rho = q / q_old. No KL to a reference. The asymmetric clip is DAPO's (Yu et al. 2025).
"""

import dataclasses
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdjax.objectives.chunked import chunked_sum
from fdjax.objectives.divergence import entropy, log_prob, to_logits
from fdjax.objectives.protocol import Mean, Metrics, Model, Params, response_hidden


class PolicyGradientBatch(NamedTuple):
    """The response is the last R columns of `student_tokens`; prompts are left-padded."""

    student_tokens: jax.Array  # i32[N, P+R]
    student_mask: jax.Array  # bool[N, P+R], what is attended to
    loss_mask: jax.Array  # bool[N, R], tokens that the model wrote in rows that count
    sampler_logprobs: jax.Array  # f32[N, R]
    old_logprobs: jax.Array  # f32[N, R], of the policy before this batch's first update
    advantages: jax.Array  # f32[N]


class Advantages(NamedTuple):
    values: np.ndarray  # f32[B, G], 0 where not valid
    solved: np.ndarray  # bool[B], flat: every valid sample has the highest reward there is, 1
    unsolved: np.ndarray  # bool[B], flat: no valid sample was rewarded
    # A group that is flat in another way (fewer than two valid samples, or equal rewards between
    # 0 and 1) has advantages of 0 too and is in neither, unless its samples make it so.


def advantages(
    rewards: np.ndarray, valid: np.ndarray | None = None, *, use_std: bool = False
) -> Advantages:
    """r - mean over the group, with `use_std` over (std + 1e-4) (sample std, as TRL).

    rewards f32[B, G]; valid bool[B, G] leaves samples (timeouts, crashes) out of mean and std.
    Flat groups get exactly 0. Without std: Dr.GRPO (Liu et al. 2025).
    """
    rewards = np.asarray(rewards, np.float64)
    valid = np.ones(rewards.shape, bool) if valid is None else np.asarray(valid, bool)
    count = valid.sum(1, keepdims=True)
    mean = np.where(valid, rewards, 0).sum(1, keepdims=True) / np.maximum(count, 1)
    centred = np.where(valid, rewards - mean, 0)
    low = np.where(valid, rewards, np.inf).min(1)
    high = np.where(valid, rewards, -np.inf).max(1)
    flat = low >= high
    if use_std:
        std = np.sqrt((centred**2).sum(1, keepdims=True) / np.maximum(count - 1, 1))
        centred = centred / (std + 1e-4)
    some = count[:, 0] > 0
    return Advantages(
        values=np.where(flat[:, None], 0, centred).astype(np.float32),
        solved=some & flat & (low >= 1),
        unsolved=some & flat & (high <= 0),
    )


@dataclasses.dataclass(frozen=True)
class PolicyGradient:
    """`aggregation` says what a token weighs and what the sum is divided by:

    token_mean: 1, over all tokens of the batch (DAPO). sequence_mean: 1 / length of its response,
    over the responses (GRPO). constant: 1, over responses times the budget R (Dr.GRPO).
    """

    temperature: float = 1.0  # of sampling
    clip_low: float = 0.2
    clip_high: float = 0.28
    aggregation: Literal["token_mean", "sequence_mean", "constant"] = "token_mean"
    chunk: int = 1024  # tokens whose logits exist at once

    needs_teacher = False

    def __post_init__(self):
        if self.aggregation not in ("token_mean", "sequence_mean", "constant"):
            raise ValueError(
                f"policy gradient: aggregation is {self.aggregation!r}, must be token_mean,"
                " sequence_mean or constant"
            )

    def denominator(self, batch: PolicyGradientBatch) -> jax.Array:
        """0 also if every advantage is 0: then no token has a gradient."""
        responses = batch.loss_mask.any(axis=1)
        if self.aggregation == "token_mean":
            denominator = batch.loss_mask.sum()
        elif self.aggregation == "sequence_mean":
            denominator = responses.sum()
        else:
            denominator = responses.sum() * batch.loss_mask.shape[1]
        return denominator * (responses & (batch.advantages != 0)).any()

    def loss(
        self, model: Model, params: Params, teacher_params: None, batch: PolicyGradientBatch
    ) -> tuple[jax.Array, Metrics]:
        del teacher_params
        mask = batch.loss_mask
        budget = mask.shape[1]
        weight = mask.astype(batch.advantages.dtype)
        if self.aggregation == "sequence_mean":
            weight /= jnp.maximum(mask.sum(axis=1, keepdims=True), 1)
        columns = {
            "target": batch.student_tokens[:, -budget:],
            "weight": weight,
            "old": batch.old_logprobs,
            "advantage": jnp.broadcast_to(batch.advantages[:, None], mask.shape),
        }
        hidden = response_hidden(model, params, batch.student_tokens, batch.student_mask, budget)
        total, token = chunked_sum(
            self._chunk_loss, hidden, model.unembedding(params), columns, chunk=self.chunk
        )
        ratio = token["ratio"]
        # Clipped where the bound holds in the direction that the advantage pushes.
        up, down = batch.advantages[:, None] > 0, batch.advantages[:, None] < 0
        clipped = (up & (ratio > 1 + self.clip_high)) | (down & (ratio < 1 - self.clip_low))
        return total, {
            "entropy": Mean.over(token["entropy"], mask),
            "ratio": Mean.over(ratio, mask),
            "ratio_square": Mean.over(ratio**2, mask),
            "clip_fraction": Mean.over(clipped.astype(ratio.dtype), mask),
            "approx_kl": Mean.over(ratio - 1 - jnp.log(ratio), mask),  # k3 of KL(old || new)
            "sampler_gap": Mean.over(jnp.abs(token["logprob"] - batch.sampler_logprobs), mask),
        }

    def _chunk_loss(self, hidden, head, column, _):
        logits = to_logits(hidden, head, self.temperature)
        logprob = log_prob(logits, column["target"])
        # Columns without a weight may hold anything as the old log-probability.
        ratio = jnp.exp(jnp.where(column["weight"] > 0, logprob - column["old"], 0))
        clipped = jnp.clip(ratio, 1 - self.clip_low, 1 + self.clip_high)
        gain = jnp.minimum(ratio * column["advantage"], clipped * column["advantage"])
        return -(column["weight"] * gain).sum(), {
            "logprob": logprob,
            "ratio": jax.lax.stop_gradient(ratio),
            "entropy": entropy(jax.lax.stop_gradient(logits)),
        }
