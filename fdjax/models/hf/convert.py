"""Weights between Hugging Face's folders and checkpoints of this project.

fdjax convert COMMAND

    from_hf DIR OUT     OUT is laid out as a stage of a run: config.json, checkpoints/0, tokenizer
    from_gguf FILE DIR  a GGUF file as a Hugging Face folder, by transformers, in memory
    to_hf CKPT DIR      CKPT is a run, a stage, a checkpoint or what from_hf wrote (init_from.py);
                        adapters are merged into the matrices that they belong to
    to_peft CKPT DIR    the adapters alone, in the layout of the peft package
    check DIR           compares every tensor of a Hugging Face folder with its config.json
    logits DIR --tokens=FILE.npy --out=FILE.npy     ids i[B, T] -> logits f32[B, T, V], in fp32

from_hf and to_hf hold one block of rows at a time in memory, never a model.
"""

import argparse
import contextlib
import dataclasses
import json
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from safetensors.numpy import save_file

from fdjax.models import lora, tokenizer, transformer
from fdjax.models.config import ADAPTERS, ARITHMETIC, ModelConfig
from fdjax.models.hf import array_store, init_from, weights
from fdjax.models.hf import config as hf
from fdjax.models.hf.init_from import InitSource
from fdjax.models.hf.safetensors import Stored, create_folder, read_rows, row_blocks, write_rows
from fdjax.models.tokenizer.published import FILES
from fdjax.models.tokenizer.trained import token_ids, transformers_files
from fdjax.runtime import checksums, sharding
from fdjax.runtime.files import read_object

COPIED = (*FILES, "added_tokens.json", "vocab.json", "merges.txt")  # beside weights, if present
CHUNK_BYTES = 32 << 20


# --- From Hugging Face ---------------------------------------------------------------------------


def from_hf(folder: str | Path, out: str | Path) -> None:
    """Writes `out`, a checkpoint of the folder's tensors in their own dtypes."""
    folder = Path(folder)
    config = hf.read_config(folder)
    stored = weights.account(folder, config)
    tensors, shapes = weights.tensors(config), weights.shapes(config)
    arrays, chunks = {}, {}
    for path, tensor in tensors.items():
        parts = [stored[name] for name in tensor.names(config)]
        arrays[path] = shapes[path], np.result_type(*(part.dtype for part in parts))
        # A chunk is one block of rows.
        rows = next(iter(row_blocks(parts[0].shape[0], parts[0].row_bytes, CHUNK_BYTES))).stop
        matrix = (rows, *parts[0].shape[1:])
        matrix = matrix[::-1] if tensor.transposed else matrix
        chunks[path] = (1, *matrix) if tensor.stacked else matrix
    with new_folder(out) as made:
        item = made / "checkpoints" / "0" / "params"
        item.mkdir(parents=True)
        for path, array in array_store.create(item, arrays, chunks).items():
            tensor = tensors[path]
            for layer, name in enumerate(tensor.names(config)):
                part = array[layer] if tensor.stacked else array
                _copy_in(stored[name], part.T if tensor.transposed else part)
        array_store.finish(item, list(arrays))
        published = hf.read_json(folder)
        record = {"model": dataclasses.asdict(config), "published": published}
        record |= _token_ids(folder, published)
        (made / "config.json").write_text(json.dumps(record, indent=1))
        _copy_files(folder, made)


def _copy_in(stored: Stored, array: array_store.Array) -> None:
    for block in row_blocks(stored.shape[0], stored.row_bytes, CHUNK_BYTES):
        rows = read_rows(stored, block.start, block.stop)
        array[block].write(rows.astype(array.dtype.numpy_dtype, copy=False)).result()


def from_gguf(file: str | Path, out: str | Path) -> None:
    """Writes `out`, a Hugging Face folder: quantised weights as fp32, and the tokenizer."""
    source = {"pretrained_model_name_or_path": Path(file).parent, "gguf_file": Path(file).name}
    try:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        parts = [c.from_pretrained(**source) for c in (AutoModelForCausalLM, AutoTokenizer)]
    except ImportError as error:
        raise ValueError(f"{error}\nIt needs: pip install -e '.[gguf]'") from None
    for holder, name in ((parts[0].config, "quantization_config"), (parts[0], "hf_quantizer")):
        vars(holder).pop(name, None)  # transformers does not save a model that has these
    with new_folder(out) as made:
        for part in parts:
            part.save_pretrained(made)


