"""From a config to what a run works with: theorems, tokenizer, model shape, mesh, Lean farm; which
stages it has, and what the first one begins with.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from fdjax.config import ConfigError, naming_field, part
from fdjax.data.splits import leave_out_invalid, load_splits, tell_dropped
from fdjax.lean.backend import Backend
from fdjax.lean.backends.ray_cluster import RayCluster
from fdjax.lean.backends.registry import check_options, make_backend
from fdjax.lean.cache import VerdictCache
from fdjax.lean.farm import Farm, MissingImports
from fdjax.lean.replay import replaying_farm
from fdjax.models import tokenizer
from fdjax.models.config import ADAPTERS, ARITHMETIC, ModelConfig, from_fields
from fdjax.models.hf import init_from as origin
from fdjax.models.hf.init_from import InitSource
from fdjax.models.tokenizer import Tokenizer
from fdjax.rollout.generate import Prompting
from fdjax.rollout.prompts import Template, read_template
from fdjax.runtime import hosts, sharding
from fdjax.runtime.lock import Lock
from fdjax.runtime.metrics import console, status
from fdjax.training.checks import (
    check_evaluation,
    check_numbers,
    check_references,
    check_stage,
    check_workdir,
)
from fdjax.training.fingerprints import check_record, differences
from fdjax.training.manifest import Policy, Run, stage_record
from fdjax.types import Candidate, Theorem

PRETRAINED = "pretrained"  # the name of a policy that no stage made
RANDOM = "random"  # the fingerprint of one that nothing was trained on


@contextlib.contextmanager
def prepare(config: ConfigDict, workdir: Path) -> Iterator[Run]:
    """The run, its farm open, its mesh the current one.

    Raises ConfigError where config or files make no run, Damaged where a file in the workdir is,
    before anything is trained.
    """
    check_workdir(workdir)
    with Lock(workdir) as lock:
        with naming_field(f"workdir={workdir}", OSError):
            lock.take(make=False)
        check_numbers(config)
        found = find_origin(config)
        names = stages_to_run(config, found)
        with status("theorems"):
            theorems, dropped = load_splits(config.data)
        prompting = make_prompting(config, workdir, found, theorems["sft"])
        with make_farm(config.lean) as farm, jax.set_mesh(prompting.mesh):
            run = Run(config, workdir, found, prompting, theorems, farm, stages={})
            check_evaluation(run)
            for name in names:
                check_stage(run, name)
            with naming_field(f"lean.backend={config.lean.backend}", MissingImports):
                farm.require(t for split in theorems.values() for t in split)
            statements = leave_out_invalid(config.data, workdir, farm, theorems, dropped)
            for name in names:
                check_references(run, name)
            run = run._replace(stages=checked_records(run, names))
            with naming_field(f"workdir={workdir}", OSError):  # a refused start leaves none behind
                workdir.mkdir(parents=True, exist_ok=True)
                lock.take(make=True)
                if not tokenizer.holds(workdir):
                    prompting.tokenizer.save(workdir)
            if dropped:
                tell_dropped(workdir, theorems, dropped, statements)
            warn_of_missing_goals(run)
            yield run


def make_farm(lean: ConfigDict) -> Farm:
    backend = find_lean(lean)
    with naming_field("lean.cache", OSError):
        cache = VerdictCache(lean.cache or None)
    if lean.allow_helpers and not lean.replay:
        raise ConfigError(
            "lean.allow_helpers: proofs with helpers must be replayed; so set lean.replay, too"
        )
    with naming_field("lean", ValueError):
        second = make_second(lean, backend, cache) if lean.replay else None
        return Farm(backend, lean.workers, lean.timeout, cache, lean.allow_helpers, second)


def make_second(lean: ConfigDict, first: Backend, cache: VerdictCache) -> Farm:
    """The farm that replays what the other one finds proved; it is here, wherever that is, and
    then with as many workers as there are CPUs here."""
    with naming_field("lean.replay", ValueError, RuntimeError, OSError):
        workers = lean.workers
        if lean.ray_address:
            first, workers = make_backend(lean.backend, lean.get(lean.backend)), None
        return replaying_farm(first, workers, lean.timeout, cache, lean.allow_helpers)


def find_lean(lean: ConfigDict) -> Backend:
    options = lean.get(lean.backend)
    with naming_field("lean.backend", ValueError, RuntimeError, OSError):  # no wheel, no library
        check_options(lean.backend, options or {})
        if not lean.ray_address:
            return make_backend(lean.backend, options)
    with naming_field("lean.ray_address", ValueError, RuntimeError):
        return RayCluster(lean.backend, options, lean.ray_address, farms=hosts.count())


def make_prompting(
    config: ConfigDict, workdir: Path, found: InitSource | None, corpus: list[Theorem]
) -> Prompting:
    template = make_template(config.prompt)
    if config.lean.allow_helpers and not template.chat:
        raise ConfigError(
            "lean.allow_helpers: only the answers of chats can hold helpers, and "
            "prompt.template is no chat"
        )
    words = make_tokenizer(config, workdir, found, template, corpus)
    return Prompting(
        model=make_model(config, found, words.vocab_size),
        tokenizer=words,
        template=template,
        student_buckets=tuple(config.prompt.student_buckets),
        teacher_buckets=tuple(config.prompt.teacher_buckets),
        response_length=config.prompt.response_length,
        mesh=make_mesh(config.mesh),
        allow_helpers=config.lean.allow_helpers,
    )


def make_model(config: ConfigDict, found: InitSource | None, vocab_size: int) -> ModelConfig:
    """What `init_from` says of its model, if it does; else `model`, as large as its tokenizer
    unless it names a vocab_size of its own."""
    given, shape = config.model.to_dict(), {"vocab_size": vocab_size}
    if found and found.model:
        shape = dataclasses.asdict(found.model)
        with naming_field("model", ValueError, TypeError):
            here = dataclasses.asdict(from_fields({"vocab_size": vocab_size} | given))
        free = ARITHMETIC if found.model.lora_rank else ARITHMETIC + ADAPTERS
        named = given.keys() - free
        if changes := differences(
            {k: shape[k] for k in named}, {k: here[k] for k in named}, "model"
        ):
            raise ConfigError(
                f"init_from={config.init_from} holds another model:\n  "
                + "\n  ".join(changes)
                + f"\nA config whose `model` names no more than {', '.join(free)} takes any."
            )
    with naming_field("model", ValueError, TypeError):
        model = from_fields(shape | given)
    if model.lora_rank and not found:
        raise ConfigError(
            f"model.lora_rank={model.lora_rank}: adapters are added to a model that is trained "
            "already; name it in init_from"
        )
    with naming_field("prompt", ValueError):
        longest = max(*config.prompt.student_buckets, *config.prompt.teacher_buckets)
        model.check_length(
            longest + config.prompt.response_length, "the largest bucket and response_length"
        )
    return model


def find_origin(config: ConfigDict) -> InitSource | None:
    if not config.init_from:
        return None
    with naming_field(f"init_from={config.init_from}", ValueError, OSError):
        return origin.find(config.init_from)


def make_tokenizer(
    config: ConfigDict,
    workdir: Path,
    found: InitSource | None,
    template: Template,
    corpus: list[Theorem],
) -> Tokenizer:
    """The one that the workdir began with; a new run takes that of `tokenizer.path` or of
    `init_from`, or trains one on `corpus`.
    """
    if not tokenizer.holds(workdir):
        return _first_tokenizer(config, found, template, corpus)
    with naming_field("tokenizer", ValueError):
        kept = tokenizer.load(workdir)
    if config.tokenizer.path and _read_tokenizer(config, found).model != kept.model:
        raise ConfigError(
            f"tokenizer.path={config.tokenizer.path} is not the tokenizer that {workdir} began "
            "with. Take another --workdir."
        )
    return kept


def _first_tokenizer(
    config: ConfigDict, found: InitSource | None, template: Template, corpus: list[Theorem]
) -> Tokenizer:
    if config.tokenizer.path or found:
        return _read_tokenizer(config, found)
    if template.chat:
        raise ConfigError(
            f"prompt.template={config.prompt.template} is a chat: it takes a published model's "
            "tokenizer (tokenizer.path, or init_from)"
        )
    if not corpus:
        raise ConfigError(
            "data.sft holds no theorems to train a tokenizer on; set tokenizer.path or init_from "
            "to take one that is there"
        )
    texts = [template.text(t) + (t.reference or "") for t in corpus]
    words = ["this is right", "begin with", "after use", "a proof is"] * 50
    with naming_field("tokenizer.vocab_size", ValueError):
        return tokenizer.train(texts + words, config.tokenizer.vocab_size)


def _read_tokenizer(config: ConfigDict, found: InitSource | None) -> Tokenizer:
    path = config.tokenizer.path
    field = f"tokenizer.path={path}" if path else f"init_from={config.init_from}"
    with naming_field(field, ValueError, OSError):
        return tokenizer.load(path or found.folder)


def make_template(prompt: ConfigDict) -> Template:
    named = f"prompt.template={prompt.template}: " if prompt.template else "prompt."
    template = (
        read_template(prompt.template)
        if prompt.template
        else Template(prompt.student, prompt.teacher, prompt.prefill)
    )
    some = Theorem(id="", name="t", signature=": True")
    for field, fill in (
        ("student", lambda: template.text(some)),
        ("teacher", lambda: template.text(some, "")),
        ("answer", lambda: template.response(some, Candidate(""))),
    ):
        try:
            fill()
        except (KeyError, IndexError, ValueError) as error:
            raise ConfigError(
                f"{named}{field}={getattr(template, field)!r} is no template ({error}). Its fields "
                "can be {goal} {signature} {name} {context} {informal} {header} {doc}, the "
                "teacher's also {feedback}, the answer's {proof}."
            ) from error
    other = Theorem("", "u", ": False", context="open X", goal="⊢ False", informal="no")
    if template.text(some) == template.text(other):
        raise ConfigError(
            f"{named}student={template.student!r} says nothing of the theorem; {{goal}} or "
            "{signature} would"
        )
    if prompt.thinking not in THINKING:
        raise ConfigError(f"prompt.thinking is {prompt.thinking!r}; known are {list(THINKING)}")
    if prompt.thinking and not template.chat:
        raise ConfigError(f"prompt.thinking={prompt.thinking}, but prompt.template is no chat")
    return dataclasses.replace(template, thinking=THINKING[prompt.thinking])


THINKING = {"": None, "on": True, "off": False}


def warn_of_missing_goals(run: Run) -> None:
    """Where prompts show the goal, a theorem without one is shown by its signature: to a model that
    learned from goals that is another language."""
    template, some = run.prompting.template, Theorem(id="", name="t", signature=": True")
    if template.text(some) == template.text(dataclasses.replace(some, goal="⊢ False")):
        return
    if not run.origin and all(t.goal is None for t in run.theorems["sft"]):
        return
    for name, theorems in run.theorems.items():
        if without := sum(t.goal is None for t in theorems):
            console.print(
                f"[bold]warning[/]: data.{name}: {without} of {len(theorems)} theorems have no "
                "`goal`, which prompts show; their signatures stand in for it, and a model that "
                "learned from goals fails at those. Give each its goal as Lean prints it."
            )


def make_mesh(axes: ConfigDict) -> jax.sharding.Mesh:
    """-1 on one axis: whatever the other two leave of the devices."""
    sizes = dict(axes)
    free = [name for name, size in sizes.items() if size == -1]
    fixed = [size for size in sizes.values() if size != -1]
    if len(free) > 1 or any(size < 1 for size in fixed):
        raise ConfigError(f"mesh: {sizes}; an axis is at least 1, or one of them is -1: the rest")
    for name in free:
        sizes[name] = max(1, jax.device_count() // math.prod(fixed))
    if hosts.count() > 1 and math.prod(sizes.values()) < jax.device_count():
        raise ConfigError(
            f"mesh: {sizes} leaves devices idle; {hosts.count()} processes share a mesh of all "
            f"their {jax.device_count()}"
        )
    with naming_field("mesh", ValueError):
        return sharding.make_mesh(**sizes)


# --- Stages --------------------------------------------------------------------------------------


def stages_to_run(config: ConfigDict, found: InitSource | None) -> tuple[str, ...]:
    """Those of `stages` that `init_from` does not replace. Raises ConfigError."""
    names = tuple(config.stages)
    blocks = {n for n, block in config.items() if isinstance(block, ConfigDict)}
    unknown = [n for n in names if n not in blocks or "objective" not in config[n]]
    if unknown:
        raise ConfigError(f"stages: the config has no block named {', '.join(unknown)}")
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"stages={names}: name at least one, and each once")
    if not found and part(config[names[0]], "distillation"):
        raise ConfigError(
            f"stages={names} and no init_from: {names[0]} distils what a policy has learned to say "
            "once it has read feedback, and a random one has learned nothing. Set init_from, or "
            "begin with a supervised stage."
        )
    if not found or not found.is_stage:
        return names
    folder = found.folder
    after = names[names.index(folder.name) + 1 :] if folder.name in names else names
    if not after or config[after[0]].objective == "supervised":
        raise ConfigError(
            f"init_from={folder} and stages={names}: after {folder.name} there "
            + (f"comes {after[0]}, which starts anew" if after else "is nothing left to run")
            + ". Set --config.stages to the stages that are to follow."
        )
    return after


def initial_policy(run: Run) -> Policy:
    """What the first stage begins with."""
    found = run.origin
    if not found:
        return Policy("", None, RANDOM)
    with (
        status(f"parameters of {run.config.init_from}"),
        naming_field(f"init_from={run.config.init_from}", ValueError, OSError),
    ):
        model, mesh = run.prompting.model, run.prompting.mesh
        params = origin.load(found, model, mesh, seed=run.config.seed)
    name = found.folder.name if found.is_stage else PRETRAINED
    return Policy(name, params, found.fingerprint)


def checked_records(run: Run, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Their records, by name: each names the one before, so all are known before any work.

    Raises ConfigError if `init_from` is of another kind than the first stage, or if the workdir
    holds one of the stages with another config.
    """
    found = run.origin
    if found and found.is_stage:
        here = stage_record(run, names[0], "")
        if changes := "\n  ".join(differences(_kind(found.record), _kind(here))):
            raise ConfigError(f"init_from={found.folder} is of another kind:\n  {changes}")
    before, records = found.fingerprint if found else RANDOM, {}
    for name in names:
        records[name] = stage_record(run, name, before)
        check_record(run.workdir / name, records[name])
        before = records[name]["fingerprint"]
    return records


def _kind(record: dict[str, Any]) -> dict[str, Any]:
    """What two stages must share, beside the model, for one to go on with the other's policy."""
    texts = {field.name for field in dataclasses.fields(Template)} - {"thinking"}
    named = {name: text for name, text in record["prompt"].items() if name in texts}
    return {"tokenizer": record["tokenizer"], "prompt": dataclasses.asdict(Template(**named))}
