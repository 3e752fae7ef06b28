"""What a run is, and the records of all that decides what its stages turn out as."""

import dataclasses
import json
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from fdjax.config import default
from fdjax.data.theorems import theorems_digest
from fdjax.feedback.providers import manifest_fields
from fdjax.lean.farm import Farm
from fdjax.models.hf.init_from import InitSource
from fdjax.rollout.generate import Prompting
from fdjax.runtime.files import digest
from fdjax.types import Theorem


class Policy(NamedTuple):
    """What a stage begins with, and what it leaves."""

    name: str  # of the stage; empty before the first
    params: Any
    fingerprint: str


class Run(NamedTuple):
    """What does not change from stage to stage."""

    config: ConfigDict
    workdir: Path
    origin: InitSource | None  # what `init_from` names
    prompting: Prompting
    theorems: dict[str, list[Theorem]]
    farm: Farm
    stages: dict[str, dict[str, Any]]  # name -> record of those to run, in order


_OF_NO_CONSEQUENCE = ("show_every", "save_every", "min_gap")


def stage_record(run: Run, name: str, before: str) -> dict[str, Any]:
    """All that decides what a stage turns out as; `before` is the fingerprint it starts from."""
    config, stage = run.config, run.config[name]
    taught_by = {  # supervised stages learn from true feedback, whatever the control does
        "supervised": manifest_fields(config.feedback),
        "distillation": manifest_fields(config.feedback) | {"shuffle": config.feedback.shuffle},
        "combined": manifest_fields(config.feedback) | {"shuffle": config.feedback.shuffle},
    }.get(stage.objective, {})
    record = {
        "seed": config.seed,
        "model": dataclasses.asdict(run.prompting.model),
        "vocab_size": _vocab_size(config),
        "tokenizer": digest(run.prompting.tokenizer.model.hex()),
        "prompt": prompt_record(run),
        "lean": lean_record(run.farm),
        "data": {"seed": config.data.seed, stage.theorems: str(config.data[stage.theorems])},
        "theorems": theorems_digest(run.theorems[stage.theorems]),
        "feedback": taught_by,
        "stage": {k: v for k, v in stage.to_dict().items() if k not in _OF_NO_CONSEQUENCE},
        "before": before,
    }
    return json.loads(json.dumps(record)) | {"fingerprint": digest(record)}


def _vocab_size(config: ConfigDict) -> int:
    """Of a tokenizer that is trained here; a given one has its own, and the default stands here."""
    given = config.tokenizer.path or config.init_from
    return default().tokenizer.vocab_size if given else config.tokenizer.vocab_size


def lean_record(farm: Farm) -> dict[str, Any]:
    backend = farm.backend
    record = {"backend": backend.name, "version": backend.version}
    if backend.name != "embedded":  # whose limits cannot be set
        record["limits"] = backend.limits
    return record | ({"allow_helpers": True} if farm.allow_helpers else {})


def prompt_record(run: Run) -> dict[str, Any]:
    """A template is recorded by what it says, not by its name."""
    prompt = run.config.prompt.to_dict()
    named = prompt.pop("template"), prompt.pop("thinking")
    return prompt | (dataclasses.asdict(run.prompting.template) if any(named) else {})