# --- To Hugging Face -----------------------------------------------------------------------------


def to_hf(
    checkpoint: str | Path, out: str | Path, *, dtype: str | None = None, shard_bytes: int = 5 << 30
) -> None:
    """Writes `out`, a folder that transformers and vLLM load, tokenizer included.

    `dtype` (float32, bfloat16) is that of all tensors; by default, as they are stored.
    """
    source, config = _checkpoint(checkpoint)
    arrays = array_store.open_item(source.item)
    tensors = weights.tensors(config)
    shapes = weights.expected_shapes(config)
    layouts = {
        name: (shapes[name], np.dtype(dtype or arrays[path].dtype.numpy_dtype))
        for path, tensor in tensors.items()
        for name in tensor.names(config)
    }
    with new_folder(out) as made:
        files = create_folder(made, layouts, shard_bytes=shard_bytes)
        for path, tensor in tensors.items():
            _copy_out(tensor, arrays[path], _adapter(arrays, path, config), files)
        config = dataclasses.replace(config, max_positions=_max_positions(source))
        data = hf.config_json(config, str(layouts["model.embed_tokens.weight"][1]))
        if trained := _trained_tokenizer(source):
            data |= token_ids(trained)
            for name, content in transformers_files(trained).items():
                (made / name).write_text(content, encoding="utf-8")
        else:
            data |= _token_ids(source.folder, source.published)
            _copy_files(source.folder, made)
            if source.manifest.get("prompt", {}).get("chat"):
                data |= _stop_at_turns(made)
        (made / "config.json").write_text(json.dumps(data, indent=2))


def to_peft(checkpoint: str | Path, out: str | Path, *, base: str | Path | None = None) -> str:
    """Writes `out`, adapters that the peft package and vLLM add to the original model. Returns a
    line for people that names the class of that model.

    `base` is that model's folder, for checkpoints that do not record its config.json.
    """
    source, config = _checkpoint(checkpoint)
    published = source.published
    if base:
        published = hf.read_json(base)
        _check_same(config, published, base)
    if not config.lora_rank:
        raise ValueError(f"{checkpoint} has no adapters: it was trained with model.lora_rank=0")
    arrays = array_store.open_item(source.item)
    model = published or hf.config_json(config, "float32")
    architecture, matrices = (model.get("architectures") or [model["model_type"]])[0], {}
    for path, tensor in weights.tensors(config).items():
        if adapter := _adapter(arrays, path, config):
            for layer, name in enumerate(tensor.names(config)):
                name = "base_model.model." + weights.module_name(name, published)
                matrices[f"{name}.lora_A.weight"] = np.ascontiguousarray(adapter.a[layer].T)
                matrices[f"{name}.lora_B.weight"] = np.ascontiguousarray(adapter.b[layer].T)
    data = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "r": config.lora_rank,
        "lora_alpha": config.lora_alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": list(config.lora_targets),
        "inference_mode": True,
    }
    if "vision_config" in published:  # a vision tower has modules of the same names
        data["exclude_modules"] = r".*(vision_tower|multi_modal_projector)\..*"
    with new_folder(out) as made:
        save_file(matrices, made / "adapter_model.safetensors", metadata={"format": "pt"})
        (made / "adapter_config.json").write_text(json.dumps(data, indent=2))
    return f"{out}: {len(matrices)} matrices for {architecture}, such as {min(matrices)}"


def _check_same(config: ModelConfig, published: Mapping[str, Any], where: str | Path) -> None:
    """Raises ValueError if a model of `config` is not that of the config.json `published`."""
    theirs, ours = (dataclasses.asdict(x) for x in (hf.config_of(published), config))
    names = sorted(theirs.keys() - {*ARITHMETIC, *ADAPTERS})
    if changes := [f"{n} {theirs[n]!r}, not {ours[n]!r}" for n in names if theirs[n] != ours[n]]:
        raise ValueError(f"{where}: not the model that was trained: {'; '.join(changes)}")


