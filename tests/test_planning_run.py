"""`fdjax plan` for 8 simulated devices against what a run on them has and takes."""

import functools
import time

import jax
import numpy as np
import pytest

from fdjax.batches.microbatches import microbatches
from fdjax.config import parse
from fdjax.models import decoding, transformer
from fdjax.models.config import from_fields
from fdjax.objectives.distillation import DistillationBatch
from fdjax.rollout import engine, scheduler
from fdjax.runtime import sharding
from fdjax.training import build, state, step
from fdjax.training.planning import (
    costs,
    estimate,
    lengths,
    parts,
    program,
    search,
    slices,
    updates,
)
from fdjax.training.planning.pod import lay_mesh
from tests import tiny_config

MODEL = dict(
    vocab_size=512, width=128, num_layers=2, num_heads=4, num_kv_heads=2, head_dim=32, mlp_width=384
)
CASES = {  # which part of a step is longer there
    "sampling": dict(student_buckets=(8,), teacher_buckets=(8,), response_length=384),
    "update": dict(student_buckets=(160,), teacher_buckets=(160,), response_length=8),
}
PROMPTS = {"sampling": 2, "update": 8}


def question(case, **mesh):
    recipe = tiny_config.get_config()
    recipe.prompt.update(CASES[case])
    recipe.mesh.update(mesh)
    recipe.fd.update(prompts_per_step=PROMPTS[case], samples_per_prompt=4)
    config = parse(recipe)
    longest = config.prompt.response_length
    given = estimate.Assumed(8, 8, longest, longest, 0.8, lean=0.0, price=None, workers=None)
    model = from_fields(MODEL)
    return search.Question(config, config.blocks["fd"], model, slices.find_slice("cpu:8"), given)


