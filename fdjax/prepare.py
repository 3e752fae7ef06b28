"""From a config to what a run works with: theorems, tokenizer, model shape, mesh, Lean farm; what
each stage is made of, and the record of it by which it is known again.
"""

import contextlib
import dataclasses
import functools
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from fdjax import sharding, stages, state, tokenizer
from fdjax.checkpoint import restore_params
from fdjax.checks import check_combined, check_policy_gradient, check_positive
from fdjax.config import ConfigError, blaming, part
from fdjax.data.splits import SPLITS, leave_out_misstated, load_splits, tell_dropped
from fdjax.data.theorems import Theorem
from fdjax.feedback.protocol import Provider
from fdjax.feedback.providers import Means, consequences, make_provider
from fdjax.fingerprints import differences, digest, split_digest
from fdjax.lean.backend import Backend, make_backend
from fdjax.lean.cache import VerdictCache
from fdjax.lean.farm import Farm, MissingImports
from fdjax.metrics import status
from fdjax.models import transformer
from fdjax.models.config import ModelConfig
from fdjax.objectives.combined import Combined, Part
from fdjax.objectives.distillation import Distillation
from fdjax.objectives.policy_gradient import PolicyGradient
from fdjax.objectives.protocol import Objective
from fdjax.objectives.supervised import Supervised
from fdjax.rollout import batching
from fdjax.rollout.collect import Prompting
from fdjax.rollout.curriculum import Curriculum, Settings
from fdjax.rollout.prompts import Template, read_template
from fdjax.tokenizer import Tokenizer