class _Adapter(NamedTuple):
    a: np.ndarray  # f32[L, in, rank]
    b: np.ndarray  # f32[L, rank, out]
    scale: float


def _adapter(
    arrays: Mapping[str, array_store.Array], path: str, config: ModelConfig
) -> _Adapter | None:
    """The adapter of the projection with its kernel at `path`, if it has one."""
    name = path.removesuffix("/kernel") + lora.SUFFIX
    if f"{name}/a" not in arrays:
        return None
    a, b = (arrays[f"{name}/{part}"].read().result() for part in "ab")
    return _Adapter(a, b, lora.scale(config))


def _checkpoint(path: str | Path) -> tuple[InitSource, ModelConfig]:
    source = init_from.find(path)
    if source.item is None:
        raise ValueError(f"{path} is a folder of Hugging Face already")
    checksums.check(source.item.parent, source.item.name)
    config = _model(source, path)
    if source.published:
        _check_same(config, source.published, f"what {source.folder}/config.json names published")
    return source, config


def _model(source: InitSource, path: str | Path) -> ModelConfig:
    if source.model is None:
        raise ValueError(f"{path} lies in no stage whose config.json names its model")
    return source.model


def _max_positions(source: InitSource) -> int:
    """Tokens of the longest sequence by the model's config, else by the run's; 0 if unknown."""
    prompt = source.manifest.get("prompt")
    if source.model.max_positions or not prompt:
        return source.model.max_positions
    longest = max(*prompt["student_buckets"], *prompt["teacher_buckets"])
    return longest + prompt["response_length"]


def _trained_tokenizer(source: InitSource) -> tokenizer.SentencePieceTokenizer | None:
    """The tokenizer of a stage whose run trained one."""
    if not (source.is_stage and tokenizer.holds(source.folder)):
        return None
    loaded = tokenizer.load(source.folder)
    return loaded if isinstance(loaded, tokenizer.SentencePieceTokenizer) else None


