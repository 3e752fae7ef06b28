"""From a config to what a run works with: theorems, generator, mesh, Lean farm; which stages it
has, and what the first one begins with.
"""

import contextlib
import dataclasses
import functools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from fdjax.config import (
    Config,
    ConfigError,
    LeanConfig,
    MeshConfig,
    SupervisedStage,
    check_stages,
    distillation_part,
    naming_field,
    parse,
)
from fdjax.data.splits import load_splits
from fdjax.lean.backend import Backend
from fdjax.lean.backends.ray_cluster import RayCluster
from fdjax.lean.backends.registry import make_backend
from fdjax.lean.cache import VerdictCache
from fdjax.lean.farm import Farm, MissingImports
from fdjax.lean.replay import replaying_farm
from fdjax.models import tokenizer
from fdjax.models.hf import init_from
from fdjax.models.hf.init_from import InitSource
from fdjax.rollout.generate import Generator
from fdjax.rollout.prompts import Template
from fdjax.runtime import hosts, sharding
from fdjax.runtime.files import writable
from fdjax.runtime.lock import Lock, WorkdirInUse
from fdjax.runtime.metrics import status
from fdjax.training.checks import (
    check_evaluation,
    check_finished,
    check_generation,
    check_profile,
    check_questions,
    check_references,
    check_stage,
)
from fdjax.training.environment import with_environment
from fdjax.training.manifest import Policy, Run, check_manifest, differences, stage_manifest
from fdjax.training.model_setup import make_model_config, make_prompts
from fdjax.training.theorem_files import (
    leave_out_invalid,
    leave_out_too_long,
    report_dropped,
    warn_of_missing_goals,
)

PRETRAINED = "pretrained"  # the name of a policy that no stage made
RANDOM = "random"  # the fingerprint of one that nothing was trained on


@contextlib.contextmanager
def set_up(
    fields: ConfigDict, workdir: Path, *, train: bool = True, profile: range = range(0)
) -> Iterator[Run]:
    """The run, its farm open, its mesh the current one.

    Raises ConfigError where config, `profile` or files make no run, without `train` also where a
    stage is not finished, and CorruptFile where a file in the workdir is damaged, before anything
    is trained.
    """
    config = parse(fields)
    if not writable(workdir):
        raise ConfigError(f"workdir={workdir}: no folder that can be written to")
    with Lock(workdir) as lock:
        with naming_field(f"workdir={workdir}", OSError, WorkdirInUse):
            lock.take(make=False)
        source = find_source(config.init_from)
        names = stages_to_run(config, source)
        check_stages(config, names)
        check_profile(config, names, profile)
        if not train:
            check_finished(config, workdir, names)
        with status("theorems"):
            theorems, dropped = load_splits(config.data)
        generator = make_generator(config, workdir, source, theorems["sft"])
        with make_farm(config.lean) as farm, jax.set_mesh(generator.mesh):
            every = [theorem for split in theorems.values() for theorem in split]
            generator = with_environment(config, generator, farm, every)
            leave_out_too_long(config.data, generator.prompts, theorems, dropped)
            run = Run(config, workdir, source, generator, theorems, farm, {}, profile)
            check_generation(run)
            check_evaluation(run)
            for name in names:
                check_stage(run, name)
            with naming_field(f"lean.backend={config.lean.backend}", MissingImports):
                farm.require(t for split in theorems.values() for t in split)
            statements = leave_out_invalid(config.data, workdir, farm, theorems, dropped)
            for name in names:
                check_references(run, name)
            run = run._replace(manifests=checked_manifests(run, names))
            if train:
                hosts.broadcast("feedback.llm", functools.partial(check_questions, run, names))
            # A start that is refused leaves no workdir behind.
            with naming_field(f"workdir={workdir}", OSError, WorkdirInUse):
                workdir.mkdir(parents=True, exist_ok=True)
                lock.take(make=True)
                if not tokenizer.holds(workdir):
                    generator.prompts.tokenizer.save(workdir)
            if dropped:
                report_dropped(workdir, theorems, dropped, statements)
            warn_of_missing_goals(generator.prompts.template, theorems, source is not None)
            yield run


def make_generator(
    config: Config, workdir: Path, source: InitSource | None, corpus: Sequence
) -> Generator:
    prompts = make_prompts(config, workdir, source, corpus)
    model = make_model_config(config, source, prompts.tokenizer.vocab_size)
    if prompts.tokenizer.min_rows > model.vocab_size:
        raise ConfigError(
            f"tokenizer: it has {prompts.tokenizer.min_rows} ids, the model's embedding only "
            f"{model.vocab_size} rows (vocab_size). They belong to different models."
        )
    return Generator(model, make_mesh(config.mesh), prompts, config.generation)


