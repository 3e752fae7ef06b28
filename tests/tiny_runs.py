"""Set-ups of tests/tiny_config.py: theorems from files, and a Lean that accepts no proof."""

import functools

import jax

from fdjax.data.theorems import write_theorems
from fdjax.models import transformer
from fdjax.runtime.checkpoint import Checkpoints
from fdjax.training import build, setup, state
from fdjax.training.manifest import stage_manifest, write_manifest
from fdjax.types import Message, Theorem, Verdict
from tests import tiny_config


class Lean:
    """A backend that accepts every statement but those of `Bad`, and no proof."""

    name, version, limits = "embedded", "1", ""
    max_heartbeats, max_batch = 1, 1

    def missing(self, imports):
        return None

    def pool(self, theorem):
        return ""

    def worker(self):
        return self

    def close(self):
        pass

    def check(self, batch, timeout):
        wrong = Verdict("failed", (Message("error", "what is Bad?"),))
        return [wrong if "Bad" in t.signature else Verdict("failed") for t, _ in batch]


def theorems(kind):
    return [
        Theorem(
            id=f"t{i}", name="t", signature=f"(h : {kind}{i}) : {kind}{i}", reference=" by\n  exact"
        )
        for i in range(8)
    ]


def config_of_files(folder, monkeypatch):
    """The tiny config, with all kinds of stages but the combined one. sft and train are read from
    theorems.jsonl of `folder`, validation and test from evaluation.jsonl; 8 theorems each.
    """
    monkeypatch.setattr(setup, "make_backend", lambda name, options: Lean())
    for name, kind in {"theorems": "P", "evaluation": "Q"}.items():
        write_theorems(folder / f"{name}.jsonl", theorems(kind))
    config = tiny_config.get_config()
    config.stages += ("expert_iteration",)
    config.tokenizer.vocab_size = 300
    config.mesh.fsdp = 1
    files = dict.fromkeys(("sft", "train"), "theorems") | dict.fromkeys(
        ("validation", "test"), "evaluation"
    )
    config.data.update({split: str(folder / f"{name}.jsonl") for split, name in files.items()})
    return config


def set_up(config, workdir):
    """(run, its first policy, names of the stages to run)"""
    with setup.set_up(config, workdir) as run:
        return run, setup.initial_policy(run), tuple(run.manifests)


def finished_stage(config, workdir):
    """The folder of sft as if it were trained: its manifest, tokenizer and last checkpoint."""
    folder = workdir / "sft"
    with setup.set_up(config, workdir) as run:
        stage, generator = run.config.blocks["sft"], run.generator
        write_manifest(folder, stage_manifest(run, "sft", setup.RANDOM))
        generator.prompts.tokenizer.save(folder)
        init = functools.partial(transformer.init, generator.model)
        optimizer = build.stage_optimizer(stage)
        trained = state.create(init, jax.random.key(0), optimizer, generator.mesh)
        with Checkpoints(folder / "checkpoints", best="score") as checkpoints:
            checkpoints.save(stage.steps, trained, metrics={})
    return folder
