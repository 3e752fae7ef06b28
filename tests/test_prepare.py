"""Bad configs end before any work, with a ConfigError that names the field."""

import contextlib
import dataclasses
import functools
import json
import math
import shutil
import sys

import jax
import numpy as np
import pytest
from fdjax.training.fingerprints import check_record, differences, write_record
from ml_collections import ConfigDict

from fdjax.config import ConfigError, adapters, combined_stage
from fdjax.data.splits import SPLITS, load_splits
from fdjax.data.theorems import write_theorems
from fdjax.lean.backends.registry import make_backend
from fdjax.lean.cache import VerdictCache
from fdjax.lean.farm import Farm
from fdjax.models import lora, tokenizer, transformer
from fdjax.models.config import ModelConfig
from fdjax.models.hf import config as hf
from fdjax.models.hf import convert, weights
from fdjax.models.hf import init_from as origin
from fdjax.models.hf import safetensors as tensor_files
from fdjax.runtime.checkpoint import Checkpoints
from fdjax.runtime.files import CorruptFile
from fdjax.runtime.metrics import Timers
from fdjax.training import experiment, state
from fdjax.training import manifest as records
from fdjax.training import setup as prepare
from fdjax.types import Message, Theorem, Verdict
from tests import tiny_config, tiny_tokenizers


