"""What a stage's config is built into: several updates of one batch, and scores of responses."""

import contextlib
import dataclasses
import functools
import math
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_updates
from tiny_model import TINY, bag_of_words, log_softmax
from tiny_runs import config_of_files, set_up
from tiny_updates import P, Q, R, make_batch, relative_distance

from fdjax.config import (
    DistillationStage,
    DistillationVariants,
    GenerationConfig,
    MeshConfig,
    OptimizerConfig,
    PolicyGradientStage,
    default,
    read,
)
from fdjax.models import transformer
from fdjax.models.hf.init_from import InitSource
from fdjax.objectives.protocol import Mean
from fdjax.rollout.generate import Sampling
from fdjax.runtime import sharding
from fdjax.runtime.checkpoint import Checkpoints
from fdjax.runtime.files import append_line
from fdjax.runtime.metrics import Timers
from fdjax.runtime.preemption import Preemption
from fdjax.training import build, experiment, setup, state
from fdjax.training.manifest import Policy
from fdjax.training.step import Learned


def run_on(mesh, model=None, **devices):
    prompts = SimpleNamespace(student_buckets=(P,), teacher_buckets=(Q,))
    return SimpleNamespace(
        config=SimpleNamespace(mesh=MeshConfig(**devices)),
        generator=SimpleNamespace(mesh=mesh, model=model, prompts=prompts),
    )


def test_a_batch_is_learned_from_in_epochs_of_minibatches(monkeypatch):
    seen = []

    def learn(update, state, cuts, denominator):
        seen.append([np.asarray(rows.advantages).tolist() for rows in cuts])
        some = Mean(np.float32(3), np.float32(len(seen) % 2))  # of nothing in every other one
        metrics = {"some": some, "none": Mean(np.float32(0), np.float32(0))}
        return state + 1, Learned(
            {"first": np.float32(seen[-1][0][0])}, [(0, metrics)], denominator
        )

    monkeypatch.setattr(build.step, "make_update", lambda *_, **__: None)
    monkeypatch.setattr(build.step, "learn", learn)
    optimizer = OptimizerConfig(microbatch_tokens=P + R)  # a row at a time
    stage = PolicyGradientStage(minibatches=3, epochs=2, optimizer=optimizer)
    update = build.make_batch_update(run_on(sharding.make_mesh()), stage, np.zeros(()))
    batch = make_batch("policy_gradient")
    wrote = np.ones_like(batch.loss_mask)
    batch = batch._replace(
        advantages=np.arange(1, 9, dtype=np.float32),
        loss_mask=wrote,
        student_attention_mask=np.hstack([batch.student_attention_mask[:, :P], wrote]),
    )
    state, metrics = update(0, batch)
    assert state == 6 and seen == [[[1], [4], [7]], [[2], [5], [8]], [[3], [6]]] * 2
    assert metrics["first"] == 2 and metrics["some"] == 3 and math.isnan(metrics["none"])
    assert metrics["microbatches"] == 8 and 0 < metrics["padding"] < 0.5
    assert "mfu" not in metrics  # of a CPU nobody knows the peak


def test_a_teacher_that_moves_once_a_batch_moves_though_the_last_minibatch_has_no_rows():
    fd = DistillationStage(
        minibatches=5, ema_rate=0.5, variants=DistillationVariants(ema_per="batch")
    )
    mesh, batch = sharding.make_mesh(), make_batch("distillation", vocab_size=TINY.vocab_size)
    batch = jax.tree.map(lambda x: x[:3], batch)
    params = transformer.init(TINY, jax.random.key(0))
    optimizer = build.stage_optimizer(fd)
    made = state.from_params(params, optimizer, with_teacher=True)
    before = jax.tree.leaves(sharding.fetch(made.teacher_params))
    update = build.make_batch_update(run_on(mesh, TINY), fd, made)
    made, _ = update(made, batch)
    assert int(made.step) == 5 and int(made.skipped) == 2
    after = jax.tree.leaves(sharding.fetch(made.teacher_params))
    assert any((a != b).any() for a, b in zip(before, after))


