"""The arrays of an Orbax checkpoint, read and written in parts: of models larger than memory.

What is written here is Orbax's own layout of one zarr array per parameter and one file per chunk
(its layout without OCDBT), so that Orbax restores it onto any mesh.
"""

import json
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorstore as ts

Array = ts.TensorStore


def create(
    folder: Path,
    arrays: Mapping[str, tuple[Sequence[int], np.dtype]],
    chunks: Mapping[str, Sequence[int]],
) -> dict[str, Array]:
    """Empty arrays in `folder`, path "layers/q_proj/kernel" -> array of (shape, dtype).

    Nobody takes the folder for a checkpoint's item before `finish`.
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
    """Makes the arrays written below `folder` an item that Orbax restores."""
    tree = {}
    for path in paths:
        keys = path.split("/")
        tree[str(tuple(keys))] = {
            "key_metadata": [{"key": key, "key_type": 2} for key in keys],  # of a dict
            "value_metadata": {"value_type": "jax.Array", "skip_deserialize": False},
        }
    metadata = {
        "tree_metadata": tree,
        "use_ocdbt": False,
        "use_zarr3": False,
        "store_array_data_equal_to_fill_value": True,
        "custom_metadata": None,
    }
    (folder / "_METADATA").write_text(json.dumps(metadata))
    (folder / "commit_success.txt").write_text("")


def finish_step(folder: Path) -> None:
    """Makes a folder of items a step that Orbax's CheckpointManager knows."""
    now = time.time_ns()
    metadata = {"init_timestamp_nsecs": now, "commit_timestamp_nsecs": now}
    (folder / "_CHECKPOINT_METADATA").write_text(json.dumps(metadata))
    (folder / "commit_success.txt").write_text("")


def open_item(folder: str | os.PathLike) -> dict[str, Array]:
    """The arrays of an item (params) of any checkpoint, by path. Raises ValueError if there is
    none."""
    folder = Path(folder).absolute()
    try:
        metadata = json.loads((folder / "_METADATA").read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder} is no item of an Orbax checkpoint: {error}") from error
    out = {}
    for entry in metadata["tree_metadata"].values():
        keys = [key["key"] for key in entry["key_metadata"]]
        store = {"driver": "file", "path": f"{folder}/"}
        if metadata["use_ocdbt"]:
            store = {"driver": "ocdbt", "base": store, "path": ".".join(keys) + "/"}
        else:
            store["path"] += ".".join(keys) + "/"
        driver = "zarr3" if metadata.get("use_zarr3") else "zarr"
        out["/".join(keys)] = ts.open({"driver": driver, "kvstore": store}, open=True, read=True)
    return {path: array.result() for path, array in out.items()}


def blocks(array: Array, axis: int, least: int = 1) -> Iterator[slice]:
    """Slices of `axis`, each of whole chunks of the array and at least `least` long."""
    size, chunk = array.shape[axis], array.chunk_layout.read_chunk.shape[axis]
    step = chunk * math.ceil(least / chunk)
    return (slice(i, min(i + step, size)) for i in range(0, size, step))
