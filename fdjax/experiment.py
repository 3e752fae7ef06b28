"""A run: prepare, then stage after stage: restore or begin, train, evaluate. Then the summary.

    theorems -> prompts -> sampler -> attempts -> Lean -> feedback -> batch -> update -> checkpoint
"""

import asyncio
import contextlib
import functools
import json
import signal
from pathlib import Path
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from fdjax import report, sharding, stages, state, update
from fdjax.checkpoint import Checkpoints
from fdjax.evaluation.evaluate import evaluate, teacher_solve_rate
from fdjax.feedback.providers import make_provider
from fdjax.metrics import MetricsLog, Timers, write_summary
from fdjax.models import transformer
from fdjax.objectives.distillation import Distillation
from fdjax.objectives.policy_gradient import PolicyGradient
from fdjax.objectives.protocol import Model, Objective
from fdjax.objectives.supervised import Supervised
from fdjax.prepare import (
    ConfigError,
    Run,
    check_record,
    prepare,
    read_fingerprint,
    stage_record,
)
from fdjax.rollout.experience import Collector
from fdjax.rollout.journal import Journal

__all__ = ["ConfigError", "run"]


def run(config: ConfigDict, workdir: str | Path) -> dict:
    """Runs or resumes the stages of `config` in `workdir`; returns what summary.json holds.

    Raises ConfigError for a config that cannot run, or that is not the one the workdir began with.
    """
    this = prepare(config, Path(workdir))
    summary = {"stages": {}}
    with this.farm, jax.set_mesh(this.prompting.mesh), stop_on_sigterm() as stopping:
        params, before, names = start(this)
        for name in names:
            record = stage_record(this, name, before)
            folder = this.workdir / name
            check_record(folder, record)
            trainer = make_trainer(this, name, params)
            trained = train(this, trainer, folder, stopping)
            summary["stages"][name] = figures(this, name, folder, params, trained)
            params, before = trained, record["fingerprint"]
            write_summary(this.workdir / "summary.json", summary)
    report.write(this.workdir)
    print(json.dumps(summary))
    return summary
