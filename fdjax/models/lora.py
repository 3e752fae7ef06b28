"""Low-rank adapters (LoRA, Hu et al. 2021): a matrix W acts as W + alpha / rank * A B.

Where a model has adapters they alone are trained, averaged and have moments; all other parameters
stay what they were. B begins at zero, so that a fresh adapter changes nothing.
"""

import dataclasses
from typing import Any

from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict

from fdjax.models.config import ModelConfig

Params = Any  # a pytree of arrays; only nested dicts are looked into for adapters
SUFFIX = "_lora"  # behind a projection's name: layers/q_proj_lora/{a,b}


class Adapter(nn.Module):
    """What is added to a projection: [M, in] -> [M, out]."""

    config: ModelConfig
    features: int

    @nn.compact
    def __call__(self, x_MD):
        c = self.config
        # Uniform within 1 / sqrt(in), as PEFT has it.
        uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
        a = self.param("a", uniform, (x_MD.shape[-1], c.lora_rank))
        b = self.param("b", nn.initializers.zeros, (c.lora_rank, self.features))
        return (x_MD @ a.astype(c.dtype)) @ b.astype(c.dtype) * scale(c)


def scale(config: ModelConfig) -> float:
    return config.lora_alpha / config.lora_rank


def without(config: ModelConfig) -> ModelConfig:
    """The model that the adapters are added to."""
    return dataclasses.replace(config, lora_rank=0)


def split(params: Params) -> tuple[Params, Params | None]:
    """(what is trained, what stays); without adapters (everything, None)."""
    flat = flatten_dict(params) if isinstance(params, dict) else {}
    adapters = {path: x for path, x in flat.items() if _is_adapter(path)}
    if not adapters:
        return params, None
    rest = {path: x for path, x in flat.items() if path not in adapters}
    return unflatten_dict(adapters), unflatten_dict(rest)


def join(trained: Params, frozen: Params | None) -> Params:
    """The inverse of `split`, also with other values of what is trained."""
    if frozen is None:
        return trained
    return unflatten_dict(flatten_dict(frozen) | flatten_dict(trained))


def _is_adapter(path: tuple[str, ...]) -> bool:
    return len(path) > 1 and path[-2].endswith(SUFFIX)