class Lean:
    """A backend that is only asked whether statements are any: all but `Bad`."""

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


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The tiny one, of theorems from a file."""
    monkeypatch.setattr(prepare, "make_backend", lambda name, options: Lean())
    for name, kind in {"theorems": "P", "evaluation": "Q"}.items():
        write_theorems(tmp_path / f"{name}.jsonl", theorems(kind))
    config = tiny_config.get_config()
    config.stages += ("expert_iteration",)
    config.tokenizer.vocab_size = 300
    config.mesh.fsdp = 1
    files = dict.fromkeys(("sft", "train"), "theorems") | dict.fromkeys(
        ("validation", "test"), "evaluation"
    )
    config.data.update({split: str(tmp_path / f"{name}.jsonl") for split, name in files.items()})
    return config


def run_of(config, workdir):
    with prepare.prepare(config, workdir) as run:
        return run, prepare.initial_policy(run), tuple(run.stages)


def test_a_good_config_passes(config, tmp_path):
    run, policy, names = run_of(config, tmp_path / "w")
    assert names == config.stages and policy.params is None
    assert [len(run.theorems[name]) for name in SPLITS] == [8] * 4


def test_what_lean_does_not_accept_is_left_out_and_told(config, tmp_path):
    write_theorems(tmp_path / "theorems.jsonl", theorems("P") + [Theorem("b", "b", ": Bad")])
    run, *_ = run_of(config, tmp_path / "w")
    assert [len(run.theorems[name]) for name in SPLITS] == [8] * 4
    report = json.loads((tmp_path / "w" / "data.json").read_text())
    left_out = [{"id": "b", "reason": "Lean does not accept it: what is Bad?"}]
    assert report == {"sft": left_out, "train": left_out, "validation": [], "test": []}
    write_theorems(tmp_path / "theorems.jsonl", [Theorem("b", "b", ": Bad")])
    with pytest.raises(ConfigError, match=r"data\.sft: nothing is left.*what is Bad"):
        run_of(config, tmp_path / "v")


def test_theorems_without_a_goal_are_warned_of(config, tmp_path, capsys):
    """Where prompts show goals and the model has learned, or learns, from some."""

    def warned():
        capsys.readouterr()
        run_of(config, tmp_path / "w")
        shutil.rmtree(tmp_path / "w")
        lines = capsys.readouterr().out.splitlines()
        return [line.split(" have no")[0] for line in lines if line.startswith("warning")]

    assert warned() == []  # none has any: all are asked by signature
    with_goals = [dataclasses.replace(t, goal="⊢ P") for t in theorems("P")]
    write_theorems(tmp_path / "theorems.jsonl", [*with_goals[:6], *theorems("P")[6:]])
    told = {"sft": 2, "train": 2, "validation": 8, "test": 8}
    assert warned() == [f"warning: data.{n}: {k} of 8 theorems" for n, k in told.items()]
    write_theorems(tmp_path / "theorems.jsonl", with_goals)
    evaluated = [dataclasses.replace(t, goal="⊢ Q") for t in theorems("Q")]
    write_theorems(tmp_path / "evaluation.jsonl", evaluated)
    assert warned() == []
    write_theorems(tmp_path / "evaluation.jsonl", theorems("Q"))
    config.prompt.student = "{signature}\n"
    assert warned() == []


def test_supervised_stages_need_references(config, tmp_path):
    """Of what fits the budget: the rest is left out anyway."""
    long = Theorem("b", "b", f"(h : {'x ' * 99}P) : P")
    write_theorems(tmp_path / "theorems.jsonl", [*theorems("P"), long])
    config.data.train, config.stages = "3", ("sft",)
    run_of(config, tmp_path / "v")
    write_theorems(tmp_path / "theorems.jsonl", [*theorems("P"), Theorem("b", "b", ": P")])
    with pytest.raises(ConfigError, match=r"^sft: theorem b .* has no reference proof"):
        run_of(config, tmp_path / "w")


def test_what_lean_said_of_statements_stands(config, tmp_path, monkeypatch):
    """A statement near the time limit: it is refused at one start and in doubt at the next."""
    bad = Theorem("b", "b", ": Bad", reference=" by\n  exact")
    write_theorems(tmp_path / "theorems.jsonl", [*theorems("P"), bad])
    first, *_ = run_of(config, tmp_path / "w")
    (tmp_path / "w" / "data.json").unlink()
    asked = []

    def check(self, batch, timeout):
        asked.extend(t.id for t, _ in batch)
        return [Verdict("timeout") for _ in batch]

    monkeypatch.setattr(Lean, "check", check)
    again, *_ = run_of(config, tmp_path / "w")
    assert again.theorems == first.theorems and not asked
    assert json.loads((tmp_path / "w" / "data.json").read_text())["train"][0]["id"] == "b"
    for name in config.stages:
        assert records.stage_record(again, name, "x") == records.stage_record(first, name, "x")
    other, *_ = run_of(config, tmp_path / "v")  # which has asked for itself
    assert len(other.theorems["train"]) == 9 and "b" in asked
    assert len(run_of(config, tmp_path / "v")[0].theorems["train"]) == 9
    asked.clear()
    write_theorems(tmp_path / "evaluation.jsonl", theorems("R"))
    run_of(config, tmp_path / "w")  # only of what is new
    assert sorted(asked) == sorted(2 * [t.id for t in theorems("R")])  # twice, alone


def test_prompts_at_once(config, tmp_path):
    config.fd.generation_batch = 2
    run, *_ = run_of(config, tmp_path / "w")
    for name, batch in (("sft", 4), ("fd", 2), ("grpo", 0)):  # 0: all of a step's
        with contextlib.closing(experiment.make_worker(run, name, {}, Timers())) as worker:
            assert worker.batch == batch


def test_generated_and_read_splits_mix(config, tmp_path):
    config.data.train = "3"
    splits, _ = load_splits(config.data)
    assert [len(splits[name]) for name in SPLITS] == [8, 3, 8, 8]


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("stages", (), "stages=()"),
        ("stages", ("sft", "dpo"), "no block named dpo"),
        ("stages", ("fd", "fd"), "each once"),
        ("stages", ("fd", "grpo"), "and no init_from: fd distils .* Set init_from, or begin with"),
        ("stages", ("keep_checkpoints",), "no block named keep_checkpoints"),
        ("seed", -1, "^seed is -1, must be in"),
        ("seed", 2**31, "^seed is 2147483648, must be in"),
        ("keep_checkpoints", 0, "^keep_checkpoints is 0, must be positive"),
        ("data.seed", -1, "^data: seed is -1, must not be negative"),
        ("data.train", "-5", "^data.train is -5, must not be negative"),
        ("mesh.fsdp", 0, "mesh"),
        ("model.num_layers", 0, "^model: num_layers is 0, must be positive"),
        ("model.num_kv_heads", 0, "^model: num_kv_heads is 0, must be positive"),
        ("model.head_dim", 7, "^model: head_dim is 7, must be even"),
        ("prompt.response_length", 0, "^prompt: response_length is 0, must be positive"),
        ("prompt.student_buckets", (), r"^prompt: student_buckets is \(\), must be one or more"),
        ("prompt.teacher_buckets", (0,), r"^prompt: teacher_buckets is \(0,\), must be one"),
        ("prompt.teacher", "{goal}\n", "^fd: the teacher would not read .* has no {feedback}"),
        ("prompt.prefill", " by\n    ", "^sft: theorem t0 .* has no reference .*prefill "),
        ("mesh.replica", 10_000, "mesh: .*10000"),
        ("tokenizer.vocab_size", 100, "^tokenizer.vocab_size: 100 is too small: .* at least 29"),
        ("tokenizer.vocab_size", -1, "^tokenizer.vocab_size: -1 is too small: .* at least 29"),
        ("data.sft", "0", "^data.sft holds no theorems to train a tokenizer on"),
        ("prompt.student", "{gaol}", "prompt.student='{gaol}' is no template"),
        ("prompt.student", "{feedback}", "prompt.student"),
        ("prompt.student", "Prove it.", "^prompt.student='Prove it.' says nothing of the theorem"),
        ("prompt.teacher", "{", "prompt.teacher"),
        ("prompt.template", "x", "prompt.template=x: no such file, and none of deepseek_"),
        ("prompt.template", "kimina_prover", "kimina_prover is a chat: it takes a published"),
        ("lean.allow_helpers", True, "lean.allow_helpers: only the answers of chats can hold"),
        ("prompt.thinking", "yes", "prompt.thinking is 'yes'; known are"),
        ("prompt.thinking", "on", "prompt.thinking=on, but prompt.template is no chat"),
        ("tokenizer.path", "nowhere", "tokenizer.path=nowhere: .*neither tokenizer.json"),
        ("prompt.student_buckets", (4,), "fd|evaluation: theorem t0 .*prompt.student_buckets"),
        ("data.train", "nowhere.jsonl", "data.train: .*nowhere.jsonl"),
        ("data.test", "0", "evaluation: heldout='test' has no theorems"),
        ("lean.workers", 0, "lean: workers"),
        ("lean.timeout", 0.0, "lean: timeout"),
        ("lean.cache", "/dev/null/cache", "lean.cache"),
        ("feedback.help", "x", "^feedback.help is 'x'; known are verdict, error, step, correction"),
        ("feedback.provider", "llmm", "^feedback.provider is 'llmm'; known are diagnostics, llm"),
        ("feedback.reference.asks", -1, "^feedback.reference.asks is -1"),
        ("evaluation.batch", 0, "evaluation: batch"),
        ("evaluation.theorems", 0, "evaluation: theorems is 0, must be positive"),
        ("evaluation.train", "x", "evaluation: pool='x'"),
        ("sft.feedback_fraction", 1.5, r"sft: feedback_fraction is 1.5, must be in \[0, 1\]"),
        ("sft.feedback_start", -1, "sft: feedback_start is -1, must not be negative"),
        ("sft.optimizer.clip_norm", 0.0, "sft: optimizer: clip_norm is 0.0, must be positive"),
        ("sft.optimizer.warmup", -1, "sft: optimizer: warmup is -1, must not be negative"),
        ("sft.optimizer.microbatches", 3, "sft: 32 rows .*microbatches=3"),
        ("fd.objective", "x", "fd: objective is 'x'"),
        ("fd.alpha", 2.0, "fd: .*alpha is 2.0"),
        ("fd.estimator", "k1", "fd: .*estimator=k1 has the gradient of alpha=1"),
        ("fd.support", "student", "fd: .*support=student.* set top_k"),
        ("fd.teacher", "x", "fd: teacher is 'x'"),
        ("fd.ema_per", "x", "fd: ema_per is 'x'"),
        ("fd.ema_rate", 2.0, r"fd: ema_rate is 2.0, must be in \[0, 1\]"),
        ("fd.pipeline_depth", -1, "fd: pipeline_depth is -1, must not be negative"),
        ("fd.skip_tokens", -1, "fd: skip_tokens"),
        ("fd.distill_attempts", "x", "fd: gate is 'x'"),
        ("fd.theorems", "x", "fd: theorems='x'"),
        ("fd.save_every", 0, "fd: save_every"),
        ("fd.row_buckets", (), r"fd: row_buckets is \(\), must be one or more positive numbers"),
        ("fd.row_buckets", ("a",), "fd: row_buckets is .*'a',.*, must be one or more positive"),
        ("fd.row_buckets", (8,), "fd: 16 rows, but the largest of row_buckets is 8"),
        ("fd.curriculum.again", 2.0, "fd: curriculum: again is 2.0"),
        ("fd.curriculum.hopeless", 1.0, "fd: curriculum: hopeless is 1.0, must be below solved"),
        ("fd.curriculum.window", -1, "fd: curriculum: window is -1"),
        ("fd.curriculum.ramp", "length", "fd: curriculum: ramp='length' needs ramp_steps"),
        ("expert_iteration.steps_per_round", 0, "expert_iteration: steps_per_round is 0"),
        ("expert_iteration.per_theorem", 0, "expert_iteration: per_theorem is 0"),
        ("expert_iteration.batch_size", 0, "expert_iteration: batch_size: 0 rows"),
        ("grpo.aggregation", "x", "grpo: .*aggregation is 'x'"),
        ("grpo.surrogate", "x", "grpo: .*surrogate is 'x'; known are ppo"),
        ("grpo.dual_clip", 1.1, "grpo: .*dual_clip is 1.1"),
        ("grpo.kl", "x", "grpo: .*kl is 'x'"),
        ("grpo.overlong_buffer", 25, "grpo: overlong_buffer is 25, must be in .0, 24."),
        ("grpo.refill", -1, "grpo: refill is -1"),
        ("grpo.samples_per_prompt", 1, "grpo: samples_per_prompt is 1, must be at least 2"),
        ("grpo.minibatches", 3, "grpo: 16 rows do not split into minibatches=3"),
        ("fd.minibatches", 0, "fd: minibatches is 0"),
        ("fd.epochs", 0, "fd: epochs is 0"),
        ("grpo.optimizer.decay_fraction", 2.0, "grpo: .*decay_fraction is 2.0"),
        ("fd.generation_batch", -1, "fd: generation_batch: -1 rows, must be a multiple"),
        ("model.lora_rank", 4, "model.lora_rank=4: adapters are added .* name it in init_from"),
        ("model.lora_targets", ("lm_head",), "model: lora_targets has lm_head; known are q_proj"),
        ("grpo.optimizer.moments", "float16", "grpo: .*moments is 'float16'; known are float32"),
    ],
)
def test_bad_values_are_refused_by_name(config, tmp_path, field, value, told):
    with config.unlocked():
        config.update_from_flattened_dict({field: value})
    with pytest.raises(ConfigError, match=told):
        run_of(config, tmp_path / "w")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"grpo.surrogate": "cispo", "grpo.dual_clip": 3.0}, "grpo: .*dual_clip .*'cispo'"),
        (
            {"grpo.kl_coefficient": 0.1, "grpo.kl": "k1", "grpo.mask_truncated": True},
            "grpo: kl='k1' .*mask_truncated leaves some attempts out",
        ),
        (
            {"grpo.refill": 1, "grpo.prompts_per_step": 8, "grpo.row_buckets": (32,)},
            "grpo: refill=1: with prompts_per_step=8 no theorem of 'pool' is left",
        ),
        (
            {"grpo.overlong_buffer": 4, "grpo.overlong_penalty": 0.0},
            "grpo: overlong_penalty is 0.0",
        ),
        (
            {"grpo.minibatches": 4, "grpo.optimizer.microbatches": 8},
            "grpo: 4 rows do not split into optimizer.microbatches=8",
        ),
        ({"both.turns": ("fd", "grpo")}, "both: turns=.*known are distillation, policy_gradient"),
        ({"both.weights.policy_gradient": 0.0}, "both: policy_gradient is 0.0, must be positive"),
        ({"both.policy_gradient.refill": 1}, "both: policy_gradient.refill=1"),
        (
            {"both.policy_gradient.kl_coefficient": 0.1},
            "both: policy_gradient.kl_coefficient=0.1 .*distillation.teacher is 'ema', set it to "
            "'frozen' or 'trust_region'",
        ),
        ({"both.distillation.gate": "x"}, "both: gate is 'x'"),
        ({"both.policy_gradient.surrogate": "x"}, "both: .*surrogate is 'x'"),
    ],
)
def test_what_makes_no_sense_together_is_refused(config, tmp_path, changes, told):
    config.both = combined_stage(prompts_per_step=4, samples_per_prompt=4, row_buckets=(16,))
    config.stages = ("sft", "grpo", "both")
    run_of(config, tmp_path / "good")
    config.both.distillation.teacher, config.both.policy_gradient.kl_coefficient = (
        "trust_region",
        0.1,
    )
    run_of(config, tmp_path / "good")  # what the region is around is the reference
    config.both.distillation.teacher, config.both.policy_gradient.kl_coefficient = "ema", 0.0
    with config.unlocked():
        config.update_from_flattened_dict(changes)
    with pytest.raises(ConfigError, match=told):
        run_of(config, tmp_path / "w")


def test_lean_that_does_not_load(config, tmp_path, monkeypatch):
    from fdjax.lean.backends.embedded import library, process

    cached = (process.shared_library, process.lean_version, library.library_version)
    monkeypatch.setattr(prepare, "make_backend", make_backend)
    monkeypatch.setattr(process, "WHEEL", "no_such_wheel")
    try:
        for function in cached:
            function.cache_clear()
        with pytest.raises(ConfigError, match=r"lean\.backend: embedded Lean is not available"):
            run_of(config, tmp_path / "w")
    finally:
        for function in cached:
            function.cache_clear()
    config.lean.backend = "coq"
    with pytest.raises(ConfigError, match=r"lean\.backend: .*coq"):
        run_of(config, tmp_path / "w")


class Ray:
    """Installed, and that is all."""

    def is_initialized(self):
        return False

    def init(self, **_):
        raise ValueError("no such form")


@pytest.mark.parametrize(
    ("ray", "backend", "address", "told"),
    [
        (None, "embedded", "auto", r"lean\.ray_address: .*ray is not installed[^`]*`pip install"),
        (Ray(), "embedded", "127.0.0.1:9", r"lean\.ray_address: .* at '127.0.0.1:9': .*refused"),
        (Ray(), "embedded", "host", r"lean\.ray_address: .*'host': no such form[^`]*`ray start"),
        (Ray(), "kimina", "host", r"lean\.ray_address: .*Kimina"),
        (Ray(), "coq", "host", r"lean\.backend: .*coq"),
    ],
)
def test_a_ray_cluster_that_is_not_there(config, monkeypatch, ray, backend, address, told):
    monkeypatch.setitem(sys.modules, "ray", ray)
    config.lean.update(backend=backend, ray_address=address)
    with pytest.raises(ConfigError, match=f"(?s){told}"):
        prepare.make_farm(config.lean)


@pytest.fixture
def stage(config, tmp_path):
    """The folder of a finished stage: its record, tokenizer and last checkpoint."""
    with prepare.prepare(config, tmp_path / "first") as run:
        folder = tmp_path / "first" / "sft"
        write_record(folder, records.stage_record(run, "sft", "random"))
        run.prompting.tokenizer.save(folder)
        optimizer = state.make_optimizer(state.OptimizerConfig())
        init = lambda key: transformer.init(run.prompting.model, key)  # noqa: E731
        trained = state.create(init, jax.random.key(0), optimizer, run.prompting.mesh)
        with Checkpoints(folder / "checkpoints", best="score") as checkpoints:
            checkpoints.save(config.sft.steps, trained, metrics={})
    return folder


def test_init_from(config, stage, tmp_path, monkeypatch, capsys):
    config.init_from, looked = str(stage), []
    find = origin.find
    monkeypatch.setattr(origin, "find", lambda path: looked.append(path) or find(path))
    run, policy, names = run_of(config, tmp_path / "a")
    assert "data.train: 8 of 8 theorems have no `goal`" in capsys.readouterr().out
    record = records.stage_record(run, "fd", "x")
    assert names == config.stages[1:] and policy.name == "sft" and policy.params is not None
    assert looked == [str(stage)]  # once: what lies there may change
    assert record["vocab_size"] == 512  # the default: this run trains no tokenizer
    config.stages = ("grpo",)
    assert run_of(config, tmp_path / "b")[2] == ("grpo",)


def test_init_from_what_cannot_be_gone_on_with(config, stage, tmp_path):
    config.init_from = str(stage)

    def refused(told, workdir="w", **changes):
        changed = config.copy_and_resolve_references()
        changed.update(changes)
        with pytest.raises(ConfigError, match=told):
            run_of(changed, tmp_path / workdir)

    refused("init_from=.*sftx: .*sftx is no folder", init_from=str(stage) + "x")
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "config.json").write_text("[1]")
    refused("init_from=.*list: .*config.json is no JSON object", init_from=str(tmp_path / "list"))
    (tmp_path / "empty").mkdir()
    refused("Name a Hugging Face folder, a run, one of", init_from=str(tmp_path / "empty"))
    assert not (tmp_path / "w").exists()
    refused("nothing left to run", stages=("sft",))
    (tmp_path / "warm").symlink_to(stage)
    refused("Set --config.stages", init_from=str(tmp_path / "warm"))
    refused("prompt.student: .* there, .* now", prompt={"student": "{name} {goal}\n"})
    template = tmp_path / "template.toml"
    same = {name: config.prompt[name] for name in ("student", "teacher", "prefill")}
    template.write_text("\n".join(f"{k} = {json.dumps(text)}" for k, text in same.items()))
    config.prompt.template = str(template)  # the same texts out of a file: the same kind
    run_of(config, tmp_path / "v")
    template.write_text(template.read_text() + '\nuntil = "end"\n')
    refused("prompt.until: '' there, 'end' now")
    config.prompt.template = ""
    refused("model.width: 32 there, 64 now", model={"width": 64})
    (tmp_path / "other").mkdir()
    tokenizer.train(["a b", "c d e"], 275).save(tmp_path / "other")
    refused("tokenizer: .* there, .* now", workdir="other")
    record = json.loads((stage / "config.json").read_text())
    record["stage"]["steps"] *= 2
    (stage / "config.json").write_text(json.dumps(record))
    refused("not finished.*no checkpoint of step 60")


def test_init_from_a_run_or_one_of_its_checkpoints(config, stage, tmp_path):
    trained = run_of(config, tmp_path / "a")[0]
    for given in (stage.parent, stage / "checkpoints" / str(config.sft.steps)):
        config.init_from = str(given)
        run, policy, names = run_of(config, tmp_path / given.name)
        assert names == config.stages[1:] and policy.name == "sft"
        assert run.prompting.tokenizer == trained.prompting.tokenizer


def test_init_from_parameters_without_a_record(config, stage, tmp_path):
    """An Orbax checkpoint that lies in no stage: its model is the config's, its tokenizer too."""
    trained = run_of(config, tmp_path / "a")[0]
    config.init_from = str(stage)
    _, expected, _ = run_of(config, tmp_path / "b")
    (stage / "checkpoints" / str(config.sft.steps) / "params").rename(tmp_path / "params")
    config.init_from = str(tmp_path / "params")
    with pytest.raises(ConfigError, match=r"init_from=.*params: .*neither tokenizer\.json nor"):
        run_of(config, tmp_path / "c")
    config.tokenizer.path = str(stage)
    run, policy, names = run_of(config, tmp_path / "c")
    assert names == config.stages and policy.name == "pretrained"
    assert run.prompting == trained.prompting
    jax.tree.map(np.testing.assert_array_equal, policy.params, expected.params)
    config.model.width = 64
    with pytest.raises(ConfigError, match=r"init_from=.*of another model.*\n.*embedding: float32"):
        run_of(config, tmp_path / "d")


