"""Bad configs and workdirs end before any work, with a ConfigError that names the field."""

import contextlib
import json
import shutil
import sys

import jax
import numpy as np
import pytest
from tiny_runs import Lean, config_of_files, finished_stage, set_up

from fdjax.config import ConfigError, read
from fdjax.data.splits import SPLITS, load_splits
from fdjax.lean.backends.registry import make_backend
from fdjax.lean.cache import VerdictCache
from fdjax.models import tokenizer
from fdjax.models.hf import init_from
from fdjax.training import setup
from fdjax.training.manifest import stage_manifest, write_manifest
from tests.tiny_config import change


@pytest.fixture
def config(tmp_path, monkeypatch):
    return config_of_files(tmp_path, monkeypatch)


def test_a_good_config_passes(config, tmp_path):
    run, policy, names = set_up(config, tmp_path / "w")
    assert names == config.stages and policy.params is None
    assert [len(run.theorems[name]) for name in SPLITS] == [8] * 4


def test_generated_and_read_splits_mix(config):
    config.data.train = "3"
    splits, _ = load_splits(read(config).data)
    assert [len(splits[name]) for name in SPLITS] == [8, 3, 8, 8]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("seed", -1, "^seed is -1, must be at least 0"),  # tests/test_config.py has many more
        ("stages", ("fd", "grpo"), "and no init_from: fd distils .* Set init_from, or begin with"),
        ("data.train", "-5", r"^data\.train is -5, must not be negative"),
        ("data.train", "nowhere.jsonl", r"^data\.train: .*nowhere.jsonl"),
        ("mesh.replica", 10_000, "^mesh: .*10000"),
        ("lean.cache", "/dev/null/cache", r"^lean\.cache: "),
    ],
)
def test_bad_values_are_refused_by_name(config, tmp_path, path, value, message):
    change(config, path, value)
    with pytest.raises(ConfigError, match=message):
        set_up(config, tmp_path / "w")
    assert not (tmp_path / "w").exists()


# --- Lean ----------------------------------------------------------------------------------------


def test_lean_that_does_not_load(config, tmp_path, monkeypatch):
    from fdjax.lean.backends.embedded import prelude, process

    cached = (process.shared_library, process.lean_version, prelude.prelude_version)
    monkeypatch.setattr(setup, "make_backend", make_backend)
    monkeypatch.setattr(process, "WHEEL", "no_such_wheel")
    try:
        for function in cached:
            function.cache_clear()
        with pytest.raises(ConfigError, match=r"lean\.backend: embedded Lean is not available"):
            set_up(config, tmp_path / "w")
    finally:
        for function in cached:
            function.cache_clear()


class Ray:
    """Installed, and that is all."""

    def is_initialized(self):
        return False

    def init(self, **_):
        raise ValueError("no such form")


@pytest.mark.parametrize(
    ("ray", "backend", "address", "message"),
    [
        (None, "embedded", "auto", r"lean\.ray_address: .*ray is not installed[^`]*`pip install"),
        (Ray(), "embedded", "127.0.0.1:9", r"lean\.ray_address: .* at '127.0.0.1:9': .*refused"),
        (Ray(), "embedded", "host", r"lean\.ray_address: .*'host': no such form[^`]*`ray start"),
        (Ray(), "kimina", "host", r"lean\.ray_address: .*Kimina"),
    ],
)
def test_a_ray_cluster_that_is_not_there(config, monkeypatch, ray, backend, address, message):
    monkeypatch.setitem(sys.modules, "ray", ray)
    config.lean.update(backend=backend, ray_address=address)
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        setup.make_farm(read(config).lean)


def test_replay_beside_a_cluster_has_the_workers_of_this_machine(config, monkeypatch):
    counts = []
    monkeypatch.setattr(setup, "replaying_farm", lambda _, workers, *__: counts.append(workers))
    config.lean.workers = 120
    for config.lean.ray_address in (None, "auto"):
        setup.make_replaying_farm(read(config).lean, Lean(), VerdictCache())
    assert counts == [120, None]


def test_a_backend_gets_the_fields_that_are_set(config):
    config.lean.backend = "lean_interact"
    config.lean.lean_interact.project = "/project"
    options = setup.backend_options(read(config).lean)
    assert options["project"] == "/project" and options["spares"] == 1
    assert "repl" not in options and None not in options.values()
    config.lean.backend = "embedded"
    assert setup.backend_options(read(config).lean) == {}


# --- init_from -----------------------------------------------------------------------------------


@pytest.fixture
def stage(config, tmp_path):
    return finished_stage(config, tmp_path / "first")


def test_init_from(config, stage, tmp_path, monkeypatch, capsys):
    config.init_from, paths = str(stage), []
    find = init_from.find
    monkeypatch.setattr(init_from, "find", lambda path: paths.append(path) or find(path))
    run, policy, names = set_up(config, tmp_path / "a")
    assert "data.train: 8 of 8 theorems have no `goal`" in capsys.readouterr().out
    manifest = stage_manifest(run, "fd", "x")
    assert names == config.stages[1:] and policy.name == "sft" and policy.params is not None
    assert paths == [str(stage)]  # once: what lies there may change
    assert manifest["vocab_size"] is None  # this run trains no tokenizer
    config.stages = ("grpo",)
    assert set_up(config, tmp_path / "b")[2] == ("grpo",)


