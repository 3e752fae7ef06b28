"""Divergences between next-token distributions, with their gradients written out.

z are logits over the last axis, q = softmax(z) is the student, p the teacher (always a constant).
Each derivative is exact and costs one pass, where autodiff would keep several arrays.
"""

import functools

import jax
import jax.numpy as jnp

_NOTHING = -1e30  # log-probability of an impossible entry: exp is 0, differences are finite


def divergence(
    logits: jax.Array, teacher_logits: jax.Array, alpha: float, entry_clip: float | None = None
) -> jax.Array:
    """D(p, q) f[...] in nats of logits f[..., V]; differentiable in `logits` only.

    alpha 0: forward KL(p||q). alpha 1: reverse KL(q||p). Between them the generalised
    Jensen-Shannon (1-alpha) KL(q||m) + alpha KL(p||m), m = (1-alpha) q + alpha p (GKD, Agarwal et
    al. 2023; in this convention SDPO's and OPSD's public code).

    No entry of the vocabulary adds more than `entry_clip`; a clipped entry has no gradient (OPSD's
    public code). Entries may be negative, so the clipped sum may be negative.
    """
    teacher_logits = jax.lax.stop_gradient(teacher_logits)
    if entry_clip is None:
        return _divergence(alpha, logits, teacher_logits)
    terms = _terms(alpha, jax.nn.log_softmax(logits), jax.nn.log_softmax(teacher_logits))
    return jnp.minimum(terms, entry_clip).sum(-1)


def sampled_divergence(
    estimator: str, logprob: jax.Array, teacher_logprob: jax.Array, clip: float | None = None
) -> jax.Array:
    """An estimate f[...] of the divergence from the sampled token y: log q(y), log p(y) f[...].

    `estimator` is one of ESTIMATORS, which say what each estimates for y ~ q. Differentiable in
    `logprob` only.
    `clip` bounds |log q - log p|; a clipped gap keeps its sign and its gradient (verl, GNDPO).
    """
    gap = jax.lax.stop_gradient(logprob - teacher_logprob)
    if clip is not None:
        gap = jnp.clip(gap, -clip, clip)
    value, factor = ESTIMATORS[estimator](gap)
    return value + factor * (logprob - jax.lax.stop_gradient(logprob))


def _k1(gap):
    """alpha 1. A policy gradient, whose mean is the gradient of KL(q||p). The derivative of the
    value would have mean 0 (on-policy distillation, Thinking Machines 2025; SDPO without logits).
    """
    return gap, gap


def _k2(gap):
    """alpha 1. The derivative of the value, equal to the gradient of k1; the mean of the value is
    KL(q||p) to second order (Schulman 2020).
    """
    return gap**2 / 2, gap


def _k3(gap):
    """alpha 0. The mean of the value is KL(q||p), but the mean of its derivative is the gradient of
    the *forward* KL(p||q): E_q (1 - p/q) d log q = -E_p d log q (Schulman 2020; verl).
    """
    excess = jnp.expm1(jnp.minimum(-gap, 20.0))  # p/q - 1, where fp32 holds it
    return excess + gap, -excess


# Name -> function of the gap that returns (value, factor of d log q). Each minimises the divergence
# of one alpha (config's ESTIMATOR_ALPHA).
ESTIMATORS = {"k1": _k1, "k2": _k2, "k3": _k3}


