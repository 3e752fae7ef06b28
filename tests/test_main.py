"""Flags: what cannot be ends the command in one line, long before JAX is imported."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fdjax import cli, main
from fdjax.config import ConfigError, read
from fdjax.lean.backend import BackendUnavailable
from fdjax.runtime.files import CorruptFile
from fdjax.training import experiment

ROOT = Path(__file__).parent.parent
CONFIG = "--config=tests/tiny_config.py"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            (CONFIG, "--config.fd.alhpa=1"),
            "--config.fd.alhpa: there is no such field; did you mean fd.alpha?",
        ),
        (
            (CONFIG, "--config.fd.alhpa=None"),
            "--config.fd.alhpa: there is no such field; did you mean fd.alpha?",
        ),
        (
            (CONFIG, "--noconfig.shuffle"),
            "--config.shuffle: there is no such field; did you mean feedback.shuffle?",
        ),
        (
            (CONFIG, "--config.fd.steps=x"),
            "--config.fd.steps=x: must be of type int",
        ),
        (
            (CONFIG, "--config.feedback.llm.options.extra_body.top_k=5"),
            "--config.feedback.llm.options.extra_body.top_k: there is no such field; did you mean "
            "feedback.llm.options.max_tokens?",
        ),
        (
            ("--config", "tests/tiny_confg.py", "--config.seed=1"),
            "--config=tests/tiny_confg.py: "
            "there is no such file; did you mean tests/tiny_config.py?",
        ),
        (
            (CONFIG, "--processes=2", "--process=0"),
            "--processes and --process take --coordinator=HOST:PORT, too",
        ),
        (
            (CONFIG, "--profile=5"),
            "--profile=5: write STEP:COUNT, such as 20:3: steps 20, 21 and 22",
        ),
        (
            (CONFIG, "--profile=-1:0"),
            "--profile=-1:0: write STEP:COUNT, such as 20:3: steps 20, 21 and 22",
        ),
        ((CONFIG, "--config.fd.steps=None"), "--config.fd.steps=None: must be of type int"),
        (
            (CONFIG, "--config.fd.optimizer=3"),
            "--config.fd.optimizer: it holds fields; set one of them",
        ),
        (
            ("--config=configs/models/qwen3.py",),
            "--config=configs/models/qwen3.py: no recipe: it has no get_config(), as configs/fd.py",
        ),
        (
            ("--config=Makefile",),
            "--config=Makefile: no recipe in Python: invalid syntax (Makefile, line 2)",
        ),
        ((), "--config=RECIPE and --workdir=FOLDER are needed"),
        ((CONFIG, "seed=1"), "unrecognized arguments: seed=1"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(tmp_path, flags, message):
    command = [sys.executable, "-m", "fdjax.main", *flags, f"--workdir={tmp_path / 'w'}"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr, ended.stdout) == (2, f"error: {message}\n", "")
    assert not (tmp_path / "w").exists()


def test_fields_by_flags():
    """None switches a field off; the options of an LLM's request can have any name."""
    flags = [
        CONFIG,
        "--config.fd.is_clip=None",
        "--config.grpo.is_clip=None",
        "--config.grpo.is_clip=3",
        "--config.sft.optimizer.clip_norm=2",
        "--config.sft.optimizer.clip_norm=None",
        "--config.mesh.fsdp=1",
        "--config.evaluation.low_temperature=None",
        "--config.feedback.llm.options.max_tokens=9",
        "--config.feedback.llm.options.top_p=0.9",
        "--config.feedback.llm.options.extra_body={'top_k': 5}",
        "--config.feedback.llm.options.reasoning_effort=low",
        "--config.lean.cache=verdicts.jsonl",
        "--config.stages=('fd',)",
        "--config.feedback.shuffle",
        "--noconfig.lean.replay",
        "--config.seed",
        "7",
        "--config.model.lora_targets=q_proj,v_proj",
    ]
    parsed = main.parse("fdjax train", "", [*flags, "--workdir=w"])
    config = dataclasses.asdict(read(parsed.config))
    assert (parsed.workdir, config["seed"], config["feedback"]["shuffle"]) == ("w", 7, True)
    assert config["model"]["lora_targets"] == ("q_proj", "v_proj")
    stages = config["blocks"]
    assert stages["fd"]["is_clip"] is None and stages["grpo"]["is_clip"] == 3.0
    assert stages["sft"]["optimizer"]["clip_norm"] is None
    assert config["mesh"]["fsdp"] == 1 and config["evaluation"]["low_temperature"] is None
    assert config["lean"]["cache"] == "verdicts.jsonl" and config["stages"] == ("fd",)
    assert config["feedback"]["llm"]["options"] == {
        "max_tokens": 9,
        "top_p": 0.9,
        "extra_body": {"top_k": 5},
        "reasoning_effort": "low",
    }


@pytest.mark.parametrize(
    "command", [("fdjax.main",), ("fdjax.cli", "train"), ("fdjax.cli", "evaluate")]
)
def test_help_shows_an_example_and_the_flags_and_imports_no_jax(command):
    code = (
        "import runpy, sys\n"
        "try:\n    runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)\n"
        "finally:\n    assert 'jax' not in sys.modules"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *command, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    name = command[-1] if len(command) > 1 else "train"
    assert ended.stdout.startswith(f"usage: fdjax {name} --config=RECIPE --workdir=FOLDER")
    for flag in ("config", "workdir", "coordinator", "processes", "process", "profile"):
        assert f"\n  --{flag} " in ended.stdout
    assert "--config=configs/fd.py --workdir=runs/mine --config." in ended.stdout
    assert (main.__doc__.strip() in ended.stdout) == (name == "train")


# --- The end of a run ----------------------------------------------------------------------------


@pytest.fixture
def without_flags(monkeypatch):
    flags = SimpleNamespace(config=None, workdir=None, coordinator=None, profile=range(0))
    monkeypatch.setattr(main, "parse", lambda *_: flags)


def test_an_interrupted_run_says_that_it_goes_on(monkeypatch, capsys, without_flags):
    def run(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "run_experiment", run)
    with pytest.raises(SystemExit) as ended:
        cli.main(["train"])
    assert ended.value.code == 130
    assert capsys.readouterr().err == "stopped; the same command goes on from here\n"


@pytest.mark.parametrize("kind", [ConfigError, CorruptFile, BackendUnavailable])
def test_what_ends_a_run_is_reported_in_one_line(monkeypatch, without_flags, kind):
    def run(*_, **__):
        raise kind("the reason")

    monkeypatch.setattr(experiment, "run_experiment", run)
    with pytest.raises(SystemExit, match=r"^error: the reason$"):
        cli.main(["train"])


@pytest.mark.parametrize(("name", "train"), [("train", True), ("evaluate", False)])
def test_evaluate_does_not_train(monkeypatch, without_flags, name, train):
    calls = []
    monkeypatch.setattr(experiment, "run_experiment", lambda *_, **how: calls.append(how))
    assert cli.main([name]) == 0
    assert calls == [{"train": train, "profile": range(0)}]


def test_steps_to_trace(without_flags, capsys):
    assert main.read_profile("20:3") == range(20, 23) and not main.read_profile(None)
    flags = main.parse("fdjax evaluate", "", [])
    flags.profile = range(2, 3)
    with pytest.raises(SystemExit, match="2"):
        cli.main(["evaluate"])
    assert "--profile: an evaluation has no steps; fdjax train has" in capsys.readouterr().err
