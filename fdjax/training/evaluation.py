"""What a policy can do: its attempts on sets of theorems, verified by Lean.

Each evaluation is a line of the stage's evals.jsonl and is reused by its key.
"""

import asyncio
import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fdjax.config import LeanConfig, part_field
from fdjax.data.theorems import theorems_digest
from fdjax.feedback.providers import manifest_fields
from fdjax.lean.farm import Farm
from fdjax.reporting.budgets import episode_figures
from fdjax.reporting.diversity import distinct_n, distinct_proofs, unique_ratio
from fdjax.reporting.pass_at_k import pass_at_k
from fdjax.rollout.attempts import Verdicts, policy_entropy
from fdjax.rollout.generate import Generator, Request, Sampling, generate, grouped
from fdjax.runtime import hosts
from fdjax.runtime.files import append_line, digest, read_lines
from fdjax.runtime.metrics import console, status
from fdjax.training.build import feedback_provider
from fdjax.training.manifest import (
    Policy,
    Run,
    environment_manifest,
    lean_manifest,
    prompt_manifest,
)
from fdjax.types import DECIDED, REFUSED, Feedback, FeedbackContext, Item, Provider, Theorem

# --- A policy on a set of theorems ---------------------------------------------------------------


def attempt(
    generator: Generator,
    params,
    farm: Farm,
    theorems: Sequence[Theorem],
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
) -> list[list[Item]]:
    """Groups of (theorem, attempt, verdict). Lean checks each attempt while others are written,
    before whatever training waits for.
    """
    requests = [Request(t, prompt, t.id) for t, prompt in zip(theorems, prompts)]
    to_come, attempts = Verdicts(farm, urgent=True), []
    for place, written in generate(generator, params, requests, sampling):
        to_come.submit(place, theorems[place], written)
        attempts.append((place, written))
    groups = grouped(attempts, len(requests))
    verdicts = to_come.result("of a policy", groups)
    return [
        [(theorem, a, v) for a, v in zip(*both)]
        for theorem, *both in zip(theorems, groups, verdicts)
    ]


def evaluate(
    generator: Generator, params, farm: Farm, theorems: Sequence[Theorem], sampling: Sampling
) -> dict:
    """pass@k with intervals over theorems, and how varied the attempts are.

    `entropy`: nats per token, of the full softmax at the sampling temperature. `distinct_proofs`
    counts among verified attempts, `unique_ratio` and `distinct_2` among all. `solved`: verified
    attempts per theorem, for paired comparisons with other evaluations of the same theorems.
    `replay_refused`, where successes are replayed: those that the kernel refused. `episodes`, where
    attempts have several turns: `reporting.budgets.episode_figures`.
    """
    prompts = [generator.prompts.student(t) for t in theorems]
    groups = attempt(generator, params, farm, theorems, prompts, sampling)
    solved = np.array([sum(v.proved for _, _, v in g) for g in groups])
    attempts = [a for g in groups for _, a, _ in g]
    verdicts = [v for g in groups for _, _, v in g]
    replayed = {"replay_refused": sum(v.refused_on_replay for v in verdicts)} if farm.second else {}
    episodes = episode_figures(groups)
    proofs = [[a.candidate.text for _, a, _ in g] for g in groups]
    proved = [[a.candidate.text for _, a, v in g if v.proved] for g in groups]
    return {
        "pass_at_k": pass_at_k(np.full(len(groups), sampling.samples), solved),
        "entropy": policy_entropy(attempts),
        "distinct_proofs": distinct_proofs(proved),
        "unique_ratio": unique_ratio(proofs),
        "distinct_2": distinct_n(proofs, 2),
        "response_tokens": float(np.mean([sum(a.trained) for a in attempts])),
        "truncated": float(np.mean([not a.finished for a in attempts])),
        "unverified": sum(v.status not in DECIDED for v in verdicts),
        **replayed,
        **({"episodes": episodes} if episodes else {}),
        "samples": sampling.samples,
        "temperature": sampling.temperature,
        "solved": dict(zip((t.id for t in theorems), solved.tolist())),
    }


async def teacher_solve_rate(
    generator: Generator,
    params,
    farm: Farm,
    provider: Provider,
    theorems: Sequence[Theorem],
    sampling: Sampling,
) -> dict[str, float]:
    """How often the teacher (the policy that reads feedback) proves what the student failed: with
    feedback on the failed attempt, with none, and with feedback on another theorem. Without a gap
    there is nothing to distil.

    One failed attempt of each theorem that has one and feedback that fits a prompt; `samples`
    attempts of the teacher on each. {"feedback", "none", "shuffled": rate}, empty if there are no
    such theorems; without "shuffled" if no feedback on another one fits.
    `provider`: the true one, also where the training that follows shuffles. The stream of
    `sampling` is set here.
    """
    failures = await _failures(generator, params, farm, provider, theorems, sampling)
    failed = [theorem for theorem, _, _ in failures]
    feedbacks = [feedback for _, feedback, _ in failures]
    others = feedbacks[1:] + feedbacks[:1] if len(feedbacks) > 1 else []
    shuffled = [(t, generator.prompts.teacher(t, f)[0]) for t, f in zip(failed, others)]
    readings = {
        "feedback": [(theorem, prompt) for theorem, _, prompt in failures],
        "none": [(theorem, generator.prompts.student(theorem)) for theorem in failed],
        "shuffled": [(theorem, prompt) for theorem, prompt in shuffled if prompt],
    }

    def rate(reading: list[tuple[Theorem, list[int]]]) -> float:
        theorems, prompts = map(list, zip(*reading))
        again = sampling._replace(stream="teacher gap")
        items = attempt(generator, params, farm, theorems, prompts, again)
        return float(np.mean([v.proved for g in items for _, _, v in g]))

    return {name: rate(reading) for name, reading in readings.items() if reading}