PUBLISHED = ModelConfig(
    vocab_size=512,
    width=16,
    num_layers=2,
    num_heads=2,
    num_kv_heads=1,
    head_dim=8,
    mlp_width=24,
    tie_embeddings=False,
    max_positions=700,
)


@pytest.fixture
def published(config, tmp_path):
    """A Hugging Face folder: weights, tokenizer, config.json; and a config that begins with it."""
    pytest.importorskip("tokenizers", reason="needs the hf extra")
    folder = tiny_tokenizers.qwen(tmp_path / "published")
    (folder / "config.json").write_text(json.dumps(hf.config_json(PUBLISHED, "bfloat16")))
    shapes = weights.expected_shapes(PUBLISHED)
    files = tensor_files.create_folder(
        folder, {name: (shape, np.dtype("bfloat16")) for name, shape in shapes.items()}
    )
    rng = np.random.default_rng(0)
    for tensor in files.values():
        rows = rng.normal(size=tensor.shape).astype(tensor.dtype)
        tensor_files.write_rows(tensor, rows)
    config.init_from = str(folder)
    config.model = ConfigDict({"dtype": "bfloat16", "remat": True} | adapters())
    config.prompt.update(student_buckets=(300,), teacher_buckets=(400,), response_length=300)
    return folder


def test_init_from_a_published_model(config, published, tmp_path):
    run, policy, names = run_of(config, tmp_path / "w")
    assert names == config.stages and policy.name == "pretrained"
    assert run.prompting.model == dataclasses.replace(PUBLISHED, dtype="bfloat16", remat=True)
    assert run.prompting.tokenizer.vocab_size == 506
    head = tensor_files.read_rows(tensor_files.open_folder(published)["lm_head.weight"])
    np.testing.assert_array_equal(policy.params["lm_head"], head.T.astype(np.float32))
    assert policy.params["lm_head"].dtype == np.float32
    convert.from_hf(published, tmp_path / "ours")
    config.init_from = str(tmp_path / "ours")
    again = run_of(config, tmp_path / "again")
    assert again[0].prompting == run.prompting and again[2] == names
    jax.tree.map(np.testing.assert_array_equal, again[1].params, policy.params)


