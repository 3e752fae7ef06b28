"""From a Hugging Face folder to a checkpoint and back, bit for bit; into and out of runs."""

import dataclasses
import json
import logging
import re
import shutil
import subprocess
import sys

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
from hf_models import torch, transformers
from tiny_updates import adamw

from fdjax import benchmark as synthetic
from fdjax.models import tokenizer, transformer
from fdjax.models.config import ModelConfig
from fdjax.models.hf import array_store, convert, init_from, weights
from fdjax.models.hf import config as hf
from fdjax.models.hf import safetensors as tensor_files
from fdjax.runtime import sharding
from fdjax.runtime.checkpoint import Checkpoints
from fdjax.training.state import from_params
from tests import hf_models


def save(folder, variant="qwen3", dtype=torch.float32, **options):
    model = hf_models.make(variant).to(dtype)
    model.save_pretrained(folder, **options)
    return model


def raw(folder):
    stored = tensor_files.open_folder(folder)
    return {n: (t.dtype, t.shape, tensor_files.read_rows(t).tobytes()) for n, t in stored.items()}


@pytest.mark.parametrize(
    ("variant", "dtype", "shard"),
    [
        ("qwen3", torch.float32, "100KB"),
        ("qwen2", torch.bfloat16, "5GB"),
        ("llama3", torch.float16, "60KB"),
        ("gemma2", torch.float32, "5GB"),
        ("gemma3_scaled", torch.bfloat16, "90KB"),
    ],
)
def test_there_and_back(tmp_path, monkeypatch, caplog, variant, dtype, shard):
    """Tensors bit for bit, in several files and blocks; transformers loads the result without a
    warning, as the same model."""
    monkeypatch.setattr(convert, "CHUNK_BYTES", 3000)
    model = save(tmp_path / "hf", variant, dtype, max_shard_size=shard)
    assert "all accounted for" in convert.check(tmp_path / "hf")
    convert.from_hf(tmp_path / "hf", tmp_path / "ours")
    shutil.move(tmp_path / "hf", tmp_path / "gone")
    convert.to_hf(tmp_path / "ours", tmp_path / "back", shard_bytes=80_000)
    assert len(list((tmp_path / "back").glob("*.safetensors"))) > 1
    assert raw(tmp_path / "back") == raw(tmp_path / "gone")

    def read(name):
        found, report = transformers.AutoModelForCausalLM.from_pretrained(
            tmp_path / name, attn_implementation="eager", output_loading_info=True
        )
        assert not any(report.values()) and found.dtype == dtype and type(found) is type(model)
        return hf_models.reference_logits(found.float(), *hf_models.batch())

    transformers.utils.logging.set_verbosity_warning()
    transformers.utils.logging.enable_propagation()
    with caplog.at_level(logging.WARNING):
        again = read("back")
    assert not caplog.records, caplog.text
    np.testing.assert_array_equal(again, read("gone"))
    ours, theirs = (
        json.loads((tmp_path / name / "config.json").read_text()) for name in ("back", "gone")
    )
    for key in ("bos_token_id", "eos_token_id", "pad_token_id"):
        assert ours.get(key) == theirs.get(key)


def test_orbax_restores_what_from_hf_wrote(tmp_path):
    """Onto any mesh, widened to fp32, and equal to what is read straight from the tensors."""
    save(tmp_path / "hf", "qwen2", torch.bfloat16)
    (tmp_path / "hf" / "tokenizer.json").write_text("{}")
    convert.from_hf(tmp_path / "hf", tmp_path / "ours")
    assert (tmp_path / "ours" / "tokenizer.json").exists()
    one, eight = sharding.make_mesh(), sharding.make_mesh(2, 2, 2)
    found = [init_from.find(tmp_path / name) for name in ("hf", "ours")]
    assert found[0].model == found[1].model
    loaded = [init_from.load(f, f.model, mesh) for f in found for mesh in (one, eight)]
    for params in loaded:
        assert {x.dtype for x in jax.tree.leaves(params)} == {np.dtype("float32")}
        jax.tree.map(np.testing.assert_array_equal, params, loaded[0])
    for params in loaded[1::2]:
        assert params["layers"]["q_proj"]["kernel"].sharding.spec == jax.P(None, "fsdp", "tensor")
    item = tmp_path / "ours" / "checkpoints" / "0" / "params"
    assert init_from.find(item).item == init_from.find(item.parent).item == found[1].item.resolve()
    assert len({f.fingerprint for f in found}) == 2
    # without its config.json it is a checkpoint of whatever model the config says
    (tmp_path / "ours" / "config.json").unlink()
    bare = init_from.find(item.parent)
    assert bare.model is None and not bare.is_stage
    jax.tree.map(
        np.testing.assert_array_equal, init_from.load(bare, found[0].model, one), loaded[0]
    )


