"""Qwen2.5-Math (Kimina-Prover-Preview was trained from these): biases on q, k and v.

    from configs.models import qwen2
    config.model = qwen2.shape("math-7b", dtype="bfloat16", remat=True)

For a model with random initial parameters; `init_from` brings its own shape.
"""

from ml_collections import ConfigDict

SIZES = {
    "math-1.5b": {
        "vocab_size": 151936,
        "width": 1536,
        "num_heads": 12,
        "num_kv_heads": 2,
        "mlp_width": 8960,
        "tie_embeddings": True,
    },
    "math-7b": {
        "vocab_size": 152064,
        "width": 3584,
        "num_heads": 28,
        "num_kv_heads": 4,
        "mlp_width": 18944,
        "tie_embeddings": False,
    },
}


def shape(size: str, **changes) -> ConfigDict:
    return ConfigDict(
        {
            "num_layers": 28,
            "head_dim": 128,
            "qk_norm": False,
            "attention_bias": True,
            "rope_theta": 1e4,
            "max_positions": 4096,
        }
        | SIZES[size]
        | changes
    )
