"""A run: set it up, then stage after stage: restore or begin, train, evaluate. Then the summary.

theorems -> prompts -> generate -> verify -> feedback -> batch -> update -> checkpoint
"""

import collections
import contextlib
import functools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from fdjax.config import StageConfig, SupervisedStage, distillation_part
from fdjax.models import tokenizer
from fdjax.reporting import costs, report
from fdjax.reporting.summary import summarise, summary_lines
from fdjax.rollout.generate import DECODE_BYTES
from fdjax.runtime import chips, hosts
from fdjax.runtime.checkpoint import Checkpoints
from fdjax.runtime.files import read_lines
from fdjax.runtime.metrics import MetricsLog, Timers, console, write_summary
from fdjax.runtime.preemption import Preemption, on_sigterm
from fdjax.runtime.profile import annotated, tracing
from fdjax.training import build, state
from fdjax.training.evaluation import evaluate_policy, measure_teacher
from fdjax.training.manifest import Policy, Run, write_manifest
from fdjax.training.notes import notes
from fdjax.training.setup import initial_policy, set_up


def run_experiment(
    config: ConfigDict, workdir: str | Path, *, train: bool = True, profile: range = range(0)
) -> dict:
    """Runs or resumes the stages of `config` in `workdir`; returns what summary.json holds. The
    steps `profile` of each stage are traced (fdjax/runtime/profile.py).

    Raises ConfigError for a config that cannot run, or that is not the one the workdir began with;
    without `train` also where a stage is not finished.
    """
    workdir = Path(workdir).expanduser()
    with (
        set_up(config, workdir, train=train, profile=profile) as run,
        on_sigterm() as preemption,
    ):
        policy = initial_policy(run)
        evaluations = {policy.name: evaluate_policy(run, policy)} if policy.name else {}
        for name in run.manifests:
            policy = run_stage(run, name, policy, preemption, evaluate_only=not train)
            evaluations[name] = evaluate_policy(run, policy)
        summary = summarise(evaluations, {name: spent(run, name) for name in evaluations})
    # The other hosts wait for the first one.
    hosts.broadcast("end", functools.partial(write_results, run.workdir, summary))
    return summary


def write_results(workdir: Path, summary: dict) -> None:
    write_summary(workdir, summary)
    page = report.write(workdir)
    for line in [*summary_lines(summary), f"report: {page}"]:
        console.print(line, markup=False)
    print(json.dumps(summary), flush=True)


def spent(run: Run, name: str) -> dict[str, float]:
    """What training the stage has cost, in this run or in the one that it was taken from."""
    file, source = run.workdir / name / "metrics.jsonl", run.init_source
    if file.exists() or not source or not source.is_stage or source.folder.name != name:
        return costs.total(read_lines(file))
    lines = read_lines(source.folder / "metrics.jsonl")
    return costs.total(line for line in lines if line["step"] < source.step)


# --- One stage -----------------------------------------------------------------------------------


def run_stage(
    run: Run, name: str, before: Policy, preemption: Preemption, *, evaluate_only: bool = False
) -> Policy:
    """Trains the stage, or the rest of it, or reads what a finished one left.

    Raises CorruptFile where no checkpoint is whole, with `evaluate_only` where the last is not.
    """
    stage, folder, manifest = run.config.blocks[name], run.workdir / name, run.manifests[name]
    write_manifest(folder, manifest)
    if not tokenizer.holds(folder):
        run.generator.prompts.tokenizer.save(folder)

    keep = run.config.keep_checkpoints
    with Checkpoints(folder / "checkpoints", keep=keep, best="score") as checkpoints:
        step, history = checkpoints.latest() or 0, {}
        if step < stage.steps and (fd := distillation_part(stage)):
            measure_teacher(run, name, fd.min_gap, before)
        # From here on only the state holds parameters: init_state frees those of `before`.
        train_state = build.init_state(run, before.params, stage)
        if step:
            only = step if evaluate_only else None
            shapes, train_state = state.shapes(train_state), None  # there is room for one state
            train_state, meta, step = checkpoints.restore(shapes, only)
            history = meta.get("curriculum", {})
        if step < stage.steps:
            with preemption.after_a_step():
                train_state = train(run, name, train_state, step, history, checkpoints, preemption)
    return Policy(name, train_state.params, manifest["fingerprint"])


