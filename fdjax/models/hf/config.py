"""Hugging Face's config.json <-> ModelConfig, from a table of model families.

transformers is not needed here, so the table repeats the defaults of its config classes.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fdjax.models.config import ADAPTERS, ARITHMETIC, ModelConfig, RopeScaling
from fdjax.runtime.files import read_object


@dataclasses.dataclass(frozen=True)
class Family:
    architecture: str
    features: Mapping[str, Any]  # fields of ModelConfig that all members share
    defaults: Mapping[str, Any]  # of keys that config.json may leave out, as in transformers


_FIELDS = {  # key of config.json -> field of ModelConfig
    "vocab_size": "vocab_size",
    "hidden_size": "width",
    "num_hidden_layers": "num_layers",
    "num_attention_heads": "num_heads",
    "num_key_value_heads": "num_kv_heads",
    "head_dim": "head_dim",
    "intermediate_size": "mlp_width",
    "max_position_embeddings": "max_positions",
    "rms_norm_eps": "norm_eps",
    "tie_word_embeddings": "tie_embeddings",
}
_OPTIONAL_FIELDS = {  # of families with a default for the key; None there, 0 here: not used
    "query_pre_attn_scalar": "query_scalar",
    "final_logit_softcapping": "logit_softcap",
    "attn_logit_softcapping": "attention_softcap",
}
_PLAIN = {
    "qk_norm": False,
    "attention_bias": False,
    "activation": "silu",
    "norm_offset": 0.0,
    "post_norms": False,
    "scale_embeddings": False,
}
_GEMMA = _PLAIN | {
    "activation": "gelu_tanh",
    "norm_offset": 1.0,
    "post_norms": True,
    "scale_embeddings": True,
}
_LLAMA_DEFAULTS = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": None,  # num_attention_heads
    "head_dim": None,  # hidden_size / num_attention_heads
    "intermediate_size": 11008,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "rope_theta": 1e4,
}
_QWEN_DEFAULTS = _LLAMA_DEFAULTS | {
    "vocab_size": 151936,
    "num_key_value_heads": 32,
    "intermediate_size": 22016,
    "max_position_embeddings": 32768,
    "use_sliding_window": False,
    "sliding_window": 4096,
    "max_window_layers": 28,  # so many first layers have full attention
}
_GEMMA_DEFAULTS = {
    "vocab_size": 256000,
    "hidden_size": 2304,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "intermediate_size": 9216,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
    "rope_theta": 1e4,
    "sliding_window": 4096,
    "sliding_window_pattern": 2,  # the last of each so many layers has full attention
    "query_pre_attn_scalar": 256,
    "final_logit_softcapping": 30.0,
}
FAMILIES: dict[str, Family] = {  # by config.json's model_type
    "llama": Family("LlamaForCausalLM", _PLAIN, _LLAMA_DEFAULTS),
    "qwen2": Family("Qwen2ForCausalLM", _PLAIN | {"attention_bias": True}, _QWEN_DEFAULTS),
    "qwen3": Family(
        "Qwen3ForCausalLM", _PLAIN | {"qk_norm": True}, _QWEN_DEFAULTS | {"head_dim": 128}
    ),
    "gemma2": Family(
        "Gemma2ForCausalLM", _GEMMA, _GEMMA_DEFAULTS | {"attn_logit_softcapping": 50.0}
    ),
    "gemma3_text": Family(
        "Gemma3ForCausalLM",
        _GEMMA | {"qk_norm": True},
        _GEMMA_DEFAULTS
        | {
            "vocab_size": 262208,
            "max_position_embeddings": 131072,
            "rope_theta": 1e6,
            "rope_local_base_freq": 1e4,
            "sliding_window_pattern": 6,
            "final_logit_softcapping": None,
        },
    ),
}
_LAYER_TYPES = {False: "full_attention", True: "sliding_attention"}
_SCALING_FIELDS = {  # of RopeScaling, under the same names in config.json
    "linear": (),
    "llama3": ("low_freq_factor", "high_freq_factor"),
    "yarn": ("beta_fast", "beta_slow", "attention_factor"),
}
_ACTIVATIONS = {"silu": "silu", "gelu_tanh": "gelu_pytorch_tanh"}
_REFUSED = {  # keys of config.json with features that the transformer lacks
    "attention_bias": "biases of all attention projections",
    "mlp_bias": "biases of the MLP",
    "quantization_config": "quantised weights",
    "use_bidirectional_attention": "attention to later tokens",
}


# --- config.json ---------------------------------------------------------------------------------


def read_config(folder: str | Path) -> ModelConfig:
    """The model of a folder that transformers saved. Raises ValueError naming what is wrong."""
    data = read_json(folder)
    try:
        return config_of(data)
    except ValueError as error:
        raise ValueError(f"{Path(folder) / 'config.json'}: {error}") from error


def read_json(folder: str | Path) -> dict[str, Any]:
    """The content of the folder's config.json. Raises ValueError."""
    file = Path(folder) / "config.json"
    if not file.is_file():
        raise ValueError(f"{folder} has no config.json, so it is no Hugging Face model's folder")
    return read_object(file)


