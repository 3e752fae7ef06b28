"""The functions of an update, for a slice: a microbatch of each shape, and the optimizer's step."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from fdjax.batches import microbatches
from fdjax.batches.arrays import minibatches
from fdjax.config import CombinedStage, RolloutStage, distillation_part, policy_gradient_part
from fdjax.models import lora
from fdjax.objectives.distillation import DistillationBatch
from fdjax.objectives.policy_gradient import PolicyGradientBatch
from fdjax.rollout.prompts import all_buckets
from fdjax.runtime import sharding
from fdjax.training import build, state, step
from fdjax.training.planning.lengths import Lengths
from fdjax.training.planning.pod import Pod, placed


class Shape(NamedTuple):
    """Of a microbatch: N rows on all chips; P, Q and R columns."""

    part: str  # "distillation" or "policy_gradient"
    rows: int
    prompt: int
    teacher: int  # 0: no teacher reads a prompt of its own
    response: int

    @property
    def tokens(self) -> int:
        """Columns of a row, the teacher's too."""
        return self.prompt + self.response + (self.teacher + self.response) * (self.teacher > 0)

    def __str__(self) -> str:
        teacher = f", {self.teacher}+{self.response}" if self.teacher else ""
        return f"{self.rows} x ({self.prompt}+{self.response}{teacher})"


def update_shapes(pod: Pod, lengths: Lengths) -> dict[Shape, float]:
    """How many microbatches of each shape a step has in the mean, the largest first, with rows of
    these lengths, cut as training cuts them."""
    found: dict[Shape, float] = {}
    config, stage = pod.config.prompt, pod.stage
    buckets = all_buckets(config)
    own_lengths = minibatches(lengths, stage.minibatches)
    for (part, share), own in itertools.product(learned_parts(stage).items(), own_lengths):
        teaches = part == "distillation"
        prompts_N = np.maximum(own.prompt_N, own.teacher_N) if teaches else own.prompt_N
        padded = {  # before they are cut
            "prompt": microbatches.least(config.student_buckets, own.prompt_N.max(initial=0)),
            "teacher": microbatches.least(config.teacher_buckets, own.teacher_N.max(initial=0)),
        }
        longest = microbatches.least(buckets, int(prompts_N.max(initial=0)))
        cut = microbatches.plan(
            own.response_N,
            config.response_length,
            longest,
            stage.optimizer.microbatch_tokens,
            pod.shards,
        )
        for width, rows, taken in cut:
            columns = microbatches.least(buckets, int(prompts_N[taken].max()))
            student = min(padded["prompt"], columns)
            teacher = min(padded["teacher"], columns) if teaches else 0
            shape = Shape(part, rows, student, teacher, width)
            found[shape] = found.get(shape, 0) + share * stage.epochs
    return dict(sorted(found.items(), key=lambda item: -item[0].rows * item[0].tokens))


def learned_parts(stage: RolloutStage) -> dict[str, float]:
    """The share of the steps in which each part learns."""
    named = {
        "distillation": distillation_part(stage),
        "policy_gradient": policy_gradient_part(stage),
    }
    turns = stage.turns if isinstance(stage, CombinedStage) else ()
    shares = {
        name: turns.count(name) / len(turns) if turns else 1.0
        for name, part in named.items()
        if part
    }
    return {name: share for name, share in shares.items() if share}


def update_programs(
    pod: Pod, shapes: Sequence[Shape]
) -> tuple[dict[Shape, Callable[[], Any]], Callable[[], Any]]:
    """(what compiles the gradient of a microbatch, by its shape; what compiles the step of
    optimizer and teacher)"""
    optimizer, shardings = (
        build.stage_optimizer(pod.stage),
        state.shardings(pod.state, pod.training),
    )
    update = build.stage_update(pod.stage, optimizer, pod.model, shardings)
    total = gradient(pod)

    def accumulate(shape):
        sums, named = jax.ShapeDtypeStruct((), np.float32), isinstance(pod.stage, CombinedStage)
        batch = microbatch(pod, shape)
        if named:
            batch, sums = {shape.part: batch}, {shape.part: sums}
        with jax.set_mesh(pod.training):
            return update.accumulate.lower(pod.state, total, batch, sums).compile()

    def apply():
        with jax.set_mesh(pod.training):
            some = jax.ShapeDtypeStruct((), np.bool_)
            return update.apply.lower(pod.state, total, some).compile()

    return {shape: lambda shape=shape: accumulate(shape) for shape in shapes}, apply


def gradient(pod: Pod) -> step.Gradient:
    trained, _ = lora.split(pod.state.params)
    everywhere = NamedSharding(pod.training, PartitionSpec())
    return step.Gradient(trained, jax.ShapeDtypeStruct((), jnp.float32, sharding=everywhere))


def microbatch(pod: Pod, shape: Shape) -> Any:
    """Structs of the arrays of one part's microbatch."""
    N, R = shape.rows, shape.response
    student, teacher = (N, shape.prompt + R), (N, shape.teacher + R)
    f32, i32 = jnp.float32, jnp.int32
    if shape.part == "distillation":
        fields = DistillationBatch(
            student_tokens=(i32, *student),
            student_attention_mask=(bool, *student),
            teacher_tokens=(i32, *teacher),
            teacher_attention_mask=(bool, *teacher),
            response_mask=(bool, N, R),
            weights=(f32, N, R),
            generator_logprobs=(f32, N, R),
            first_error_token=(i32, N),
            lines=(i32, N, R),
        )
    else:
        scores = (f32, N, R)
        fields = PolicyGradientBatch(
            student_tokens=(i32, *student),
            student_attention_mask=(bool, *student),
            loss_mask=(bool, N, R),
            generator_logprobs=scores,
            old_logprobs=scores,
            advantages=(f32, N),
        )
        if policy_gradient_part(pod.stage).kl_coefficient:
            fields = fields._replace(reference_logprobs=scores)
        if policy_gradient_part(pod.stage).variants.process_reward:
            fields = fields._replace(process_advantages=scores)
    rows = NamedSharding(pod.training, PartitionSpec(sharding.ROWS))
    structs = [None if x is None else jax.ShapeDtypeStruct(x[1:], x[0]) for x in fields]
    return placed(type(fields)(*structs), jax.tree.map(lambda _: rows, type(fields)(*structs)))
