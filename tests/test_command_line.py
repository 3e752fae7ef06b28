"""A flag that cannot be ends the command in one line, long before JAX is there."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fdjax import main
from fdjax.lean.backend import BackendUnavailable
from fdjax.runtime.files import CorruptFile
from fdjax.training import experiment

ROOT = Path(__file__).parent.parent
CONFIG = "--config=tests/tiny_config.py"


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (
            (CONFIG, "--config.fd.alhpa=1"),
            "--config.fd.alhpa: there is no such field; did you mean fd.alpha?",
        ),
        (
            (CONFIG, "--noconfig.shuffle"),
            "--config.shuffle: there is no such field; did you mean feedback.shuffle?",
        ),
        (
            (CONFIG, "--config.fd.steps=x"),
            "flag --config.fd.steps=x: invalid literal for int() with base 10: 'x'",
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
            (
                CONFIG,
                "--config.stages=('sft',)",
                "--config.seed=1",
                "--config.seed=2",
                "--config.stages",
                "fd",
            ),
            "--config.stages is there 2 times: give all of its values at "
            "once, --config.stages='(...)'",
        ),
        (
            ("--config=configs/models/qwen3.py",),
            "--config=configs/models/qwen3.py: it is no recipe:"
            " it has no get_config(), as configs/fd.py has",
        ),
        (
            ("--config=Makefile",),
            "--config=Makefile: it is no recipe in Python: invalid syntax (Makefile, line 2)",
        ),
        ((CONFIG, "seed=1"), "unexpected arguments ['seed=1']; did you mean --config.x=y?"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(tmp_path, flags, told):
    command = [sys.executable, "-m", "fdjax.main", *flags, f"--workdir={tmp_path / 'w'}"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr, ended.stdout) == (2, f"error: {told}\n", "")
    assert not (tmp_path / "w").exists()


def test_an_interrupted_run_says_that_it_goes_on(monkeypatch, capsys):
    def run(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "run", run)
    without_flags(monkeypatch)
    with pytest.raises(SystemExit) as ended:
        main.main(["fdjax"])
    assert ended.value.code == 130
    assert capsys.readouterr().err == "stopped; the same command goes on from here\n"


@pytest.mark.parametrize("kind", [experiment.ConfigError, CorruptFile, BackendUnavailable])
def test_what_ends_a_run_is_told_in_one_line(monkeypatch, kind):
    def run(*_):
        raise kind("this")

    monkeypatch.setattr(experiment, "run", run)
    without_flags(monkeypatch)
    with pytest.raises(SystemExit, match=r"^error: this$"):
        main.main(["fdjax"])


def without_flags(monkeypatch):
    for flag in ("_CONFIG", "_WORKDIR", "_COORDINATOR", "_PROCESSES", "_PROCESS"):
        monkeypatch.setattr(main, flag, SimpleNamespace(value=None))
