"""GRPO (Shao et al. 2024) and its kin: rewards compared within a group, a bounded policy gradient.

    L = sum_it a_it (w_it S_it + beta KL_it) / denominator

rho = q / q_old, q_old the policy before the batch's first update. S is the surrogate:

    ppo    -min(rho A, clip(rho, 1-eps_low, 1+eps_high) A); the asymmetric clip is DAPO's (Yu et al.
           2025). With a dual clip c (Ye et al. 2020), where A < 0: the larger of that gain and c A.
    gspo   the same of the response's ratio s = exp(mean_t log rho_t) (Zheng et al. 2025)
    cispo  -sg(clip(rho, 1-eps_low, 1+eps_high)) A log q (MiniMax-M1, 2025)

w = min(q_old / q_sampler, cap) repairs what sampler and trainer disagree on (truncated importance
sampling, Yao et al. 2025; TRL and verl). Log-ratios are held within 20 of 0, as in verl.
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
    student_mask: jax.Array  # bool[N, P+R], what is attended to
    loss_mask: jax.Array  # bool[N, R], tokens that the model wrote in rows that count
    sampler_logprobs: jax.Array  # f32[N, R]
    old_logprobs: jax.Array  # f32[N, R], of the policy before this batch's first update
    advantages: jax.Array  # f32[N]
    reference_logprobs: jax.Array | None = None  # f32[N, R]; None where no reference is kept


@dataclasses.dataclass(frozen=True)
class PolicyGradient:
    """`aggregation` says what a token weighs, a_it, and what the sum is divided by:

    token_mean: 1, over all tokens of the batch (DAPO). sequence_mean: 1 / length of its response,
    over `responses` (GRPO). constant: 1, over `responses` times the budget R (Dr.GRPO).

    `kl` is an estimate of KL(q || reference), each with that divergence's gradient (DeepSeek-V3.2):
    k2 = sg(rho) log(q/q_ref)^2 / 2, k3 = rho (q_ref/q - 1 - log(q_ref/q)), differentiated through
    rho too. k1 = log(q_old/q_ref) is subtracted from rewards, before there are advantages.
    """

    temperature: float = 1.0  # of sampling
    surrogate: Literal["ppo", "gspo", "cispo"] = "ppo"
    clip_low: float = 0.2
    clip_high: float = 0.28
    dual_clip: float | None = None  # c
    aggregation: Literal["token_mean", "sequence_mean", "constant"] = "token_mean"
    responses: float | None = None  # sampled for a batch, with those of flat groups
    is_clip: float | None = None  # None: no weight w
    kl: Literal["k1", "k2", "k3"] = "k3"
    kl_coefficient: float = 0.0  # beta
    chunk: int = 1024  # tokens whose logits exist at once

    needs_teacher = False

    def __post_init__(self):
        for field, known in (
            ("surrogate", ("ppo", "gspo", "cispo")),
            ("aggregation", ("token_mean", "sequence_mean", "constant")),
            ("kl", ("k1", "k2", "k3")),
        ):
            if getattr(self, field) not in known:
                raise ValueError(
                    f"policy gradient: {field} is {getattr(self, field)!r};"
                    f" known are {', '.join(known)}"
                )
        for field in ("clip_low", "clip_high", "kl_coefficient"):
            if not getattr(self, field) >= 0:
                raise ValueError(
                    f"policy gradient: {field} is {getattr(self, field)}, must not be negative"
                )
        if self.is_clip is not None and not self.is_clip > 0:
            raise ValueError(f"policy gradient: is_clip is {self.is_clip}, must be positive")
        if self.dual_clip is not None and not self.dual_clip > 1 + self.clip_high:
            raise ValueError(
                f"policy gradient: dual_clip is {self.dual_clip}, must be over 1 + clip_high ="
                f" {1 + self.clip_high}"
            )
        if self.dual_clip is not None and self.surrogate == "cispo":
            raise ValueError(
                "policy gradient: dual_clip bounds what surrogate='cispo' has bounded already"
            )
        if self.aggregation != "token_mean" and self.responses is None:
            raise ValueError(f"policy gradient: aggregation={self.aggregation!r} needs `responses`")

    @property
    def _adds_kl(self) -> bool:
        return self.kl_coefficient > 0 and self.kl != "k1"

    def denominator(self, batch: PolicyGradientBatch) -> jax.Array:
        """0 also if no token has a gradient: every advantage is 0, and there is no KL."""
        responses = batch.loss_mask.any(axis=1)
        if self.aggregation == "token_mean":
            denominator = batch.loss_mask.sum()
        elif self.aggregation == "sequence_mean":
            denominator = self.responses
        else:
            denominator = self.responses * batch.loss_mask.shape[1]
        learns = responses if self._adds_kl else responses & (batch.advantages != 0)
        return denominator * learns.any()

    def loss(
        self,
        model: Model,
        params: Params,
        teacher_params: Params | None,
        batch: PolicyGradientBatch,
    ) -> tuple[jax.Array, Metrics]:
        """`teacher_params` are not looked at: what the reference says is in the batch."""
        del teacher_params
        mask = batch.loss_mask
        weight = mask.astype(batch.advantages.dtype)
        if self.aggregation == "sequence_mean":
            weight /= jnp.maximum(mask.sum(axis=1, keepdims=True), 1)
        columns = {
            "target": _targets(batch),
            "weight": weight,
            "old": batch.old_logprobs,
            "advantage": jnp.broadcast_to(batch.advantages[:, None], mask.shape),
        }
        if self.is_clip is not None:
            columns["sampler"] = batch.sampler_logprobs
        if batch.reference_logprobs is not None:
            columns["reference"] = batch.reference_logprobs
        hidden = _hidden(model, params, batch)
        if self.surrogate == "gspo":  # a response's ratio needs all of its tokens at once
            logprob, entropies = chunked_map(
                self._chunk_values,
                hidden,
                model.unembedding(params),
                columns["target"],
                chunk=self.chunk,
            )
            total, token = self._total(logprob, columns)
            token["entropy"] = entropies
        else:
            total, token = chunked_sum(
                self._chunk_loss, hidden, model.unembedding(params), columns, chunk=self.chunk
            )
        return total, _metrics(token, batch)

    def logprobs(self, model: Model, params: Params, batch: PolicyGradientBatch) -> jax.Array:
        """f32[N, R] of the responses' tokens, by the policy `params`; also where masked."""
        values, _ = chunked_map(
            self._chunk_values,
            _hidden(model, params, batch),
            model.unembedding(params),
            _targets(batch),
            chunk=self.chunk,
        )
        return values

    def _chunk_values(self, hidden, head, target):
        logits = to_logits(hidden, head, self.temperature)
        return log_prob(logits, target), entropy(jax.lax.stop_gradient(logits))

    def _chunk_loss(self, hidden, head, column, _):
        logprob, entropies = self._chunk_values(hidden, head, column["target"])
        total, token = self._total(logprob, column)
        return total, token | {"entropy": entropies}

    def _total(self, logprob, column):
        """(sum, values per token) of tokens [N, c]; of whole responses, if the surrogate's is."""
        # Columns without a weight may hold anything as log-probabilities.
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
                least = self.dual_clip * advantage
                gain = jnp.where(advantage < 0, jnp.maximum(gain, least), gain)
            bounded = gain != ratio * advantage
        token = {"logprob": logprob, "ratio": ratio, "clipped": bounded}
        if self.is_clip is not None:
            sampler_ratio = jnp.exp(_gap(column["old"], column["sampler"], learned))
            gain *= jnp.minimum(sampler_ratio, self.is_clip)
            token["sampler_ratio"] = sampler_ratio
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
    """log q - log q', held to what float32 can exponentiate (verl); 0 elsewhere."""
    return jnp.clip(jnp.where(where, logprob - other, 0), -20, 20)


def _targets(batch):
    return batch.student_tokens[:, -batch.loss_mask.shape[1] :]


def _hidden(model, params, batch):
    budget = batch.loss_mask.shape[1]
    return response_hidden(model, params, batch.student_tokens, batch.student_mask, budget)


def _metrics(token, batch: PolicyGradientBatch) -> Metrics:
    mask, ratio = batch.loss_mask, token["ratio"]
    metrics = {
        "entropy": Mean.over(token["entropy"], mask),
        "ratio": Mean.over(ratio, mask),
        "ratio_square": Mean.over(ratio**2, mask),
        "clip_fraction": Mean.over(token["clipped"].astype(ratio.dtype), mask),
        "approx_kl": Mean.over(ratio - 1 - jnp.log(ratio), mask),  # k3 of KL(old || new)
        "sampler_gap": Mean.over(jnp.abs(token["logprob"] - batch.sampler_logprobs), mask),
    }
    for name in ("sampler_ratio", "reference_kl"):
        if name in token:
            metrics[name] = Mean.over(token[name], mask)
    return metrics
