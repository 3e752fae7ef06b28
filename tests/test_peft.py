"""Adapters that go out are what peft loads: every matrix, on the class of model they came from."""

import dataclasses
import json
import shutil
import warnings

import jax
import numpy as np
import pytest
from hf_models import torch, transformers
from tiny_updates import adamw

from fdjax.models import lora
from fdjax.models.config import PROJECTIONS
from fdjax.models.hf import convert, init_from
from fdjax.models.hf import safetensors as tensor_files
from fdjax.runtime import sharding
from fdjax.runtime.checkpoint import Checkpoints
from fdjax.training.state import from_params
from tests import hf_models

TOKENS, MASK = hf_models.batch((11,))


def adapted(base, stage, targets=PROJECTIONS, record=True):
    """A finished stage that trained adapters on the model in `base`; its logits f32[1, T, V]."""
    source = init_from.find(base)
    config = dataclasses.replace(
        source.model, lora_rank=3, lora_alpha=6.0, lora_targets=targets, scan_unroll=1
    )
    new, rest = lora.split(init_from.load(source, config, sharding.make_mesh()))
    rng = np.random.default_rng(0)
    new = jax.tree.map(lambda x: np.asarray(0.2 * rng.normal(size=x.shape), np.float32), new)
    params = lora.join(new, rest)
    manifest = {"model": dataclasses.asdict(config), "stage": {"steps": 1}, "fingerprint": "f"}
    manifest |= {"published": source.published} if record else {}
    stage.mkdir(parents=True)
    (stage / "config.json").write_text(json.dumps(manifest))
    with Checkpoints(stage / "checkpoints") as checkpoints:
        checkpoints.save(1, from_params(params, adamw(), with_teacher=False))
    with jax.disable_jit():
        return np.asarray(hf_models.logits(config, params, TOKENS, MASK))


def differences(model, folder, expected):
    """Of logits, with the adapters in `folder` and without. A warning of peft is an error."""
    peft = pytest.importorskip("peft", reason="needs the parity extra")
    plain = np.abs(hf_models.reference_logits(model, TOKENS, MASK) - expected).max()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # keys that are missing or not used
        loaded = peft.PeftModel.from_pretrained(model, str(folder))
    names = {name for name, _ in loaded.named_parameters() if "lora_" in name}
    written = tensor_files.read_header(folder / "adapter_model.safetensors")
    assert names == {name.replace(".weight", ".default.weight") for name in written}
    return np.abs(hf_models.reference_logits(loaded.eval(), TOKENS, MASK) - expected).max(), plain


@pytest.mark.parametrize(
    ("variant", "targets"),
    [
        ("qwen2", ("q_proj", "v_proj")),
        ("llama3", ("gate_proj", "up_proj", "down_proj")),
        pytest.param("qwen3", PROJECTIONS, marks=pytest.mark.slow),
        pytest.param("gemma2", PROJECTIONS, marks=pytest.mark.slow),
        pytest.param("gemma3", PROJECTIONS, marks=pytest.mark.slow),
    ],
)
def test_adapters_in_peft(tmp_path, variant, targets):
    model = hf_models.make(variant)
    model.save_pretrained(tmp_path / "hf")
    expected = adapted(tmp_path / "hf", tmp_path / "stage", targets)
    said = convert.to_peft(tmp_path / "stage", tmp_path / "out")
    assert f"matrices for {type(model).__name__}, such as base_model.model.model.layers" in said
    found, plain = differences(model, tmp_path / "out", expected)
    assert found < 1e-4 < 0.1 < plain


@pytest.fixture(scope="module")
def multimodal(tmp_path_factory):
    folder = tmp_path_factory.mktemp("multimodal") / "hf"
    hf_models.multimodal().save_pretrained(folder)
    return folder


def load(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")


@pytest.mark.parametrize("layout", ["new", "old"])
def test_adapters_of_a_multimodal_model(tmp_path, multimodal, layout):
    """By the names in the model that transformers makes, whatever the names in the files."""
    base = tmp_path / "hf"
    shutil.copytree(multimodal, base)
    if layout == "old":
        stored = tensor_files.open_folder(base)
        tensors = {
            name.replace("model.language_model.", "language_model.model.").removeprefix(
                "model."
            ): tensor_files.read_rows(tensor)
            for name, tensor in stored.items()
        }
        assert "language_model.model.norm.weight" in tensors and len(tensors) == len(stored)
        layouts = {name: (x.shape, x.dtype) for name, x in tensors.items()}
        for name, tensor in tensor_files.create_folder(base, layouts).items():
            tensor_files.write_rows(tensor, tensors[name])
    expected = adapted(base, tmp_path / "stage")
    said = convert.to_peft(tmp_path / "stage", tmp_path / "out")
    assert "Gemma3ForConditionalGeneration" in said
    assert "base_model.model.model.language_model.layers.0.mlp.down_proj.lora_A.weight" in said
    model = load(base)
    assert type(model).__name__ == "Gemma3ForConditionalGeneration"
    found, plain = differences(model, tmp_path / "out", expected)
    assert found < 1e-4 < 0.1 < plain


def test_a_checkpoint_that_does_not_record_its_model(tmp_path, multimodal):
    """It may be named; another model is refused."""
    adapted(multimodal, tmp_path / "stage", record=False)
    assert "Gemma3ForCausalLM" in convert.to_peft(tmp_path / "stage", tmp_path / "text")
    said = convert.to_peft(tmp_path / "stage", tmp_path / "out", base=multimodal)
    assert "model.language_model.layers" in said
    other = tmp_path / "other"
    shutil.copytree(multimodal, other)
    config = json.loads((other / "config.json").read_text())
    config["text_config"]["sliding_window"] = 9
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="other: not the model that was trained: window 9, not 5"):
        convert.to_peft(tmp_path / "stage", tmp_path / "none", base=other)


def test_from_hf_records_the_model(tmp_path, multimodal):
    """Training may start from what from_hf wrote as well as from the folder."""
    convert.from_hf(multimodal, tmp_path / "ours")
    adapted(tmp_path / "ours", tmp_path / "stage")
    said = convert.to_peft(tmp_path / "stage", tmp_path / "out")
    assert "Gemma3ForConditionalGeneration" in said
    convert.to_hf(tmp_path / "stage", tmp_path / "merged")
    text = load(tmp_path / "merged")
    assert type(text).__name__ == "Gemma3ForCausalLM" and text.dtype == torch.float32
