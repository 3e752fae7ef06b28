"""Qwen3 (Goedel-Prover-V2-8B and -32B, the small Kimina-Provers): QK norm.

    from configs.models import qwen3
    config.model = qwen3.shape("8b", dtype="bfloat16", remat=True)

For a model with random initial parameters; `init_from` brings its own shape.
"""

from ml_collections import ConfigDict

SIZES = {
    "0.6b": {"width": 1024, "num_layers": 28, "num_heads": 16, "mlp_width": 3072},
    "1.7b": {"width": 2048, "num_layers": 28, "num_heads": 16, "mlp_width": 6144},
    "4b": {"width": 2560, "num_layers": 36, "num_heads": 32, "mlp_width": 9728},
    "8b": {"width": 4096, "num_layers": 36, "num_heads": 32, "mlp_width": 12288},
    "14b": {"width": 5120, "num_layers": 40, "num_heads": 40, "mlp_width": 17408},
    "32b": {"width": 5120, "num_layers": 64, "num_heads": 64, "mlp_width": 25600},
}


def shape(size: str, **changes) -> ConfigDict:
    return ConfigDict(
        {
            "vocab_size": 151936,
            "num_kv_heads": 8,
            "head_dim": 128,
            "qk_norm": True,
            "rope_theta": 1e6,
            "max_positions": 40960,
            "tie_embeddings": size in ("0.6b", "1.7b", "4b"),
        }
        | SIZES[size]
        | changes
    )