def coarsen(
    logits: jax.Array,
    teacher_logits: jax.Array,
    targets: jax.Array,
    k: int,
    support: str = "union",
    tail: bool = True,
) -> tuple[jax.Array, jax.Array]:
    """Both distributions over a small support, as logits f[..., V+1], or f[..., V] without a tail.

    The support is the top k of the `student` (SDPO), of the `teacher` (OPSD), or the `union` of
    both with the sampled token, i32[...]; ties are included. With a `tail` the last bucket holds
    everything else, and the divergence of the two is a lower bound of the full one (SDPO); without
    it both are renormalised. Either has a zero gradient at p = q, which truncation alone does not
    have. Entries outside the support have probability 0 in both.
    """
    student, teacher = _top(logits, k), _top(teacher_logits, k)
    union = student | teacher | _one_hot(logits, targets)
    kept = {"student": student, "teacher": teacher, "union": union}[support]
    kept = jax.lax.stop_gradient(kept)
    if not tail:
        return jnp.where(kept, logits, _NOTHING), jnp.where(kept, teacher_logits, _NOTHING)

    def bucket(z):
        logq = jax.nn.log_softmax(z)
        rest = jax.nn.logsumexp(jnp.where(kept, _NOTHING, logq), axis=-1, keepdims=True)
        return jnp.concatenate([jnp.where(kept, logq, _NOTHING), rest], axis=-1)

    return bucket(logits), bucket(teacher_logits)


@jax.custom_vjp
def log_prob(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """log softmax(z)[target] f[...] of logits f[..., V], targets i32[...]."""
    at_target = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    return at_target - jax.nn.logsumexp(logits, axis=-1)


def _log_prob_forward(logits, targets):
    return log_prob(logits, targets), (logits, targets)


def _log_prob_backward(residuals, g):
    logits, targets = residuals  # dz = onehot - q
    return g[..., None] * (_one_hot(logits, targets) - jax.nn.softmax(logits)), None


log_prob.defvjp(_log_prob_forward, _log_prob_backward)


def entropy(logits: jax.Array) -> jax.Array:
    """-sum q log q f[...] in nats of logits f[..., V]."""
    return jax.nn.logsumexp(logits, axis=-1) - (jax.nn.softmax(logits) * logits).sum(-1)


def _terms(alpha, logq, logp):
    """The summands f[..., V] of D(p, q)."""
    if alpha == 0:
        return jnp.exp(logp) * (logp - logq)
    if alpha == 1:
        return jnp.exp(logq) * (logq - logp)
    logm = _log_mean(alpha, logq, logp)
    from_student, from_teacher = jnp.exp(logq) * (logq - logm), jnp.exp(logp) * (logp - logm)
    return (1 - alpha) * from_student + alpha * from_teacher


def _log_mean(alpha, logq, logp):
    """log((1-alpha) q + alpha p)."""
    return jnp.logaddexp(jnp.log1p(-alpha) + logq, jnp.log(alpha) + logp)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _divergence(alpha, z, teacher_z):
    return _divergence_forward(alpha, z, teacher_z)[0]


def _divergence_forward(alpha, z, teacher_z):
    """(value f[...], dvalue/dz f[..., V]). With f(q) = sum_v phi, dz = q (phi' - E_q phi')."""
    logq, logp = jax.nn.log_softmax(z), jax.nn.log_softmax(teacher_z)
    q, p = jnp.exp(logq), jnp.exp(logp)
    if alpha == 0:
        return (p * (logp - logq)).sum(-1), q - p
    if alpha == 1:
        gap = logq - logp
        value = (q * gap).sum(-1)
        return value, q * (gap - value[..., None])
    logm = _log_mean(alpha, logq, logp)
    gap = logq - logm
    to_mean = (q * gap).sum(-1)
    value = (1 - alpha) * to_mean + alpha * (p * (logp - logm)).sum(-1)
    return value, (1 - alpha) * q * (gap - to_mean[..., None])


def _divergence_backward(alpha, dz, g):
    return g[..., None] * dz, None


_divergence.defvjp(_divergence_forward, _divergence_backward)


def _top(logits, k):
    return logits >= jax.lax.top_k(logits, min(k, logits.shape[-1]))[0][..., -1:]


def _one_hot(logits, targets):
    vocabulary = jax.lax.broadcasted_iota(jnp.int32, logits.shape, logits.ndim - 1)
    return vocabulary == targets[..., None]