def test_init_from_what_cannot_be_gone_on_with(config, stage, tmp_path):
    config.init_from = str(stage)

    def refused(message, workdir="w", **changes):
        changed = config.copy_and_resolve_references()
        changed.update(changes)
        with pytest.raises(ConfigError, match=message):
            set_up(changed, tmp_path / workdir)

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
    set_up(config, tmp_path / "v")
    template.write_text(template.read_text() + '\nuntil = "end"\n')
    refused("prompt.until: '' there, 'end' now")
    config.prompt.template = None
    refused("model.width: 32 there, 64 now", model={"width": 64})
    (tmp_path / "other").mkdir()
    tokenizer.train(["a b", "c d e"], 275).save(tmp_path / "other")
    refused("tokenizer: .* there, .* now", workdir="other")
    manifest = json.loads((stage / "config.json").read_text())
    manifest["stage"]["steps"] *= 2
    (stage / "config.json").write_text(json.dumps(manifest))
    refused("not finished.*no checkpoint of step 60")


def test_init_from_a_run_or_one_of_its_checkpoints(config, stage, tmp_path):
    trained = set_up(config, tmp_path / "a")[0]
    for path in (stage.parent, stage / "checkpoints" / str(config.sft.steps)):
        config.init_from = str(path)
        run, policy, names = set_up(config, tmp_path / path.name)
        assert names == config.stages[1:] and policy.name == "sft"
        assert run.generator.prompts.tokenizer == trained.generator.prompts.tokenizer


def test_init_from_parameters_without_a_manifest(config, stage, tmp_path):
    """An Orbax checkpoint outside of any stage: its model and its tokenizer are the config's."""
    trained = set_up(config, tmp_path / "a")[0]
    config.init_from = str(stage)
    _, expected, _ = set_up(config, tmp_path / "b")
    (stage / "checkpoints" / str(config.sft.steps) / "params").rename(tmp_path / "params")
    config.init_from = str(tmp_path / "params")
    with pytest.raises(ConfigError, match=r"init_from=.*params: .*neither tokenizer\.json nor"):
        set_up(config, tmp_path / "c")
    config.tokenizer.path = str(stage)
    run, policy, names = set_up(config, tmp_path / "c")
    assert names == config.stages and policy.name == "pretrained"
    assert run.generator == trained.generator
    jax.tree.map(np.testing.assert_array_equal, policy.params, expected.params)
    config.model.width = 64
    with pytest.raises(ConfigError, match=r"init_from=.*of another model.*\n.*embedding: float32"):
        set_up(config, tmp_path / "d")


# --- The workdir ---------------------------------------------------------------------------------


def test_a_workdir_of_another_config_is_refused_before_any_work(config, tmp_path):
    """Whichever stage it is that differs, and nothing is left behind."""
    with setup.set_up(config, tmp_path / "first") as run:
        before = "random"
        for name in config.stages:
            manifest = stage_manifest(run, name, before)
            write_manifest(tmp_path / "w" / name, manifest)
            before = manifest["fingerprint"]
    set_up(config, tmp_path / "w")
    for folder in ("x", "y"):
        shutil.copytree(tmp_path / "w" / "grpo", tmp_path / folder / "grpo")
    config.grpo.clip_high = 0.3
    with pytest.raises(ConfigError, match=r"w/grpo holds .*\n  grpo.clip_high: 0.28 there, 0.3 "):
        set_up(config, tmp_path / "w")
    with pytest.raises(ConfigError, match=r"x/grpo holds .*\n  grpo.clip_high"):
        set_up(config, tmp_path / "x")
    assert [file.name for file in (tmp_path / "x").iterdir()] == ["grpo"]
    config.grpo.clip_high, config.sft.steps = 0.28, 29
    with pytest.raises(ConfigError, match=r"y/grpo holds .*\n  before: "):
        set_up(config, tmp_path / "y")


def test_a_second_start_in_a_workdir_is_refused(config, tmp_path, monkeypatch):
    """At once where the first has begun; where both begin together before anything is written."""
    refused = r"^workdir=.*/w: another run uses this workdir: process \d+ on "
    load = setup.load_splits
    with contextlib.ExitStack() as first:

        def load_while_another_begins(data):
            monkeypatch.setattr(setup, "load_splits", load)
            first.enter_context(setup.set_up(config, tmp_path / "w"))
            return load(data)

        monkeypatch.setattr(setup, "load_splits", load_while_another_begins)
        with pytest.raises(ConfigError, match=refused):
            set_up(config, tmp_path / "w")
        monkeypatch.setattr(setup, "load_splits", None)
        with pytest.raises(ConfigError, match=refused):
            set_up(config, tmp_path / "w")
    monkeypatch.setattr(setup, "load_splits", load)
    set_up(config, tmp_path / "w")


@pytest.mark.parametrize("workdir", ["file", "file/run"])
def test_a_workdir_that_cannot_be_written_to(config, tmp_path, workdir):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=f"^workdir=.*{workdir}: no folder that can be wri"):
        set_up(config, tmp_path / workdir)
