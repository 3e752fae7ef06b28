"""Safetensors files as the safetensors package writes and reads them, whole and broken."""

import json

import ml_dtypes
import numpy as np
import pytest

from fdjax.models.hf import safetensors as tf

RNG = np.random.default_rng(0)
TENSORS = {
    "a.weight": RNG.normal(size=(7, 3)).astype(np.float32),
    "b.weight": RNG.normal(size=(4, 5)).astype(ml_dtypes.bfloat16),
    "c": RNG.normal(size=6).astype(np.float16),
}


def write(folder, shard_bytes):
    files = tf.create_folder(
        folder, {name: (x.shape, x.dtype) for name, x in TENSORS.items()}, shard_bytes=shard_bytes
    )
    for name, x in TENSORS.items():
        for block in tf.row_blocks(len(x), x[0].nbytes, block_bytes=2 * x[0].nbytes):
            tf.write_rows(files[name], x[block], block.start)


@pytest.mark.parametrize(("shard_bytes", "files"), [(1 << 20, 1), (100, 2)])
def test_what_is_written_in_rows_is_read_in_rows(tmp_path, shard_bytes, files):
    write(tmp_path, shard_bytes)
    assert len(list(tmp_path.glob("*.safetensors"))) == files
    assert (tmp_path / tf.INDEX).exists() == (files > 1)
    stored = tf.open_folder(tmp_path)
    assert list(stored) == list(TENSORS)
    for name, x in TENSORS.items():
        np.testing.assert_array_equal(tf.read_rows(stored[name]), x)
        rows = tf.read_rows(stored[name], 2, 4)
        assert rows.dtype == x.dtype
        np.testing.assert_array_equal(rows, x[2:4])
    assert [b for b in tf.row_blocks(5, 10, 20)] == [slice(0, 2), slice(2, 4), slice(4, 5)]


def test_the_safetensors_package_reads_and_writes_the_same(tmp_path):
    package = pytest.importorskip("safetensors.numpy", reason="needs the hf extra")
    write(tmp_path, 1 << 20)
    read = package.load_file(tmp_path / "model.safetensors")
    for name, x in TENSORS.items():
        np.testing.assert_array_equal(read[name].view(np.uint8), x.view(np.uint8))
    package.save_file(read, tmp_path / "model.safetensors")
    again = tf.open_folder(tmp_path)
    for name, x in TENSORS.items():
        np.testing.assert_array_equal(tf.read_rows(again[name]), x)


def test_broken_folders_are_reported(tmp_path):
    def refused(message):
        with pytest.raises(ValueError, match=message):
            tf.open_folder(tmp_path)

    refused("neither model.safetensors nor model.safetensors.index.json")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    refused("save its pytorch_model.bin as safetensors")
    write(tmp_path, 100)
    second = tmp_path / "model-00002-of-00002.safetensors"
    whole = second.read_bytes()
    second.write_bytes(whole[:-1])
    refused("model-00002-of-00002.safetensors is truncated or .*: .*file not fully covered")
    second.write_bytes(whole[:30])
    refused("model-00002-of-00002.safetensors is truncated or no safetensors file")
    second.write_bytes(whole[:3])
    refused("model-00002-of-00002.safetensors is truncated or no safetensors file")
    second.write_bytes((4).to_bytes(8, "little") + b"null")
    refused("or no safetensors file: .*invalid JSON")
    second.write_bytes(whole.replace(b'"F16"', b'"I16"'))
    refused("c is I16; known are F32, BF16, F16")
    second.unlink()
    refused("model-00002-of-00002.safetensors does not exist")
    second.write_bytes(whole)
    index = json.loads((tmp_path / tf.INDEX).read_text())
    index["weight_map"]["d"] = second.name
    (tmp_path / tf.INDEX).write_text(json.dumps(index))
    refused("names tensors that their files lack: d")
    (tmp_path / tf.INDEX).write_text("{}")
    refused("is no index of tensors")


def test_rows_of_another_kind_are_not_written(tmp_path):
    stored = tf.create_file(tmp_path / "x", {"a": ((3, 2), np.float32)})["a"]
    with pytest.raises(ValueError, match=r"rows float64\[3, 2\] for a tensor float32\[3, 2\]"):
        tf.write_rows(stored, np.zeros((3, 2)))
