"""Adapters: the only trained and averaged parameters; checkpointed; merged by the export."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine_runs import random_prompts, samples, shapes, write
from tiny_updates import adamw, distillation, make_batch, relative_distance, whole_update

from fdjax.models import lora, transformer
from fdjax.models.config import ModelConfig, from_fields
from fdjax.models.hf import config as hf
from fdjax.models.hf import convert, init_from, weights
from fdjax.models.hf import safetensors as tensor_files
from fdjax.objectives.protocol import Model
from fdjax.runtime import sharding
from fdjax.runtime.checkpoint import Checkpoints
from fdjax.training import state

BASE = ModelConfig(
    vocab_size=64,
    width=16,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    head_dim=8,
    mlp_width=32,
    scan_unroll=1,
    tie_embeddings=False,
    max_positions=64,
)
CONFIG = dataclasses.replace(
    BASE, lora_rank=3, lora_alpha=6.0, lora_targets=("q_proj", "o_proj", "down_proj")
)
hidden_states = jax.jit(transformer.hidden_states, static_argnums=0)


@functools.cache
def fresh():
    return jax.jit(transformer.init, static_argnums=0)(CONFIG, jax.random.key(0))


def moved():
    """Parameters with adapters whose product is not zero."""
    adapters, base = lora.split(fresh())
    rng = np.random.default_rng(0)
    drawn = jax.tree.map(lambda x: jnp.asarray(0.3 * rng.normal(size=x.shape), x.dtype), adapters)
    return lora.join(drawn, base)


def merged(params):
    """W + alpha / rank A B, in numpy."""
    adapters, base = lora.split(params)
    out = jax.tree.map(np.asarray, base)
    for name, adapter in adapters["layers"].items():
        kernel = out["layers"][name.removesuffix("_lora")]
        more = np.einsum("lir,lro->lio", *(np.asarray(adapter[x]) for x in "ab"))
        out["layers"][name.removesuffix("_lora")] = kernel | {"kernel": kernel["kernel"] + 2 * more}
    return out


def test_an_adapter_adds_its_product():
    tokens = jax.random.randint(jax.random.key(1), (2, 9), 0, 64)
    mask = jnp.ones((2, 9), bool)
    close = functools.partial(np.testing.assert_allclose, atol=1e-5, rtol=1e-5)
    plain = hidden_states(BASE, lora.split(fresh())[1], tokens, mask)
    close(hidden_states(CONFIG, fresh(), tokens, mask), plain)
    found = hidden_states(CONFIG, moved(), tokens, mask)
    close(found, hidden_states(BASE, merged(moved()), tokens, mask))
    assert np.abs(found - plain).max() > 0.1


def test_a_sample_is_that_of_the_merged_model():
    prompts = random_prompts(CONFIG, (5, 2))
    queue = samples([1, 2], 3, budget=12)
    layout = shapes(prompt=5, response=12)
    written = write(CONFIG, moved(), prompts, queue, layout=layout)
    for out, sample in zip(written, queue):
        prompt = prompts[sample.prompt]
        whole = jnp.array([[*prompt, *out.tokens.tolist()]])
        hidden = hidden_states(BASE, merged(moved()), whole, whole >= 0)[:, len(prompt) - 1 : -1]
        logprobs = jax.nn.log_softmax(hidden @ jnp.asarray(merged(moved())["lm_head"])[None])[0]
        expected = np.take_along_axis(logprobs, out.tokens[:, None], -1)[:, 0]
        np.testing.assert_allclose(out.logprobs, expected, atol=1e-4)


def test_what_is_trained():
    adapters, base = lora.split(fresh())
    assert set(adapters["layers"]) == {"q_proj_lora", "o_proj_lora", "down_proj_lora"}
    assert adapters["layers"]["o_proj_lora"]["a"].shape == (2, 32, 3)
    assert adapters["layers"]["o_proj_lora"]["b"].shape == (2, 3, 16)
    again = lora.join(adapters, base)
    assert jax.tree.structure(again) == jax.tree.structure(fresh())
    assert lora.split(base) == (base, None) and lora.join(base, None) is base


def train(*mesh):
    """(state after one update, state after two, shardings of the second), on a mesh."""
    mesh = sharding.make_mesh(*mesh)
    optimizer = adamw(learning_rate=1e-2)
    with jax.set_mesh(mesh):
        start = jax.tree.map(jnp.copy, moved())
        made = state.restart(start, optimizer, mesh, with_teacher=True)
        update = whole_update(
            distillation(chunk=16),
            optimizer,
            Model(functools.partial(transformer.hidden_states, CONFIG), transformer.unembedding),
            mesh,
            microbatches=2,
            ema_rate=0.25,
            shardings=state.shardings(made, mesh),
        )
        batch = sharding.put(make_batch("distillation"), mesh)
        after, _ = update(made, batch)
        between = sharding.fetch(after)
        after, metrics = update(after, batch)
    assert (
        [part._cache_size() for part in update.parts] == [1, 1, 1]
        and metrics["grad_norm"] > 0
        and after.skipped == 0
    )
    return between, sharding.fetch(after), jax.tree.map(lambda x: x.sharding.spec, after)


def test_updates_move_adapters_alone():
    """So do their average and moments; the same on eight devices."""
    between, after, _ = train()
    assert after.teacher_params.keys() == {"layers"}
    for moments in (after.opt_state[1][0].mu, after.opt_state[1][0].nu):
        assert moments.keys() == {"layers"}
        assert moments["layers"].keys() == {"q_proj_lora", "o_proj_lora", "down_proj_lora"}
    (new, same), (old, base) = lora.split(after.params), lora.split(moved())
    jax.tree.map(np.testing.assert_array_equal, same, base)
    for n, o in zip(*map(jax.tree.leaves, (new, old))):
        assert np.abs(n - o).max() > 1e-3
    jax.tree.map(
        lambda before, t, n: np.testing.assert_allclose(t, before + (n - before) / 4, atol=1e-6),
        between.teacher_params,
        after.teacher_params,
        new,
    )
    averaged, shared = lora.split(after.teacher)
    jax.tree.map(np.testing.assert_array_equal, averaged, after.teacher_params)
    jax.tree.map(np.testing.assert_array_equal, shared, base)

    _, on_eight, specs = train(2, 2, 2)
    assert relative_distance(on_eight, after) < 1e-4
    for tree in (specs.params, specs.teacher_params, specs.opt_state[1][0].mu):
        assert tree["layers"]["o_proj_lora"]["a"] == jax.P(None, "tensor", None)
        assert tree["layers"]["o_proj_lora"]["b"] == jax.P(None, None, "fsdp")


@pytest.fixture
def stage(tmp_path):
    """A finished stage of a model with adapters."""
    folder = tmp_path / "stage"
    folder.mkdir()
    record = {"model": dataclasses.asdict(CONFIG), "stage": {"steps": 1}, "fingerprint": "f"}
    (folder / "config.json").write_text(json.dumps(record))
    made = state.from_params(moved(), adamw(), with_teacher=True)
    with Checkpoints(folder / "checkpoints") as checkpoints:
        checkpoints.save(1, made)
        checkpoints.wait()
        found = checkpoints.restore(jax.tree.map(jnp.zeros_like, made)).state
    jax.tree.map(np.testing.assert_array_equal, found, made)
    return folder


def test_merged_on_the_way_out(stage, tmp_path, monkeypatch):
    monkeypatch.setattr(convert, "CHUNK_BYTES", 300)
    convert.to_hf(stage, tmp_path / "out")
    config = hf.read_config(tmp_path / "out")
    assert config == lora.without(
        dataclasses.replace(
            CONFIG, scan_unroll=4, lora_alpha=32.0, lora_targets=config.lora_targets
        )
    )
    loaded = weights.load(tmp_path / "out", config, sharding.make_mesh())
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-5), loaded, merged(moved()))


def test_peft_layout(stage, tmp_path):
    convert.to_peft(stage, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (3, 6.0)
    assert config["target_modules"] == ["q_proj", "o_proj", "down_proj"]
    stored = tensor_files.read_header(tmp_path / "out" / "adapter_model.safetensors")
    assert len(stored) == 2 * 2 * 3
    name = "base_model.model.model.layers.1.mlp.down_proj.lora_"
    a, b = (tensor_files.read_rows(stored[f"{name}{x}.weight"]) for x in "AB")
    kernel = moved()["layers"]["down_proj"]["kernel"][1]
    expected = merged(moved())["layers"]["down_proj"]["kernel"][1]
    np.testing.assert_allclose(kernel.T + 2 * b @ a, expected.T, atol=1e-5)
    with pytest.raises(ValueError, match="has no adapters"):
        convert.to_peft(_without(stage), tmp_path / "none")


def _without(stage):
    record = json.loads((stage / "config.json").read_text())
    record["model"]["lora_rank"] = 0
    (stage / "config.json").write_text(json.dumps(record))
    return stage


def test_fresh_adapters_on_a_model_that_has_none(stage, tmp_path):
    convert.to_hf(stage, tmp_path / "hf")
    found = init_from.find(tmp_path / "hf")
    mesh = sharding.make_mesh(1, 2, 1)
    params = init_from.load(found, dataclasses.replace(CONFIG, scan_unroll=4), mesh, seed=1)
    adapters, base = lora.split(params)
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-5), base, merged(moved()))
    for adapter in adapters["layers"].values():
        assert not adapter["b"].any()
        bound = adapter["a"].shape[1] ** -0.5
        assert 0.8 * bound < np.abs(adapter["a"]).max() <= bound
    # those of a stage that has some go on
    again, _ = lora.split(init_from.load(init_from.find(stage), CONFIG, mesh))
    jax.tree.map(np.testing.assert_array_equal, again, lora.split(moved())[0])


def test_bad_fields():
    fields = {"vocab_size": 8}
    assert from_fields(fields | {"lora_targets": ["q_proj"]}).lora_targets == ("q_proj",)
    for changes, message in [
        ({"lora_targets": ["q_proj", "lm_head"]}, "lora_targets has lm_head; known are q_proj"),
        ({"lora_rank": -1}, "lora_rank is -1"),
        ({"lora_targets": [], "lora_rank": 2}, "lora_rank is 2 for lora_targets"),
    ]:
        with pytest.raises(ValueError, match=message):
            from_fields(fields | changes)
