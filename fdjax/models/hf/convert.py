"""Weights between Hugging Face's folders and checkpoints here: python -m fdjax.models.hf.convert COMMAND.

    from_hf DIR OUT     OUT is laid out as a stage of a run: config.json, checkpoints/0, tokenizer
    to_hf CKPT DIR      CKPT: a run, a stage, a checkpoint, or what from_hf made (fdjax/models/hf/init_from.py);
                        adapters are merged into what they were added to
    to_peft CKPT DIR    the adapters alone, as the peft package lays them out
    check DIR           accounts for every tensor of a Hugging Face folder
    logits DIR --tokens=FILE.npy --out=FILE.npy     ids i[B, T] -> logits f32[B, T, V], in fp32

Both conversions hold one block of rows at a time, never a model.
"""

import argparse
import contextlib
import dataclasses
import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from fdjax.models import lora, tokenizer, transformer
from fdjax.models.config import ModelConfig
from fdjax.models.hf import array_store, tensor_names, weights
from fdjax.models.hf import config as hf
from fdjax.models.hf import init_from as origin
from fdjax.models.hf.safetensors import (
    Stored,
    create_file,
    create_folder,
    read_rows,
    row_blocks,
    write_rows,
)
from fdjax.models.tokenizer.trained import token_ids, transformers_files
from fdjax.runtime import sharding

BESIDE = (  # files that go along with weights, where there are some
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "generation_config.json",
)
CHUNK_BYTES = 32 << 20


# --- From Hugging Face ---------------------------------------------------------------------------


def from_hf(folder: str | Path, out: str | Path) -> None:
    """Writes `out`, a checkpoint of the folder's tensors in the dtypes that they have there."""
    folder = Path(folder)
    config = hf.read_config(folder)
    stored = weights.account(folder, config)
    tensors, shapes = tensor_names.tensors(config), weights.shapes(config)
    arrays, chunks = {}, {}
    for path, tensor in tensors.items():
        parts = [stored[name] for name in weights.names(tensor, config)]
        dtype = np.result_type(*(part.dtype for part in parts))
        arrays[path] = shapes[path], dtype
        # A chunk is what one block of rows becomes.
        rows = next(iter(row_blocks(parts[0].shape[0], parts[0].row_bytes, CHUNK_BYTES))).stop
        matrix = (rows, *parts[0].shape[1:])
        matrix = matrix[::-1] if tensor.transposed else matrix
        chunks[path] = (1, *matrix) if tensor.stacked else matrix
    with new_folder(out) as made:
        item = made / "checkpoints" / "0" / "params"
        item.mkdir(parents=True)
        for path, array in array_store.create(item, arrays, chunks).items():
            tensor = tensors[path]
            for layer, name in enumerate(weights.names(tensor, config)):
                part = array[layer] if tensor.stacked else array
                _copy_in(stored[name], part.T if tensor.transposed else part)
        array_store.finish(item, list(arrays))
        array_store.finish_step(item.parent)
        record = {"model": dataclasses.asdict(config), **_token_ids(folder)}
        (made / "config.json").write_text(json.dumps(record, indent=1))
        _copy_beside(folder, made)


def _copy_in(stored: Stored, array: array_store.Array) -> None:
    for block in row_blocks(stored.shape[0], stored.row_bytes, CHUNK_BYTES):
        rows = read_rows(stored, block.start, block.stop)
        array[block].write(rows.astype(array.dtype.numpy_dtype, copy=False)).result()


# --- To Hugging Face -----------------------------------------------------------------------------


def to_hf(
    checkpoint: str | Path, out: str | Path, *, dtype: str | None = None, shard_bytes: int = 5 << 30
) -> None:
    """Writes `out`, a folder that transformers and vLLM load, the tokenizer included.

    `dtype`: of all tensors (float32, bfloat16), by default as they are stored.
    """
    source, config = _checkpoint(checkpoint)
    arrays = array_store.open_item(source.item)
    tensors = tensor_names.tensors(config)
    expected = weights.expected_shapes(config)
    wanted = {
        name: (expected[name], np.dtype(dtype or arrays[path].dtype.numpy_dtype))
        for path, tensor in tensors.items()
        for name in weights.names(tensor, config)
    }
    with new_folder(out) as made:
        files = create_folder(made, wanted, shard_bytes=shard_bytes)
        for path, tensor in tensors.items():
            _copy_out(tensor, arrays[path], _adapter(arrays, path, config), files)
        config = dataclasses.replace(config, max_positions=_max_positions(source))
        data = hf.config_json(config, str(wanted["model.embed_tokens.weight"][1]))
        if words := _trained_tokenizer(source):
            data |= token_ids(words)
            for name, content in transformers_files(words).items():
                (made / name).write_text(content, encoding="utf-8")
        else:
            data |= _token_ids(source.folder)
            _copy_beside(source.folder, made)
        (made / "config.json").write_text(json.dumps(data, indent=2))


def to_peft(checkpoint: str | Path, out: str | Path) -> None:
    """Writes `out`, adapters that the peft package and vLLM add to the model they were made for."""
    source, config = _checkpoint(checkpoint)
    if not config.lora_rank:
        raise ValueError(f"{checkpoint} has no adapters: it was trained with model.lora_rank=0")
    arrays = array_store.open_item(source.item)
    found = {}
    for path, tensor in tensor_names.tensors(config).items():
        if adapter := _adapter(arrays, path, config):
            name = "base_model.model." + tensor.name.removesuffix(".weight")
            for layer in range(config.num_layers):
                found[f"{name.format(layer)}.lora_A.weight"] = adapter.a[layer].T
                found[f"{name.format(layer)}.lora_B.weight"] = adapter.b[layer].T
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
    with new_folder(out) as made:
        shapes = {name: (x.shape, x.dtype) for name, x in found.items()}
        for name, stored in create_file(made / "adapter_model.safetensors", shapes).items():
            write_rows(stored, found[name])
        (made / "adapter_config.json").write_text(json.dumps(data, indent=2))


