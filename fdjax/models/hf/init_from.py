"""Trained parameters on disk, wherever they come from: what `init_from` and `convert` may name.

a Hugging Face folder        config.json of transformers, safetensors
a stage of a run             runs/fd/sft: its last checkpoint
a run                        runs/fd: its last stage that is finished
one checkpoint               runs/fd/sft/checkpoints/400
what `convert from_hf` made  the same layout as a stage
any Orbax checkpoint         of parameters in this project's layout; the model is the config's
"""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from fdjax.models import lora, transformer
from fdjax.models.config import ModelConfig, from_fields
from fdjax.models.hf import config as hf
from fdjax.models.hf import weights
from fdjax.runtime import sharding
from fdjax.runtime.checkpoint import restore_params
from fdjax.runtime.files import read_object


class InitSource(NamedTuple):
    folder: Path  # that of config.json; of an Orbax checkpoint without one, its own
    item: Path | None  # the params of one Orbax checkpoint; None: Hugging Face's safetensors
    model: ModelConfig | None  # None: it does not say
    record: dict[str, Any]  # config.json

    @property
    def is_stage(self) -> bool:
        return "stage" in self.record

    @property
    def fingerprint(self) -> str:
        """Other parameters, another fingerprint."""
        if not self.is_stage:
            return _digest(self.item or self.folder)
        step = int(self.item.parent.name)
        last = step == self.record["stage"]["steps"]
        return self.record["fingerprint"] + ("" if last else f"@{step}")


def find(path: str | Path) -> InitSource:
    """What lies there. Raises ValueError saying what is missing."""
    path = Path(path)
    if not path.is_dir():
        raise ValueError(f"{path} is no folder")
    for item in (path, path / "params"):
        if (item / "_METADATA").exists():
            return _checkpoint(item)
    if not (path / "config.json").exists():
        return _last_stage(path)
    record = _read_record(path)
    if "model" not in record:
        return InitSource(path, None, hf.read_config(path), record)
    return InitSource(path, _last_item(path, record), from_fields(record["model"]), record)


def load(
    origin: InitSource, config: ModelConfig, mesh: Mesh, *, seed: int = 0
) -> transformer.Params:
    """Its parameters f32 on `mesh`; adapters that it lacks are fresh ones, drawn by `seed`.

    Raises ValueError naming what does not fit `config`.
    """
    if origin.model and origin.model.lora_rank:
        return _restore(origin.item, config, mesh)
    base = lora.without(config)
    if origin.item is None:
        params = weights.load(origin.folder, base, mesh)
    else:
        params = _restore(origin.item, base, mesh)
    return lora.join(_fresh_adapters(config, mesh, seed), params) if config.lora_rank else params


def _restore(item: Path, config: ModelConfig, mesh: Mesh) -> transformer.Params:
    shapes = jax.eval_shape(lambda: transformer.init(config, jax.random.key(0)))
    target = jax.tree.map(
        lambda s, at: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=at),
        shapes,
        sharding.tree_shardings(shapes, mesh),
    )
    return restore_params(item, target)


def _fresh_adapters(config: ModelConfig, mesh: Mesh, seed: int) -> transformer.Params:
    def make(key):
        return lora.split(transformer.init(config, key))[0]

    key = jax.random.key(seed)
    placed = sharding.tree_shardings(jax.eval_shape(make, key), mesh)
    return jax.jit(make, out_shardings=placed)(key)


def _read_record(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    return read_object(file) if file.exists() else {}


def _checkpoint(item: Path) -> InitSource:
    item = item.resolve()
    if len(item.parents) > 2:  # STAGE/checkpoints/400/params
        record = _read_record(item.parents[2])
        if "model" in record:
            return InitSource(item.parents[2], item, from_fields(record["model"]), record)
    return InitSource(item, item, None, {})


def _last_item(folder: Path, record: dict[str, Any]) -> Path:
    """Of a stage its last step's, which must be there; of what from_hf made its only one."""
    step = record["stage"]["steps"] if "stage" in record else 0
    item = folder / "checkpoints" / str(step) / "params"
    if not (item / "_METADATA").exists():
        there = sorted(int(p.name) for p in folder.glob("checkpoints/*") if p.name.isdigit())
        raise ValueError(
            f"{folder} is not finished, or damaged: no checkpoint of step {step}; it has {there}"
        )
    return item


def _last_stage(workdir: Path) -> InitSource:
    """The finished stage that no other finished one of the run started from."""
    records = {}
    for file in sorted(workdir.glob("*/config.json")):
        record = _read_record(file.parent)
        steps = record.get("stage", {}).get("steps")
        if (file.parent / "checkpoints" / str(steps) / "params").exists():
            records[file.parent] = record
    began_with = {record["before"] for record in records.values()}
    last = [folder for folder in records if records[folder]["fingerprint"] not in began_with]
    if len(last) == 1:
        return find(last[0])
    several = f"has several last stages, {', '.join(folder.name for folder in last)}"
    raise ValueError(
        f"{workdir} {several if last else 'has no config.json and holds no finished stage'}. Name "
        "a Hugging Face folder, a run, one of its stages (runs/fd/sft) or a checkpoint "
        "(runs/fd/sft/checkpoints/400)"
    )


def _digest(folder: Path) -> str:
    """Of names, sizes and samples of content: no two trainings agree in all of these."""
    digest = hashlib.sha256()
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        if file.suffix != ".safetensors" and file.parent == folder and file.name != "config.json":
            continue
        size = file.stat().st_size
        digest.update(f"{file.relative_to(folder)} {size}\n".encode())
        with open(file, "rb") as f:
            for place in range(0, size, max(1, size // 16)):
                f.seek(place)
                digest.update(f.read(4096))
    return digest.hexdigest()[:16]