_TEACHING = {"teacher": ("ema", "frozen", "live", "trust_region"), "ema_per": ("update", "batch")}


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

    Raises ConfigError where config or files make no run, before anything is trained.
    """
    names = stages_to_run(config)
    with status("theorems"):
        theorems, dropped = load_splits(config.data)
    prompting = make_prompting(config, workdir, theorems["sft"])
    with make_farm(config.lean) as farm, jax.set_mesh(prompting.mesh):
        run = Run(config, workdir, prompting, theorems, farm)
        check_evaluation(run)
        for name in names:
            check_stage(run, name)
        with blaming(f"lean.backend={config.lean.backend}", MissingImports):
            farm.require(t for split in theorems.values() for t in split)
        leave_out_misstated(config.data, farm, theorems, dropped)
        if dropped:
            tell_dropped(workdir, theorems, dropped)
        yield run


def make_farm(lean: ConfigDict) -> Farm:
    with blaming("lean.backend", ValueError, RuntimeError, OSError):  # no wheel, no library
        backend = make_backend(lean.backend, lean.get(lean.backend))
    with blaming("lean.cache", OSError):
        cache = VerdictCache(lean.cache or None)
    with blaming("lean", ValueError):
        return Farm(backend, workers=lean.workers, timeout=lean.timeout, cache=cache)


def make_prompting(config: ConfigDict, workdir: Path, corpus: list[Theorem]) -> Prompting:
    template = make_template(config.prompt)
    words = make_tokenizer(config, workdir, template, corpus)
    return Prompting(
        model=ModelConfig(vocab_size=words.vocab_size, **config.model),
        tokenizer=words,
        template=template,
        student_buckets=tuple(config.prompt.student_buckets),
        teacher_buckets=tuple(config.prompt.teacher_buckets),
        response_length=config.prompt.response_length,
        mesh=make_mesh(config.mesh),
    )


def make_tokenizer(
    config: ConfigDict, workdir: Path, template: Template, corpus: list[Theorem]
) -> Tokenizer:
    """The one that the workdir began with; a new run takes that of `tokenizer.path` or of
    `init_from`, or trains one on `corpus`.
    """
    if not tokenizer.holds(workdir):
        made = _first_tokenizer(config, template, corpus)
        workdir.mkdir(parents=True, exist_ok=True)
        made.save(workdir)
        return made
    with blaming("tokenizer", ValueError):
        kept = tokenizer.load(workdir)
    if config.tokenizer.path and _read_tokenizer(config).model != kept.model:
        raise ConfigError(
            f"tokenizer.path={config.tokenizer.path} is not the tokenizer that {workdir} began "
            "with. Take another --workdir."
        )
    return kept


def _first_tokenizer(config: ConfigDict, template: Template, corpus: list[Theorem]) -> Tokenizer:
    if config.tokenizer.path or config.init_from:
        return _read_tokenizer(config)
    if template.chat:
        raise ConfigError(
            f"prompt.template={config.prompt.template} is a chat: it takes a published model's "
            "tokenizer (tokenizer.path, or init_from)"
        )
    texts = [template.text(t) + (t.reference or "") for t in corpus]
    words = ["this is right", "begin with", "after use", "a proof is"] * 50
    with blaming("tokenizer.vocab_size", ValueError):
        return tokenizer.train(texts + words, config.tokenizer.vocab_size)


def _read_tokenizer(config: ConfigDict) -> Tokenizer:
    path = config.tokenizer.path
    field = f"tokenizer.path={path}" if path else f"init_from={config.init_from}"
    with blaming(field, ValueError, OSError):
        return tokenizer.load(path or config.init_from)


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
        ("answer", lambda: template.response(some, "")),
    ):
        try:
            fill()
        except (KeyError, IndexError, ValueError) as error:
            raise ConfigError(
                f"{named}{field}={getattr(template, field)!r} is no template ({error}). Its fields "
                "can be {goal} {signature} {name} {context} {informal} {header} {doc}, the "
                "teacher's also {feedback}, the answer's {proof}."
            ) from error
    if prompt.thinking not in THINKING:
        raise ConfigError(f"prompt.thinking is {prompt.thinking!r}; known are {list(THINKING)}")
    if prompt.thinking and not template.chat:
        raise ConfigError(f"prompt.thinking={prompt.thinking}, but prompt.template is no chat")
    return dataclasses.replace(template, thinking=THINKING[prompt.thinking])


THINKING = {"": None, "on": True, "off": False}


def make_mesh(axes: ConfigDict) -> jax.sharding.Mesh:
    """-1 on one axis: whatever the other two leave of the devices."""
    sizes = dict(axes)
    free = [name for name, size in sizes.items() if size == -1]
    fixed = [size for size in sizes.values() if size != -1]
    if len(free) > 1 or any(size < 1 for size in fixed):
        raise ConfigError(f"mesh: {sizes}; an axis is at least 1, or one of them is -1: the rest")
    for name in free:
        sizes[name] = max(1, jax.device_count() // math.prod(fixed))
    with blaming("mesh", ValueError):
        return sharding.make_mesh(**sizes)


# --- Stages --------------------------------------------------------------------------------------


def stages_to_run(config: ConfigDict) -> tuple[str, ...]:
    """Those of `stages` that `init_from` does not replace. Raises ConfigError."""
    names = tuple(config.stages)
    unknown = [n for n in names if "objective" not in (config.to_dict().get(n) or ())]
    if unknown:
        raise ConfigError(f"stages: the config has no block named {', '.join(unknown)}")
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"stages={names}: name at least one, and each once")
    if not config.init_from:
        return names
    folder = Path(config.init_from)
    if not (folder / "config.json").exists():
        raise ConfigError(
            f"init_from={folder} is no stage of a run: it has no config.json. "
            "Name a stage's folder, such as runs/fd/sft."
        )
    after = names[names.index(folder.name) + 1 :] if folder.name in names else names
    if not after or config[after[0]].objective == "supervised":
        raise ConfigError(
            f"init_from={folder} and stages={names}: after {folder.name} there "
            + (f"comes {after[0]}, which starts anew" if after else "is nothing left to run")
            + ". Set --config.stages to the stages that are to follow."
        )
    return after


def initial_policy(run: Run) -> tuple[Policy, tuple[str, ...]]:
    """What the first stage begins with, and the stages to run: `init_from` replaces those up to
    the one it names. Raises ConfigError if that one is unfinished or of another kind.
    """
    names = stages_to_run(run.config)
    if not run.config.init_from:
        return Policy("", None, "random"), names
    folder = Path(run.config.init_from)
    record = json.loads((folder / "config.json").read_text())
    here = stage_record(run, names[0], "")
    if changes := "\n  ".join(differences(_kind(record), _kind(here))):
        raise ConfigError(f"init_from={folder} is of another kind:\n  {changes}")
    init = functools.partial(transformer.init, run.prompting.model)
    shapes = jax.eval_shape(init, jax.random.key(0))
    shardings = sharding.tree_shardings(shapes, run.prompting.mesh)
    target = jax.tree.map(
        lambda s, at: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=at), shapes, shardings
    )
    with blaming(f"init_from={folder}: not finished, or damaged", ValueError, OSError):
        params = restore_params(folder / "checkpoints", target, step=record["stage"]["steps"])
    return Policy(folder.name, params, record["fingerprint"]), names


def _kind(record: dict[str, Any]) -> dict[str, Any]:
    """What two stages must share for one to go on with the other's parameters."""
    texts = [field.name for field in dataclasses.fields(Template) if field.name != "thinking"]
    prompt = {name: record["prompt"].get(name) for name in texts}
    return {"model": record["model"], "tokenizer": record["tokenizer"], "prompt": prompt}