def test_adapters_on_a_published_model(config, published, tmp_path):
    """Fresh ones, the same for the same seed."""
    config.model.update(dtype="float32", lora_rank=2, lora_targets=("v_proj",))
    run, policy, _ = run_of(config, tmp_path / "w")
    assert run.prompting.model.lora_rank == 2
    trained, base = lora.split(policy.params)
    assert trained["layers"]["v_proj_lora"]["a"].shape == (2, 16, 2)
    assert not trained["layers"]["v_proj_lora"]["b"].any() and "embedding" in base
    again = run_of(config, tmp_path / "w")[1].params
    jax.tree.map(np.testing.assert_array_equal, again, policy.params)
    config.seed += 1
    other = lora.split(run_of(config, tmp_path / "v")[1].params)[0]
    assert (other["layers"]["v_proj_lora"]["a"] != trained["layers"]["v_proj_lora"]["a"]).any()


def test_a_published_model_that_does_not_fit(config, published, tmp_path):
    def refused(told, **changes):
        changed = config.copy_and_resolve_references()
        for block, fields in changes.items():
            with changed.unlocked():
                changed[block].update(fields)
        with pytest.raises(ConfigError, match=told):
            run_of(changed, tmp_path / "w")

    refused(
        r"holds another model:\n  model.width: 16 there, 32 now\nA config whose `model` names",
        model={"width": 32, "head_dim": 8},
    )
    refused("model: widht: no such field", model={"widht": 32})
    refused(
        "prompt: the largest bucket and response_length: 701 tokens, but .* at most 700",
        prompt={"response_length": 301},
    )
    file = published / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    refused(r"init_from=.*model\.safetensors is truncated")
    (published / "config.json").write_text('{"model_type": "mamba"}')
    refused("init_from=.*'mamba' .no architecture. is not known")
    (published / "config.json").unlink()
    refused("has no config.json and holds no finished stage")