def test_only_what_is_read_decides_the_fingerprint(tmp_path):
    """Two copies of the same parameters agree, whatever downloads and desktops put beside them."""
    save(tmp_path / "hf", max_shard_size="100KB")
    convert.from_hf(tmp_path / "hf", tmp_path / "ours")
    item = tmp_path / "ours" / "checkpoints" / "0" / "params"
    ocp.PyTreeCheckpointer().save(tmp_path / "orbax", {"w": np.arange(6.0)})
    for folder, data in [
        (tmp_path / "hf", "model-00001-of-*.safetensors"),
        (tmp_path / "ours", "checkpoints/0/params/embedding/0.0"),
        (item, "layers.q_proj.kernel/0.0.0"),
        (tmp_path / "orbax", "ocdbt.process_0/d/*"),
    ]:
        before = init_from.find(folder).fingerprint
        shutil.copytree(folder, tmp_path / "copy")
        for name in (
            ".git/index",
            ".cache/huggingface/download/model.safetensors.metadata",
            ".DS_Store",
            "README.md",
            "original/consolidated.00.pth",
            "onnx/model.safetensors",
            "consolidated.safetensors",
            "tokenizer.json",
        ):
            file = tmp_path / "copy" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"junk")
        assert init_from.find(tmp_path / "copy").fingerprint == before
        for file in (tmp_path / "copy").glob(data):
            size = file.stat().st_size
            file.write_bytes(file.read_bytes()[: size // 2] + b"\1" * (size - size // 2))
        assert init_from.find(tmp_path / "copy").fingerprint != before
        shutil.rmtree(tmp_path / "copy")


def test_logits_command(tmp_path, capsys):
    model = save(tmp_path / "hf", "gemma2")
    tokens = np.random.default_rng(0).integers(0, 307, (2, 11))
    np.save(tmp_path / "t.npy", tokens)
    to = ["--tokens", str(tmp_path / "t.npy"), "--out", str(tmp_path / "o.npy")]
    assert convert.main(["logits", str(tmp_path / "hf"), *to]) == 0
    found = np.load(tmp_path / "o.npy")
    assert found.shape == (2, 11, 307) and found.dtype == np.float32
    expected = hf_models.reference_logits(model, tokens, tokens >= 0)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    for ids, message in [
        (tokens[0], r"int64\[11\]; integers \[B, T\] are wanted"),
        (tokens + 0.5, "float64"),
        (tokens + 300, "id 3.. of a model with 307"),
        (np.zeros((1, 257), int), "257 tokens, but the model was made for .* at most 256"),
    ]:
        np.save(tmp_path / "t.npy", ids)
        assert convert.main(["logits", str(tmp_path / "hf"), *to]) == 2
        assert re.search(message, capsys.readouterr().err)


def test_text_of_a_multimodal_model(tmp_path):
    """Of Gemma 3 with its vision tower, only the text model is converted."""
    model = hf_models.multimodal()
    model.save_pretrained(tmp_path / "hf")
    convert.from_hf(tmp_path / "hf", tmp_path / "ours")
    convert.to_hf(tmp_path / "ours", tmp_path / "text")
    again = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "text", attn_implementation="eager"
    )
    assert type(again).__name__ == "Gemma3ForCausalLM"
    both = (hf_models.reference_logits(m, *hf_models.batch((9,))) for m in (model, again))
    np.testing.assert_array_equal(*both)


def test_every_tensor_is_accounted_for(tmp_path):
    save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())

    def refused(message, **changes):
        (tmp_path / "config.json").write_text(json.dumps(config | changes))
        with pytest.raises(ValueError, match=message) as error:
            convert.check(tmp_path)
        return str(error.value).splitlines()[1:]

    lines = refused("are not those of its config.json", num_hidden_layers=5)
    assert len(lines) == 11 and all("missing: model.layers.4." in line for line in lines)
    lines = refused("are not those", num_hidden_layers=3)
    assert all("no part of it: model.layers.3." in line for line in lines)
    lines = refused("are not those", intermediate_size=81)
    assert "0.mlp.gate_proj.weight: [80, 64] there, [81, 64] by config.json" in lines[0]
    lines = refused("are not those", vocab_size=300, tie_word_embeddings=False)
    assert {line.strip() for line in lines} == {
        "missing: lm_head.weight",
        "model.embed_tokens.weight: [307, 64] there, [300, 64] by config.json",
    }


