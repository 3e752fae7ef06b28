"""config.json of published models and of transformers <-> ModelConfig."""

import dataclasses
import json

import pytest

from fdjax.models.config import ModelConfig, RopeScaling
from fdjax.models.hf import config as hf
from fdjax.models.hf import weights

QWEN3_8B = {  # as it stands beside the weights
    "architectures": ["Qwen3ForCausalLM"],
    "attention_bias": False,
    "head_dim": 128,
    "hidden_act": "silu",
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "max_position_embeddings": 40960,
    "max_window_layers": 36,
    "model_type": "qwen3",
    "num_attention_heads": 32,
    "num_hidden_layers": 36,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-06,
    "rope_scaling": None,
    "rope_theta": 1000000,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "use_sliding_window": False,
    "vocab_size": 151936,
}
GEMMA3_4B = {  # multimodal; its text_config says nothing that transformers has as a default
    "architectures": ["Gemma3ForConditionalGeneration"],
    "model_type": "gemma3",
    "text_config": {
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "model_type": "gemma3_text",
        "num_hidden_layers": 34,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        "sliding_window": 1024,
    },
    "vision_config": {"hidden_size": 1152},
}
YARN = {"type": "yarn", "factor": 16.0, "original_max_position_embeddings": 4096}


def test_published_configs():
    qwen = hf.config_of(QWEN3_8B)
    assert qwen == ModelConfig(
        vocab_size=151936,
        width=4096,
        num_layers=36,
        num_heads=32,
        num_kv_heads=8,
        head_dim=128,
        mlp_width=12288,
        rope_theta=1e6,
        tie_embeddings=False,
        max_positions=40960,
    )
    gemma = hf.config_of(GEMMA3_4B)
    assert (gemma.num_heads, gemma.num_kv_heads, gemma.head_dim) == (8, 4, 256)
    assert (gemma.window, gemma.window_pattern) == (1024, (True,) * 5 + (False,))
    assert (gemma.rope_theta, gemma.window_rope_theta) == (1e6, 1e4)
    assert gemma.rope_scaling == RopeScaling("linear", 8.0)
    assert gemma.tie_embeddings and gemma.qk_norm and gemma.query_scalar == 256


@pytest.mark.parametrize(
    ("more", "factor"),
    [
        ({}, 1.2772588722),
        ({"mscale": 1.0, "mscale_all_dim": 1.0}, 1.0),
        ({"attention_factor": 1.5}, 1.5),
    ],
)
def test_yarn_attention_factor(more, factor):
    llama = {"model_type": "llama", "max_position_embeddings": 65536, "rope_scaling": YARN | more}
    scaling = hf.config_of(llama).rope_scaling
    assert scaling.attention_factor == pytest.approx(factor)
    assert (scaling.kind, scaling.factor, scaling.original_context) == ("yarn", 16.0, 4096)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model_type": "mamba", "architectures": ["MambaForCausalLM"]},
            r"'mamba' \(MambaForCausalLM\) is not known; known are llama, qwen2, qwen3, gemma2",
        ),
        ({"model_type": None, "architectures": None}, "None .no architecture. is not known"),
        ({"attention_bias": True}, "attention_bias=True"),
        ({"mlp_bias": True}, "mlp_bias=True"),
        ({"quantization_config": {"bits": 4}}, "quantised weights"),
        ({"hidden_act": "relu"}, "'relu' is not qwen3's"),
        ({"rope_scaling": {"rope_type": "longrope"}}, "rope type 'longrope' is not known"),
        ({"rope_scaling": YARN | {"truncate": False}}, "truncate are not supported"),
        (
            {"use_sliding_window": True, "sliding_window": 4, "layer_types": ["chunked_attention"]},
            "layer_types has chunked_attention",
        ),
        ({"num_key_value_heads": 5}, "num_heads=32 is no multiple"),
    ],
)
def test_what_is_not_known_is_refused(tmp_path, changes, message):
    (tmp_path / "config.json").write_text(json.dumps(QWEN3_8B | changes))
    with pytest.raises(ValueError, match=f"{tmp_path}/config.json: .*{message}"):
        hf.read_config(tmp_path)


def test_a_folder_without_config(tmp_path):
    with pytest.raises(ValueError, match=r"has no config\.json, so it is no Hugging Face"):
        hf.read_config(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json is no JSON"):
        hf.read_config(tmp_path)


def test_export_names_a_family_or_refuses():
    laptop = hf.config_json(ModelConfig(vocab_size=512), "float32")
    assert laptop["model_type"] == "qwen3" and laptop["tie_word_embeddings"]
    assert hf.config_json(ModelConfig(512, qk_norm=False), "float32")["model_type"] == "llama"
    for changes in ({"attention_softcap": 5.0}, {"post_norms": True}, {"attention_bias": True}):
        with pytest.raises(ValueError, match="no model of Hugging Face has these features"):
            hf.config_json(ModelConfig(512, **changes), "float32")


@pytest.mark.parametrize("kind", hf.FAMILIES)
def test_defaults_are_those_of_transformers(kind):
    """What config.json leaves out, our table fills in as transformers does; and what we write is
    read back as the same model, by both."""
    transformers = pytest.importorskip("transformers", reason="needs the parity extra")
    theirs = transformers.AutoConfig.for_model(kind)
    config = hf.config_of({"model_type": kind})
    assert config == hf.config_of(theirs.to_dict())
    changed = dataclasses.replace(config, num_layers=6, vocab_size=64)
    written = hf.config_json(changed, "float32")
    again = transformers.AutoConfig.for_model(**written)
    assert hf.config_of(written) == hf.config_of(again.to_dict()) == changed


def test_names_of_text_inside_a_multimodal_model():
    for given, name in [
        ("language_model.model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"),
        ("model.language_model.norm.weight", "model.norm.weight"),
        ("language_model.lm_head.weight", "lm_head.weight"),
        ("model.norm.weight", "model.norm.weight"),
        ("vision_tower.vision_model.embeddings.patch_embedding.weight", None),
        ("model.multi_modal_projector.mm_soft_emb_norm.weight", None),
    ]:
        assert weights.text_name(given) == name