def config_of(data: Mapping[str, Any]) -> ModelConfig:
    """The ModelConfig of a config.json of transformers 4 or 5. Raises ValueError if the model is
    not supported."""
    kind = data.get("model_type")
    if kind == "gemma3":  # with a vision tower, which is not used
        kind, data = "gemma3_text", data.get("text_config", {})
    family = FAMILIES.get(kind)
    if family is None:
        raise ValueError(
            f"model_type {kind!r} ({', '.join(data.get('architectures') or ['no architecture'])}) "
            f"is not known; known are {', '.join(FAMILIES)}"
        )
    for key, what in _REFUSED.items():
        if data.get(key) and not (key == "attention_bias" and family.features[key]):
            raise ValueError(f"{key}={data[key]!r}: {what} are not supported")
    activation = data.get("hidden_activation") or data.get("hidden_act")
    if activation not in (None, _ACTIVATIONS[family.features["activation"]]):
        raise ValueError(f"the activation {activation!r} is not {kind}'s")

    data = {**family.defaults, **data}
    data["num_key_value_heads"] = data["num_key_value_heads"] or data["num_attention_heads"]
    data["head_dim"] = data["head_dim"] or data["hidden_size"] // data["num_attention_heads"]
    fields = {
        ours: getattr(ModelConfig, ours) if data[theirs] is None else data[theirs]
        for theirs, ours in (_FIELDS | _OPTIONAL_FIELDS).items()
        if theirs in family.defaults
    }
    return ModelConfig(**fields, **family.features, **_rope(data), **_windows(data))


def config_json(config: ModelConfig, dtype: str) -> dict[str, Any]:
    """A config.json for transformers 4 and 5; `dtype` is that of the tensors.

    Raises ValueError if no family has this model's features.
    """
    shape = dataclasses.replace(
        config,
        # config.json must name a length; RoPE itself has no bound.
        max_positions=config.max_positions or 32768,
        query_scalar=config.query_scalar or (config.head_dim if config.post_norms else 0.0),
        **_window_fields(config.window, config.windowed_layers),
        **{field: getattr(ModelConfig, field) for field in (*ARITHMETIC, *ADAPTERS)},
    )
    for kind, family in FAMILIES.items():
        if all(getattr(shape, field) == value for field, value in family.features.items()):
            data = _config_json(shape, kind, family) | {"torch_dtype": dtype}
            if config_of(data) == shape:
                return data
    raise ValueError(
        f"no model of Hugging Face has these features: {config}; known are {', '.join(FAMILIES)}"
    )


def _config_json(config: ModelConfig, kind: str, family: Family) -> dict[str, Any]:
    activation = _ACTIVATIONS[config.activation]
    data = {
        "architectures": [family.architecture],
        "model_type": kind,
        "hidden_act": activation,
        **({"hidden_activation": activation} if config.post_norms else {}),
        **{theirs: getattr(config, ours) for theirs, ours in _FIELDS.items()},
        **{
            theirs: getattr(config, ours) or None
            for theirs, ours in _OPTIONAL_FIELDS.items()
            if theirs in family.defaults
        },
        "rope_theta": config.rope_theta,
        "rope_scaling": _rope_scaling(config.rope_scaling),
    }
    if "rope_local_base_freq" in family.defaults:
        data["rope_local_base_freq"] = config.window_rope_theta
    if "sliding_window" in family.defaults:
        data["sliding_window"] = config.window or None
        data["layer_types"] = [_LAYER_TYPES[windowed] for windowed in config.windowed_layers]
    if "use_sliding_window" in family.defaults:
        data["use_sliding_window"] = config.window > 0
    return data