def _copy_out(
    tensor: weights.Tensor,
    array: array_store.Array,
    adapter: _Adapter | None,
    files: Mapping[str, Stored],
) -> None:
    """Reads whole chunks of the array at a time; a chunk may span layers."""
    axis = array.rank - 1 if tensor.transposed else int(tensor.stacked)  # of the tensor's rows
    others = set(range(int(tensor.stacked), array.rank)) - {axis}
    row_bytes = array.dtype.numpy_dtype.itemsize * math.prod(array.shape[i] for i in others)
    for layers in array_store.blocks(array, 0) if tensor.stacked else (slice(0, 1),):
        minimum = max(1, CHUNK_BYTES // (row_bytes * (layers.stop - layers.start)))
        for block in array_store.blocks(array, axis, minimum):
            index = [slice(None)] * array.rank
            index[axis] = block
            if tensor.stacked:
                index[0] = layers
            part = array[tuple(index)].read().result()
            for row, layer in enumerate(range(layers.start, layers.stop)):
                matrix = part[row] if tensor.stacked else part
                if adapter:
                    product = adapter.a[layer] @ adapter.b[layer][:, block]
                    matrix = matrix.astype(np.float32) + adapter.scale * product
                stored = files[tensor.name.format(layer)]
                matrix = matrix.T if tensor.transposed else matrix
                write_rows(stored, matrix.astype(stored.dtype, copy=False), block.start)


# --- Check, logits -------------------------------------------------------------------------------


def check(folder: str | Path) -> str:
    """One line on what the folder holds. Raises ValueError naming every tensor that is amiss."""
    config = hf.read_config(folder)
    stored = weights.account(folder, config)
    dtypes = sorted({str(tensor.dtype) for tensor in stored.values()})
    size = sum(math.prod(t.shape) * t.dtype.itemsize for t in stored.values())
    count = sum(math.prod(t.shape) for t in stored.values())
    return (
        f"{folder}: {hf.config_json(config, dtypes[0])['architectures'][0]}, {len(stored)} tensors,"
        f" {count / 1e6:,.1f} M parameters, {', '.join(dtypes)}, {size / 1e9:,.2f} GB:"
        " all accounted for"
    )


def logits(folder: str | Path, tokens: str | Path, out: str | Path) -> None:
    """ids i[B, T] of `tokens` -> f32[B, T, V] in `out`, a row at a time, in fp32 throughout.

    `folder` is one of Hugging Face or a checkpoint.
    """
    source = init_from.find(folder)
    config = dataclasses.replace(_model(source, folder), dtype="float32")
    ids = np.load(tokens)
    if ids.ndim != 2 or not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(f"{tokens} is {ids.dtype}{list(ids.shape)}; integers [B, T] are wanted")
    if strange := set(ids.flat) - set(range(config.vocab_size)):
        raise ValueError(f"{tokens}: id {strange.pop()} of a model with {config.vocab_size}")
    config.check_length(ids.shape[1], str(tokens))

    @jax.jit
    def forward(params, tokens_1T):
        hidden = transformer.hidden_states(config, params, tokens_1T, tokens_1T >= 0)
        return transformer.to_logits(hidden, transformer.head(config, params))

    mesh = sharding.make_mesh(fsdp=jax.device_count())
    with jax.set_mesh(mesh), jax.default_matmul_precision("highest"):
        params = init_from.load(source, config, mesh)
        shape = (*ids.shape, config.vocab_size)
        file = np.lib.format.open_memmap(out, mode="w+", dtype=np.float32, shape=shape)
        for row, row_ids in enumerate(ids):
            file[row] = sharding.fetch(forward(params, row_ids[None].astype(np.int32)))[0]
        file.flush()


# --- Files and flags -----------------------------------------------------------------------------


@contextlib.contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """A folder that is moved to `path` once it is complete. Raises ValueError if `path` exists."""
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ValueError(f"{path} exists already: name a new folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as scratch:
        made = Path(scratch) / path.name
        made.mkdir()
        yield made
        os.replace(made, path)


def _copy_files(folder: Path, out: Path) -> None:
    for name in COPIED:
        if (folder / name).is_file():
            (out / name).write_bytes((folder / name).read_bytes())


def _token_ids(folder: Path, published: Mapping[str, Any]) -> dict[str, Any]:
    """The ids that begin, end and pad a text, under their names in config.json."""
    file, ids = folder / "generation_config.json", {}
    for data in (read_object(file) if file.is_file() else {}, published):
        names = ("bos_token_id", "eos_token_id", "pad_token_id")
        ids |= {name: data[name] for name in names if data.get(name) is not None}
    return ids


def _stop_at_turns(folder: Path) -> dict[str, Any]:
    """Fields of config.json with the ids at which the run's samples ended; also written to
    generation_config.json. The model's own files may name fewer."""
    file = folder / "generation_config.json"
    ids = {"eos_token_id": list(tokenizer.load(folder).stop_ids)}
    data = read_object(file) if file.is_file() else {}
    file.write_text(json.dumps(data | ids, indent=2), encoding="utf-8")
    return ids


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0, or 2 after a line on standard error."""
    parser = argparse.ArgumentParser(
        prog="fdjax convert",
        description=__doc__,
        epilog="example: fdjax convert to_hf runs/fd exported --dtype=bfloat16",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True)
    parsers = {}
    for function, arguments in (
        (from_hf, ("folder", "out")),
        (from_gguf, ("file", "out")),
        (to_hf, ("checkpoint", "out")),
        (to_peft, ("checkpoint", "out")),
        (check, ("folder",)),
        (logits, ("folder",)),
    ):
        parsers[function] = commands.add_parser(function.__name__)
        parsers[function].set_defaults(function=function)
        for argument in arguments:
            parsers[function].add_argument(argument, type=_path)
    parsers[to_peft].add_argument(
        "--base", type=_path, help="the model's folder, if the checkpoint does not record it"
    )
    dtypes = ["float32", "bfloat16"]
    parsers[to_hf].add_argument("--dtype", choices=dtypes, help="default: as it is stored")
    for argument in ("--tokens", "--out"):
        parsers[logits].add_argument(argument, type=_path, required=True)
    given = vars(parser.parse_args(argv))
    try:
        if report := given.pop("function")(**given):
            print(report)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _path(text: str) -> Path:
    return Path(text).expanduser()


if __name__ == "__main__":
    sys.exit(main())
