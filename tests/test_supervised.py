import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import FREE, assert_trees_close, differences, log_softmax

from fdjax.models.transformer import CappedHead
from fdjax.objectives.supervised import Supervised, SupervisedBatch

N, P, R, D, V = 3, 2, 5, 3, 6


@pytest.mark.parametrize("softcap", [0.0, 1.5])
def test_loss_gradient_and_metrics(softcap):
    rng = np.random.default_rng(0)
    params = {"hidden": rng.normal(size=(N, P + R, D)), "head": rng.normal(size=(D, V))}
    tokens, weights = rng.integers(0, V, (N, P + R)), rng.uniform(0.5, 2, (N, R))
    weights[0, 2:] = weights[-1] = 0
    batch = SupervisedBatch(tokens, np.ones((N, P + R), bool), weights)

    def logs(params):
        logits = params["hidden"][:, P - 1 : -1] @ params["head"]
        return log_softmax(softcap * np.tanh(logits / softcap) if softcap else logits)

    def logprobs(params):
        return np.take_along_axis(logs(params), tokens[:, P:, None], -1)[..., 0]

    def expected(params):
        return -(weights * logprobs(params)).sum()

    objective, model = Supervised(chunk=7), FREE
    if softcap:
        model = FREE._replace(unembedding=lambda params: CappedHead(params["head"], softcap))
    with jax.enable_x64(True):
        loss = jax.jit(
            jax.value_and_grad(lambda p: objective.loss(model, p, None, batch), has_aux=True)
        )
        (value, metrics), slope = loss(jax.tree.map(jnp.array, params))
        metrics = {name: float(m.total / m.count) for name, m in metrics.items()}
        value, slope = float(value), jax.tree.map(np.asarray, slope)
        assert objective.denominator(batch) == R + 2
    np.testing.assert_allclose(value, expected(params), rtol=1e-8)
    assert_trees_close(slope, differences(expected, params), atol=1e-7)
    learned = weights > 0
    correct = logs(params).argmax(-1) == tokens[:, P:]
    np.testing.assert_allclose(metrics["accuracy"], correct[learned].mean())
    np.testing.assert_allclose(metrics["nll"], -logprobs(params)[learned].mean(), rtol=1e-8)
