"""The shape of a decoder-only transformer, as data."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Hashable, hence a static argument of jit. Defaults are the laptop model (0.8 M)."""

    vocab_size: int
    width: int = 128
    num_layers: int = 4
    num_heads: int = 4
    num_kv_heads: int = 2
    head_dim: int = 32
    mlp_width: int = 384
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-6
    qk_norm: bool = True
    attention_bias: bool = False  # biases on the q, k, v projections (Qwen2)
    tie_embeddings: bool = True
    remat: bool = False  # jax.checkpoint around each block; then never unrolled
    scan_unroll: int = 4  # layers per step of the scan over stacked parameters (1: pure scan)
    dtype: str = "float32"  # of the arithmetic; parameters, norms, softmax and head are fp32
