"""Tiny random models of transformers, one of every family and variant, for tests of parity."""

import numpy as np
import pytest

from fdjax.models import transformer
from fdjax.models.hf import config as hf
from fdjax.models.hf import weights
from fdjax.runtime import sharding

transformers = pytest.importorskip("transformers", reason="needs the parity extra")
torch = pytest.importorskip("torch", reason="needs the parity extra")
torch.set_num_threads(1)  # arrays this small

SHAPE = {
    "vocab_size": 307,
    "hidden_size": 64,
    "intermediate_size": 80,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
    "rope_theta": 100.0,
}
YARN = {
    "rope_type": "yarn",
    "factor": 16.0,
    "original_max_position_embeddings": 16,
    "rope_theta": 10000.0,
}
GEMMA = {"head_dim": 24, "sliding_window": 5, "query_pre_attn_scalar": 40}
WINDOWS = ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"]
_TEXT_NORM = "model.language_model.norm.weight"  # of a multimodal model
VARIANTS = {  # name -> (model_type, what differs from transformers' defaults)
    "qwen3": ("qwen3", {"head_dim": 24, "tie_word_embeddings": True}),
    "qwen3_untied_theta": ("qwen3", {"rope_theta": 1e6}),
    "qwen2": ("qwen2", {"tie_word_embeddings": True, "rms_norm_eps": 0.1}),
    "qwen2_windows": (
        "qwen2",
        {"use_sliding_window": True, "sliding_window": 3, "max_window_layers": 2},
    ),
    "llama2": ("llama", {"num_key_value_heads": 4}),
    "llama3": ("llama", {"rope_parameters": LLAMA3}),
    "llama_yarn": ("llama", {"rope_parameters": YARN}),
    "gemma2": ("gemma2", GEMMA | {"attn_logit_softcapping": 3.0, "final_logit_softcapping": 6.0}),
    "gemma3": ("gemma3_text", GEMMA | {"layer_types": WINDOWS}),
    "gemma3_scaled": (
        "gemma3_text",
        GEMMA
        | {
            "layer_types": WINDOWS,
            "final_logit_softcapping": 6.0,
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
            },
        },
    ),
}


def make(variant, seed=0):
    """A transformers model whose every parameter is random, biases and norms included."""
    kind, changes = VARIANTS[variant]
    config = transformers.AutoConfig.for_model(kind, **SHAPE | changes)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    return _random(model, kind, seed)


def multimodal():
    """Gemma 3 with a vision tower."""
    text = {**SHAPE, **VARIANTS["gemma3"][1]}
    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    config = transformers.Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=4
    )
    model = transformers.Gemma3ForConditionalGeneration._from_config(
        config, attn_implementation="eager"
    )
    return _random(model, "gemma3", seed=0)


def _random(model, kind, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, x in model.named_parameters():
            noise = torch.randn(x.shape, generator=generator)
            scale = 0.4 if x.ndim < 2 else 0.5 if "embed" in name else 2 / x.shape[1] ** 0.5
            mean = 1.0 if "norm" in name else 0.0
            if kind.startswith("gemma"):  # its norms add 1, its embeddings are multiplied by 8
                mean = 6.0 if name in ("model.norm.weight", _TEXT_NORM) else 0.0
                scale = 0.04 if "embed" in name else scale
            x.copy_(mean + scale * noise)
    return model.eval()


def load(model, folder):
    """(ModelConfig, parameters) of our own, by way of the folder that transformers saves."""
    model.save_pretrained(folder)
    config = hf.read_config(folder)
    return config, weights.load(folder, config, sharding.make_mesh())


def logits(config, params, tokens_BT, mask_BT):
    hidden = transformer.hidden_states(config, params, tokens_BT, mask_BT)
    return transformer.to_logits(hidden, transformer.head(config, params))


def batch(lengths=(13, 9, 1), vocabulary=SHAPE["vocab_size"], seed=0):
    """Left-padded tokens i32[B, T] and their mask."""
    T = max(lengths)
    tokens = np.random.default_rng(seed).integers(0, vocabulary, (len(lengths), T))
    return tokens, np.arange(T)[None] >= T - np.array(lengths)[:, None]


def reference_logits(model, tokens_BT, mask_BT):
    """f32[B, T, V] of transformers; positions count unmasked tokens, as `generate` has them."""
    mask = torch.tensor(mask_BT)
    with torch.no_grad():
        return (
            model(
                torch.tensor(tokens_BT),
                attention_mask=mask.long(),
                position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
            )
            .logits.float()
            .numpy()
        )
