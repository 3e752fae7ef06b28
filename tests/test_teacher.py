"""A teacher in bf16: rounded by chance, right in the mean, the same on every mesh and resumed."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import QUICK, bag_of_words
from tiny_updates import relative_distance, setup

from fdjax.runtime import sharding
from fdjax.runtime.checkpoint import Checkpoints
from fdjax.training import state
from fdjax.training.step import move_teacher, round_by_chance

BF16 = jnp.bfloat16


def test_rounding_takes_one_of_the_neighbours_and_is_right_in_the_mean():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=64) * 10.0 ** rng.integers(-6, 6, 64)).astype(np.float32)
    keys = jax.random.split(jax.random.key(1), 4096)
    rounded = np.asarray(jax.vmap(round_by_chance, (None, 0))(x, keys).astype(jnp.float32))
    low = (x.view(np.uint32) & 0xFFFF0000).view(np.float32)  # towards 0
    gap = (low.view(np.uint32) + np.uint32(0x10000)).view(np.float32) - low
    up = rounded != low
    assert np.all(rounded == np.where(up, low + gap, low))
    share = (x.astype(np.float64) - low) / gap
    deviation = np.sqrt(share * (1 - share) / len(keys))
    assert np.all(np.abs(up.mean(0) - share) < 5 * deviation + 1e-9)


def test_what_bf16_has_stays_as_it_is():
    x = jnp.array([0.0, 1.0, -1.0078125, 3e38, 1e-30], BF16).astype(jnp.float32)
    keys = jax.random.split(jax.random.key(0), 256)
    rounded = jax.vmap(round_by_chance, (None, 0))(x, keys)
    np.testing.assert_array_equal(rounded.astype(jnp.float32), jnp.broadcast_to(x, (256, 5)))


def averaged(teacher, student, updates, rate):
    """After so many updates with a student that stays."""

    def body(step, teacher):
        return move_teacher(teacher, student, rate, step)

    return jax.jit(lambda t: jax.lax.fori_loop(0, updates, body, t))(teacher)


def test_many_small_movements_follow_the_average_in_fp32():
    """Of which each is an eighth of what bf16 resolves at most: rounded to the nearest, none would
    show.
    """
    rate, updates, distance = 0.002, 1000, 0.5
    start, student = jnp.ones((64, 64)), jnp.full((64, 64), 1 + distance)
    exact = averaged(start, student, updates, rate)
    assert float(exact[0, 0]) == pytest.approx(1 + distance * (1 - 0.998**1000), rel=1e-4)
    nearest = (start.astype(BF16) + rate * distance).astype(BF16)
    assert jnp.all(nearest == 1)
    chance = averaged(start.astype(BF16), student, updates, rate)
    assert chance.dtype == BF16
    apart = np.asarray(chance, np.float64) - np.asarray(exact, np.float64)
    bound = np.sqrt(2**-7 * distance / 2)  # docs/decisions.md; 2^-7: bf16 between 1 and 2
    assert abs(apart.mean()) < 5 * bound / 64 and 0.1 * bound < apart.std() < bound


def test_bits_depend_on_step_and_place():
    one = {"a": jnp.ones((32, 32), BF16), "b": jnp.ones((32, 32), BF16)}
    student = jax.tree.map(lambda x: jnp.full(x.shape, 1.5), one)
    first, again, later = (move_teacher(one, student, 0.005, jnp.int32(i)) for i in (3, 3, 4))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert (first["a"] != first["b"]).any() and (first["a"] != later["a"]).any()
    still = move_teacher(first, student, jnp.float32(0), jnp.int32(5))
    jax.tree.map(np.testing.assert_array_equal, still, first)


def test_a_mesh_changes_no_bit():
    init, _ = bag_of_words(vocab_size=64, width=16)
    student = init(jax.random.key(0))
    teacher = jax.tree.map(lambda x: (0.9 * x).astype(BF16), student)
    alone = jax.jit(move_teacher)(teacher, student, 0.005, jnp.int32(7))
    for shape in ((1, 2, 4), (2, 4, 1)):
        mesh = sharding.make_mesh(*shape)
        placed = sharding.tree_shardings(student, mesh)
        split = jax.device_put((teacher, student), (placed, placed))
        with jax.set_mesh(mesh):
            moved = jax.jit(move_teacher, out_shardings=placed)(*split, 0.005, jnp.int32(7))
        assert not moved["lm_head"].sharding.is_fully_replicated
        jax.tree.map(np.testing.assert_array_equal, sharding.fetch(moved), sharding.fetch(alone))


@pytest.fixture(scope="module")
def learner():
    return functools.partial(
        setup, "distillation", tiny=bag_of_words, ema_rate=0.1, teacher_dtype="bfloat16"
    )


def test_a_resumed_run_ends_with_the_same_bits(learner, tmp_path):
    update, whole, batch = learner()
    for _ in range(4):
        whole, _ = update(whole, batch)
    update, made, batch = learner()
    for _ in range(2):
        made, _ = update(made, batch)
    with Checkpoints(tmp_path / "checkpoints", best="score") as checkpoints:
        checkpoints.save(2, made, metrics={})
    with Checkpoints(tmp_path / "checkpoints", best="score") as checkpoints:
        resumed, *_ = checkpoints.restore(state.shapes(learner()[1]))
    for _ in range(2):
        resumed, _ = update(resumed, batch)
    assert {x.dtype for x in jax.tree.leaves(resumed.teacher_params)} == {np.dtype(BF16)}
    jax.tree.map(np.testing.assert_array_equal, sharding.fetch(resumed), sharding.fetch(whole))


def test_a_teacher_in_bf16_teaches_as_its_values_in_fp32():
    """Of a transformer: no product is rounded because its parameters are."""
    update, made, batch = setup("distillation", teacher_dtype="bfloat16")
    same = jax.tree.map(lambda x: x.astype(jnp.float32), made.teacher_params)
    assert relative_distance(same, made.params) > 1e-4  # rounded
    zeros, denominator = update.parts.zeros(made), jnp.float32(10)

    def gradient(made):
        args = made, zeros, batch, denominator
        accumulate = update.parts.accumulate.lower(*args).compile(compiler_options=QUICK)
        return accumulate(made, jax.tree.map(jnp.copy, zeros), batch, denominator)[0]

    ours, theirs = gradient(made), gradient(made._replace(teacher_params=same))
    assert relative_distance(ours.of_trained, theirs.of_trained) < 1e-5
