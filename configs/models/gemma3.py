"""Gemma 3, the text models: five windowed layers to each one with full attention.

    from configs.models import gemma3
    config.model = gemma3.shape("4b", dtype="bfloat16", remat=True)

For a model with random initial parameters; `init_from` brings its own shape.
"""

from ml_collections import ConfigDict

_STRETCHED = {"kind": "linear", "factor": 8.0}
SIZES = {
    "1b": {
        "vocab_size": 262144,
        "width": 1152,
        "num_layers": 26,
        "num_heads": 4,
        "num_kv_heads": 1,
        "mlp_width": 6912,
        "window": 512,
        "max_positions": 32768,
    },
    "4b": {
        "vocab_size": 262208,
        "width": 2560,
        "num_layers": 34,
        "num_heads": 8,
        "num_kv_heads": 4,
        "mlp_width": 10240,
        "window": 1024,
        "max_positions": 131072,
        "rope_scaling": _STRETCHED,
    },
    "12b": {
        "vocab_size": 262208,
        "width": 3840,
        "num_layers": 48,
        "num_heads": 16,
        "num_kv_heads": 8,
        "mlp_width": 15360,
        "window": 1024,
        "max_positions": 131072,
        "rope_scaling": _STRETCHED,
    },
}


def shape(size: str, **changes) -> ConfigDict:
    return ConfigDict(
        {
            "head_dim": 256,
            "qk_norm": True,
            "tie_embeddings": True,
            "activation": "gelu_tanh",
            "norm_offset": 1.0,
            "post_norms": True,
            "scale_embeddings": True,
            "query_scalar": 256.0,
            "rope_theta": 1e6,
            "window_rope_theta": 1e4,
            "window_pattern": (True, True, True, True, True, False),
        }
        | SIZES[size]
        | changes
    )
