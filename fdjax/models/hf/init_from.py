"""Trained parameters on disk: what the config's `init_from` and the `convert` commands may name.

a Hugging Face folder        config.json of transformers, safetensors
a stage of a run             runs/fd/sft: its last checkpoint
a run                        runs/fd: its last finished stage
one checkpoint               runs/fd/sft/checkpoints/400
output of `convert from_hf`  the layout of a stage
any Orbax checkpoint         of parameters in this project's layout; the config describes the model
"""

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from fdjax.models import lora, transformer
from fdjax.models.config import ModelConfig, from_fields
from fdjax.models.hf import array_store, safetensors, weights
from fdjax.models.hf import config as hf
from fdjax.runtime import sharding
from fdjax.runtime.checkpoint import restore_params
from fdjax.runtime.files import read_object


class InitSource(NamedTuple):
    folder: Path  # of config.json; without one, the Orbax checkpoint's own
    item: Path | None  # the params of an Orbax checkpoint; None: safetensors of Hugging Face
    model: ModelConfig | None  # None: not recorded beside the parameters
    manifest: dict[str, Any]  # config.json

    @property
    def is_stage(self) -> bool:
        return "stage" in self.manifest

    @property
    def published(self) -> dict[str, Any]:
        """config.json of the Hugging Face model that training began with; empty if there was none,
        or if it is not recorded."""
        return self.manifest if self.item is None else self.manifest.get("published", {})

    @property
    def step(self) -> int:
        """Of a stage's checkpoint: how many updates it has had."""
        return int(self.item.parent.name)

    @property
    def fingerprint(self) -> str:
        """Differs if the parameters differ. Only files that `load` reads decide it."""
        if self.item is None:
            tensors = safetensors.open_folder(self.folder).values()
            files = {self.folder / "config.json", *(tensor.file for tensor in tensors)}
            return _digest(self.folder, files)
        if not self.is_stage:
            return _digest(self.item, array_store.files(self.item))
        last = self.step == self.manifest["stage"]["steps"]
        return self.manifest["fingerprint"] + ("" if last else f"@{self.step}")


def find(path: str | Path) -> InitSource:
    """The parameters at `path`. Raises ValueError saying what is missing."""
    path = Path(path).expanduser()
    if not path.is_dir():
        raise ValueError(f"{path} is no folder")
    for item in (path, path / "params"):
        if (item / "_METADATA").exists():
            return _checkpoint(item.resolve())
    if not (path / "config.json").exists():
        return _last_stage(path)
    manifest = read_object(path / "config.json")
    if "model" not in manifest:
        return InitSource(path, None, hf.read_config(path), manifest)
    return InitSource(path, _last_item(path, manifest), from_fields(manifest["model"]), manifest)


def load(
    source: InitSource, config: ModelConfig, mesh: Mesh, *, seed: int = 0
) -> transformer.Params:
    """Parameters f32 on `mesh`. Adapters that the source lacks are initialised from `seed`.

    Raises ValueError naming what does not fit `config`.
    """
    if source.model and source.model.lora_rank:
        return _restore(source.item, config, mesh)
    base = lora.without(config)
    if source.item is None:
        params = weights.load(source.folder, base, mesh)
    else:
        params = _restore(source.item, base, mesh)
    return lora.join(_new_adapters(config, mesh, seed), params) if config.lora_rank else params


def _restore(item: Path, config: ModelConfig, mesh: Mesh) -> transformer.Params:
    shapes = jax.eval_shape(lambda: transformer.init(config, jax.random.key(0)))
    target = jax.tree.map(
        lambda s, placed: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=placed),
        shapes,
        sharding.tree_shardings(shapes, mesh),
    )
    return restore_params(item, target)


def _new_adapters(config: ModelConfig, mesh: Mesh, seed: int) -> transformer.Params:
    def make(key):
        return lora.split(transformer.init(config, key))[0]

    key = jax.random.key(seed)
    placed = sharding.tree_shardings(jax.eval_shape(make, key), mesh)
    return jax.jit(make, out_shardings=placed)(key)


def _checkpoint(item: Path) -> InitSource:
    if len(item.parents) > 2:  # STAGE/checkpoints/400/params
        stage = item.parents[2]
        manifest = read_object(stage / "config.json") if (stage / "config.json").exists() else {}
        if "model" in manifest:
            return InitSource(stage, item, from_fields(manifest["model"]), manifest)
    return InitSource(item, item, None, {})


def _last_item(folder: Path, manifest: dict[str, Any]) -> Path:
    """The checkpoint of a stage's last step, or the only one that from_hf wrote."""
    step = manifest["stage"]["steps"] if "stage" in manifest else 0
    item = folder / "checkpoints" / str(step) / "params"
    if not (item / "_METADATA").exists():
        steps = sorted(int(p.name) for p in folder.glob("checkpoints/*") if p.name.isdigit())
        raise ValueError(
            f"{folder} is not finished, or damaged: no checkpoint of step {step}; it has {steps}"
        )
    return item


def _last_stage(workdir: Path) -> InitSource:
    """The finished stage of a run that no other finished stage started from."""
    manifests = {}
    for file in sorted(workdir.glob("*/config.json")):
        manifest = read_object(file)
        steps = manifest.get("stage", {}).get("steps")
        if (file.parent / "checkpoints" / str(steps)).exists():  # though it may be damaged
            manifests[file.parent] = manifest
    started_from = {manifest["before"] for manifest in manifests.values()}
    last = [folder for folder in manifests if manifests[folder]["fingerprint"] not in started_from]
    if len(last) == 1:
        return find(last[0])
    several = f"has several last stages, {', '.join(folder.name for folder in last)}"
    raise ValueError(
        f"{workdir} {several if last else 'has no config.json and holds no finished stage'}. Name "
        "a Hugging Face folder, a run, one of its stages (runs/fd/sft) or a checkpoint "
        "(runs/fd/sft/checkpoints/400)"
    )


def _digest(folder: Path, files: Collection[Path]) -> str:
    """A hash of names, sizes and samples of the content, which differ between two trainings."""
    digest = hashlib.sha256()
    for file in sorted(files):
        size = file.stat().st_size
        digest.update(f"{file.relative_to(folder)} {size}\n".encode())
        with open(file, "rb") as f:
            for place in range(0, size, max(1, size // 16)):
                f.seek(place)
                digest.update(f.read(4096))
    return digest.hexdigest()[:16]
