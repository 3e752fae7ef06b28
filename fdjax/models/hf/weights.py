"""Tensors of a Hugging Face folder: their names here and there, and reading them as parameters."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from fdjax.models import lora, transformer
from fdjax.models.config import ModelConfig
from fdjax.models.hf.safetensors import Stored, open_folder, read_rows, row_blocks
from fdjax.runtime.sharding import tree_shardings

Shapes = dict[str, tuple[int, ...]]  # by path of a parameter, or by name of a tensor


# --- Names ---------------------------------------------------------------------------------------


class Tensor(NamedTuple):
    """Where a parameter is stored: in one tensor, or in one per layer if the name has a {}."""

    name: str
    transposed: bool  # PyTorch's matrices are [out, in]

    @property
    def stacked(self) -> bool:
        return "{}" in self.name

    def names(self, config: ModelConfig) -> list[str]:
        return [self.name.format(i) for i in range(config.num_layers if self.stacked else 1)]


def tensors(config: ModelConfig) -> dict[str, Tensor]:
    """Path of each parameter -> its tensor, in the order of a forward pass."""
    layer = "model.layers.{}."
    norms = {"attention_norm": "input_layernorm", "mlp_norm": "post_attention_layernorm"}
    if config.post_norms:
        norms = {
            "attention_norm": "input_layernorm",
            "attention_post_norm": "post_attention_layernorm",
            "mlp_norm": "pre_feedforward_layernorm",
            "mlp_post_norm": "post_feedforward_layernorm",
        }
    out = {"embedding": Tensor("model.embed_tokens.weight", False)}
    for norm, name in norms.items():
        out[f"layers/{norm}/scale"] = Tensor(f"{layer}{name}.weight", False)
    for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
        out[f"layers/{name}/kernel"] = Tensor(f"{layer}self_attn.{name}.weight", True)
        if config.attention_bias and name != "o_proj":
            out[f"layers/{name}/bias"] = Tensor(f"{layer}self_attn.{name}.bias", False)
    for name in ("q_norm", "k_norm") if config.qk_norm else ():
        out[f"layers/{name}/scale"] = Tensor(f"{layer}self_attn.{name}.weight", False)
    for name in ("gate_proj", "up_proj", "down_proj"):
        out[f"layers/{name}/kernel"] = Tensor(f"{layer}mlp.{name}.weight", True)
    out["final_norm/scale"] = Tensor("model.norm.weight", False)
    if not config.tie_embeddings:
        out["lm_head"] = Tensor("lm_head.weight", True)
    return out


def text_name(name: str) -> str | None:
    """The name in a text-only model; None for tensors of a vision tower (Gemma 3)."""
    for prefix, text in (("model.language_model.", "model."), ("language_model.", "")):
        if name.startswith(prefix):
            return text + name.removeprefix(prefix)
    parts = name.removeprefix("model.").split(".")
    return None if parts[0] in ("vision_tower", "multi_modal_projector") else name


def module_name(name: str, published: Mapping[str, Any]) -> str:
    """The name of a layer's module, from that of its tensor, in the class of transformers and vLLM
    that the config.json `published` names. A multimodal Gemma 3 holds the text model as a part."""
    multimodal = published.get("model_type") == "gemma3"
    prefix = "model.language_model." if multimodal else "model."
    return prefix + name.removeprefix("model.").removesuffix(".weight")


# --- Shapes --------------------------------------------------------------------------------------


def _template(config: ModelConfig) -> transformer.Params:
    return jax.eval_shape(lambda: transformer.init(lora.without(config), jax.random.key(0)))


def _path(keys) -> str:
    return jax.tree_util.keystr(keys, simple=True, separator="/")


def shapes(config: ModelConfig) -> Shapes:
    """Path -> shape of every parameter but adapters."""
    leaves = jax.tree_util.tree_leaves_with_path(_template(config))
    return {_path(keys): leaf.shape for keys, leaf in leaves}


def expected_shapes(config: ModelConfig) -> Shapes:
    """Name -> shape of every tensor in a folder of this model."""
    out, ours = {}, shapes(config)
    for path, tensor in tensors(config).items():
        shape = ours[path][1:] if tensor.stacked else ours[path]
        out |= dict.fromkeys(tensor.names(config), shape[::-1] if tensor.transposed else shape)
    return out


def account(folder: str | Path, config: ModelConfig) -> dict[str, Stored]:
    """Name in a text-only model -> tensor, for exactly the tensors of the model.

    Raises ValueError naming the tensors that are missing, are no part of the model or have another
    shape.
    """
    stored = {
        name: tensor
        for given, tensor in open_folder(folder).items()
        if (name := text_name(given)) and not name.endswith(".rotary_emb.inv_freq")
    }
    expected = expected_shapes(config)
    head, embedding = stored.get("lm_head.weight"), stored.get("model.embed_tokens.weight")
    if config.tie_embeddings and head and embedding and _equal(head, embedding):
        del stored["lm_head.weight"]  # some folders hold a tied embedding twice
    hints = {"lm_head.weight": " (not the embedding: set tie_word_embeddings to false)"}
    troubles = [
        *(f"missing: {name}" for name in expected if name not in stored),
        *(f"no part of it: {name}{hints.get(name, '')}" for name in stored if name not in expected),
        *(
            f"{name}: {list(stored[name].shape)} there, {list(shape)} by config.json"
            for name, shape in expected.items()
            if name in stored and stored[name].shape != shape
        ),
    ]
    if troubles:
        more = f"\n  and {len(troubles) - 12} more" if len(troubles) > 12 else ""
        raise ValueError(
            f"the tensors in {folder} are not those of its config.json:\n  "
            + "\n  ".join(troubles[:12])
            + more
        )
    return stored


def _equal(a: Stored, b: Stored) -> bool:
    if (a.shape, a.dtype) != (b.shape, b.dtype):
        return False
    blocks = row_blocks(a.shape[0], a.row_bytes)
    return all(
        np.array_equal(*(read_rows(x, block.start, block.stop).view(np.uint8) for x in (a, b)))
        for block in blocks
    )


# --- Reading -------------------------------------------------------------------------------------


def load(folder: str | Path, config: ModelConfig, mesh: Mesh) -> transformer.Params:
    """Parameters f32 on `mesh`, of the model that `read_config(folder)` describes; no adapters.

    Each process reads the parts that its own devices hold, one parameter at a time. Raises
    ValueError as `account` does.
    """
    named, stored = tensors(config), account(folder, config)
    template = _template(config)

    def read(keys, leaf, sharding):
        tensor = named[_path(keys)]
        return jax.make_array_from_callback(
            leaf.shape, sharding, lambda index: _read_part(tensor, stored, leaf.shape, index)
        )

    return jax.tree_util.tree_map_with_path(read, template, tree_shardings(template, mesh))


def _read_part(
    tensor: Tensor, stored: Mapping[str, Stored], shape: tuple[int, ...], index: tuple[slice, ...]
) -> np.ndarray:
    """The part `index` of the parameter of `shape`, f32."""
    out = np.empty([len(range(*s.indices(n))) for s, n in zip(index, shape)], np.float32)
    if tensor.stacked:
        for row, layer in enumerate(range(*index[0].indices(shape[0]))):
            _read_matrix(tensor, stored[tensor.name.format(layer)], index[1:], out[row])
    else:
        _read_matrix(tensor, stored[tensor.name], index, out)
    return out


def _read_matrix(tensor: Tensor, stored: Stored, index: tuple[slice, ...], out: Any) -> None:
    """Fills `out`, a few rows of the stored tensor at a time."""
    if tensor.transposed:
        index, out = index[::-1], out.T
    start, stop, _ = index[0].indices(stored.shape[0])
    for block in row_blocks(stop - start, stored.row_bytes):
        rows = read_rows(stored, start + block.start, start + block.stop)
        out[block] = rows[(slice(None), *index[1:])]
