"""What a stage's config stands for: its worker, and the state that it trains."""

import contextlib
import dataclasses
import functools

import jax
import pytest
from tiny_runs import config_of_files, set_up

from fdjax.models import transformer
from fdjax.runtime.metrics import Timers
from fdjax.runtime.preemption import Preemption
from fdjax.training import build, experiment, setup
from fdjax.training.manifest import Policy


@pytest.fixture
def config(tmp_path, monkeypatch):
    return config_of_files(tmp_path, monkeypatch)


def test_prompts_sampled_together(config, tmp_path):
    config.fd.generation_batch = 2
    run, *_ = set_up(config, tmp_path / "w")
    for name, batch in (("sft", 4), ("fd", 2), ("grpo", None)):  # None: all of a step's
        with contextlib.closing(build.make_worker(run, name, Timers())) as worker:
            assert worker.sampling.batch == batch


@pytest.mark.parametrize("rank", [0, 2])
def test_a_stage_holds_its_parameters_once(config, tmp_path, monkeypatch, rank):
    """And restores into nothing but shapes. With adapters the teacher has no base of its own."""

    def embeddings():
        return sum(x.shape == (model.vocab_size, model.width) for x in jax.live_arrays())

    def train(run, name, train_state, start, history, optimizer, checkpoints, preemption):
        held.append(embeddings() - before)
        if start == 0:
            checkpoints.save(3, train_state, {"curriculum": {"t0": [1]}})
        starts.append((start, history))
        return train_state

    held, starts = [], []
    monkeypatch.setattr(experiment, "train", train)
    monkeypatch.setattr(experiment, "measure_teacher", lambda *_: None)
    with setup.set_up(config, tmp_path / "w") as run:
        model = dataclasses.replace(run.generator.model, lora_rank=rank)
        run = run._replace(generator=dataclasses.replace(run.generator, model=model))
        init = jax.jit(functools.partial(transformer.init, model))
        for _ in range(2):
            before = embeddings()
            policy = Policy("sft", init(jax.random.key(0)), "x")
            experiment.run_stage(run, "fd", policy, Preemption(), may_train=True)
    teacher_and_moments = 0 if rank else 3
    assert held == [1 + teacher_and_moments] * 2
    assert starts == [(0, {}), (3, {"t0": [1]})]
