"""Rows sorted by length into microbatches of a few shapes: what is cut off, and the gradient."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny_model import bag_of_words, tiny_transformer
from tiny_updates import OBJECTIVES, make_batch, relative_distance

from fdjax.batches import microbatches as module
from fdjax.batches.microbatches import microbatches, padding, plan, response_widths
from fdjax.runtime import sharding
from fdjax.training import state
from fdjax.training.step import figures, learn, make_update

R, P = 64, 8


def ragged(kind, rows=24, seed=0):
    """Responses have 1 to R tokens, some of them a tool's, prompts 1 to P."""
    if kind == "combined":
        return {part: ragged(part, rows, seed) for part in ("distillation", "policy_gradient")}
    batch = make_batch(kind, N=rows, P=P, Q=P + 4, R=R)
    lengths = np.clip(np.random.default_rng(seed).lognormal(2.5, 1, rows), 1, R).astype(int)
    lengths[:2] = R, 1
    attended = np.arange(R)[None] < lengths[:, None]
    tool = (np.arange(R) >= 6) & (np.arange(R) < 14)  # also at the end of some rows
    wrote = attended & ~tool
    changes = {}
    for name in batch._fields:
        if getattr(batch, name) is None:
            continue
        x = np.array(getattr(batch, name))
        if name.endswith("attention_mask"):
            x[:, -R:] = attended
        elif name in ("response_mask", "loss_mask"):
            x = wrote
        elif name in ("weights", "generator_logprobs", "old_logprobs", "reference_logprobs"):
            x = np.where(wrote, x - 0.5, 0).astype(x.dtype) if name != "weights" else wrote * 0.5
            x = x.astype(np.float32)
        elif name == "lines":
            x = np.minimum(x, lengths[:, None] - 1)
        changes[name] = x
    if kind == "policy_gradient":
        process = np.random.default_rng(seed).normal(size=(rows, R)) * wrote
        changes["process_advantages"] = process.astype(np.float32)
    return batch._replace(**changes)


cut = functools.partial(microbatches, tokens=256, shards=1, prompts=(4, 8, 12))


def test_each_width_saves_a_tenth_of_a_row_or_a_twentieth_and_eight_columns():
    assert response_widths(28, prompt=64) == [28]
    assert response_widths(28, prompt=32) == [21, 28]
    assert response_widths(128, prompt=96) == [16, 24, 32, 48, 64, 96, 128]
    assert response_widths(128, prompt=200) == [16, 32, 48, 64, 96, 128]
    assert response_widths(6144, prompt=2048) == [768, 1152, 1536, 2304, 3072, 4608, 6144]
    assert response_widths(6144, prompt=10**6) == [6144]


@pytest.mark.parametrize("tokens, shards", [(1, 1), (200, 1), (10**6, 1), (100, 4), (700, 3)])
def test_every_row_is_in_one_microbatch_that_holds_it(tokens, shards):
    rng = np.random.default_rng(1)
    lengths = np.clip(rng.lognormal(3, 1, 100), 1, 128).astype(int)
    found = plan(lengths, 128, 48, tokens, shards)
    assert sorted(row for *_, rows in found for row in rows) == list(range(100))
    for width, count, rows in found:
        assert max(lengths[rows]) <= width and len(rows) <= count and (rows[:-1] < rows[1:]).all()
        per_shard = count // shards
        assert count % shards == 0 and per_shard in module.ROWS
        assert per_shard * (48 + width) <= tokens or per_shard == 1
    widths = [width for width, *_ in found]
    assert widths == sorted(widths, reverse=True)