def test_replay_beside_a_cluster_has_the_workers_of_this_machine(config, monkeypatch):
    asked = []
    monkeypatch.setattr(prepare, "make_backend", lambda *_: Lean())
    monkeypatch.setattr(prepare, "replaying_farm", lambda _, workers, *__: asked.append(workers))
    config.lean.workers = 120
    for config.lean.ray_address in ("", "auto"):
        prepare.make_second(config.lean, Lean(), VerdictCache())
    assert asked == [120, None]


def test_a_published_tokenizer_and_a_template(config, tmp_path, monkeypatch):
    pytest.importorskip("tokenizers")
    pytest.importorskip("jinja2")
    config.tokenizer.path = str(tiny_tokenizers.qwen(tmp_path / "model"))
    config.prompt.update(
        template="goedel_prover_v2", thinking="off", student_buckets=(400,), teacher_buckets=(500,)
    )
    run, _, _ = run_of(config, tmp_path / "w")
    assert run.prompting.model.vocab_size == run.prompting.tokenizer.vocab_size == 506
    prompt = run.prompting.tokenizer.decode(run.prompting.student_prompt(run.theorems["train"][0]))
    assert "Complete the following" in prompt and prompt.endswith("<think>\n\n</think>\n\n")
    record = records.stage_record(run, "fd", "x")
    assert record["prompt"]["thinking"] is False and "proof plan" in record["prompt"]["teacher"]
    config.lean.allow_helpers = True
    with pytest.raises(ConfigError, match=r"allow_helpers: .* so set lean.replay"):
        run_of(config, tmp_path / "w")
    config.lean.replay = True
    with pytest.raises(ConfigError, match=r"lean.replay: the backend embedded cannot replay"):
        run_of(config, tmp_path / "w")  # that of this file
    monkeypatch.setattr(prepare, "replaying_farm", lambda *_: Farm(Lean(), 1))
    helped, _, _ = run_of(config, tmp_path / "w")
    assert helped.prompting.allow_helpers and helped.farm.allow_helpers and helped.farm.second
    [changed] = differences(record, records.stage_record(helped, "fd", "x"))
    assert "lean.allow_helpers" in changed
    (tmp_path / "model").rename(tmp_path / "moved")  # the run goes on without that folder
    config.tokenizer.path = ""
    assert run_of(config, tmp_path / "w")[0].prompting.tokenizer == run.prompting.tokenizer
    config.tokenizer.path = str(tiny_tokenizers.llama3(tmp_path / "other"))
    with pytest.raises(ConfigError, match=r"is not the tokenizer that .*w began with"):
        run_of(config, tmp_path / "w")


