"""The tensors of a Hugging Face folder as parameters, each read straight to where it belongs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from fdjax.models import lora, transformer
from fdjax.models.config import ModelConfig
from fdjax.models.hf import tensor_names
from fdjax.models.hf.safetensors import Stored, open_folder, read_rows, row_blocks
from fdjax.models.hf.tensor_names import Tensor
from fdjax.runtime.sharding import RULES, Rules, tree_shardings

Shapes = dict[str, tuple[int, ...]]  # path of a parameter -> its shape


def load(
    folder: str | Path, config: ModelConfig, mesh: Mesh, *, rules: Rules = RULES
) -> transformer.Params:
    """Parameters f32 on `mesh`, of the model that `read_config(folder)` describes; no adapters.

    Each process reads the parts that its own devices hold, a parameter at a time. Raises
    ValueError as `account` does.
    """
    tensors, stored = tensor_names.tensors(config), account(folder, config)
    template = _template(config)

    def read(path, shape, sharding):
        tensor = tensors[jax.tree_util.keystr(path, simple=True, separator="/")]
        return jax.make_array_from_callback(
            shape.shape, sharding, lambda index: read_part(tensor, stored, shape.shape, index)
        )

    return jax.tree_util.tree_map_with_path(read, template, tree_shardings(template, mesh, rules))


def shapes(config: ModelConfig) -> Shapes:
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape
        for path, leaf in jax.tree_util.tree_leaves_with_path(_template(config))
    }


def _template(config: ModelConfig) -> transformer.Params:
    return jax.eval_shape(lambda: transformer.init(lora.without(config), jax.random.key(0)))


def account(folder: str | Path, config: ModelConfig) -> dict[str, Stored]:
    """Name in a model of text alone -> tensor, of exactly those that the model has.

    Raises ValueError naming the tensors that are missing, that are no part of the model or that
    have another shape.
    """
    stored = {
        name: tensor
        for given, tensor in open_folder(folder).items()
        if (name := tensor_names.text_name(given)) and not name.endswith(".rotary_emb.inv_freq")
    }
    expected = expected_shapes(config)
    head, embedding = stored.get("lm_head.weight"), stored.get("model.embed_tokens.weight")
    if config.tie_embeddings and head and embedding and _equal(head, embedding):
        del stored["lm_head.weight"]  # the embedding once more, as some write it
    troubles = [
        *(f"missing: {name}" for name in expected if name not in stored),
        *(f"no part of it: {name}" for name in stored if name not in expected),
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


def expected_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor that a folder of this model holds."""
    out, ours = {}, shapes(config)
    for path, tensor in tensor_names.tensors(config).items():
        shape = ours[path][1:] if tensor.stacked else ours[path]
        shape = shape[::-1] if tensor.transposed else shape
        out |= {name: shape for name in names(tensor, config)}
    return out


def names(tensor: Tensor, config: ModelConfig) -> list[str]:
    layers = range(config.num_layers) if tensor.stacked else (0,)
    return [tensor.name.format(layer) for layer in layers]


def read_part(
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
    """A few rows of the tensor at a time, as they lie in its file."""
    if tensor.transposed:
        index, out = index[::-1], out.T
    start, stop, _ = index[0].indices(stored.shape[0])
    for block in row_blocks(stop - start, stored.row_bytes):
        rows = read_rows(stored, start + block.start, start + block.stop)
        out[block] = rows[(slice(None), *index[1:])]


def _equal(a: Stored, b: Stored) -> bool:
    if (a.shape, a.dtype) != (b.shape, b.dtype):
        return False
    blocks = row_blocks(a.shape[0], a.row_bytes)
    return all(
        np.array_equal(*(read_rows(x, block.start, block.stop).view(np.uint8) for x in (a, b)))
        for block in blocks
    )
