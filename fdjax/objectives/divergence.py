"""Divergences between next-token distributions, with their gradients written out.

z are logits of the last axis at temperature 1, q = softmax(z) the student, p the teacher (always a
constant). Each derivative is exact and costs one pass, where autodiff would keep several arrays.
"""

import functools

import jax
import jax.numpy as jnp

from fdjax.objectives.chunked import chunked_map

_NOTHING = -1e30  # the log-probability of an impossible bucket: exp is 0, differences are finite


def divergence(logits: jax.Array, teacher_logits: jax.Array, alpha: float) -> jax.Array:
    """D(p, q) f[...] in nats of logits f[..., V]; differentiable in `logits` only.

    alpha 0: forward KL(p||q). alpha 1: reverse KL(q||p). Between them the generalised
    Jensen-Shannon (1-alpha) KL(q||m) + alpha KL(p||m), m = (1-alpha) q + alpha p (GKD, Agarwal et
    al. 2023; in this convention SDPO's and OPSD's public code).
    """
    return _divergence(alpha, logits, jax.lax.stop_gradient(teacher_logits))


def sampled_divergence(logprob: jax.Array, teacher_logprob: jax.Array) -> jax.Array:
    """Reverse KL seen through the sampled token y alone: log q(y) - log p(y), f[...].

    Its gradient is that of a policy gradient, (log q - log p) d log q, unbiased for y ~ q
    (on-policy distillation, Thinking Machines 2025), not the derivative of the value, whose mean
    is zero.
    """
    gap = jax.lax.stop_gradient(logprob - teacher_logprob)
    return gap + gap * (logprob - jax.lax.stop_gradient(logprob))


def coarsen(
    logits: jax.Array, teacher_logits: jax.Array, targets: jax.Array, k: int
) -> tuple[jax.Array, jax.Array]:
    """Both distributions as log-probabilities f[..., V+1] over a small support and its tail.

    The support is the top k of the teacher, the top k of the student (ties included) and the
    sampled token, i32[...]; the last bucket holds everything else. The divergence of the two is a
    lower bound of the full one, with a zero gradient at p = q, which truncation alone does not
    have (SDPO's tail bucket). Entries outside the support are impossible in both.
    """
    support = jax.lax.stop_gradient(
        _top(logits, k) | _top(teacher_logits, k) | _one_hot(logits, targets)
    )

    def bucket(z):
        logq = jax.nn.log_softmax(z)
        tail = jax.nn.logsumexp(jnp.where(support, _NOTHING, logq), axis=-1, keepdims=True)
        return jnp.concatenate([jnp.where(support, logq, _NOTHING), tail], axis=-1)

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


def token_logprobs(
    hidden_NRD: jax.Array,
    head_DV: jax.Array,
    targets_NR: jax.Array,
    *,
    temperature: float = 1.0,
    chunk: int = 1024,
) -> tuple[jax.Array, jax.Array]:
    """(log q(target) f[N, R], entropy f[N, R]) at `temperature`, about `chunk` tokens at a time.

    Differentiable in hidden states and head; the backward pass makes the logits again.
    """

    def chunk_values(hidden, head, targets):
        logits = to_logits(hidden, head, temperature)
        return log_prob(logits, targets), entropy(logits)

    return chunked_map(chunk_values, hidden_NRD, head_DV, targets_NR, chunk=chunk)


def to_logits(hidden: jax.Array, head_DV: jax.Array, temperature: float = 1.0) -> jax.Array:
    """hidden f[..., D] -> f[..., V] in at least fp32."""
    dtype = jnp.promote_types(hidden.dtype, jnp.float32)
    logits = jnp.matmul(hidden, head_DV, preferred_element_type=dtype)
    return logits if temperature == 1.0 else logits / temperature


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
    logm = jnp.logaddexp(jnp.log1p(-alpha) + logq, jnp.log(alpha) + logp)
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