def train(
    run: Run,
    name: str,
    train_state: state.TrainState,
    start: int,
    history: dict,
    checkpoints: Checkpoints,
    preemption: Preemption,
) -> state.TrainState:
    """The loop, from the step `start` on; `history` is the curriculum's history at that step.

    `pending` holds rollouts that Lean verifies while the device goes on.
    """
    stage, timers = run.config.blocks[name], Timers()
    update = build.make_batch_update(run, stage, train_state)
    objective, model_config = build.make_objective(stage), run.generator.model
    peaks = build.peaks(run)
    worker = build.make_worker(run, name, timers)
    worker.curriculum.history.update(history)
    source = build.make_source(run, name, worker, start)
    make_batch = annotated("batch")(source.make_batch)
    pending, scores = collections.deque(), []

    with (
        contextlib.closing(worker),
        open_log(run, name, start) as log,
        tracing(run.workdir / "profile", name, run.profile) as traced,
    ):
        for step in range(start, stage.steps):
            with timers("step"), traced(step):
                begin, finish = source.rollouts(step)
                for number in begin:
                    attempts = worker.generate(number, train_state.params)
                    pending.append(worker.verify(attempts))
                rollouts = [
                    worker.give_feedback(pending.popleft(), train_state.params, train_state.teacher)
                    for _ in range(finish)
                ]
                batch, metrics = make_batch(step, rollouts, train_state)
                cost = costs.of_update(model_config, objective, batch, build.epochs(stage))
                with timers("update"):
                    train_state, update_metrics = update(train_state, batch)
            if log:
                metrics = costs.added(metrics, cost) | update_metrics
                seconds = timers.flush()
                read, decoding = seconds.pop(DECODE_BYTES, 0), seconds.get("time/device", 0)
                metrics |= chips.share("decode_bandwidth", read, decoding, peaks.bandwidth)
                metrics["device_idle"] = device_idle(seconds)
                log.write(step, metrics | seconds | run.farm.figures())
                for note in notes(stage, step, metrics, run.config.prompt.response_length):
                    console.print(f"{name} {step + 1}: {note}", markup=False)
            if (value := checkpoint_score(stage, metrics, update_metrics)) is not None:
                scores.append(value)
            stop = preemption.should_stop()
            if stop or step + 1 == stage.steps or (step + 1) % stage.save_every == 0:
                mean = float(np.mean(scores)) if scores else np.nan  # since the last save
                known = {"score": mean} if np.isfinite(mean) else {}
                meta = {"curriculum": worker.curriculum.history}
                checkpoints.save(step + 1, train_state, meta, known)
                scores.clear()
            if stop:
                break
    return train_state


def device_idle(seconds: dict[str, float]) -> float:
    """The share of a step in which the device had nothing to do, as far as the host knows."""
    busy = sum(seconds.get(f"time/{part}", 0.0) for part in ("update", "weights", "device"))
    return max(0.0, 1 - busy / seconds["time/step"])


@contextlib.contextmanager
def open_log(run: Run, name: str, start: int) -> Iterator[MetricsLog | None]:
    """The stage's metrics; None on other hosts than the first."""
    stage = run.config.blocks[name]
    if not hosts.is_first():
        yield None
        return
    folder = run.workdir / name
    with MetricsLog(folder, total=stage.steps, start=start, show_every=stage.show_every) as log:
        yield log


def checkpoint_score(stage: StageConfig, metrics: dict, update_metrics: dict) -> float | None:
    """The solve rate, or minus the loss, by which the best checkpoint is chosen; None: no value."""
    if isinstance(stage, SupervisedStage):
        return -float(update_metrics["loss"])
    return metrics.get("solve_rate")
