"""A run: prepare, then stage after stage: restore or begin, train, evaluate. Then the summary.

theorems -> prompts -> sampler -> attempts -> Lean -> feedback -> batch -> update -> checkpoint
"""

import asyncio
import contextlib
import functools
import json
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from fdjax.config import ConfigError, part
from fdjax.feedback.providers import manifest_fields, samples_policy
from fdjax.models import tokenizer
from fdjax.reporting import costs as costs
from fdjax.reporting import report
from fdjax.reporting.summary import summarise, summary_lines
from fdjax.rollout.journal import Journal
from fdjax.rollout.worker import RolloutWorker
from fdjax.runtime import hosts
from fdjax.runtime.checkpoint import Checkpoints
from fdjax.runtime.files import append_line, read_lines
from fdjax.runtime.metrics import MetricsLog, Timers, console, status, write_summary
from fdjax.training import sources as stages
from fdjax.training import state
from fdjax.training.build import (
    feedback_provider,
    make_curriculum,
    make_objective,
    optimizer_config,
)
from fdjax.training.evaluation import evaluate, teacher_solve_rate
from fdjax.training.fingerprints import digest, split_digest, write_record
from fdjax.training.learner import begin, has_teacher, learn, make_score, make_update
from fdjax.training.manifest import Policy, Run, lean_record, prompt_record
from fdjax.training.setup import initial_policy, prepare
from fdjax.training.supervised_sources import expert_iteration, supervised, tell_left_out
from fdjax.types import Provider, Theorem

__all__ = ["ConfigError", "run"]


class Stopping:
    """What SIGTERM (a preempted machine) does: the training step under way is ended and saved;
    where there is none, the run ends at once.
    """

    asked = False
    training = False

    def ask(self, *_) -> None:
        self.asked = True
        if not self.training:
            raise SystemExit("stopped; the same command goes on from here")

    def agreed(self) -> bool:
        """Was any host asked? All get the same answer, between two steps; who is asked meanwhile
        says so the next time.
        """
        agreed = any(hosts.allgather("stopping", lambda: self.asked))
        if agreed:
            self.asked = True
        return agreed

    @contextlib.contextmanager
    def after_a_step(self) -> Iterator[None]:
        self.training = True
        try:
            yield
        finally:
            self.training = False
        if self.asked:
            self.ask()


def run(config: ConfigDict, workdir: str | Path) -> dict:
    """Runs or resumes the stages of `config` in `workdir`; returns what summary.json holds.

    Raises ConfigError for a config that cannot run, or that is not the one the workdir began with.
    """
    with prepare(config, Path(workdir)) as this, on_sigterm() as stopping:
        policy = initial_policy(this)
        evaluations = {policy.name: evaluate_policy(this, policy)} if policy.name else {}
        for name in this.stages:
            policy = run_stage(this, name, policy, stopping)
            evaluations[name] = evaluate_policy(this, policy)
        summary = summarise(evaluations, {name: spent(this, name) for name in evaluations})
    hosts.broadcast("end", functools.partial(tell, workdir, summary))  # the others wait for it
    return summary


def tell(workdir: str | Path, summary: dict) -> None:
    write_summary(workdir, summary)
    page = report.write(workdir)
    for line in [*summary_lines(summary), f"report: {page}"]:
        console.print(line, markup=False)
    print(json.dumps(summary), flush=True)


def spent(this: Run, name: str) -> dict[str, float]:
    """What training the stage has cost, in this run or in the one that it was taken from."""
    folder, origin = this.workdir / name, this.origin
    if origin and origin.folder.name == name and not (folder / "metrics.jsonl").exists():
        folder = origin.folder
    return costs.total(read_lines(folder / "metrics.jsonl"))


# --- One stage -----------------------------------------------------------------------------------


def run_stage(this: Run, name: str, before: Policy, stopping: Stopping) -> Policy:
    """Trains the stage, or the rest of it, or reads what a finished one left."""
    config, folder, record = this.config[name], this.workdir / name, this.stages[name]
    write_record(folder, record)
    if not tokenizer.holds(folder):
        this.prompting.tokenizer.save(folder)

    optimizer = state.make_optimizer(optimizer_config(config))
    keep = this.config.keep_checkpoints
    with Checkpoints(folder / "checkpoints", keep=keep, best="score") as checkpoints:
        step, history = checkpoints.latest() or 0, {}
        if step < config.steps and part(config, "distillation"):
            measure_teacher(this, name, before)
        # From here on the state alone holds parameters: those of `before` are donated.
        train_state = begin(this, before.params, optimizer, with_teacher=has_teacher(config))
        if step:
            train_state = state.shapes(train_state)
            train_state, meta, _ = checkpoints.restore(train_state, step)
            history = meta.get("curriculum", {})
        if step < config.steps:
            with stopping.after_a_step():
                train_state = train(
                    this, name, train_state, step, history, optimizer, checkpoints, stopping
                )
    return Policy(name, train_state.params, record["fingerprint"])