@pytest.mark.parametrize("kind", ["distillation", "policy_gradient", "combined"])
def test_mfu_counted_by_hand(kind, monkeypatch):
    """In two seconds, on two devices of 1000 FLOP/s: each real token times each matrix that it
    meets, and each pair of tokens of which one attends to the other.
    """
    learned = Learned({"first": np.float32(0)}, [], np.float32(1))
    monkeypatch.setattr(build.step, "make_update", lambda *_, **__: None)
    monkeypatch.setattr(build.step, "learn", lambda update, state, *_: (state, learned))
    monkeypatch.setattr(build, "time", SimpleNamespace(perf_counter=iter((5.0, 7.0)).__next__))
    monkeypatch.setattr(build, "make_objective", lambda stage: tiny_updates.OBJECTIVES[kind])
    mesh, batch = sharding.make_mesh(1, 2, 1), make_batch(kind)
    run = run_on(mesh, TINY, peak_flops=1000.0)
    stage = PolicyGradientStage(epochs=3)
    _, metrics = build.make_batch_update(run, stage, np.zeros(()))(0, batch)
    params = jax.eval_shape(lambda key: transformer.init(TINY, key), jax.random.key(0))
    kernels = [x for x in jax.tree.leaves(params["layers"]) if len(x.shape) == 3]
    matrices = sum(math.prod(x.shape) for x in kernels)

    def forward(mask):
        tokens = int(mask.sum())
        seen = sum(n + 1 for row in mask for n in range(row.sum())) * TINY.num_layers
        logits = int(mask[:, -R:].sum()) * TINY.vocab_size * TINY.width
        return 2 * (tokens * matrices + logits + 2 * seen * TINY.num_heads * TINY.head_dim)

    flops = 0
    for part in batch.values() if kind == "combined" else [batch]:
        flops += 3 * forward(part.student_attention_mask)
        if hasattr(part, "teacher_attention_mask"):
            flops += forward(part.teacher_attention_mask)
    assert metrics["mfu"] == pytest.approx(3 * flops / (2.0 * 2 * 1000))


@pytest.mark.parametrize(
    "kind",
    [
        "combined",
        *(pytest.param(k, marks=pytest.mark.slow) for k in ("distillation", "policy_gradient")),
    ],
)
def test_what_has_no_gradient_is_skipped(kind, monkeypatch):
    """A batch without microbatches leaves the state and the figures of one whose weights are 0."""
    update, _, batch = tiny_updates.setup(kind, ema_rate=0.1)
    nothing = jax.tree.map(jnp.zeros_like, batch)  # what a batch without rows holds
    monkeypatch.setattr(build.step, "make_update", lambda *_, **__: update.parts)
    monkeypatch.setattr(build, "make_objective", lambda stage: tiny_updates.OBJECTIVES[kind])
    stage, mesh = PolicyGradientStage(), sharding.make_mesh()
    states = [tiny_updates.setup(kind, ema_rate=0.1)[1] for _ in range(2)]
    learn = build.make_batch_update(run_on(mesh), stage, states[0])
    ours = states[0]
    for rows in (batch, nothing, batch):
        ours, metrics = learn(ours, sharding.fetch(rows))
        states[1], expected = update(states[1], rows)
        expected = {n: float(value) for n, value in expected.items() if not np.isnan(value)}
        del metrics["microbatches"], metrics["padding"]
        numbers = {n: value for n, value in metrics.items() if not math.isnan(value)}
        assert numbers == pytest.approx(expected, rel=1e-5)
        assert jax.tree.map(lambda x: x.sharding, ours) == jax.tree.map(
            lambda x: x.sharding, states[1]
        )
    assert int(ours.skipped) == 1 and int(ours.step) == 3
    assert relative_distance(ours, states[1]) < 1e-5


def test_scores_are_those_of_the_rows_in_their_order(monkeypatch):
    """Computed a few rows at a time on several devices."""
    init, model = bag_of_words()
    monkeypatch.setattr(build, "objective_model", lambda config: model)
    optimizer = OptimizerConfig(microbatch_tokens=2 * (P + R))
    stage = PolicyGradientStage(minibatches=2, temperature=0.7, optimizer=optimizer)
    params, batch = init(jax.random.key(0)), make_batch("policy_gradient")
    mesh = sharding.make_mesh(1, 2, 2)
    with jax.set_mesh(mesh):
        scores = build.make_score(run_on(mesh), stage)(params, batch)
    hidden = np.asarray(
        model.hidden_states(params, batch.student_tokens, batch.student_attention_mask)
    )
    logs = log_softmax(hidden[:, P - 1 : -1] @ np.asarray(params["lm_head"]) / 0.7)
    expected = np.take_along_axis(logs, batch.student_tokens[:, P:, None], -1)[..., 0]
    np.testing.assert_allclose(scores, expected, rtol=1e-4)


