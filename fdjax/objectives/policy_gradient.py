"""GRPO (Shao et al. 2024) and variants: a clipped policy gradient of group-relative rewards.

    L = sum_it a_it (w_it S_it + beta KL_it) / denominator

rho = q / q_old, with q_old the policy before the batch's first update. S is the surrogate:

    ppo    -min(rho A, clip(rho, 1-eps_low, 1+eps_high) A); the asymmetric clip is DAPO's (Yu et al.
           2025). With a dual clip c (Ye et al. 2020), where A < 0: the larger of that gain and c A.
    gspo   the same with the response's ratio s = exp(mean_t log rho_t) (Zheng et al. 2025)
    cispo  -sg(clip(rho, 1-eps_low, 1+eps_high)) A log q (MiniMax-M1, 2025)

w = min(q_old / q_gen, is_clip) corrects for differences between generator and trainer (truncated
importance sampling, Yao et al. 2025; TRL, verl). Log-ratios are clipped to [-20, 20], as in verl.
"""

import dataclasses
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from fdjax.models.transformer import to_logits
from fdjax.objectives.chunked import chunked_map, chunked_sum
from fdjax.objectives.divergence import entropy, log_prob
from fdjax.objectives.protocol import Mean, Metrics, Model, Params, response_hidden


class PolicyGradientBatch(NamedTuple):
    """The response is the last R columns of `student_tokens`; prompts are left-padded."""

    student_tokens: jax.Array  # i32[N, P+R]
    student_attention_mask: jax.Array  # bool[N, P+R]
    loss_mask: jax.Array  # bool[N, R], tokens that the model wrote, in rows that are not padding
    generator_logprobs: jax.Array  # f32[N, R]
    old_logprobs: jax.Array  # f32[N, R], of the policy before this batch's first update
    advantages: jax.Array  # f32[N]
    reference_logprobs: jax.Array | None = None  # f32[N, R]; None: there is no reference
    process_advantages: jax.Array | None = None  # f32[N, R], added to `advantages`; None: none

    @property
    def token_advantages(self) -> jax.Array:
        """f32[N, R], 0 where the model did not write."""
        advantages = self.advantages[:, None]
        if self.process_advantages is not None:
            advantages = advantages + self.process_advantages
        return advantages * self.loss_mask