def train(
    this: Run,
    name: str,
    train_state: state.TrainState,
    start: int,
    history: dict,
    optimizer,
    checkpoints: Checkpoints,
    stopping: Stopping,
) -> state.TrainState:
    """The loop: a batch of the source, an update, a line of metrics, now and then a checkpoint.

    `history`: what the curriculum knew at the step `start`.
    """
    config, folder = this.config[name], this.workdir / name
    timers, scores, objective = Timers(), [], make_objective(config)
    update_state = make_update(this, config, optimizer, train_state)
    worker = make_worker(this, name, history, timers)
    with (
        contextlib.closing(worker),
        MetricsLog(folder, total=config.steps, start=start, show_every=config.show_every)
        if hosts.is_first()
        else contextlib.nullcontext() as log,
    ):
        source = make_source(this, name, worker)
        for step in range(start, config.steps):
            with timers("step"):
                batch, metrics = source(step, train_state)
                cost = costs.of_update(
                    this.prompting.model, objective, batch, config.get("epochs", 1)
                )
                metrics = costs.added(metrics, cost)
                with timers("update"):
                    train_state, learned = learn(this, config, update_state, train_state, batch)
            if log:
                log.write(step, metrics | learned | timers.flush() | this.farm.figures())
            if config.objective == "supervised":
                scores.append(-float(learned["loss"]))
            elif "solve_rate" in metrics:
                scores.append(metrics["solve_rate"])
            done = step + 1
            stop = stopping.agreed()
            if stop or done == config.steps or done % config.save_every == 0:
                score = float(np.mean(scores)) if scores else np.nan  # since the last save
                known = {"score": score} if np.isfinite(score) else {}
                meta = {"curriculum": worker.curriculum.history}
                checkpoints.save(done, train_state, meta, known)
                scores.clear()
            if stop:
                break
    return train_state


def make_worker(this: Run, name: str, history: dict, timers: Timers) -> RolloutWorker:
    """Whose theorems the stage attempts, and by what its attempts are judged."""
    config, prompting = this.config[name], this.prompting
    theorems = this.theorems[config.theorems]
    if config.objective == "supervised":
        prompts = prompting.fitting_prompts(theorems)
        left_out = len(theorems) - len(prompts)
        tell_left_out(left_out, len(theorems), f"prompts of {name}")
        theorems = [t for t in theorems if t.id in prompts]
    else:
        prompts = {t.id: prompting.student_prompt(t) for t in theorems}
    curriculum = make_curriculum(this, name, theorems)
    curriculum.history.update(history)
    return RolloutWorker(
        prompting=prompting,
        farm=this.farm,
        provider=stage_provider(this, name),
        provider_samples=samples_policy(this.config.feedback),
        journal=Journal(this.workdir / name / "rollouts"),
        curriculum=curriculum,
        prompts=prompts,
        samples_per_prompt=config.samples_per_prompt,
        temperature=config.temperature,
        seed=this.config.seed,
        stream=name,
        timers=timers,
        # Where they are many they are sampled as evaluation does.
        batch=this.config.evaluation.batch if "batch_size" in config else config.generation_batch,
        reads_feedback=lambda step: stages.parts_of_step(config, step) != ("policy_gradient",),
    )


def make_source(this: Run, name: str, worker: RolloutWorker) -> stages.Source:
    """Where the stage's batches come from."""
    config, prompting = this.config[name], this.prompting
    match config.objective:
        case "supervised":
            return supervised(config, prompting, worker, this.config.seed)
        case "expert_iteration":
            return expert_iteration(config, prompting, worker, this.config.seed)
        case "distillation":
            to_batch = stages.distillation(config, prompting)
        case "policy_gradient":
            to_batch = stages.policy_gradient(config, prompting, make_score(this, config))
        case "combined":
            to_batch = stages.combined(config, prompting, make_score(this, config))
    return stages.from_rollouts(
        worker,
        to_batch,
        steps=config.steps,
        depth=config.pipeline_depth,
        refill=config.get("refill", 0),
    )


