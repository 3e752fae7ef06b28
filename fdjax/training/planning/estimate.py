"""A step, and a run, from its parts and assumed lengths. Every time is at least this: the roofline
of each function, with nothing waiting for anything else.
"""

from typing import NamedTuple

import numpy as np

from fdjax.config import policy_gradient_part
from fdjax.models import lora
from fdjax.models.flops import forward_flops, matrices_flops
from fdjax.training import build
from fdjax.training.planning import lengths as assumed
from fdjax.training.planning.lengths import Lengths
from fdjax.training.planning.parts import APPLY, CHUNK, TOKEN, Parts, at_least
from fdjax.training.planning.pod import Pod
from fdjax.training.planning.slices import Slice
from fdjax.training.planning.updates import Shape, learned_parts


class Assumed(NamedTuple):
    """What the estimate rests on, beside the config."""

    prompt: float  # mean tokens
    teacher: float
    response: float
    longest: int  # answer
    spread: float  # sigma of the lognormal lengths of answers
    lean: float  # seconds of a candidate
    price: float | None  # $ of a chip-hour
    workers: int | None  # Lean processes in all; None: `lean.workers` of each host


class Estimate(NamedTuple):
    calls: dict[str, float]  # of each part in a step
    seconds: dict[str, float]  # of each part in a step
    sampling: float  # seconds of a step
    update: float
    lean_wait: float  # the device waits for Lean, with `workers`
    workers: int
    workers_needed: int  # so that it does not
    mfu: float  # of the update: FLOPs of real tokens over what the chips could
    mfu_step: float
    tokens: int  # generated in a step
    padding: float  # share of the columns of the update
    evaluation: float  # seconds of one
    memory: int  # bytes on a chip at most
    room: float  # bytes left on it
    price_step: float | None
    price_run: float | None

    @property
    def step(self) -> float:
        return self.sampling + self.update + self.lean_wait

    @property
    def fits(self) -> bool:
        return self.room >= 0


def make_lengths(pod: Pod, assumed_: Assumed, samples: int | None = None) -> Lengths:
    stage, prompt = pod.stage, pod.config.prompt
    prompts = stage.prompts_per_step if samples is None else samples
    each = stage.samples_per_prompt if samples is None else 1
    count = prompts * each

    def of_prompts(mean, longest, seed):
        values = assumed.lognormal(prompts, min(mean, longest), longest, 0.3, seed)
        return np.repeat(values, each)

    answers = assumed.lognormal(count, assumed_.response, assumed_.longest, assumed_.spread, 0)
    student = of_prompts(assumed_.prompt, prompt.student_buckets[-1], 1)
    teacher = of_prompts(assumed_.teacher, prompt.teacher_buckets[-1], 2)
    return Lengths(student, teacher, answers)


def estimate(
    pod: Pod, parts: Parts, shapes: dict[Shape, float], given: Assumed, where: Slice
) -> Estimate:
    stage, chip, chips = pod.stage, where.chip, len(where.devices)
    real = make_lengths(pod, given)
    done = assumed.schedule(pod.shapes, real.response_N, stage.samples_per_prompt)
    calls = _calls_of_sampling(done) | {f"update {shape}": n for shape, n in shapes.items()}
    calls[APPLY] = build.updates_per_step(stage)
    named = parts.named()
    seconds = {name: n * at_least(named[name].cost, chip) for name, n in calls.items()}
    sampling = sum(seconds[name] for name in parts.generation)
    update = sum(s for name, s in seconds.items() if name not in parts.generation)
    device = sampling + update
    lean = len(real.response_N) * given.lean
    # With attempts generated ahead Lean has the whole step, else it has the sampling.
    beside = device if stage.pipeline_depth else sampling
    workers = given.workers or pod.config.lean.workers * where.hosts
    wait = max(0.0, lean / workers - beside)
    step = device + wait
    useful = model_flops(pod, real) * stage.epochs
    capacity = chips * chip.flops
    sampled = int(sum(real.response_N))
    generated = _sampling_flops(pod, real)
    evaluation = _evaluation(pod, parts, given, chip)
    memory = parts.memory()
    hours = chips * (given.price or 0.0) / 3600
    columns = sum(n * shape.rows * shape.tokens for shape, n in shapes.items())
    return Estimate(
        calls=calls,
        seconds=seconds,
        sampling=sampling,
        update=update,
        lean_wait=wait,
        workers=workers,
        workers_needed=int(np.ceil(lean / beside)),
        mfu=useful / (update * capacity),
        mfu_step=(useful + generated) / (step * capacity),
        tokens=sampled,
        padding=1 - stage.epochs * _real_tokens(pod, real) / columns,
        evaluation=evaluation,
        memory=memory,
        room=chip.memory - memory,
        price_step=hours * step if given.price else None,
        price_run=hours * (stage.steps * step + 2 * evaluation) if given.price else None,
    )


def _calls_of_sampling(done):
    return {
        "weights": 1,
        "prefill": done.prefills,
        "insert": done.inserts,
        TOKEN: done.steps,
        CHUNK: done.chunks,
    }


def _evaluation(pod, parts, given, chip):
    """Seconds of one evaluation, of two splits at each temperature, written in as many slots."""
    e, total = pod.config.evaluation, 0.0
    for _, theorems, samples in e.sets.values():
        count = theorems * samples
        answers = assumed.lognormal(count, given.response, given.longest, given.spread, 3)
        done = assumed.schedule(pod.shapes, answers, samples)
        calls = _calls_of_sampling(done)
        total += sum(n * at_least(parts.generation[name].cost, chip) for name, n in calls.items())
    return total * (1 + (e.low_temperature is not None))


# --- FLOPs of the model on real tokens -----------------------------------------------------------


def model_flops(pod: Pod, real: Lengths) -> float:
    """Of learning once from a step's attempts, the mean over steps: as reporting/costs.py counts,
    without padding and without what is computed again.
    """
    model, total = pod.model, 0.0
    shares = learned_parts(pod.stage)
    for prompt, teacher_prompt, answer in zip(*real):
        p, t, a = int(prompt), int(teacher_prompt), int(answer)
        student = 3 * forward_flops(model, 0, p + a, logits=a)
        if model.lora_rank:
            student -= matrices_flops(lora.without(model), p + a, a)
        total += sum(shares.values()) * student
        if distilled := shares.get("distillation"):
            total += distilled * forward_flops(model, 0, t + a, logits=a)
    return total


def _sampling_flops(pod, real):
    each, total = pod.stage.samples_per_prompt, 0.0
    for prompt in real.prompt_N[::each]:
        total += forward_flops(pod.model, 0, int(prompt), logits=0)
    for prompt, answer in zip(real.prompt_N, real.response_N):
        p, a = int(prompt), int(answer)
        total += forward_flops(pod.model, p, p + a, logits=a)
    return total


def _real_tokens(pod, real):
    student = int((real.prompt_N + real.response_N).sum())
    teacher = int((real.teacher_N + real.response_N).sum())
    return sum(
        share * (student + teacher * (kind == "distillation"))
        for kind, share in learned_parts(pod.stage).items()
    )


def scoring_is_left_out(pod: Pod) -> bool:
    """Does a step compute log-probabilities of its own for GRPO, which are not planned?"""
    grpo = policy_gradient_part(pod.stage)
    again = pod.stage.minibatches * pod.stage.epochs > 1
    return bool(grpo and (grpo.kl_coefficient or grpo.is_clip is not None or again))
