from typing import NamedTuple

import jax
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec as P
from tiny_model import tiny_transformer
from tiny_updates import adamw

from fdjax.runtime import sharding
from fdjax.training import state


class Batch(NamedTuple):
    x: np.ndarray


def test_moments_and_teacher_lie_as_their_parameters():
    init, _ = tiny_transformer(tie_embeddings=False, attention_bias=True)
    mesh = sharding.make_mesh(1, 2, 4)
    optimizer = adamw()
    made = state.create(init, jax.random.key(0), optimizer, mesh, with_teacher=True)
    adam = made.opt_state[1][0]
    for tree in (made.params, made.teacher_params, adam.mu, adam.nu):
        layer = tree["layers"]
        assert tree["embedding"].sharding.spec == P("tensor", "fsdp")
        assert tree["lm_head"].sharding.spec == P("fsdp", "tensor")
        assert layer["q_proj"]["kernel"].sharding.spec == P(None, "fsdp", "tensor")
        assert layer["q_proj"]["bias"].sharding.spec == P(None, "tensor")
        assert layer["down_proj"]["kernel"].sharding.spec == P(None, "tensor", "fsdp")
        assert layer["mlp_norm"]["scale"].sharding.is_fully_replicated
    assert made.step.sharding.is_fully_replicated
    again = state.shardings(made, mesh)
    jax.tree.map(lambda x, s: np.testing.assert_(x.sharding == s), made, again)


def test_a_dimension_that_does_not_divide_is_not_cut():
    mesh = sharding.make_mesh(1, 2, 4)
    shapes = {"q_proj": {"kernel": jax.ShapeDtypeStruct((3, 6, 6), np.float32)}}
    placed = sharding.tree_shardings(shapes, mesh)
    assert placed["q_proj"]["kernel"].spec == P(None, "fsdp", None)


def test_put_spreads_rows_and_fetch_brings_them_back():
    mesh = sharding.make_mesh(2, 2, 2)
    x = np.arange(24.0, dtype=np.float32).reshape(8, 3)
    placed = sharding.put(Batch(x), mesh)
    assert placed.x.sharding.spec == P(("replica", "fsdp"))
    assert placed.x.addressable_shards[0].data.shape == (2, 3)
    np.testing.assert_array_equal(sharding.fetch(placed).x, x)
    with pytest.raises(ValueError, match=r"x has 6 rows.*= 4"):
        sharding.put(Batch(x[:6]), mesh)


def test_a_mesh_larger_than_the_machine():
    with pytest.raises(ValueError, match="needs 16 devices, there are 8"):
        sharding.make_mesh(1, 4, 4)


def test_rows_stay_spread_only_under_a_mesh():
    x = np.ones((8, 3), np.float32)
    np.testing.assert_array_equal(jax.jit(sharding.shard_rows)(x), x)
    mesh = sharding.make_mesh(2, 2, 2)
    with jax.set_mesh(mesh):
        assert jax.jit(sharding.shard_rows)(x).sharding.spec == P(("replica", "fsdp"))


def test_restart_keeps_parameters_and_nothing_else():
    init, _ = tiny_transformer()
    mesh, optimizer = sharding.make_mesh(), optax.adam(1e-3)
    made = state.create(init, jax.random.key(0), optimizer, mesh)
    assert made.teacher_params is None
    kept = jax.tree.map(np.array, made.params)
    new = state.restart(made.params, optimizer, sharding.make_mesh(1, 2, 1), with_teacher=True)
    jax.tree.map(np.testing.assert_array_equal, kept, new.params)
    assert new.params["embedding"].sharding.num_devices == 2
    pairs = zip(jax.tree.leaves(new.params), jax.tree.leaves(new.teacher_params))
    assert all(np.array_equal(a, b) for a, b in pairs)
    again = state.restart(new.params, optimizer, sharding.make_mesh(1, 2, 1), with_teacher=True)
    assert all(x.is_deleted() for x in jax.tree.leaves(new.params))  # in their place, no copy
    moved = jax.jit(lambda s: jax.tree.map(jax.numpy.negative, s), donate_argnums=0)(again)
    for tree in (moved.params, moved.teacher_params):  # each has buffers of its own
        jax.tree.map(lambda x, old: np.testing.assert_array_equal(-x, old), tree, kept)