def stage_provider(this: Run, name: str) -> Provider | None:
    """Supervised stages teach to read true feedback, also those of the shuffled control."""
    match this.config[name].objective:
        case "supervised":
            return feedback_provider(this, shuffle=False)
        case "distillation" | "combined":
            return feedback_provider(this)
    return None


@contextlib.contextmanager
def on_sigterm() -> Iterator[Stopping]:
    stopping = Stopping()
    before = signal.signal(signal.SIGTERM, stopping.ask)
    try:
        yield stopping
    finally:
        signal.signal(signal.SIGTERM, before)


# --- Evaluation ----------------------------------------------------------------------------------


def evaluate_policy(this: Run, policy: Policy) -> dict[str, dict]:
    """{"pool" | "heldout" | "pool at T" | ...: figures}; T is the sharper temperature."""
    e = this.config.evaluation
    splits = {"train": (e.train, e.train_samples), "heldout": (e.heldout, e.heldout_samples)}
    measured = {}
    for suffix, temperature in (("", e.temperature), (f" at {e.sharper}", e.low_temperature)):
        for what, (split, samples) in splits.items():
            theorems = this.theorems[split][: e.theorems]
            measure = functools.partial(
                evaluate,
                this.prompting,
                policy.params,
                this.farm,
                theorems,
                samples=samples,
                temperature=temperature,
                seed=this.config.seed,
                batch=e.batch,
            )
            key = {"split": split, "samples": samples, "temperature": temperature}
            measured[what + suffix] = once(this, policy.name, policy, key, theorems, measure)
    file = this.workdir / policy.name / "evals.jsonl"
    rates = [line["figures"] for line in read_lines(file) if "teacher" in line["key"]]
    return measured | ({"teacher_solve_rate": rates[-1]} if rates else {})


def measure_teacher(this: Run, name: str, before: Policy) -> None:
    """The gap that distillation lives on: without it, it only drifts. Warns where it is small."""
    config, e = part(this.config[name], "distillation"), this.config.evaluation
    theorems = this.theorems[config.theorems][: e.theorems]

    def measure() -> dict[str, float]:
        return asyncio.run(
            teacher_solve_rate(
                this.prompting,
                before.params,
                before.params,
                this.farm,
                feedback_provider(this, shuffle=False),
                theorems,
                samples=config.samples_per_prompt,
                temperature=config.temperature,
                seed=this.config.seed,
                batch=e.batch,
            )
        )

    key = {"teacher": before.name} | manifest_fields(this.config.feedback)
    rates = once(this, name, before, key, theorems, measure)
    console.print(
        "teacher's solve rate on failed attempts: "
        + ", ".join(f"{rate:.3f} with {what}" for what, rate in rates.items())
    )
    if rates["feedback"] - rates["none"] < config.min_gap:
        console.print(
            f"[bold]warning[/]: feedback raises the teacher's solve rate by less than "
            f"{name}.min_gap = {config.min_gap}. There is little to distil: train longer on "
            "reading feedback (sft.feedback_fraction), or give more help (feedback.oracle.level)."
        )


def once(
    this: Run, name: str, policy: Policy, key: dict, theorems: Sequence[Theorem], measure
) -> dict:
    """`measure()`, or what an earlier run wrote of just this into the stage's evals.jsonl."""
    key = (
        key
        | {
            "policy": policy.fingerprint,
            "theorems": split_digest(theorems),
            "prompt": digest(prompt_record(this)),
            "lean": lean_record(this.farm),
            "seed": this.config.seed,
        }
        | ({"replayed": True} if this.farm.second else {})
    )
    file = this.workdir / name / "evals.jsonl"

    def known() -> list[dict]:
        return [line["figures"] for line in read_lines(file) if line["key"] == key]

    if found := hosts.broadcast("evaluations", known):
        return found[0]
    with status(f"{policy.name}: {', '.join(f'{k} {v}' for k, v in key.items() if k in _SHOWN)}"):
        figures = measure()
    file.parent.mkdir(parents=True, exist_ok=True)
    append_line(file, {"key": key, "figures": figures})
    return figures


_SHOWN = ("split", "samples", "temperature", "provider")
