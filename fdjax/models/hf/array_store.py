"""The arrays of an Orbax checkpoint, read and written in parts: for models larger than memory.

Orbax restores and saves whole arrays, so this module opens the tensorstore arrays beneath. What it
writes is Orbax's layout without OCDBT: one zarr array per parameter, one file per chunk, and the
metadata with which Orbax restores it onto any mesh.
"""

import json
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts

from fdjax.runtime import checksums

Array = ts.TensorStore


def create(
    folder: Path,
    arrays: Mapping[str, tuple[Sequence[int], np.dtype]],
    chunks: Mapping[str, Sequence[int]],
) -> dict[str, Array]:
    """Empty arrays in `folder`: path "layers/q_proj/kernel" -> array of (shape, dtype).

    Orbax does not accept the folder as a checkpoint's item before `finish`.
    """
    out = {}
    for path, (shape, dtype) in arrays.items():
        name = path.replace("/", ".")
        out[path] = ts.open(
            {
                "driver": "zarr",
                "kvstore": {"driver": "file", "path": f"{folder.absolute() / name}/"},
                "metadata": {"chunks": list(chunks[path]), "compressor": None},
                "store_data_equal_to_fill_value": True,
            },
            create=True,
            dtype=ts.dtype(dtype),
            shape=tuple(shape),
        ).result()
    return out


def finish(folder: Path, paths: Sequence[str]) -> None:
    """Makes the arrays in `folder`, an item of a step, a checkpoint that Orbax restores."""
    tree = {}
    for path in paths:
        keys = path.split("/")
        tree[str(tuple(keys))] = {
            "key_metadata": [{"key": key, "key_type": 2} for key in keys],  # 2: of a dict
            "value_metadata": {"value_type": "jax.Array", "skip_deserialize": False},
        }
    now = time.time_ns()
    files = {
        folder / "_METADATA": {
            "tree_metadata": tree,
            "use_ocdbt": False,
            "use_zarr3": False,
            "store_array_data_equal_to_fill_value": True,
            "custom_metadata": None,
        },
        folder.parent / "_CHECKPOINT_METADATA": {
            "init_timestamp_nsecs": now,
            "commit_timestamp_nsecs": now,
        },
    }
    for file, metadata in files.items():
        file.write_text(json.dumps(metadata))
        (file.parent / "commit_success.txt").write_text("")
    checksums.seal(folder.parent)


def open_item(folder: str | os.PathLike) -> dict[str, Array]:
    """Path -> array of an item (params) of any checkpoint. Raises ValueError if it is none."""
    folder = Path(folder).absolute()
    metadata, out = _metadata(folder), {}
    for keys in _keys(metadata):
        store = {"driver": "file", "path": f"{folder}/"}
        if metadata["use_ocdbt"]:
            store = {"driver": "ocdbt", "base": store, "path": ".".join(keys) + "/"}
        else:
            store["path"] += ".".join(keys) + "/"
        driver = "zarr3" if metadata.get("use_zarr3") else "zarr"
        out["/".join(keys)] = ts.open({"driver": driver, "kvstore": store}, open=True, read=True)
    return {path: array.result() for path, array in out.items()}


def files(folder: Path) -> set[Path]:
    """The files of an item that hold its arrays. Raises ValueError if it is none."""
    named = {".".join(keys) for keys in _keys(_metadata(folder))}
    named |= {"_METADATA", "commit_success.txt", "manifest.ocdbt", "d"}
    return {
        file
        for top in folder.iterdir()
        if top.name in named or top.name.startswith("ocdbt.process_")
        for file in (top, *top.rglob("*"))
        if file.is_file() and (not file.name.startswith(".") or file.name == ".zarray")
    }


def _metadata(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / "_METADATA").read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder} is no item of an Orbax checkpoint: {error}") from error


def _keys(metadata: Mapping[str, Any]) -> list[list[str]]:
    """The path of each array, as keys."""
    entries = metadata["tree_metadata"].values()
    return [[key["key"] for key in entry["key_metadata"]] for entry in entries]


def blocks(array: Array, axis: int, minimum: int = 1) -> Iterator[slice]:
    """Slices of `axis`, each of whole chunks of the array and at least `minimum` long."""
    size, chunk = array.shape[axis], array.chunk_layout.read_chunk.shape[axis]
    step = chunk * math.ceil(minimum / chunk)
    return (slice(i, min(i + step, size)) for i in range(0, size, step))