def test_equal_lengths_in_one_microbatch_are_the_batch_itself():
    batch = ragged("distillation", rows=8)
    full = np.ones_like(batch.student_attention_mask)
    batch = batch._replace(student_attention_mask=full)
    batch = batch._replace(teacher_tokens=batch.teacher_tokens[:, 4:], teacher_attention_mask=full)
    [only] = microbatches(batch, tokens=10**6, shards=2, prompts=(P,))
    jax.tree.map(np.testing.assert_array_equal, only.batch, batch)
    assert not microbatches(jax.tree.map(lambda x: x[:0], batch), tokens=9, shards=1, prompts=(P,))


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_only_masked_columns_are_cut_off(kind):
    batch = ragged(kind)
    cuts = cut(batch)
    assert len(cuts) > 3 and padding([c.batch for c in cuts]) < padding([batch]) - 0.2
    assert padding([batch]) > 0.5 and padding([]) == 0

    def real_tokens(batch):
        """{token ids of a response and its prompt, sorted}"""
        if isinstance(batch, dict):
            return sorted(ids for part in batch.values() for ids in real_tokens(part))
        names = [n.removesuffix("attention_mask") for n in batch._fields if n.endswith("_mask")]
        names = [name for name in names if name + "tokens" in batch._fields]
        return sorted(
            tuple(tokens[mask])
            for name in names
            for tokens, mask in zip(
                getattr(batch, name + "tokens"), getattr(batch, name + "attention_mask")
            )
            if mask.any()
        )

    assert real_tokens(batch) == sorted(ids for c in cuts for ids in real_tokens(c.batch))


def movement(kind, cuts, tiny, mesh=None):
    """(how far gradient descent moves the parameters, metrics)"""
    mesh = mesh or sharding.make_mesh()
    init, model = tiny()
    objective, optimizer = OBJECTIVES[kind], optax.sgd(1.0)
    params = init(jax.random.key(0))
    if jax.config.jax_enable_x64:
        params = jax.tree.map(lambda x: x.astype(jnp.float64), params)
    made = state.from_params(params, optimizer, with_teacher=kind in ("distillation", "combined"))
    made = jax.device_put(made, state.shardings(made, mesh))
    before = sharding.fetch(made.params)
    update = make_update(objective, optimizer, model, shardings=state.shardings(made, mesh))
    denominator = objective.denominator(ragged(kind))
    with jax.set_mesh(mesh):
        made, learned = learn(update, made, sharding.put(cuts, mesh), denominator)
    moved = jax.tree.map(lambda a, b: a - b, sharding.fetch(made.params), before)
    return moved, figures(sharding.fetch(learned))


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_the_gradient_is_that_of_the_padded_batch(kind):
    whole = movement(kind, [ragged(kind)], tiny_transformer)
    moved, metrics = movement(kind, [c.batch for c in cut(ragged(kind))], tiny_transformer)
    assert relative_distance(moved, whole[0]) < 2e-5
    for name, value in whole[1].items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_in_float64(kind):
    with jax.enable_x64(True):
        whole = movement(kind, [ragged(kind)], bag_of_words)
        parts = movement(kind, [c.batch for c in cut(ragged(kind))], bag_of_words)
    assert jax.tree.leaves(whole[0])[0].dtype == np.float64
    assert relative_distance(parts[0], whole[0]) < 1e-10


def test_on_eight_devices():
    kind, mesh = "distillation", sharding.make_mesh(2, 2, 2)
    cuts = cut(ragged(kind), shards=4)
    assert all(c.batch.weights.shape[0] % 4 == 0 for c in cuts)
    whole, _ = movement(kind, [ragged(kind)], tiny_transformer)
    moved, _ = movement(kind, [c.batch for c in cuts], tiny_transformer, mesh)
    assert relative_distance(moved, whole) < 3e-5


def test_shapes_are_few(monkeypatch):
    """Over many batches: for each width the numbers of rows that the budget holds."""
    shapes = set()
    for seed in range(30):
        for part in cut(ragged("supervised", rows=32, seed=seed), prompts=(12,)):
            shapes.add(part.batch.tokens.shape + part.batch.weights.shape)
    widths = response_widths(R, prompt=12)
    most = [sum(n * (12 + width) <= 256 for n in module.ROWS) for width in widths]
    assert widths == [16, 24, 32, 48, 64] and len(shapes) <= sum(most) == 22