def make_objective(config: ConfigDict) -> Objective:
    match config.objective:
        case "supervised" | "expert_iteration":
            return Supervised()
        case "distillation":
            return Distillation(
                alpha=config.alpha,
                estimator=config.estimator,
                top_k=config.top_k or None,
                support=config.support,
                tail=config.tail,
                entry_clip=config.entry_clip or None,
                token_clip=config.token_clip or None,
                ratio_cap=config.ratio_cap or None,
                ratio_mean=config.ratio_mean,
                line_cap=config.line_cap or None,
                aggregation=config.aggregation,
                trust_rate=config.trust_rate if config.teacher == "trust_region" else 0.0,
                temperature=config.temperature,
            )
        case "policy_gradient":
            return PolicyGradient(
                temperature=config.temperature,
                surrogate=config.surrogate,
                clip_low=config.clip_low,
                clip_high=config.clip_high,
                dual_clip=config.dual_clip or None,
                aggregation=config.aggregation,
                responses=config.prompts_per_step * config.samples_per_prompt / config.minibatches,
                sampler_ratio_cap=config.sampler_ratio_cap or None,
                kl=config.kl,
                kl_coefficient=config.kl_coefficient,
            )
        case "combined":
            return Combined(
                tuple(
                    Part(name, weight, make_objective(part(config, name)))
                    for name, weight in config.weights.items()
                )
            )
        case unknown:
            raise ConfigError(
                f"objective is {unknown!r}; known are supervised, distillation, policy_gradient, "
                "combined, expert_iteration"
            )


def optimizer_config(config: ConfigDict) -> state.OptimizerConfig:
    optimizer = config.optimizer
    return state.OptimizerConfig(
        learning_rate=optimizer.learning_rate,
        total_steps=config.steps * updates_per_step(config),
        warmup_steps=optimizer.warmup,
        decay_fraction=optimizer.decay_fraction,
        weight_decay=optimizer.weight_decay,
        clip_norm=optimizer.clip_norm,
    )


def make_curriculum(run: Run, name: str, theorems: Sequence[Theorem]) -> Curriculum:
    """Supervised stages have no settings of one: they take all theorems in turn."""
    stage = run.config[name]
    return Curriculum(
        theorems,
        batch=stage.prompts_per_step,
        seed=run.config.seed,
        settings=Settings(**stage.get("curriculum", {})),
        depth=stage.get("pipeline_depth", 0),
    )
def updates_per_step(config: ConfigDict) -> int:
    return config.get("minibatches", 1) * config.get("epochs", 1)


def check_evaluation(run: Run) -> None:
    e = run.config.evaluation
    with blaming("evaluation"):
        check_positive(e, ("pool_samples", "heldout_samples", "batch", "temperature", "sharper"))
        _check_rows(run, "batch", e.batch)
        for field in ("pool", "heldout"):
            _check_split(run, field, e[field])