def _windows(data) -> dict[str, Any]:
    """From `layer_types` if present, else from the keys that each family had before."""
    window = data.get("sliding_window") or 0
    count = data["num_hidden_layers"]
    if data.get("use_sliding_window") is False:
        window = 0
    if types := data.get("layer_types"):
        if unknown := sorted(set(types) - set(_LAYER_TYPES.values())):
            raise ValueError(
                f"layer_types has {', '.join(unknown)}; known are "
                f"{', '.join(_LAYER_TYPES.values())}"
            )
        windowed = [kind == _LAYER_TYPES[True] for kind in types]
    elif "sliding_window_pattern" in data:
        windowed = [bool((i + 1) % data["sliding_window_pattern"]) for i in range(count)]
    else:
        windowed = [i >= data.get("max_window_layers", count) for i in range(count)]
    return _window_fields(window, windowed)


def _window_fields(window: int, windowed: Sequence[bool]) -> dict[str, Any]:
    """Fields of ModelConfig, with the shortest pattern that describes the layers."""
    if not window or not any(windowed):
        return {"window": 0, "window_pattern": ModelConfig.window_pattern}
    period = 1
    while any(w != windowed[i % period] for i, w in enumerate(windowed)):
        period += 1
    return {"window": window, "window_pattern": tuple(windowed[:period])}


def _rope(data) -> dict[str, Any]:
    """From rope_theta and rope_scaling (transformers 4), or rope_parameters (5), which Gemma 3 has
    per kind of layer."""
    parameters = data.get("rope_parameters") or {}
    nested = any(kind in parameters for kind in _LAYER_TYPES.values())
    windowed = (parameters.get(_LAYER_TYPES[True]) or {}) if nested else {}
    full = (parameters.get(_LAYER_TYPES[False]) or {}) if nested else parameters
    full = {**(data.get("rope_scaling") or {}), **full}
    if windowed and windowed.get("rope_type", "default") != "default":
        raise ValueError(
            f"rope_parameters: {windowed} of windowed layers; only default is supported"
        )
    fields = {
        "rope_theta": float(full.get("rope_theta", data["rope_theta"])),
        "rope_scaling": _read_scaling(full, data["max_position_embeddings"]),
    }
    if "rope_local_base_freq" in data:
        theta = windowed.get("rope_theta", data["rope_local_base_freq"])
        fields["window_rope_theta"] = float(theta)
    return fields


def _read_scaling(rope, max_positions) -> RopeScaling | None:
    kind = rope.get("rope_type", rope.get("type", "default"))
    if rope.get("partial_rotary_factor", 1.0) != 1.0 or not rope.get("truncate", True):
        raise ValueError(f"{rope}: partial_rotary_factor and truncate are not supported")
    original = rope.get("original_max_position_embeddings") or max_positions
    match kind:
        case "default":
            return None
        case "linear":
            return RopeScaling(kind, float(rope["factor"]))
        case "llama3":
            bounds = {key: float(rope[key]) for key in _SCALING_FIELDS[kind]}
            return RopeScaling(kind, float(rope["factor"]), original, **bounds)
        case "yarn":
            factor = float(rope.get("factor") or max_positions / original)
            fields = {key: float(rope[key]) for key in _SCALING_FIELDS[kind] if rope.get(key)}
            fields["attention_factor"] = _yarn_attention_factor(rope, factor)
            return RopeScaling(kind, factor, original, **fields)
    raise ValueError(f"rope type {kind!r} is not known; known are default, linear, llama3, yarn")


def _yarn_attention_factor(rope, factor: float) -> float:
    """As written, or DeepSeek's ratio of two mscales, or 0.1 ln(factor) + 1 (YaRN)."""

    def scaled(by: float) -> float:
        return 0.1 * by * math.log(factor) + 1.0 if factor > 1 else 1.0

    if rope.get("attention_factor") is not None:
        return float(rope["attention_factor"])
    if rope.get("mscale") and rope.get("mscale_all_dim"):
        return scaled(rope["mscale"]) / scaled(rope["mscale_all_dim"])
    return scaled(1.0)


def _rope_scaling(scaling: RopeScaling | None) -> dict[str, Any] | None:
    if scaling is None:
        return None
    data = {"rope_type": scaling.kind, "factor": scaling.factor}
    if scaling.kind != "linear":
        data["original_max_position_embeddings"] = scaling.original_context
    return data | {field: getattr(scaling, field) for field in _SCALING_FIELDS[scaling.kind]}