def test_a_head_that_repeats_the_embedding_is_no_trouble(tmp_path):
    """Some folders of tied models hold both; if they differ, the model is not tied."""
    save(tmp_path)
    stored = tensor_files.open_folder(tmp_path)
    tensors = {name: tensor_files.read_rows(t) for name, t in stored.items()}
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].copy()

    def write():
        files = tensor_files.create_folder(
            tmp_path, {name: (x.shape, x.dtype) for name, x in tensors.items()}
        )
        for name, x in tensors.items():
            tensor_files.write_rows(files[name], x)

    write()
    assert "all accounted for" in convert.check(tmp_path)
    tensors["lm_head.weight"][0, 0] += 1
    write()
    with pytest.raises(ValueError, match=r"no part of it: lm_head\.weight .*to false"):
        convert.check(tmp_path)


def test_bad_folders_end_in_a_line(tmp_path, capsys, monkeypatch):
    def refused(message, *argv):
        assert convert.main([str(a) for a in argv]) == 2
        assert re.search(message, capsys.readouterr().err)

    refused("error: .*has no config.json", "check", tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    refused(f"error: {tmp_path}/nothing has no config.json", "check", "~/nothing")
    with pytest.raises(ValueError, match=f"{tmp_path}/nothing is no folder"):
        init_from.find("~/nothing")
    refused("error: .* is no folder", "to_hf", tmp_path / "nothing", tmp_path / "out")
    refused("has no config.json and holds no finished stage", "to_hf", tmp_path, tmp_path / "out")
    save(tmp_path / "hf")
    refused("is a folder of Hugging Face already", "to_hf", tmp_path / "hf", tmp_path / "out")
    refused("exists already", "from_hf", tmp_path / "hf", tmp_path / "hf")
    file = tmp_path / "hf" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    refused("model.safetensors is truncated", "from_hf", tmp_path / "hf", tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["hf"]  # nothing half-made stays


def test_a_trained_checkpoint_goes_out(tmp_path):
    """A stage that Orbax wrote, in one chunk per array; as bf16, and found by its run."""
    config = ModelConfig(
        vocab_size=40, width=16, num_layers=3, num_heads=2, num_kv_heads=1, head_dim=8, mlp_width=24
    )
    params = jax.jit(transformer.init, static_argnums=0)(config, jax.random.key(0))
    stage = tmp_path / "run" / "sft"
    save_stage(stage, config, params, "a", before="random", steps=(2, 4))
    save_stage(tmp_path / "run" / "fd", config, params, "b", before="a", steps=(4,))
    save_stage(tmp_path / "run" / "grpo", config, params, "c", before="b", steps=(2,))
    assert init_from.find(tmp_path / "run").folder.name == "fd"
    assert init_from.find(stage).fingerprint == "a"
    assert init_from.find(stage / "checkpoints" / "2").fingerprint == "a@2"
    with pytest.raises(ValueError, match=r"not finished, .* no checkpoint of step 4; it has .2"):
        init_from.find(tmp_path / "run" / "grpo")
    array = array_store.open_item(stage / "checkpoints" / "4" / "params")["layers/q_proj/kernel"]
    assert array.chunk_layout.read_chunk.shape[0] == 3
    convert.to_hf(tmp_path / "run", tmp_path / "out", dtype="bfloat16")
    back = hf.read_config(tmp_path / "out")
    assert back == dataclasses.replace(config, max_positions=32768)
    loaded = weights.load(tmp_path / "out", back, sharding.make_mesh())
    rounded = jax.tree.map(lambda x: x.astype("bfloat16").astype("float32"), params)
    jax.tree.map(np.testing.assert_array_equal, loaded, rounded)
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert model.dtype == torch.bfloat16


def test_a_tokenizer_trained_here_goes_out(tmp_path):
    """transformers gives the same ids, ends texts at the same ids and has the run's lengths; and
    the exported tokenizer loads here again."""
    texts = [f"{t.goal}\n:= by\n  {t.reference}" for t in synthetic.generate(0, 200)]
    words = tokenizer.train(texts, 400)
    config = ModelConfig(
        vocab_size=words.vocab_size,
        width=16,
        num_layers=1,
        num_heads=1,
        num_kv_heads=1,
        head_dim=16,
        mlp_width=8,
    )
    params = jax.jit(transformer.init, static_argnums=0)(config, jax.random.key(0))
    prompt = {"student_buckets": [48, 64], "teacher_buckets": [96], "response_length": 28}
    save_stage(tmp_path / "sft", config, params, "a", "random", steps=(4,), prompt=prompt)
    words.save(tmp_path / "sft")
    convert.to_hf(tmp_path / "sft", tmp_path / "out")

    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    again = tokenizer.load(tmp_path / "out")
    assert len(theirs) == words.vocab_size
    odd = ["", "a ▁ b▅", "   x\n\n    y\t\r\0", "𝔸é<0x41>", "".join(texts[:9])]
    for text in texts + odd:
        ids = words.encode(text)
        assert theirs(text, add_special_tokens=False).input_ids == again.encode(text) == ids
        assert theirs(text).input_ids == again.encode_prompt(text) == words.encode_prompt(text)
        assert theirs.decode(ids) == text
    data = json.loads((tmp_path / "out" / "config.json").read_text())
    assert data["max_position_embeddings"] == 96 + 28
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    for found in (theirs, model.config, model.generation_config):
        assert found.bos_token_id == words.bos_id
        assert found.eos_token_id == words.eos_id
        assert found.pad_token_id == words.pad_id
    assert again.stop_ids == words.stop_ids and again.pad_id == words.pad_id


def save_stage(folder, config, params, fingerprint, before, steps, **more):
    """A stage of 4 steps, with checkpoints of `steps`."""
    folder.mkdir(parents=True)
    record = {"model": dataclasses.asdict(config), "stage": {"steps": 4}, "before": before} | more
    (folder / "config.json").write_text(json.dumps(record | {"fingerprint": fingerprint}))
    state = from_params(params, adamw(), with_teacher=False)
    with Checkpoints(folder / "checkpoints") as checkpoints:
        for step in steps:
            checkpoints.save(step, state)


MEASURED = """
import resource, sys
from fdjax.models.hf import convert
convert.main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # KiB
"""


@pytest.mark.slow
def test_three_gigabytes_in_half_of_them(tmp_path):
    """Peak memory of converting there and back, with several files and some large tensors."""
    if shutil.disk_usage(tmp_path).free < 14 << 30:
        pytest.skip("needs 14 GB of disk")
    config = ModelConfig(
        vocab_size=100_000,
        width=2048,
        num_layers=24,
        num_heads=16,
        num_kv_heads=8,
        head_dim=128,
        mlp_width=6144,
        tie_embeddings=False,
        max_positions=1024,
    )
    (tmp_path / "hf").mkdir()
    data = hf.config_json(config, "bfloat16")
    (tmp_path / "hf" / "config.json").write_text(json.dumps(data))
    shapes = weights.expected_shapes(config)
    bf16 = np.dtype("bfloat16")
    files = tensor_files.create_folder(
        tmp_path / "hf",
        {name: (shape, bf16) for name, shape in shapes.items()},
        shard_bytes=700 << 20,
    )
    rng = np.random.default_rng(0)
    total = 0
    for tensor in files.values():
        for block in tensor_files.row_blocks(tensor.shape[0], tensor.row_bytes):
            noise = rng.bytes((block.stop - block.start) * tensor.row_bytes)
            rows = np.frombuffer(noise, bf16).reshape(-1, *tensor.shape[1:])
            tensor_files.write_rows(tensor, rows, block.start)
            total += rows.nbytes
    assert total > 3e9 and len(list((tmp_path / "hf").glob("*.safetensors"))) > 3

    for command, source, out in (("from_hf", "hf", "ours"), ("to_hf", "ours", "back")):
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, command, tmp_path / source, tmp_path / out],
            capture_output=True,
            text=True,
            check=True,
        )
        peak = 1024 * int(done.stdout.splitlines()[-1])
        print(f"{command}: peak {peak / 1e9:.2f} GB of {total / 1e9:.2f} GB")
        assert peak < total / 2
    back = tensor_files.open_folder(tmp_path / "back")
    for name, tensor in files.items():
        for block in tensor_files.row_blocks(tensor.shape[0], tensor.row_bytes):
            a, b = (
                tensor_files.read_rows(x, block.start, block.stop) for x in (tensor, back[name])
            )
            assert a.tobytes() == b.tobytes()