@dataclasses.dataclass(frozen=True, kw_only=True)
class PolicyGradient:
    """Settings of the loss. None is off. fdjax/config has their defaults and checks them.

    `aggregation` is the weight a_it of a token and the denominator:

    token_mean: 1, over the tokens of the batch (DAPO). sequence_mean: 1 / length of its response,
    over `responses` (GRPO). constant: 1, over `responses` times the budget R (Dr.GRPO).

    `kl` is an estimate of KL(q || reference), each with that divergence's gradient (DeepSeek-V3.2):
    k2 = sg(rho) log(q/q_ref)^2 / 2, k3 = rho (q_ref/q - 1 - log(q_ref/q)), differentiated through
    rho too. k1 = log(q_old/q_ref) is not part of the loss: it is subtracted from rewards.
    """

    temperature: float  # of sampling
    surrogate: Literal["ppo", "gspo", "cispo"]
    clip_low: float
    clip_high: float
    dual_clip: float | None  # c
    aggregation: Literal["token_mean", "sequence_mean", "constant"]
    responses: float  # sampled for a batch, those of zero-variance groups included
    is_clip: float | None  # cap of the importance weight w; None: no such weight
    kl: Literal["k1", "k2", "k3"]
    kl_coefficient: float | None  # beta
    chunk: int = 1024  # tokens whose logits exist at once

    @property
    def _adds_kl(self) -> bool:
        return bool(self.kl_coefficient) and self.kl != "k1"

    def denominator(self, batch: PolicyGradientBatch) -> jax.Array:
        """0 also if no token has a gradient: all advantages are 0, and no KL is added."""
        if self.aggregation == "token_mean":
            denominator = batch.loss_mask.sum()
        elif self.aggregation == "sequence_mean":
            denominator = self.responses
        else:
            denominator = self.responses * batch.loss_mask.shape[1]
        learns = batch.loss_mask if self._adds_kl else batch.token_advantages != 0
        return denominator * learns.any()

    def loss(
        self, model: Model, params: Params, teacher_params: None, batch: PolicyGradientBatch
    ) -> tuple[jax.Array, Metrics]:
        """`teacher_params` are not used: the batch holds the reference's log-probabilities."""
        del teacher_params
        mask = batch.loss_mask
        weight = mask.astype(batch.advantages.dtype)
        if self.aggregation == "sequence_mean":
            weight /= jnp.maximum(mask.sum(axis=1, keepdims=True), 1)
        columns = {
            "target": _targets(batch),
            "weight": weight,
            "old": batch.old_logprobs,
            "advantage": batch.token_advantages,
        }
        if self.is_clip is not None:
            columns["generator"] = batch.generator_logprobs
        if batch.reference_logprobs is not None:
            columns["reference"] = batch.reference_logprobs
        if self.surrogate == "gspo":  # the ratio of a response needs all of its tokens
            logprob, entropies = self._values(model, params, batch)
            total, token = self._total(logprob, columns)
            token["entropy"] = entropies
        else:
            hidden, head = _hidden(model, params, batch), model.unembedding(params)
            total, token = chunked_sum(
                self._chunk_loss, hidden, head, columns, where_NR=mask, chunk=self.chunk
            )
        return total, _metrics(token, batch)

    def logprobs(self, model: Model, params: Params, batch: PolicyGradientBatch) -> jax.Array:
        """Log-probabilities f32[N, R] of the response tokens under `params`; also where masked."""
        return self._values(model, params, batch)[0]

    def _values(self, model, params, batch):
        """(log-probabilities, entropies) f32[N, R]."""
        hidden, head = _hidden(model, params, batch), model.unembedding(params)
        return chunked_map(self._chunk_values, hidden, head, _targets(batch), chunk=self.chunk)

    def _chunk_values(self, hidden, head, target):
        logits = to_logits(hidden, head, self.temperature)
        return log_prob(logits, target), entropy(jax.lax.stop_gradient(logits))

    def _chunk_loss(self, hidden, head, column, _):
        logprob, entropies = self._chunk_values(hidden, head, column["target"])
        total, token = self._total(logprob, column)
        return total, token | {"entropy": entropies}

    def _total(self, logprob, column):
        """(sum, values per token) of columns [..., tokens]; gspo needs those of whole responses."""
        # The log-probabilities of columns without a weight may be anything.
        learned, constant = column["weight"] > 0, jax.lax.stop_gradient
        token_ratio = jnp.exp(_gap(logprob, column["old"], learned))
        ratio = token_ratio
        if self.surrogate == "gspo":
            log_ratio = _gap(logprob, column["old"], learned).sum(axis=1, keepdims=True)
            length = jnp.maximum(learned.sum(axis=1, keepdims=True), 1)
            ratio = jnp.broadcast_to(jnp.exp(log_ratio / length), logprob.shape)
        advantage = column["advantage"]
        clipped = jnp.clip(ratio, 1 - self.clip_low, 1 + self.clip_high)
        if self.surrogate == "cispo":
            gain = constant(clipped) * advantage * jnp.where(learned, logprob, 0)
            bounded = ratio != clipped
        else:
            gain = jnp.minimum(ratio * advantage, clipped * advantage)
            if self.dual_clip is not None:
                bound = self.dual_clip * advantage
                gain = jnp.where(advantage < 0, jnp.maximum(gain, bound), gain)
            bounded = gain != ratio * advantage
        token = {"logprob": logprob, "ratio": ratio, "clipped": bounded}
        if self.is_clip is not None:
            generator_ratio = jnp.exp(_gap(column["old"], column["generator"], learned))
            gain *= jnp.minimum(generator_ratio, self.is_clip)
            token["generator_ratio"] = generator_ratio
        loss = -gain
        if "reference" in column:
            gap = _gap(logprob, column["reference"], learned)
            k3 = jnp.expm1(-gap) + gap
            if self._adds_kl:
                k2 = constant(token_ratio) * gap**2 / 2
                loss += self.kl_coefficient * (k2 if self.kl == "k2" else token_ratio * k3)
            token["reference_kl"] = k3
        return (column["weight"] * loss).sum(), constant(token)


def _gap(logprob, other, where):
    """log q - log q' within [-20, 20], so that float32 can exponentiate it (verl); 0 elsewhere."""
    return jnp.clip(jnp.where(where, logprob - other, 0), -20, 20)


def _targets(batch):
    return batch.student_tokens[:, -batch.loss_mask.shape[1] :]


def _hidden(model, params, batch):
    budget = batch.loss_mask.shape[1]
    return response_hidden(
        model, params, batch.student_tokens, batch.student_attention_mask, budget
    )


def _metrics(token, batch: PolicyGradientBatch) -> Metrics:
    mask, ratio = batch.loss_mask, token["ratio"]
    metrics = {
        "entropy": Mean.over(token["entropy"], mask),
        "ratio": Mean.over(ratio, mask),
        "ratio_square": Mean.over(ratio**2, mask),
        "clip_fraction": Mean.over(token["clipped"].astype(ratio.dtype), mask),
        "approx_kl": Mean.over(ratio - 1 - jnp.log(ratio), mask),  # k3 of KL(old || new)
        "generator_gap": Mean.over(jnp.abs(token["logprob"] - batch.generator_logprobs), mask),
    }
    for name in ("generator_ratio", "reference_kl"):
        if name in token:
            metrics[name] = Mean.over(token[name], mask)
    return metrics