async def _failures(
    generator, params, farm, provider, theorems, sampling
) -> list[tuple[Theorem, Feedback, list[int]]]:
    """Of each theorem with a failed and finished attempt: the feedback on it, and the teacher's
    prompt. Left out where there is no feedback, or none that fits a prompt.
    """
    prompts = [generator.prompts.student(t) for t in theorems]
    sampling = sampling._replace(stream="teacher gap: student")
    groups = attempt(generator, params, farm, theorems, prompts, sampling)
    failed = [[v.status in REFUSED and a.finished for _, a, v in g] for g in groups]
    chosen = [(g, f.index(True)) for g, f in zip(groups, failed) if any(f)]
    requested = [[i == index for i in range(len(g))] for g, index in chosen]
    context = FeedbackContext("teacher gap", 0, params, requested=requested)
    feedbacks = await provider([g for g, _ in chosen], context)  # whole groups: for peers

    found = []
    for (group, i), feedback in zip(chosen, feedbacks):
        theorem = group[i][0]
        if prompt := generator.prompts.teacher(theorem, feedback[i])[0]:
            found.append((theorem, feedback[i], prompt))
    return found


# --- Of a run ------------------------------------------------------------------------------------


def evaluate_policy(run: Run, policy: Policy) -> dict[str, dict]:
    """{"train" | "heldout" | "train at T" | ...: figures}; T is `low_temperature`."""
    e = run.config.evaluation
    temperatures = {"": e.temperature}
    if e.low_temperature is not None:
        temperatures[f" at {e.low_temperature}"] = e.low_temperature
    figures = {}
    for suffix, temperature in temperatures.items():
        for name, (split, count, samples) in e.sets.items():
            theorems = run.theorems[split][:count]
            sampling = Sampling(
                samples,
                temperature,
                run.config.seed,
                "evaluation",
                top_p=e.top_p,
                min_p=e.min_p,
            )
            measure = functools.partial(
                evaluate, run.generator, policy.params, run.farm, theorems, sampling
            )
            key = {"split": split, "samples": samples, "temperature": temperature}
            cuts = {"top_p": e.top_p, "min_p": e.min_p}
            key |= {name: value for name, value in cuts.items() if value is not None}
            figures[name + suffix] = once(run, policy.name, policy, key, theorems, measure)
    file = run.workdir / policy.name / "evals.jsonl"
    rates = [line["figures"] for line in read_lines(file) if "teacher" in line["key"]]
    return figures | ({"teacher_solve_rate": rates[-1]} if rates else {})


def measure_teacher(run: Run, name: str, min_gap: float, before: Policy) -> None:
    """The gap that distillation lives on, measured before it. Warns where it is small."""
    stage, e = run.config.blocks[name], run.config.evaluation
    theorems = run.theorems[stage.theorems][: e.theorems]
    sampling = Sampling(stage.samples_per_prompt, stage.temperature, run.config.seed, "")

    def measure() -> dict[str, float]:
        provider = feedback_provider(run, shuffle=False)
        return asyncio.run(
            teacher_solve_rate(run.generator, before.params, run.farm, provider, theorems, sampling)
        )

    key = {"teacher": before.name} | manifest_fields(run.config.feedback)
    rates = once(run, name, before, key, theorems, measure)
    if not rates:
        console.print(
            "[bold]warning[/]: the teacher's solve rate was not measured: of "
            f"{len(theorems)} theorems none has a failed attempt with feedback that fits"
        )
        return
    console.print(
        "teacher's solve rate on failed attempts: "
        + ", ".join(f"{rate:.3f} with {what}" for what, rate in rates.items())
    )
    if rates["feedback"] - rates["none"] < min_gap:
        field = part_field(name, stage, "distillation") + ".min_gap"
        console.print(
            f"[bold]warning[/]: feedback raises the teacher's solve rate by less than {field} = "
            f"{min_gap}. There is little to distil: train longer on reading feedback "
            "(sft.feedback_fraction), or give more help (feedback.oracle.level)."
        )


def once(
    run: Run,
    name: str,
    policy: Policy,
    key: dict[str, Any],
    theorems: Sequence[Theorem],
    measure: Callable[[], dict],
) -> dict:
    """`measure()`, or the figures under the same key in the stage's evals.jsonl, or in that of the
    stage which `init_from` names.
    """
    key = key | {
        "policy": policy.fingerprint,
        "theorems": theorems_digest(theorems),
        "prompt": digest(prompt_manifest(run)),
        "lean": lean_manifest(run.farm),
        "seed": run.config.seed,
        **environment_manifest(run.config),
    }
    key |= {"replayed": True} if run.farm.second else {}
    if run.farm.timeout != LeanConfig().timeout:
        key["lean"]["timeout"] = run.farm.timeout
    key = json.loads(json.dumps(key))  # as the file has it
    file = run.workdir / name / "evals.jsonl"

    def known(file: Path) -> list[dict]:
        return [line["figures"] for line in read_lines(file) if line["key"] == key]

    if found := hosts.broadcast("evaluations", functools.partial(known, file)):
        return found[0]
    source = run.init_source
    if source and source.is_stage:
        there = functools.partial(known, source.folder / "evals.jsonl")
        found = hosts.broadcast("evaluations of init_from", there)
    names = ("split", "samples", "temperature", "top_p", "min_p", "provider")
    shown = {k: v for k, v in key.items() if k in names}
    with status(f"{policy.name}: {', '.join(f'{k} {v}' for k, v in shown.items())}"):
        figures = found[0] if found else measure()
    file.parent.mkdir(parents=True, exist_ok=True)
    append_line(file, {"key": key, "figures": figures})
    return figures