def test_a_tokenizer_that_does_not_fit_the_embedding(config, tmp_path):
    run, _, _ = run_of(config, tmp_path / "w")
    smaller = dataclasses.replace(run.prompting.model, vocab_size=99)
    with pytest.raises(ConfigError, match=r"tokenizer: it has .* ids, .* embedding only 99 rows"):
        dataclasses.replace(run.prompting, model=smaller)
    larger = dataclasses.replace(run.prompting.model, vocab_size=9999)
    dataclasses.replace(run.prompting, model=larger)


def test_records_name_what_changed_and_ignore_what_does_not_matter(config, tmp_path):
    with prepare.prepare(config, tmp_path / "w") as run:
        record = records.stage_record(run, "fd", "x")
        write_record(tmp_path / "fd", record)
        run.config.fd.update(save_every=99, show_every=99, min_gap=math.pi)
        check_record(tmp_path / "fd", records.stage_record(run, "fd", "x"))
        run.config.tokenizer.vocab_size = 999
        run.config.data.seed = 7
        run.config.feedback.shuffle = True
        sft = records.stage_record(run, "sft", "random")
        assert "shuffle" not in sft["feedback"]  # supervised stages serve the control, too
        with pytest.raises(ConfigError) as told:
            check_record(tmp_path / "fd", records.stage_record(run, "fd", "x"))
    lines = str(told.value).splitlines()[1:-1]
    assert [line.split(":")[0].strip() for line in lines] == [
        "vocab_size",
        "data.seed",
        "feedback.shuffle",
    ]