def make_mesh(axes: MeshConfig) -> jax.sharding.Mesh:
    """The axis that is None takes the devices that the other two leave."""
    sizes = {"replica": axes.replica, "fsdp": axes.fsdp, "tensor": axes.tensor}
    given = math.prod(size for size in sizes.values() if size is not None)
    sizes = {k: max(1, jax.device_count() // given) if v is None else v for k, v in sizes.items()}
    if hosts.count() > 1 and math.prod(sizes.values()) < jax.device_count():
        raise ConfigError(
            f"mesh: {sizes} leaves devices idle; {hosts.count()} processes share a mesh of all "
            f"their {jax.device_count()}"
        )
    with naming_field("mesh", ValueError):
        return sharding.make_mesh(**sizes)


# --- Lean ----------------------------------------------------------------------------------------


def make_farm(lean: LeanConfig) -> Farm:
    backend = make_lean_backend(lean)
    with naming_field("lean.cache", OSError):
        cache = VerdictCache(lean.cache)
    with naming_field("lean", ValueError):
        second = make_replaying_farm(lean, backend, cache) if lean.replay else None
        return Farm(backend, lean.workers, lean.timeout, cache, lean.allow_helpers, second)


def make_replaying_farm(lean: LeanConfig, backend: Backend, cache: VerdictCache) -> Farm:
    """The farm that replays what the other one finds proved. It runs on this machine, beside a
    cluster with as many workers as there are CPUs here.
    """
    with naming_field("lean.replay", ValueError, RuntimeError, OSError):
        workers: int | None = lean.workers
        if lean.ray_address:
            backend, workers = make_backend(lean.backend, backend_options(lean)), None
        return replaying_farm(backend, workers, lean.timeout, cache, lean.allow_helpers)


def make_lean_backend(lean: LeanConfig) -> Backend:
    options = backend_options(lean)
    if lean.ray_address:
        with naming_field("lean.ray_address", ValueError, RuntimeError):
            return RayCluster(lean.backend, options, lean.ray_address, farms=hosts.count())
    with naming_field("lean.backend", ValueError, RuntimeError, OSError):  # no wheel, no library
        return make_backend(lean.backend, options)


def backend_options(lean: LeanConfig) -> dict[str, Any]:
    """The fields that the config has for the backend, without those that are None."""
    block = getattr(lean, lean.backend, None)
    return {k: v for k, v in vars(block).items() if v is not None} if block else {}


# --- Stages --------------------------------------------------------------------------------------


def find_source(path: str | None) -> InitSource | None:
    if not path:
        return None
    with naming_field(f"init_from={path}", ValueError, OSError):
        return init_from.find(path)


def stages_to_run(config: Config, source: InitSource | None) -> tuple[str, ...]:
    """Those of `stages` that `init_from` does not replace. Raises ConfigError."""
    names = config.stages
    if not source and distillation_part(config.blocks[names[0]]):
        raise ConfigError(
            f"stages={names} and no init_from: {names[0]} distils what a policy that reads feedback"
            " has learned, and a random one has learned nothing. Set init_from, or begin with a "
            "supervised stage."
        )
    if not source or not source.is_stage:
        return names
    folder = source.folder
    after = names[names.index(folder.name) + 1 :] if folder.name in names else names
    if not after or isinstance(config.blocks[after[0]], SupervisedStage):
        raise ConfigError(
            f"init_from={folder} and stages={names}: after {folder.name} there "
            + (f"comes {after[0]}, which starts anew" if after else "is nothing left to run")
            + ". Set --config.stages to the stages that are to follow."
        )
    return after


def initial_policy(run: Run) -> Policy:
    """What the first stage begins with."""
    source, path = run.init_source, run.config.init_from
    if not source:
        return Policy("", None, RANDOM)
    with (
        status(f"parameters of {path}"),
        naming_field(f"init_from={path}", ValueError, OSError),
    ):
        model, mesh = run.generator.model, run.generator.mesh
        params = init_from.load(source, model, mesh, seed=run.config.seed)
    name = source.folder.name if source.is_stage else PRETRAINED
    return Policy(name, params, source.fingerprint)


def checked_manifests(run: Run, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The manifests by name; each names the one before, so all are known before any work.

    Raises ConfigError if `init_from` is of another kind than the first stage, or if the workdir
    holds one of the stages with another config.
    """
    source = run.init_source
    if source and source.is_stage:
        here = stage_manifest(run, names[0], "")
        if changes := "\n  ".join(differences(_kind(source.manifest), _kind(here))):
            raise ConfigError(f"init_from={source.folder} is of another kind:\n  {changes}")
    with naming_field(f"init_from={run.config.init_from}", ValueError, OSError):
        before, manifests = source.fingerprint if source else RANDOM, {}
    for name in names:
        manifests[name] = stage_manifest(run, name, before)
        check_manifest(run.workdir / name, manifests[name])
        before = manifests[name]["fingerprint"]
    return manifests


def _kind(manifest: dict[str, Any]) -> dict[str, Any]:
    """What two stages must share, beside the model, for one to go on with the other's policy."""
    texts = {field.name for field in dataclasses.fields(Template)} - {"thinking"}
    named = {name: text for name, text in manifest["prompt"].items() if name in texts}
    return {"tokenizer": manifest["tokenizer"], "prompt": dataclasses.asdict(Template(**named))}
