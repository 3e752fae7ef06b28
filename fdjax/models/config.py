"""The shape and features of a decoder-only transformer; one config covers all model families."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal


@dataclasses.dataclass(frozen=True)
class RopeScaling:
    """How RoPE's frequencies are lowered for contexts longer than the original training's."""

    kind: Literal["linear", "llama3", "yarn"]
    factor: float
    original_context: int = 0  # tokens, of the original training; llama3 and yarn
    low_freq_factor: float = 1.0  # llama3: frequencies of fewer turns in that context are divided,
    high_freq_factor: float = 4.0  # those of more turns are kept
    beta_fast: float = 32.0  # yarn: as high_freq_factor
    beta_slow: float = 1.0  # yarn: as low_freq_factor
    attention_factor: float = 1.0  # yarn: factor of cosines and sines

    def __post_init__(self):
        if self.kind not in ("linear", "llama3", "yarn"):
            raise ValueError(f"rope_scaling.kind is {self.kind!r}; known are linear, llama3, yarn")
        if self.kind != "linear" and self.original_context < 1:
            raise ValueError(f"rope_scaling: {self.kind} needs original_context, in tokens")


PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
ATTENTION = ("auto", "xla", "splash", "cudnn")  # implementations: fdjax/models/attention.py


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Hashable, so that it can be a static argument of jit. Defaults: the laptop model (0.8 M)."""

    vocab_size: int
    width: int = 128
    num_layers: int = 4
    num_heads: int = 4
    num_kv_heads: int = 2
    head_dim: int = 32
    mlp_width: int = 384
    rope_theta: float = 10_000.0
    rope_scaling: RopeScaling | None = None
    norm_eps: float = 1e-6
    qk_norm: bool = True
    attention_bias: bool = False  # biases on the q, k, v projections (Qwen2)
    tie_embeddings: bool = True
    max_positions: int = 0  # tokens of the longest supported sequence; 0: any
    # Features of the Gemma models.
    activation: str = "silu"  # of the MLP's gate: silu or gelu_tanh
    norm_offset: float = 0.0  # norms multiply by this + scale; scale starts at 1 - this
    post_norms: bool = False  # norms also after attention and MLP, before the residual sum
    scale_embeddings: bool = False  # by sqrt(width)
    query_scalar: float = 0.0  # queries are divided by sqrt(this); 0: head_dim
    attention_softcap: float = 0.0  # scores become cap * tanh(scores / cap); 0: no cap
    logit_softcap: float = 0.0  # the same for logits
    window: int = 0  # tokens that a windowed layer attends to, itself included; 0: none is windowed
    window_pattern: tuple[bool, ...] = (True,)  # which layers are windowed, repeated over all
    window_rope_theta: float = 0.0  # of windowed layers, without scaling; 0: rope_theta
    # Low-rank adapters (lora.py).
    lora_rank: int = 0  # 0: no adapters, all parameters are trained
    lora_alpha: float = 32.0  # adapters are scaled by alpha / rank
    lora_targets: tuple[str, ...] = PROJECTIONS  # the projections that have adapters
    # Computation.
    remat: bool = False  # jax.checkpoint around each block; scan_unroll is then 1
    scan_unroll: int = 4  # layers per step of the scan over layers
    dtype: str = "float32"  # of activations; parameters, norms, softmax and head are fp32
    attention: str = "auto"  # xla, splash (TPU), cudnn (GPU); auto: splash on TPU, else xla

    def __post_init__(self):
        if self.activation not in ("silu", "gelu_tanh"):
            raise ValueError(f"activation is {self.activation!r}; known are silu, gelu_tanh")
        sizes = ("vocab_size", "width", "num_layers", "num_heads", "num_kv_heads", "mlp_width")
        for field in sizes:
            if getattr(self, field) < 1:
                raise ValueError(f"{field} is {getattr(self, field)}, must be positive")
        if self.head_dim < 2 or self.head_dim % 2:
            raise ValueError(f"head_dim is {self.head_dim}, must be even: rotations turn pairs")
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"num_heads={self.num_heads} is no multiple of num_kv_heads={self.num_kv_heads}"
            )
        if self.dtype not in ("float32", "bfloat16"):
            raise ValueError(f"dtype is {self.dtype!r}; known are float32, bfloat16")
        if self.attention not in ATTENTION:
            known = ", ".join(ATTENTION)
            raise ValueError(f"attention is {self.attention!r}; known are {known}")
        if self.attention == "cudnn" and (self.attention_softcap or self.dtype != "bfloat16"):
            raise ValueError("attention=cudnn has no soft cap and takes dtype=bfloat16 only")
        if strange := set(self.lora_targets) - set(PROJECTIONS):
            known = ", ".join(PROJECTIONS)
            raise ValueError(f"lora_targets has {', '.join(sorted(strange))}; known are {known}")
        if self.lora_rank < 0 or not self.lora_targets:
            raise ValueError(f"lora_rank is {self.lora_rank} for lora_targets {self.lora_targets}")

    @property
    def windowed_layers(self) -> tuple[bool, ...]:
        """Per layer, whether it attends to the last `window` tokens only."""
        pattern = self.window_pattern
        return tuple(self.window > 0 and pattern[i % len(pattern)] for i in range(self.num_layers))

    def check_length(self, tokens: int, what: str) -> None:
        """Raises ValueError, beginning with `what`, if `tokens` is above `max_positions`."""
        if self.max_positions and tokens > self.max_positions:
            raise ValueError(
                f"{what}: {tokens} tokens, but the model was made for sequences of at most "
                f"{self.max_positions} (max_positions)"
            )


# Fields that a published model does not have.
ARITHMETIC = ("remat", "scan_unroll", "dtype", "attention")
ADAPTERS = ("lora_rank", "lora_alpha", "lora_targets")


def from_fields(fields: Mapping[str, Any]) -> ModelConfig:
    """A ModelConfig from the plain data of a config or of JSON. Raises ValueError naming a field
    that is unknown or has an invalid value."""
    fields = dict(fields)
    known = {field.name for field in dataclasses.fields(ModelConfig)}
    if unknown := sorted(fields.keys() - known):
        raise ValueError(f"{', '.join(unknown)}: no such field; known are {', '.join(known)}")
    if scaling := fields.get("rope_scaling"):
        fields["rope_scaling"] = RopeScaling(**dict(scaling))
    for field in {"window_pattern", "lora_targets"} & fields.keys():
        fields[field] = tuple(fields[field])
    return ModelConfig(**fields)