def test_an_evaluation_is_known_only_of_the_same_lean(config, tmp_path, monkeypatch):
    run, *_ = run_of(config, tmp_path / "w")
    measured = []

    def figures():
        def measure():
            measured.append(1)
            return {"times": len(measured)}

        policy = records.Policy("sft", None, "x")
        return experiment.once(run, "sft", policy, {"split": "train"}, [], measure)["times"]

    assert [figures(), figures()] == [1, 1]
    run.farm.allow_helpers = True
    assert figures() == 2
    run.farm.allow_helpers = False
    for field in ("version", "name", "limits"):
        monkeypatch.setattr(Lean, field, "other")
        assert figures() == len(measured) and figures() == len(measured)
    assert len(measured) == 5
    monkeypatch.undo()
    assert figures() == 1


def test_a_workdir_of_another_config_is_refused_before_any_work(config, tmp_path):
    """Whichever stage it is that differs, and nothing is left behind."""
    with prepare.prepare(config, tmp_path / "first") as run:
        before = "random"
        for name in config.stages:
            record = records.stage_record(run, name, before)
            write_record(tmp_path / "w" / name, record)
            before = record["fingerprint"]
    run_of(config, tmp_path / "w")
    for folder in ("x", "y"):
        shutil.copytree(tmp_path / "w" / "grpo", tmp_path / folder / "grpo")
    config.grpo.clip_high = 0.3
    with pytest.raises(ConfigError, match=r"w/grpo holds .*\n  grpo.clip_high: 0.28 there, 0.3 "):
        run_of(config, tmp_path / "w")
    with pytest.raises(ConfigError, match=r"x/grpo holds .*\n  grpo.clip_high"):
        run_of(config, tmp_path / "x")
    assert [file.name for file in (tmp_path / "x").iterdir()] == ["grpo"]
    config.grpo.clip_high, config.sft.steps = 0.28, 29
    with pytest.raises(ConfigError, match=r"y/grpo holds .*\n  before: "):
        run_of(config, tmp_path / "y")


