"""Folders of safetensors files, read and written a few rows of a tensor at a time.

The format: 8 bytes with the length of a JSON header {name: dtype, shape, data_offsets}, the
header, then the tensors' bytes, row-major. An index names the file of each tensor where there are
several. Nothing is mapped into memory, so what a process holds is what it asked for.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import ml_dtypes
import numpy as np

_DTYPES = {
    "F32": np.dtype(np.float32),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F16": np.dtype(np.float16),
}
INDEX = "model.safetensors.index.json"


class Stored(NamedTuple):
    file: Path
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int  # of its first byte in the file

    @property
    def row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize


def open_folder(folder: str | os.PathLike) -> dict[str, Stored]:
    """Name -> where it lies, of a folder's tensors. Raises ValueError naming a file that is
    missing, truncated or no safetensors, or a tensor that is not where the index says."""
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
    elif (folder / "model.safetensors").exists():
        headers = {"": read_header(folder / "model.safetensors")}
    else:
        raise ValueError(
            f"{folder} has neither model.safetensors nor {INDEX}"
            + (": save its pytorch_model.bin as safetensors" if list(folder.glob("*.bin")) else "")
        )
    return {name: stored for header in headers.values() for name, stored in header.items()}


def read_header(file: Path) -> dict[str, Stored]:
    """The tensors of one file. Raises ValueError as `open_folder` does."""
    if not file.is_file():
        raise ValueError(f"{file} does not exist")
    size = file.stat().st_size
    with open(file, "rb") as f:
        length = int.from_bytes(f.read(8), "little")
        if size < 8 or length > size - 8:
            raise ValueError(
                f"{file} is truncated or no safetensors file: its header ends at "
                f"byte {8 + length}, the file at {size}"
            )
        try:
            header = json.loads(f.read(length))
            header.pop("__metadata__", None)
            ends = [tensor["data_offsets"][1] for tensor in header.values()]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{file} is no safetensors file: {error!r}") from error
    if size != 8 + length + max(ends, default=0):
        raise ValueError(
            f"{file} is truncated: its tensors end at byte "
            f"{8 + length + max(ends, default=0)}, the file at {size}"
        )
    out = {}
    for name, tensor in header.items():
        if tensor["dtype"] not in _DTYPES:
            raise ValueError(f"{file}: {name} is {tensor['dtype']}; known are {', '.join(_DTYPES)}")
        dtype, shape = _DTYPES[tensor["dtype"]], tuple(tensor["shape"])
        start, end = tensor["data_offsets"]
        if end - start != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{file}: {name} of {list(shape)} has {end - start} bytes")
        out[name] = Stored(file, dtype, shape, 8 + length + start)
    return out


def read_rows(tensor: Stored, start: int = 0, stop: int | None = None) -> np.ndarray:
    """Rows start:stop of a tensor, in its dtype."""
    stop = tensor.shape[0] if stop is None else stop
    out = np.empty((stop - start, *tensor.shape[1:]), tensor.dtype)
    with open(tensor.file, "rb") as f:
        f.seek(tensor.offset + start * tensor.row_bytes)
        if f.readinto(out.view(np.uint8).reshape(-1).data) != out.nbytes:
            raise ValueError(f"{tensor.file} ended while it was read")
    return out


def create_folder(
    folder: str | os.PathLike,
    tensors: Mapping[str, tuple[Sequence[int], np.dtype]],
    *,
    shard_bytes: int = 5 << 30,
) -> dict[str, Stored]:
    """Files of at most about `shard_bytes`, with room for `tensors` (name -> shape, dtype) and
    nothing in it yet. The index, if there are several, is written too."""
    folder = Path(folder)
    shards: list[list[str]] = [[]]
    used = 0
    for name, (shape, dtype) in tensors.items():
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if shards[-1] and used + size > shard_bytes:
            shards.append([])
            used = 0
        shards[-1].append(name)
        used += size
    count = len(shards)
    names = (
        ["model.safetensors"]
        if count == 1
        else [f"model-{i + 1:05}-of-{count:05}.safetensors" for i in range(count)]
    )
    out: dict[str, Stored] = {}
    for file, shard in zip(names, shards):
        out |= create_file(folder / file, {name: tensors[name] for name in shard})
    if count > 1:
        total = sum(math.prod(t.shape) * t.dtype.itemsize for t in out.values())
        index = {
            "metadata": {"total_size": total},
            "weight_map": {name: tensor.file.name for name, tensor in out.items()},
        }
        (folder / INDEX).write_text(json.dumps(index, indent=2), encoding="utf-8")
    return out


def create_file(
    file: Path, tensors: Mapping[str, tuple[Sequence[int], np.dtype]]
) -> dict[str, Stored]:
    names = {dtype: name for name, dtype in _DTYPES.items()}
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, (shape, dtype) in tensors.items():
        start, end = end, end + math.prod(shape) * np.dtype(dtype).itemsize
        header[name] = {
            "dtype": names[np.dtype(dtype)],
            "shape": list(shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(file, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        f.truncate(8 + len(text) + end)
    return {
        name: Stored(
            file, np.dtype(dtype), tuple(shape), 8 + len(text) + header[name]["data_offsets"][0]
        )
        for name, (shape, dtype) in tensors.items()
    }


def write_rows(tensor: Stored, rows: np.ndarray, start: int = 0) -> None:
    """Writes `rows` from row `start` on; their dtype is the tensor's."""
    rows = np.ascontiguousarray(rows)
    if rows.dtype != tensor.dtype or rows.shape[1:] != tensor.shape[1:]:
        raise ValueError(
            f"rows {rows.dtype}{list(rows.shape)} for a tensor {tensor.dtype}{list(tensor.shape)}"
        )
    with open(tensor.file, "r+b") as f:
        f.seek(tensor.offset + start * tensor.row_bytes)
        f.write(rows.view(np.uint8).reshape(-1).data)


def row_blocks(count: int, row_bytes: int, block_bytes: int = 32 << 20) -> Iterable[slice]:
    """Slices of `count` rows, each of about `block_bytes`."""
    step = max(1, block_bytes // max(row_bytes, 1))
    return (slice(i, min(i + step, count)) for i in range(0, count, step))