class Running:
    """The arrays of a run, made as a run makes them, and its functions on them."""

    def __init__(self, what):
        self.what, self.model, stage = what, what.model, what.stage
        self.mesh = lay_mesh(what.config.mesh, jax.devices()[:8])
        self.decoding = sharding.decoding_mesh(self.mesh, self.model)
        prompt = what.config.prompt
        self.longest, self.count = prompt.response_length, 4 * stage.prompts_per_step
        self.shapes = scheduler.plan(
            what.config.generation,
            self.model,
            self.decoding,
            samples=self.count,
            prompt=prompt.student_buckets[-1],
            response=self.longest,
        )
        init = functools.partial(transformer.init, self.model)
        optimizer = build.stage_optimizer(stage)
        self.state = state.create(init, jax.random.key(0), optimizer, self.mesh, with_teacher=True)
        self.update = step.make_update(
            build.make_objective(stage),
            optimizer,
            build.objective_model(self.model),
            ema_rate=stage.ema_rate,
            shardings=state.shardings(self.state, self.mesh),
        )

    def microbatches(self):
        prompt = self.what.config.prompt
        P, Q = prompt.student_buckets[-1], prompt.teacher_buckets[-1]
        N, R = self.count, self.longest
        tokens, mask, f32 = np.full((N, P + R), 5, np.int32), np.ones((N, P + R), bool), np.float32
        batch = DistillationBatch(
            student_tokens=tokens,
            student_attention_mask=mask,
            teacher_tokens=np.full((N, Q + R), 5, np.int32),
            teacher_attention_mask=np.ones((N, Q + R), bool),
            response_mask=np.ones((N, R), bool),
            weights=np.ones((N, R), f32),
            generator_logprobs=np.full((N, R), -1, f32),
            first_error_token=np.full(N, R, np.int32),
            lines=np.zeros((N, R), np.int32),
        )
        cut = microbatches(
            batch,
            tokens=self.what.stage.optimizer.microbatch_tokens,
            shards=sharding.rows(self.mesh),
            prompts=(P, Q),
        )
        return sharding.put([m.batch for m in cut], self.mesh)

    def learn(self):
        """Seconds of an update."""
        cuts = self.microbatches()
        begun = time.perf_counter()
        with jax.set_mesh(self.mesh):
            self.state, found = step.learn(self.update, self.state, cuts, np.float32(1000))
        jax.block_until_ready((self.state, found))
        return time.perf_counter() - begun

    def sample(self):
        """(seconds of generation, its figures)"""
        prompts = [[5] * self.what.config.prompt.student_buckets[-1]] * 8
        queue = [scheduler.Sample(i // 4, i, i % 4, self.longest) for i in range(self.count)]
        figures = scheduler.Figures(self.count)
        drawing = engine.Drawing(np.float32(1), np.array([-1, -1], np.int32))
        begun = time.perf_counter()
        weights = decoding.weights(self.model, self.state.params, self.decoding)
        with jax.set_mesh(self.decoding):
            key = jax.random.key(0, impl="threefry2x32")
        args = (self.shapes, self.model, weights, self.decoding, prompts, queue, drawing, key)
        for _ in scheduler.run(*args, figures):
            pass
        return time.perf_counter() - begun, figures


def bytes_of(tree):
    """On one device, as its buffers are."""

    def of(x):
        data = x.addressable_shards[0].data
        return 8 * data.size if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else data.nbytes

    return sum(map(of, jax.tree.leaves(tree)))


def needed(program):
    memory = program.memory_analysis()
    new = memory.output_size_in_bytes - memory.alias_size_in_bytes
    return memory.argument_size_in_bytes + new + memory.temp_size_in_bytes


@pytest.mark.parametrize(
    "mesh", [pytest.param(dict(fsdp=8, tensor=1), marks=pytest.mark.slow), dict(fsdp=4, tensor=2)]
)
def test_memory_is_that_of_a_run(mesh):
    what = question("sampling", **mesh)
    run, found = Running(what), search.answer(what)
    run.sample(), run.learn()
    assert bytes_of(run.state) == pytest.approx(
        found.parts.generation["weights"].held - bytes_of_weights(run), rel=0.1
    )
    with jax.set_mesh(run.mesh):
        cuts = run.microbatches()
        gradient, one = run.update.zeros(run.state), np.float32(1)
        accumulate = run.update.accumulate.lower(run.state, gradient, cuts[0], one).compile()
        apply = run.update.apply.lower(run.state, gradient, np.bool_(True)).compile()
    [(_, part), *_] = found.parts.updates.items()
    moments = bytes_of(run.state.opt_state)  # no gradient reads them
    assert part.held + part.temporary == pytest.approx(moments + needed(accumulate), rel=0.1)
    apply_part = found.parts.apply
    assert apply_part.held + apply_part.temporary == pytest.approx(needed(apply), rel=0.1)

    weights = decoding.weights(run.model, run.state.params, run.decoding)
    s = run.shapes
    with jax.set_mesh(run.decoding):
        slots = engine.empty(run.model, slots=s.slots, columns=s.columns)
        drawing = engine.Drawing(np.float32(1), np.array([-1, -1], np.int32))
        whole = {"steps": s.chunk, "width": s.columns}
        decode = engine.decode.lower(
            run.model, weights, slots, drawing, np.int32(1), **whole
        ).compile()
    beside = bytes_of(run.state)  # what the function is not given
    part = found.parts.generation[parts.TOKEN]
    assert part.held + part.temporary == pytest.approx(beside + needed(decode), rel=0.1)
    most = max(beside + needed(decode), moments + needed(accumulate), needed(apply))
    assert found.parts.memory() == pytest.approx(most, rel=0.1)


def test_the_head_of_an_update_is_gathered_twice_and_its_gradient_reduced_once():
    what = question("sampling", fsdp=8, tensor=1)
    pod = what.make()
    shape = next(iter(updates.update_shapes(pod, estimate.make_lengths(pod, what.given))))
    builders, _ = updates.update_programs(pod, [shape])
    text = program.parse(builders[shape]().as_text())
    head, update = costs.head_cost(text), costs.cost(text, "ENTRY")
    sent = 4 * MODEL["width"] * MODEL["vocab_size"] * 7 / 8  # student's and teacher's are apart
    assert head.all_gather == 2 * sent and head.all_to_all == sent
    assert head.ici == 3 * sent < update.ici / 2
    products = 4  # logits of both, gradients of hidden states and of the head
    each = 2 * MODEL["width"] * MODEL["vocab_size"] * shape.response  # of a chip's one row
    assert head.flops == products * each


def bytes_of_weights(run):
    return bytes_of(decoding.weights(run.model, run.state.params, run.decoding))


@pytest.mark.slow
@pytest.mark.parametrize("longer", CASES)
def test_the_longer_part_of_a_step_is_the_longer_one(longer):
    what = question(longer, fsdp=8, tensor=1)
    run, found = Running(what), search.answer(what).estimate
    run.sample(), run.learn()  # compile
    sampling, _ = run.sample()
    update = run.learn()
    assert (sampling > update) == (longer == "sampling")
    assert (found.sampling > found.update) == (longer == "sampling")


def test_decoding_takes_the_steps_that_the_engine_takes():
    run = Running(question("sampling", fsdp=8, tensor=1))
    _, figures = run.sample()
    done = lengths.schedule(run.shapes, np.full(run.count, run.longest), 4)
    assert figures.steps == done.steps


def test_mixed_lengths_take_the_steps_that_the_engine_takes():
    run = Running(question("sampling", fsdp=8, tensor=1))
    budgets = lengths.lognormal(run.count, 60, run.longest, 0.8, seed=1)
    queue = [scheduler.Sample(i // 4, i, i % 4, int(n)) for i, n in enumerate(budgets)]
    figures = scheduler.Figures(run.count)
    drawing = engine.Drawing(np.float32(1), np.array([-1, -1], np.int32))
    weights = decoding.weights(run.model, run.state.params, run.decoding)
    with jax.set_mesh(run.decoding):
        key = jax.random.key(0, impl="threefry2x32")
    prompts = [[5] * 8] * 8
    args = (run.shapes, run.model, weights, run.decoding, prompts, queue, drawing, key)
    list(scheduler.run(*args, figures))
    assert figures.steps == lengths.schedule(run.shapes, budgets, 4).steps
