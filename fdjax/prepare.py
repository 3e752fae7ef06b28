"""From a config to what a run works with: theorems, tokenizer, model shape, mesh, Lean farm.

Also the fingerprints that decide whether what lies in a workdir may be reused.
"""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from fdjax import sharding, tokenizer
from fdjax.data import synthetic
from fdjax.data.theorems import Theorem, read_theorems
from fdjax.lean.cache import VerdictCache
from fdjax.lean.embedded.backend import EmbeddedBackend
from fdjax.lean.farm import Farm
from fdjax.models.config import ModelConfig
from fdjax.rollout.collect import Prompting
from fdjax.rollout.prompts import Template

SPLITS = ("sft", "pool", "validation", "test")


class ConfigError(ValueError):
    """The config cannot run, or is not the one that the workdir began with."""


class Run(NamedTuple):
    """What does not change from stage to stage."""

    config: ConfigDict
    workdir: Path
    prompting: Prompting
    theorems: dict[str, list[Theorem]]
    farm: Farm


def prepare(config: ConfigDict, workdir: Path) -> Run:
    """Raises ConfigError where config or files make no run."""
    theorems = load_splits(config.data)
    farm = make_farm(config.lean, workdir)
    farm.require({t.imports for split in theorems.values() for t in split})
    return Run(config, workdir, make_prompting(config, workdir, theorems["sft"]), theorems, farm)


def load_splits(data: ConfigDict) -> dict[str, list[Theorem]]:
    """Each split from its file, or generated; generated ones are disjoint up to renaming."""
    counts = {name: data[name] for name in SPLITS if isinstance(data[name], int)}
    splits = synthetic.splits(data.seed, **counts)
    for name in SPLITS:
        if name not in counts:
            splits[name] = read_theorems(data[name])
    return splits


def make_farm(lean: ConfigDict, workdir: Path) -> Farm:
    if lean.backend != "embedded":
        raise ConfigError(f"lean.backend is {lean.backend!r}; known is 'embedded'")
    return Farm(
        EmbeddedBackend(),
        workers=lean.workers,
        timeout=lean.timeout,
        cache=VerdictCache(lean.cache or None),
    )


def make_prompting(config: ConfigDict, workdir: Path, corpus: list[Theorem]) -> Prompting:
    """The tokenizer is the workdir's or that of `init_from`; a new run trains it on `corpus`."""
    template = Template(config.prompt.student, config.prompt.teacher, config.prompt.prefill)
    file = workdir / "tokenizer.model"
    if not file.exists():
        if config.init_from:
            trained = tokenizer.load(Path(config.init_from) / "tokenizer.model")
        else:
            texts = [template.text(t) + (t.reference or "") for t in corpus]
            words = ["this is right", "begin with", "after use", "a proof is"] * 50
            trained = tokenizer.train(texts + words, config.tokenizer.vocab_size)
        file.parent.mkdir(parents=True, exist_ok=True)
        trained.save(file)
    pieces = tokenizer.load(file)
    return Prompting(
        model=ModelConfig(vocab_size=pieces.vocab_size, **config.model),
        tokenizer=pieces,
        template=template,
        student_buckets=tuple(config.prompt.student_buckets),
        teacher_buckets=tuple(config.prompt.teacher_buckets),
        response_length=config.prompt.response_length,
        mesh=make_mesh(config.mesh),
    )


def make_mesh(axes: ConfigDict) -> jax.sharding.Mesh:
    """-1 on one axis: whatever the other two leave of the devices."""
    sizes = dict(axes)
    free = [name for name, size in sizes.items() if size == -1]
    if len(free) > 1:
        raise ConfigError(f"mesh: only one axis can be -1, not {' and '.join(free)}")
    for name in free:
        sizes[name] = 1
        product = sizes["replica"] * sizes["fsdp"] * sizes["tensor"]
        sizes[name] = jax.device_count() // product
    return sharding.make_mesh(**sizes)


# --- Fingerprints --------------------------------------------------------------------------------


def stage_record(run: Run, name: str, before: str) -> dict[str, Any]:
    """All that decides what a stage turns out as; `before` is the fingerprint it starts from."""
    config, stage = run.config, run.config[name]
    lean = {k: v for k, v in config.lean.to_dict().items() if k == "backend"}
    record = {
        "seed": config.seed,
        "model": dataclasses.asdict(run.prompting.model),
        "tokenizer": _digest(run.prompting.tokenizer.model.hex()),
        "prompt": config.prompt.to_dict(),
        "lean": lean,
        "theorems": _digest([dataclasses.asdict(t) for t in run.theorems[stage.theorems]]),
        "stage": stage.to_dict(),
        "before": before,
    }
    return json.loads(json.dumps(record)) | {"fingerprint": _digest(record)}


def check_record(folder: Path, record: dict[str, Any]) -> None:
    """Writes config.json of a new stage; raises ConfigError if the folder holds another's."""
    file = folder / "config.json"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(record, indent=1, ensure_ascii=False))
        return
    old = json.loads(file.read_text())
    if old["fingerprint"] != record["fingerprint"]:
        changes = "\n  ".join(_differences(old, record))
        raise ConfigError(
            f"{folder} holds a stage of another config:\n  {changes}\n"
            "Take another --workdir, or go back to the old values."
        )


def read_fingerprint(stage_folder: Path) -> str:
    file = stage_folder / "config.json"
    if not file.exists():
        raise ConfigError(
            f"init_from={stage_folder} is no stage of a run: it has no config.json. "
            "Name a stage's folder, such as runs/fd/sft."
        )
    return json.loads(file.read_text())["fingerprint"]


def _differences(old, new, path="") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [k for k in {**old, **new} if k != "fingerprint"]
        return [
            line
            for k in keys
            for line in _differences(old.get(k), new.get(k), f"{path}.{k}" if path else k)
        ]
    return [] if old == new else [f"{path}: {old!r} there, {new!r} now"]


def _digest(data: Any) -> str:
    text = json.dumps(data, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
