"""The command `fdjax`: its help, its errors, and what it passes on."""

import subprocess
import sys
import types

import pytest

from fdjax import cli


def test_help_lists_the_commands(capsys):
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    for name, command in cli.COMMANDS.items():
        assert f"  {name} " in text and command.help in text
    assert cli.main([]) == 2
    assert text.rstrip() == capsys.readouterr().err.rstrip()


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_each_command_has_help(name, capsys):
    assert exit_code(name, "--help") == 0
    assert "usage: " in capsys.readouterr().out


def exit_code(*argv):
    try:
        return cli.main([*argv])
    except SystemExit as error:  # argparse's way to end
        return error.code or 0


@pytest.mark.parametrize("name", ["compare", "report", "config"])
def test_help_names_the_command_and_shows_an_example(name, capsys):
    assert exit_code(name, "--help") == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: fdjax {name} ") and f"\nexample:\n  fdjax {name} " in text


def test_an_unknown_command_is_answered_with_the_nearest(capsys):
    assert cli.main(["comapre", "runs/fd"]) == 2
    assert "no command comapre; did you mean compare?" in capsys.readouterr().err
    assert cli.main(["--config=configs/fd.py"]) == 2
    assert "did you mean" not in capsys.readouterr().err


@pytest.mark.parametrize(("returned", "code"), [(3, 3), (0, 0), (None, 0)])
def test_arguments_and_exit_codes_pass_through(monkeypatch, returned, code):
    received = []
    module = types.SimpleNamespace(main=lambda argv: received.append(argv) or returned)
    monkeypatch.setitem(sys.modules, "fdjax.lean.__main__", module)
    assert cli.main(["lean", "check", "file.jsonl"]) == code
    assert received == [["check", "file.jsonl"]]


def test_help_imports_no_jax():
    code = (
        "import sys; from fdjax import cli; cli.main(['--help']); assert 'jax' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
