"""Divergences in float64, from their definitions."""

import numpy as np
from tiny_model import log_softmax


def reference(alpha, z, teacher_z, entry_clip=None):
    """D(p, q) in float64, from the definition."""
    logq, logp = log_softmax(z), log_softmax(teacher_z)
    q, p = np.exp(logq), np.exp(logp)

    def kl(a, b):  # 0 log 0 = 0
        return np.where(a > 0, a * (np.log(np.where(a > 0, a, 1)) - np.log(b)), 0)

    if alpha == 0:
        terms = p * (logp - logq)
    elif alpha == 1:
        terms = q * (logq - logp)
    else:
        m = (1 - alpha) * q + alpha * p
        terms = (1 - alpha) * kl(q, m) + alpha * kl(p, m)
    return np.minimum(terms, np.inf if entry_clip is None else entry_clip).sum(-1)


def coarse_reference(
    alpha, z, teacher_z, targets, k, support_z, support="union", tail=True, entry_clip=None
):
    """One token at a time: probabilities of the support's tokens and of all others together."""
    total = 0.0
    for index in np.ndindex(targets.shape):
        student, teacher = (set(np.argsort(x[index])[-k:]) for x in (support_z, teacher_z))
        union = student | teacher | {targets[index]}
        kept = sorted({"student": student, "teacher": teacher, "union": union}[support])
        rest = [v for v in range(z.shape[-1]) if v not in kept]
        buckets = []
        for logs in (log_softmax(z[index]), log_softmax(teacher_z[index])):
            p = np.exp(logs[kept])
            p = np.append(p, np.exp(logs[rest]).sum()) if tail else p / p.sum()
            buckets.append(np.log(p))
        total += reference(alpha, *buckets, entry_clip)
    return total