class _Adapter(NamedTuple):
    a: np.ndarray  # f32[L, in, rank]
    b: np.ndarray  # f32[L, rank, out]
    scale: float


def _adapter(
    arrays: Mapping[str, array_store.Array], path: str, config: ModelConfig
) -> _Adapter | None:
    """That of the projection whose kernel lies at `path`, if it has one."""
    name = path.removesuffix("/kernel") + lora.SUFFIX
    if f"{name}/a" not in arrays:
        return None
    a, b = (arrays[f"{name}/{part}"].read().result() for part in "ab")
    return _Adapter(a, b, lora.scale(config))


def _checkpoint(path: str | Path) -> tuple[origin.InitSource, ModelConfig]:
    source = origin.find(path)
    if source.item is None:
        raise ValueError(f"{path} is a folder of Hugging Face already")
    return source, _model(source, path)


def _model(source: origin.InitSource, path: str | Path) -> ModelConfig:
    if source.model is None:
        raise ValueError(f"{path} lies in no stage whose config.json names its model")
    return source.model


def _max_positions(source: origin.InitSource) -> int:
    """Tokens of the longest sequence it was made for, or else that its run had room for; 0 where
    neither is said."""
    prompt = source.record.get("prompt")
    if source.model.max_positions or not prompt:
        return source.model.max_positions
    longest = max(*prompt["student_buckets"], *prompt["teacher_buckets"])
    return longest + prompt["response_length"]


def _trained_tokenizer(source: origin.InitSource) -> tokenizer.SentencePieceTokenizer | None:
    """That of a stage whose run trained one."""
    if not (source.is_stage and tokenizer.holds(source.folder)):
        return None
    words = tokenizer.load(source.folder)
    return words if isinstance(words, tokenizer.SentencePieceTokenizer) else None


def _copy_out(
    tensor: tensor_names.Tensor,
    array: array_store.Array,
    adapter: _Adapter | None,
    files: Mapping[str, Stored],
) -> None:
    """Whole chunks of the array at a time, which may span layers."""
    axis = array.rank - 1 if tensor.transposed else int(tensor.stacked)  # of the tensor's rows
    for some in array_store.blocks(array, 0) if tensor.stacked else (slice(0, 1),):
        others = set(range(int(tensor.stacked), array.rank)) - {axis}
        row_bytes = (some.stop - some.start) * array.dtype.numpy_dtype.itemsize
        row_bytes *= math.prod(array.shape[i] for i in others)
        for block in array_store.blocks(array, axis, max(1, CHUNK_BYTES // row_bytes)):
            index = [slice(None)] * array.rank
            index[axis] = block
            if tensor.stacked:
                index[0] = some
            part = array[tuple(index)].read().result()
            for row, layer in enumerate(range(some.start, some.stop)):
                matrix = part[row] if tensor.stacked else part
                if adapter:
                    product = adapter.a[layer] @ adapter.b[layer][:, block]
                    matrix = matrix.astype(np.float32) + adapter.scale * product
                stored = files[tensor.name.format(layer)]
                matrix = matrix.T if tensor.transposed else matrix
                write_rows(stored, matrix.astype(stored.dtype, copy=False), block.start)


# --- Check, logits -------------------------------------------------------------------------------


def check(folder: str | Path) -> str:
    """What the folder holds, in a line. Raises ValueError naming every tensor that is amiss."""
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

    `folder`: of Hugging Face or a checkpoint.
    """
    source = origin.find(folder)
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
        params = origin.load(source, config, mesh)
        shape = (*ids.shape, config.vocab_size)
        file = np.lib.format.open_memmap(out, mode="w+", dtype=np.float32, shape=shape)
        for row, row_ids in enumerate(ids):
            file[row] = sharding.fetch(forward(params, row_ids[None].astype(np.int32)))[0]
        file.flush()


# --- Files and flags -----------------------------------------------------------------------------


@contextlib.contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """A folder that gets its name only when all is in it. Raises ValueError if there is one."""
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ValueError(f"{path} exists already: name a new folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield scratch
        scratch.chmod(0o755)
        os.replace(scratch, path)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _copy_beside(folder: Path, out: Path) -> None:
    for name in BESIDE:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, out / name)


def _token_ids(folder: Path) -> dict[str, Any]:
    """Which ids begin, end and pad a text, as config.json repeats them."""
    found = {}
    for file in (folder / "generation_config.json", folder / "config.json"):
        data = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        found |= {key: data[key] for key in _TOKEN_IDS if data.get(key) is not None}
    return found


_TOKEN_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        "python -m fdjax.models.hf.convert",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("from_hf")
    one.add_argument("folder")
    one.add_argument("out")
    one = commands.add_parser("to_hf")
    one.add_argument("checkpoint")
    one.add_argument("out")
    one.add_argument("--dtype", choices=["float32", "bfloat16"], help="default: as it is stored")
    one = commands.add_parser("to_peft")
    one.add_argument("checkpoint")
    one.add_argument("out")
    one = commands.add_parser("check")
    one.add_argument("folder")
    one = commands.add_parser("logits")
    one.add_argument("folder")
    one.add_argument("--tokens", required=True)
    one.add_argument("--out", required=True)
    given = vars(parser.parse_args(argv))
    command = {f.__name__: f for f in (from_hf, to_hf, to_peft, check, logits)}
    try:
        if said := command[given.pop("command")](**given):
            print(said)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main(sys.argv[1:])
