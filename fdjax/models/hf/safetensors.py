"""Folders of safetensors files, read and written a few rows of a tensor at a time.

The safetensors package reads. It maps a file into memory, where the pages that were read count as
the process's own until the file is closed, so a file is opened anew for each block of rows.
Writing is ours: the package needs all tensors of a file in memory at once. The format is 8 bytes
with the length of a JSON header {name: dtype, shape, data_offsets}, the header, and the tensors'
bytes, row-major.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import ml_dtypes
import numpy as np
from safetensors import SafetensorError, safe_open

_DTYPES = {
    "F32": np.dtype(np.float32),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F16": np.dtype(np.float16),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
INDEX = "model.safetensors.index.json"

Layout = tuple[Sequence[int], np.dtype]  # a tensor's shape and dtype


class Stored(NamedTuple):
    """A tensor in a file."""

    file: Path
    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int | None = None  # of its first byte, in files that are created here

    @property
    def row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize


# --- Reading -------------------------------------------------------------------------------------


def open_folder(folder: str | os.PathLike) -> dict[str, Stored]:
    """Name -> tensor of all tensors in a folder.

    Raises ValueError naming a file that is missing, truncated or no safetensors file, or a tensor
    that is not in the file that the index names.
    """
    folder = Path(folder)
    index = folder / INDEX
    if index.exists():
        try:
            files = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{index} is no index of tensors: {error!r}") from error
        headers = {name: read_header(folder / name) for name in sorted(set(files.values()))}
        if lost := [name for name, file in files.items() if name not in headers[file]]:
            raise ValueError(f"{index} names tensors that their files lack: {', '.join(lost[:8])}")
        return {name: tensor for header in headers.values() for name, tensor in header.items()}
    if (folder / "model.safetensors").exists():
        return read_header(folder / "model.safetensors")
    raise ValueError(
        f"{folder} has neither model.safetensors nor {INDEX}"
        + (": save its pytorch_model.bin as safetensors" if list(folder.glob("*.bin")) else "")
    )


def read_header(file: Path) -> dict[str, Stored]:
    """The tensors of one file. Raises ValueError as `open_folder` does."""
    if not file.is_file():
        raise ValueError(f"{file} does not exist")
    try:
        with safe_open(file, "np") as opened:
            tensors = {name: opened.get_slice(name) for name in opened.offset_keys()}
            layouts = {n: (t.get_dtype(), tuple(t.get_shape())) for n, t in tensors.items()}
    except SafetensorError as error:
        raise ValueError(f"{file} is truncated or no safetensors file: {error}") from error
    for name, (dtype, _) in layouts.items():
        if dtype not in _DTYPES:
            raise ValueError(f"{file}: {name} is {dtype}; known are {', '.join(_DTYPES)}")
    return {n: Stored(file, n, _DTYPES[dtype], shape) for n, (dtype, shape) in layouts.items()}


def read_rows(tensor: Stored, start: int = 0, stop: int | None = None) -> np.ndarray:
    """Rows start:stop of a tensor, in its dtype."""
    with safe_open(tensor.file, "np") as opened:
        return opened.get_slice(tensor.name)[start:stop]


def row_blocks(count: int, row_bytes: int, block_bytes: int = 32 << 20) -> Iterable[slice]:
    """Slices of `count` rows, each of about `block_bytes`."""
    step = max(1, block_bytes // max(row_bytes, 1))
    return (slice(i, min(i + step, count)) for i in range(0, count, step))


# --- Writing -------------------------------------------------------------------------------------


def create_folder(
    folder: str | os.PathLike, tensors: Mapping[str, Layout], *, shard_bytes: int = 5 << 30
) -> dict[str, Stored]:
    """Files of at most about `shard_bytes` with room for `tensors`, for `write_rows` to fill.

    Writes the index too if there are several files.
    """
    folder = Path(folder)
    shards: list[dict[str, Layout]] = [{}]
    used = 0
    for name, (shape, dtype) in tensors.items():
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if shards[-1] and used + size > shard_bytes:
            shards.append({})
            used = 0
        shards[-1][name] = shape, dtype
        used += size
    if len(shards) == 1:
        return create_file(folder / "model.safetensors", tensors)
    out: dict[str, Stored] = {}
    for i, shard in enumerate(shards, start=1):
        out |= create_file(folder / f"model-{i:05}-of-{len(shards):05}.safetensors", shard)
    index = {
        "metadata": {
            "total_size": sum(math.prod(t.shape) * t.dtype.itemsize for t in out.values())
        },
        "weight_map": {name: tensor.file.name for name, tensor in out.items()},
    }
    (folder / INDEX).write_text(json.dumps(index, indent=2), encoding="utf-8")
    return out


def create_file(file: Path, tensors: Mapping[str, Layout]) -> dict[str, Stored]:
    """One file with room for `tensors`."""
    header, offsets, end = {"__metadata__": {"format": "pt"}}, {}, 0
    for name, (shape, dtype) in tensors.items():
        offsets[name], end = end, end + math.prod(shape) * np.dtype(dtype).itemsize
        header[name] = {
            "dtype": _NAMES[np.dtype(dtype)],
            "shape": list(shape),
            "data_offsets": [offsets[name], end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(file, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        f.truncate(8 + len(text) + end)
    return {
        name: Stored(file, name, np.dtype(dtype), tuple(shape), 8 + len(text) + offsets[name])
        for name, (shape, dtype) in tensors.items()
    }


def write_rows(tensor: Stored, rows: np.ndarray, start: int = 0) -> None:
    """Writes `rows`, of the tensor's dtype, from row `start` on. The file is one created here."""
    rows = np.ascontiguousarray(rows)
    if rows.dtype != tensor.dtype or rows.shape[1:] != tensor.shape[1:]:
        raise ValueError(
            f"rows {rows.dtype}{list(rows.shape)} for a tensor {tensor.dtype}{list(tensor.shape)}"
        )
    with open(tensor.file, "r+b") as f:
        f.seek(tensor.offset + start * tensor.row_bytes)
        f.write(rows.view(np.uint8).reshape(-1).data)