@pytest.fixture
def config(tmp_path, monkeypatch):
    return config_of_files(tmp_path, monkeypatch)


def test_how_the_attempts_of_a_stage_are_sampled(config, tmp_path):
    """From the whole softmax; top_p and min_p are of evaluations alone."""
    config.fd.update(samples_per_prompt=3, temperature=0.7)
    config.evaluation.update(top_p=0.9, min_p=0.1)
    config.generation.update(slots=5, chunk=4)
    config.seed = 11
    run, *_ = set_up(config, tmp_path / "w")
    assert run.generator.settings == GenerationConfig(slots=5, chunk=4)
    for name, samples, temperature in (("fd", 3, 0.7), ("grpo", 4, 1.0)):
        with contextlib.closing(build.make_worker(run, name, Timers())) as worker:
            assert worker.generator is run.generator
            assert worker.sampling == Sampling(samples, temperature, 11, name)
            assert (worker.sampling.top_p, worker.sampling.min_p) == (None, None)


@pytest.mark.parametrize("rank", [0, 2])
def test_a_stage_holds_its_parameters_once(config, tmp_path, monkeypatch, rank):
    """And reads a checkpoint beside none. With adapters the teacher has no base of its own."""

    def embeddings():
        return sum(x.shape == (model.vocab_size, model.width) for x in jax.live_arrays())

    def restore(checkpoints, *args):
        held.append(embeddings() - before)
        return Checkpoints.restore(checkpoints, *args)

    def train(run, name, train_state, start, history, checkpoints, preemption):
        held.append(embeddings() - before)
        if start == 0:
            checkpoints.save(3, train_state, {"curriculum": {"t0": [1]}})
        starts.append((start, history))
        return train_state

    held, starts = [], []
    watched = type("Watched", (Checkpoints,), {"restore": restore})
    monkeypatch.setattr(experiment, "Checkpoints", watched)
    monkeypatch.setattr(experiment, "train", train)
    monkeypatch.setattr(experiment, "measure_teacher", lambda *_: None)
    with setup.set_up(config, tmp_path / "w") as run:
        model = dataclasses.replace(run.generator.model, lora_rank=rank)
        run = run._replace(generator=dataclasses.replace(run.generator, model=model))
        init = jax.jit(functools.partial(transformer.init, model))
        for _ in range(2):
            before = embeddings()
            policy = Policy("sft", init(jax.random.key(0)), "x")
            experiment.run_stage(run, "fd", policy, Preemption())
    teacher_and_moments = 0 if rank else 3
    state_at = 1 + teacher_and_moments
    assert held == [state_at, 0, state_at]  # none is held while the checkpoint is read
    assert starts == [(0, {}), (3, {"t0": [1]})]


def test_feedback_that_begins_after_the_last_step_is_warned_of(monkeypatch, capsys):
    config = default()
    config.sft.update(steps=200, feedback_start=300)
    monkeypatch.setattr(build, "supervised", lambda *_: None)
    monkeypatch.setattr(build, "repair_answer_ids", lambda _: None)
    build.make_source(SimpleNamespace(config=read(config), generator=None), "sft", None, 0)
    said = " ".join(capsys.readouterr().out.split())
    assert "sft learns nothing of feedback" in said and "before sft.feedback_start=300" in said


def test_a_start_in_mid_stage_has_cost_what_came_before_it(tmp_path):
    fd = tmp_path / "there" / "fd"
    fd.mkdir(parents=True)
    for i in range(5):
        append_line(fd / "metrics.jsonl", {"step": i, "cost/flops": 10**i})
    source = InitSource(fd, fd / "checkpoints" / "3" / "params", None, {"stage": {}})
    run = SimpleNamespace(workdir=tmp_path / "here", init_source=source)
    assert experiment.spent(run, "fd") == {"flops": 111}
    assert experiment.spent(run, "grpo") == {}
