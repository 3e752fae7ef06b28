"""Sums over chunks on eight simulated devices, against one. Their values: test_divergence.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import assert_trees_close

from fdjax.models.transformer import CappedHead, to_logits, unembedding
from fdjax.objectives.chunked import chunked_map, chunked_sum
from fdjax.objectives.divergence import divergence, log_prob
from fdjax.runtime import sharding

N, R, D, V = 8, 7, 16, 24  # chunks of 4 tokens do not divide the columns
MESHES = [(1, 8, 1), (2, 2, 2), (1, 1, 8), (8, 1, 1)]


def chunk_loss(hidden, head, column, teacher_head):
    logits, teacher_logits = to_logits(hidden, head), to_logits(hidden, teacher_head)
    value = divergence(logits, teacher_logits, 0.5)
    return (column["weight"] * value).sum(), log_prob(logits, column["target"])


def chunk_logprob(hidden, head, target):
    return log_prob(to_logits(hidden, head), target)


def losses(params, hidden, teacher_head, columns):
    head = CappedHead(unembedding(params), 3.0)
    where = columns["weight"] != 0
    total, logprob = chunked_sum(
        chunk_loss, hidden, head, columns, teacher_head, where_NR=where, chunk=4
    )
    logprob = jnp.where(where, logprob, 0)
    again = chunked_map(chunk_logprob, hidden, head, columns["target"], chunk=4)
    return 2 * total + (columns["weight"] * again).sum(), (logprob, again)


def make_arguments(tied, vocabulary=V, width=D):
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.normal(size=shape).astype(np.float32)

    shape = (vocabulary, width) if tied else (width, vocabulary)
    params = {"embedding" if tied else "lm_head": normal(*shape)}
    weight = normal(N, R) * (np.arange(R) < rng.integers(1, R + 1, (N, 1)))
    columns = {"weight": weight, "target": rng.integers(0, vocabulary, (N, R))}
    return params, normal(N, R, width), normal(width, vocabulary), columns


def on_mesh(mesh, params, hidden, teacher_head, columns):
    """(values, gradients), the gradients of parameters cut as the parameters are."""
    at = sharding.tree_shardings(params, mesh)
    rows = jax.NamedSharding(mesh, jax.P(sharding.ROWS))
    params = jax.device_put(params, at)
    hidden, columns = jax.device_put((hidden, columns), rows)
    slope = jax.value_and_grad(losses, (0, 1), has_aux=True)
    with jax.set_mesh(mesh):
        program = jax.jit(slope, out_shardings=(None, (at, rows)))
        return sharding.fetch(program(params, hidden, teacher_head, columns))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("shape", MESHES)
def test_eight_devices_are_one_device(shape, tied):
    arguments = make_arguments(tied)
    expected = jax.jit(jax.value_and_grad(losses, (0, 1), has_aux=True))(*arguments)
    actual = on_mesh(sharding.make_mesh(*shape), *arguments)
    assert_trees_close(actual, sharding.fetch(expected), rtol=1e-5, atol=1e-5)


def test_sizes_that_the_mesh_does_not_divide():
    arguments = make_arguments(True, vocabulary=23, width=15)
    expected = jax.jit(jax.value_and_grad(losses, (0, 1), has_aux=True))(*arguments)
    actual = on_mesh(sharding.make_mesh(2, 2, 2), *arguments)
    assert_trees_close(actual, sharding.fetch(expected), rtol=1e-5, atol=1e-5)


def test_chunks_are_counted_per_device():
    """A chunk has a share of one device's tokens, not of all."""
    seen = []

    def loss(hidden, head, column, _):
        seen.append(hidden.shape)
        return to_logits(hidden, head).sum() * column.sum(), column

    def total(hidden, head, weight):
        return chunked_sum(loss, hidden, head, weight, where_NR=weight > 0, chunk=24)[0]

    shapes = jnp.ones((N, 12, D)), jnp.ones((D, V)), jnp.ones((N, 12))
    jax.eval_shape(total, *shapes)
    assert set(seen) == {(24, D)}
    seen.clear()
    with jax.set_mesh(sharding.make_mesh(1, 4, 2)):
        jax.eval_shape(total, *shapes)
    assert (12, D) in seen
