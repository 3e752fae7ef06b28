"""What a run is, and the manifest of each stage: all that decides its result.

What lies in a workdir is reused only if its manifest, config.json, is the same.
"""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fdjax.batches.rewards import reward_digest
from fdjax.config import (
    Config,
    ConfigError,
    StageConfig,
    SupervisedStage,
    learns_from_feedback,
    policy_gradient_part,
)
from fdjax.data.theorems import theorems_digest
from fdjax.environment.registry import tools_digest
from fdjax.feedback.providers import manifest_fields
from fdjax.lean.farm import Farm
from fdjax.models.hf.init_from import InitSource
from fdjax.rollout.generate import Generator
from fdjax.runtime.files import digest, read_object, write_atomically
from fdjax.types import Theorem


class Policy(NamedTuple):
    """What a stage begins with, and what it leaves."""

    name: str  # of the stage that made it; empty before the first
    params: Any
    fingerprint: str


class Run(NamedTuple):
    """What does not change from stage to stage."""

    config: Config
    workdir: Path
    init_source: InitSource | None  # what `init_from` names
    generator: Generator
    theorems: dict[str, list[Theorem]]  # by split
    farm: Farm
    manifests: dict[str, dict[str, Any]]  # of the stages to run, by name and in order
    profile: range = range(0)  # the steps of each stage that are traced


# --- Manifests -----------------------------------------------------------------------------------

_WITHOUT_EFFECT = ("show_every", "save_every", "min_gap")
# Fields that came later, and what they are where they are off. That is not recorded: the stages of
# runs before them keep their fingerprints.
_OFF = {
    "reward": None,
    "turn_discount": None,
    "process_reward": None,
    "process_credit": "first",
    "dialogue_fraction": 0.0,
    "replay": True,
}


def stage_manifest(run: Run, name: str, before: str) -> dict[str, Any]:
    """All that decides the result of a stage; `before` is the fingerprint that it starts from.

    It also holds `published`, for exports: config.json of the Hugging Face model that training
    began with, if there was one.
    """
    config, stage = run.config, run.config.blocks[name]
    manifest = {
        "seed": config.seed,
        "model": dataclasses.asdict(run.generator.model),
        "vocab_size": _vocab_size(config),
        "tokenizer": digest(run.generator.prompts.tokenizer.model.hex()),
        "prompt": prompt_manifest(run),
        "lean": lean_manifest(run.farm),
        "data": _data_manifest(config, stage),
        "theorems": theorems_digest(run.theorems[stage.theorems]),
        "feedback": _feedback_manifest(config, stage),
        "stage": {
            name: value
            for name, value in _without_off(dataclasses.asdict(stage)).items()
            if name not in _WITHOUT_EFFECT
        },
        "before": before,
        **environment_manifest(config),
    }
    grpo = policy_gradient_part(stage)
    if grpo and grpo.reward:
        manifest["reward_source"] = reward_digest(grpo.reward)
    source = run.init_source
    published = {"published": source.published} if source and source.published else {}
    return json.loads(json.dumps(manifest)) | {"fingerprint": digest(manifest)} | published


def _without_off(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_off(value) if isinstance(value, dict) else value
        for name, value in fields.items()
        if name not in _OFF or value != _OFF[name]
    }


def _data_manifest(config: Config, stage: StageConfig) -> dict[str, Any]:
    """A dialect is that of the proofs that supervised stages learn."""
    data = config.data
    manifest = {"seed": data.seed, stage.theorems: getattr(data, stage.theorems)}
    if data.dialect and isinstance(stage, SupervisedStage):
        manifest["dialect"] = [data.dialect, data.dialect_share]
    return manifest


def environment_manifest(config: Config) -> dict[str, Any]:
    """Empty without one: attempts of one answer are what they were before there were others."""
    environment = config.environment
    if environment.name is None:
        return {}
    fields = {"environment": dataclasses.asdict(environment)}
    if environment.name == "tools" and (own := tools_digest(environment.tools)):
        fields["tools_source"] = own
    return fields


def _feedback_manifest(config: Config, stage: StageConfig) -> dict[str, Any]:
    """Supervised stages learn from true feedback, whatever the control does."""
    if not learns_from_feedback(stage):
        return {}
    fields = manifest_fields(config.feedback)
    if isinstance(stage, SupervisedStage):
        return fields
    return fields | {"shuffle": config.feedback.shuffle}


def _vocab_size(config: Config) -> int | None:
    """Of a tokenizer that is trained here; one that is given has its own."""
    given = config.tokenizer.path or config.init_from
    return None if given else config.tokenizer.vocab_size


def lean_manifest(farm: Farm) -> dict[str, Any]:
    backend = farm.backend
    manifest = {"backend": backend.name, "version": backend.version}
    if backend.name != "embedded":  # its limits cannot be set
        manifest["limits"] = backend.limits
    return manifest | ({"allow_helpers": True} if farm.allow_helpers else {})


def prompt_manifest(run: Run) -> dict[str, Any]:
    """A template is recorded by its texts, not by its name."""
    prompt = dataclasses.asdict(run.config.prompt)
    named = prompt.pop("template"), prompt.pop("thinking")
    return prompt | (dataclasses.asdict(run.generator.prompts.template) if any(named) else {})


# --- In the workdir ------------------------------------------------------------------------------


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """config.json of a new stage; raises ConfigError as `check_manifest` does."""
    check_manifest(folder, manifest)
    file = folder / "config.json"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(manifest, indent=1, ensure_ascii=False))


def check_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Raises ConfigError if the folder holds a stage of another config, CorruptFile."""
    file = folder / "config.json"
    remedy = f"Put back a copy, remove {folder} (the stage begins anew) or take another --workdir"
    old = read_object(file, remedy) if file.exists() else manifest
    if old.get("fingerprint") != manifest["fingerprint"]:
        named = [
            {folder.name if k == "stage" else k: v for k, v in m.items()} for m in (old, manifest)
        ]
        changes = "\n  ".join(differences(*named))
        raise ConfigError(
            f"{folder} holds a stage of another config:\n  {changes}\n"
            "Take another --workdir, or go back to the old values."
        )


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """A line for each value that differs, by its path, `fingerprint` and `published` left out."""
    return list(_differences(old, new, path))


def _differences(old: Any, new: Any, path: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [k for k in {**old, **new} if k not in ("fingerprint", "published")]:
            yield from _differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif old != new:
        yield f"{path}: {old!r} there, {new!r} now"
