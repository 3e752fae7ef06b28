"""Low-rank adapters (LoRA, Hu et al. 2021): a matrix W acts as W + alpha / rank * A B.

In a model with adapters only these are trained, averaged and have optimizer moments; all other
parameters stay constant. B starts at zero, so a new adapter changes nothing.
"""

import dataclasses
from typing import Any

from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict

from fdjax.models.config import ModelConfig

Params = Any  # a pytree of arrays; only nested dicts can hold adapters
SUFFIX = "_lora"  # after a projection's name: layers/q_proj_lora/{a,b}


class Adapter(nn.Module):
    """The term added to a projection's output: [M, in] -> [M, out]."""

    config: ModelConfig
    features: int

    @nn.compact
    def __call__(self, x_MD):
        c = self.config
        # Uniform within 1 / sqrt(in), as in PEFT.
        uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
        a = self.param("a", uniform, (x_MD.shape[-1], c.lora_rank))
        b = self.param("b", nn.initializers.zeros, (c.lora_rank, self.features))
        return (x_MD @ a.astype(c.dtype)) @ b.astype(c.dtype) * scale(c)


def scale(config: ModelConfig) -> float:
    return config.lora_alpha / config.lora_rank


def without(config: ModelConfig) -> ModelConfig:
    """The same model without adapters."""
    return dataclasses.replace(config, lora_rank=0)


def split(params: Params) -> tuple[Params, Params | None]:
    """(trained parameters, frozen parameters); without adapters, (all parameters, None)."""
    flat = flatten_dict(params) if isinstance(params, dict) else {}
    adapters = {path: x for path, x in flat.items() if _is_adapter(path)}
    if not adapters:
        return params, None
    rest = {path: x for path, x in flat.items() if path not in adapters}
    return unflatten_dict(adapters), unflatten_dict(rest)


def join(trained: Params, frozen: Params | None) -> Params:
    """The inverse of `split`; the trained parameters may have other values."""
    if frozen is None:
        return trained
    return unflatten_dict(flatten_dict(frozen) | flatten_dict(trained))


def _is_adapter(path: tuple[str, ...]) -> bool:
    return len(path) > 1 and path[-2].endswith(SUFFIX)
