"""From a config to what a run works with: theorems, tokenizer, model shape, mesh, Lean farm.

Also the fingerprints that decide whether what lies in a workdir may be reused.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from fdjax import sharding, tokenizer
from fdjax.checkpoint import restore_params
from fdjax.config import ConfigError
from fdjax.data import synthetic
from fdjax.data.theorems import Theorem, read_theorems, write_theorems
from fdjax.lean.backend import make_backend
from fdjax.lean.cache import VerdictCache
from fdjax.lean.embedded.library import cache_folder
from fdjax.lean.farm import Farm, MissingImports
from fdjax.metrics import status
from fdjax.models import transformer
from fdjax.models.config import ModelConfig
from fdjax.rollout.collect import Prompting
from fdjax.rollout.prompts import Template

SPLITS = ("sft", "pool", "validation", "test")


class Policy(NamedTuple):
    """What a stage begins with, and what it leaves."""

    name: str  # of the stage; empty before the first
    params: Any
    fingerprint: str


class Run(NamedTuple):
    """What does not change from stage to stage."""

    config: ConfigDict
    workdir: Path
    prompting: Prompting
    theorems: dict[str, list[Theorem]]
    farm: Farm


@contextlib.contextmanager
def prepare(config: ConfigDict, workdir: Path) -> Iterator[Run]:
    """The run, its farm open, its mesh the current one.

    Raises ConfigError where config or files make no run.
    """
    try:
        with status("theorems"):
            theorems = load_splits(config.data)
    except (ValueError, OSError) as error:
        raise ConfigError(f"data: {error}") from error
    prompting = make_prompting(config, workdir, theorems["sft"])
    with make_farm(config.lean) as farm, jax.set_mesh(prompting.mesh):
        try:
            farm.require(t for split in theorems.values() for t in split)
        except MissingImports as error:
            raise ConfigError(f"lean.backend={config.lean.backend}: {error}") from error
        yield Run(config, workdir, prompting, theorems, farm)


def load_splits(data: ConfigDict) -> dict[str, list[Theorem]]:
    """Each split from its file, or generated; generated ones are disjoint up to renaming."""
    counts = {name: data[name] if isinstance(data[name], int) else 0 for name in SPLITS}
    splits = _generated(data.seed, counts) if any(counts.values()) else {}
    files = {name: data[name] for name in SPLITS if not isinstance(data[name], int)}
    return splits | {name: read_theorems(file) for name, file in files.items()}


def _generated(seed: int, counts: dict[str, int]) -> dict[str, list[Theorem]]:
    """Generating takes minutes, so the user's cache folder keeps what this generator made."""
    sources = [file.read_text() for file in sorted(Path(synthetic.__path__[0]).glob("*.py"))]
    folder = cache_folder() / "theorems"
    file = folder / f"{_digest([seed, counts, sources])}.jsonl"
    if not file.exists():
        made = synthetic.splits(seed, **counts)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            write_theorems(Path(scratch) / file.name, [t for s in made.values() for t in s])
            (Path(scratch) / file.name).replace(file)
    theorems = read_theorems(file)
    return {name: [t for t in theorems if t.split == name] for name in counts}


def make_farm(lean: ConfigDict) -> Farm:
    try:
        backend = make_backend(lean.backend)
    except ValueError as error:
        raise ConfigError(f"lean.backend: {error}") from error
    return Farm(
        backend,
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


def initial_policy(run: Run) -> tuple[Policy, tuple[str, ...]]:
    """What the first stage begins with, and the stages to run: `init_from` replaces those up to
    the one it names. Raises ConfigError where it names no finished stage.
    """
    names = tuple(run.config.stages)
    unknown = [name for name in names if name not in run.config]
    if unknown:
        raise ConfigError(f"stages: the config has no block named {', '.join(unknown)}")
    if not run.config.init_from:
        return Policy("", None, "random"), names
    folder = Path(run.config.init_from)
    if not (folder / "config.json").exists():
        raise ConfigError(
            f"init_from={folder} is no stage of a run: it has no config.json. "
            "Name a stage's folder, such as runs/fd/sft."
        )
    record = json.loads((folder / "config.json").read_text())
    model = dataclasses.asdict(run.prompting.model)
    if record["model"] != model:
        raise ConfigError(
            f"init_from={folder} has another model:\n  "
            + "\n  ".join(_differences(record["model"], model, "model"))
        )
    init = functools.partial(transformer.init, run.prompting.model)
    shapes = jax.eval_shape(init, jax.random.key(0))
    shardings = sharding.tree_shardings(shapes, run.prompting.mesh)
    target = jax.tree.map(
        lambda s, sharding: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=sharding),
        shapes,
        shardings,
    )
    policy = Policy(
        folder.name, restore_params(folder / "checkpoints", target), record["fingerprint"]
    )
    after = names.index(folder.name) + 1 if folder.name in names else 0
    return policy, names[after:]


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
        "theorems": split_digest(run.theorems[stage.theorems]),
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


def _differences(old, new, path="") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [k for k in {**old, **new} if k != "fingerprint"]
        return [
            line
            for k in keys
            for line in _differences(old.get(k), new.get(k), f"{path}.{k}" if path else k)
        ]
    return [] if old == new else [f"{path}: {old!r} there, {new!r} now"]


def split_digest(theorems: list[Theorem]) -> str:
    return _digest([dataclasses.asdict(t) for t in theorems])


def _digest(data: Any) -> str:
    text = json.dumps(data, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