def test_a_damaged_workdir_is_told_what_helps(config, tmp_path):
    workdir = tmp_path / "w"
    with prepare.prepare(config, workdir) as run:
        write_record(workdir / "sft", records.stage_record(run, "sft", "random"))
    statements, record = workdir / "statements.jsonl", workdir / "sft" / "config.json"
    whole = record.read_text()
    record.write_text(whole[:-20])
    with pytest.raises(CorruptFile, match=rf"^{record} is no JSON: .* remove {record.parent} "):
        run_of(config, workdir)
    record.write_text(whole)
    lines = statements.read_text()
    statements.write_text(lines[: len(lines) // 2])  # torn: Lean is asked again
    run_of(config, workdir)
    assert statements.read_text() == lines
    statements.write_text("{}{}\n" + lines)
    with pytest.raises(CorruptFile, match=rf"^{statements}:1 is no JSON.* take it out$"):
        run_of(config, workdir)


def test_a_second_start_in_a_workdir_is_refused(config, tmp_path, monkeypatch):
    """At once where the first has begun; where both begin together before anything is written."""
    refused, load = r"^workdir=.*/w: a run is at work there, process \d+ on ", prepare.load_splits
    with contextlib.ExitStack() as first:

        def load_while_another_begins(data):
            monkeypatch.setattr(prepare, "load_splits", load)
            first.enter_context(prepare.prepare(config, tmp_path / "w"))
            return load(data)

        monkeypatch.setattr(prepare, "load_splits", load_while_another_begins)
        with pytest.raises(ConfigError, match=refused):
            run_of(config, tmp_path / "w")
        monkeypatch.setattr(prepare, "load_splits", None)
        with pytest.raises(ConfigError, match=refused):
            run_of(config, tmp_path / "w")
    monkeypatch.setattr(prepare, "load_splits", load)
    run_of(config, tmp_path / "w")


@pytest.mark.parametrize("rank", [0, 2])
def test_a_stage_holds_its_parameters_once(config, tmp_path, monkeypatch, rank):
    """And restores into nothing but shapes. With adapters the teacher has no base of its own."""

    def embeddings():
        return sum(x.shape == (model.vocab_size, model.width) for x in jax.live_arrays())

    def train(this, name, train_state, step, history, optimizer, checkpoints, stopping):
        held.append(embeddings() - before)
        if step == 0:
            checkpoints.save(3, train_state, {"curriculum": {"t0": [1]}})
        steps.append((step, history))
        return train_state

    held, steps = [], []
    monkeypatch.setattr(experiment, "train", train)
    monkeypatch.setattr(experiment, "measure_teacher", lambda *_: None)
    with prepare.prepare(config, tmp_path / "w") as run:
        model = dataclasses.replace(run.prompting.model, lora_rank=rank)
        run = run._replace(prompting=dataclasses.replace(run.prompting, model=model))
        init = jax.jit(functools.partial(transformer.init, model))
        for _ in range(2):
            before = embeddings()
            policy = records.Policy("sft", init(jax.random.key(0)), "x")
            experiment.run_stage(run, "fd", policy, experiment.Stopping())
    teacher_and_moments = 0 if rank else 3
    assert held == [1 + teacher_and_moments] * 2
    assert steps == [(0, {}), (3, {"t0": [1]})]


@pytest.mark.parametrize("workdir", ["file", "file/run"])
def test_a_workdir_that_cannot_be_written_to(config, tmp_path, workdir):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=f"^workdir=.*{workdir}: no folder that can be wri"):
        run_of(config, tmp_path / workdir)
