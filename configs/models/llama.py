"""Llama 3, and DeepSeek-Prover-V2-7B, which has the same features.

    from configs.models import llama
    config.model = llama.shape("deepseek-prover-v2-7b", dtype="bfloat16", remat=True)

For a model with random initial parameters; `init_from` brings its own shape. The RoPE scaling of
DeepSeek-Prover-V2 was not compared with its config.json.
"""

from ml_collections import ConfigDict

LLAMA_3 = {
    "vocab_size": 128256,
    "width": 4096,
    "num_layers": 32,
    "num_heads": 32,
    "num_kv_heads": 8,
    "mlp_width": 14336,
    "rope_theta": 5e5,
    "norm_eps": 1e-5,
    "max_positions": 8192,
}
SIZES = {
    "3-8b": LLAMA_3,
    "3.1-8b": LLAMA_3
    | {
        "max_positions": 131072,
        "rope_scaling": {
            "kind": "llama3",
            "factor": 8.0,
            "original_context": 8192,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
        },
    },
    "deepseek-prover-v2-7b": {
        "vocab_size": 102400,
        "width": 4096,
        "num_layers": 30,
        "num_heads": 32,
        "num_kv_heads": 32,
        "mlp_width": 11008,
        "rope_theta": 1e4,
        "max_positions": 65536,
        "rope_scaling": {
            "kind": "yarn",
            "factor": 16.0,
            "original_context": 4096,
            "attention_factor": 1.2772588722239782,  # 0.1 ln 16 + 1
        },
    },
}


def shape(size: str, **changes) -> ConfigDict:
    plain = {"head_dim": 128, "qk_norm": False, "tie_embeddings": False}
    return ConfigDict(plain | SIZES[size] | changes)