def check_stage(run: Run, name: str) -> None:
    """Makes all that the stage will be made of, so that no bad value waits for hours."""
    stage = run.config[name]
    counts = ["steps", "show_every", "save_every", "prompts_per_step", "samples_per_prompt"]
    if "batch_size" not in stage:
        counts += ["minibatches", "epochs"]
    with blaming(name, ValueError):
        check_positive(stage, (*counts, "temperature"))
        check_positive(stage.optimizer, ("microbatches",))
        optimizer_config(stage)
        if stage.objective == "combined":
            check_combined(stage)
        make_objective(stage)
        supervised = stage.objective == "supervised"
        _check_split(run, "theorems", stage.theorems, prompts=not supervised)
        make_curriculum(run, name, run.theorems[stage.theorems])
        updates, parts = stage.get("minibatches", 1), stage.optimizer.microbatches
        fixed = "batch_size" in stage  # then its rollouts are sampled as evaluation does
        buckets = (stage.batch_size,) if fixed else tuple(stage.row_buckets)
        for rows in buckets:
            if rows % updates:
                raise ConfigError(f"{rows} rows do not split into minibatches={updates}")
            rows //= updates
            _check_rows(run, "batch_size" if fixed else "row_buckets", rows)
            if rows % parts:
                raise ConfigError(f"{rows} rows do not split into optimizer.microbatches={parts}")
        if not fixed:
            _check_rows(run, "prompts_per_step", stage.prompts_per_step)
            batching.row_bucket(stage.prompts_per_step * stage.samples_per_prompt, buckets)
        if stage.objective == "expert_iteration":
            check_positive(stage, ("steps_per_round", "per_theorem"))
        if distillation := part(stage, "distillation"):
            stages.distillation(distillation, run.prompting)
            for field, known in _TEACHING.items():
                if distillation[field] not in known:
                    told = f"{field} is {distillation[field]!r}; known are {', '.join(known)}"
                    raise ConfigError(told)
        if policy_gradient := part(stage, "policy_gradient"):
            check_policy_gradient(
                policy_gradient, run.theorems[stage.theorems], run.prompting.response_length
            )
        if stage.objective in ("supervised", "distillation", "combined"):
            feedback_provider(run)


def feedback_provider(run: Run, *, shuffle: bool | None = None) -> Provider:
    """That of the config; `shuffle` can be set apart. Raises ConfigError."""
    seed, batch = run.config.seed, run.config.evaluation.batch
    means = Means(run.prompting, run.farm, run.workdir, seed, batch)
    return make_provider(run.config.feedback, means, shuffle=shuffle)


def _check_rows(run: Run, field: str, rows: int) -> None:
    devices = math.prod(run.prompting.mesh.shape[axis] for axis in sharding.ROWS)
    if rows < 1 or rows % devices:
        raise ConfigError(f"{field}: {rows} rows, must be a multiple of replica * fsdp = {devices}")


def _check_split(run: Run, field: str, split: str, prompts: bool = True) -> None:
    """`prompts`: all of them must fit the budget; else those over it are left out."""
    if not run.theorems.get(split):
        raise ConfigError(f"{field}={split!r} has no theorems; see data, {', '.join(SPLITS)}")
    one_by_one = (run.prompting.fitting_prompts([t]) for t in run.theorems[split])
    if not prompts and not any(one_by_one):
        raise ConfigError(f"no prompt of {field}={split!r} fits prompt.student_buckets")
    for theorem in run.theorems[split] if prompts else ():
        run.prompting.student_prompt(theorem)  # raises PromptTooLong


# --- Records --------------------------------------------------------------------------------


_OF_NO_CONSEQUENCE = ("show_every", "save_every", "least_gap")


def stage_record(run: Run, name: str, before: str) -> dict[str, Any]:
    """All that decides what a stage turns out as; `before` is the fingerprint it starts from."""
    config, stage = run.config, run.config[name]
    taught_by = {  # supervised stages learn from true feedback, whatever the control does
        "supervised": consequences(config.feedback),
        "distillation": consequences(config.feedback) | {"shuffle": config.feedback.shuffle},
        "combined": consequences(config.feedback) | {"shuffle": config.feedback.shuffle},
    }.get(stage.objective, {})
    record = {
        "seed": config.seed,
        "model": dataclasses.asdict(run.prompting.model),
        "vocab_size": config.tokenizer.vocab_size,
        "tokenizer": digest(run.prompting.tokenizer.model.hex()),
        "prompt": prompt_record(run),
        "lean": lean_record(run.farm.backend),
        "data": {"seed": config.data.seed, stage.theorems: str(config.data[stage.theorems])},
        "theorems": split_digest(run.theorems[stage.theorems]),
        "feedback": taught_by,
        "stage": {k: v for k, v in stage.to_dict().items() if k not in _OF_NO_CONSEQUENCE},
        "before": before,
    }
    return json.loads(json.dumps(record)) | {"fingerprint": digest(record)}


def lean_record(backend: Backend) -> dict[str, str]:
    record = {"backend": backend.name, "version": backend.version}
    # those of the embedded Lean cannot be set
    return record if backend.name == "embedded" else record | {"limits": backend.limits}


def prompt_record(run: Run) -> dict[str, Any]:
    """A template is recorded by what it says, not by its name."""
    prompt = run.config.prompt.to_dict()
    named = prompt.pop("template"), prompt.pop("thinking")
    return prompt | (dataclasses.asdict(run.prompting.template) if any(named) else {})
