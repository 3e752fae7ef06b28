"""What a child in the sandbox cannot do: each of these is tried from within one."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fdjax.lean import sandbox

if sys.platform != "linux":
    pytest.skip("macOS offers no protection", allow_module_level=True)

needs = {
    name: pytest.mark.skipif(
        name in sandbox.unprotected(), reason=sandbox.unprotected().get(name, "")
    )
    for name in sandbox.PROTECTIONS
}


def run(script: str, readable=(), environment=None) -> subprocess.CompletedProcess:
    command = sandbox.command(
        0, 10, [sys.prefix, *readable], "run", sys.executable, "-S", "-c", script
    )
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(
            "import socket; socket.socket().connect(('127.0.0.1', PORT))", marks=needs["network"]
        ),
        pytest.param("import os; os.setuid(0)", marks=needs["user"]),
        pytest.param("import os, signal; os.kill(os.getppid(), 0)", marks=needs["user"]),
        pytest.param("open('/etc/hostname').read()", marks=needs["files"]),
        pytest.param("open(SECRET).read()", marks=needs["files"]),
        pytest.param("open('/proc/1/environ').read()", marks=needs["files"]),
        pytest.param("import os; os.listdir('/')", marks=needs["files"]),
        pytest.param("import os; os.mkdir(SECRET + '-folder')", marks=needs["files"]),
        pytest.param("import os; os.remove(SECRET)", marks=needs["files"]),
        pytest.param("with open(READABLE, 'a') as f: f.write('x')"),
    ],
)
def test_what_it_cannot_do(tmp_path, script):
    import socket

    secret, readable = tmp_path / "secret", tmp_path / "readable"
    secret.write_text("s-1")
    readable.write_text("r-1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        names = {"SECRET": str(secret), "READABLE": str(readable), "PORT": server.getsockname()[1]}
        script = "".join(f"{name} = {value!r}\n" for name, value in names.items()) + f"\n{script}"
        done = run(script, [str(readable)])
        outside = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1 and "Error" in done.stderr, done
    assert "s-1" not in done.stdout + done.stderr
    if "setuid" not in script and "/proc/1" not in script:
        assert outside.returncode == 0, outside.stderr  # only the sandbox refuses it


def test_it_can_read_what_it_needs(tmp_path):
    (tmp_path / "file").write_text("r-1")
    tmp_path.chmod(0o700)  # as root's home is
    done = run(f"print(open({str(tmp_path / 'file')!r}).read())", [str(tmp_path)])
    assert done.stdout == "r-1\n", done.stderr


root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to lose")
SHOW = 'while read -r line; do echo "$line"; done < '  # with nothing but the shell
OFFERED = [name for name in sandbox.PROTECTIONS if name not in sandbox.unprotected()]
ALL_BUT_FILES = [name for name in OFFERED if name != "files"]


def capabilities_of(protections: list[str], secret) -> tuple[int, set[int], str]:
    """User id, capabilities (as bits, of all four sets) and stderr of a child that tries to read
    `secret`."""
    command = sandbox.command_with(
        protections, 0, 10, [], "run", "/bin/sh", "-c", f"{SHOW}/proc/self/status; {SHOW}{secret}"
    )
    done = subprocess.run(command, capture_output=True, text=True)
    rows = dict(line.split(":", 1) for line in done.stdout.splitlines())
    assert "s-1" not in done.stdout
    held = {int(rows[f"Cap{each}"], 16) for each in ("Inh", "Prm", "Eff", "Amb")}
    return int(rows["Uid"].split()[0]), held, done.stderr


@root
@needs["user"]
def test_root_without_landlock_keeps_no_capability(tmp_path, monkeypatch):
    """Without Landlock a capability to read files would open all of them."""
    if not all(folder.stat().st_mode & 0o001 for folder in Path(sys.base_prefix).parents):
        if not (system := shutil.which("python3", path="/usr/bin")):
            pytest.skip("needs a Python that not only root can read")
        monkeypatch.setattr(sys, "executable", system)
    secret = tmp_path / "secret"
    secret.write_text("s-1")
    secret.chmod(0o600)
    user, capabilities, complaint = capabilities_of(ALL_BUT_FILES, secret)
    assert user == 65534 and capabilities == {0} and "ermission denied" in complaint


@root
def test_root_without_any_protection_keeps_no_capability(tmp_path):
    """Such as to read files of other users."""
    secret = tmp_path / "secret"
    secret.write_text("s-1")
    secret.chmod(0o600)
    os.chown(secret, 12345, 12345)
    user, capabilities, complaint = capabilities_of([], secret)
    assert user == 0 and capabilities == {0} and "ermission denied" in complaint


@root
@needs["files"]
@needs["user"]
def test_the_only_capability_is_to_read_allowed_files(tmp_path):
    (tmp_path / "secret").write_text("s-1")
    user, capabilities, complaint = capabilities_of(OFFERED, tmp_path / "secret")
    read, override = 1 << 2, 1 << 1
    assert user == 65534 and capabilities in ({read}, {override})
    assert "ermission denied" in complaint


@root
@needs["user"]
def test_root_stays_root_if_only_root_can_read_what_is_needed(tmp_path):
    tmp_path.chmod(0o700)
    (tmp_path / "lean").write_text("")
    command = sandbox.command_with(ALL_BUT_FILES, 0, 0, [str(tmp_path / "lean")], "try")
    report = subprocess.run(command, capture_output=True, text=True).stdout
    hidden = f"({sys.base_prefix}|{tmp_path}/lean)"
    assert re.fullmatch(f"user\tnobody but root can read {hidden}\n", report)


def test_limits():
    done = run(
        "import resource as r; print([r.getrlimit(x)[0] for x in (r.RLIMIT_CORE,"
        " r.RLIMIT_FSIZE, r.RLIMIT_CPU)])"
    )
    assert json.loads(done.stdout) == [0, 0, 10]


@needs["files"]
@needs["user"]
def test_the_sandbox_of_a_user_other_than_root():
    """A child that is nobody starts a sandbox of its own, by a user namespace instead of rights."""
    inner = sandbox.command_with(list(sandbox.PROTECTIONS), 0, 0, [sys.prefix], "try")
    script = f"import subprocess; print(subprocess.run({inner!r}, capture_output=True).stdout)"
    outer = sandbox.command_with(
        ["files", "user"], 0, 0, ["/"], "run", sys.executable, "-S", "-c", script
    )
    done = subprocess.run(outer, capture_output=True, text=True)
    assert "b''" in done.stdout or "ermitted" in done.stdout, (done.stdout, done.stderr)


def test_a_missing_protection_is_named_in_one_warning(monkeypatch):
    sandbox.unprotected.cache_clear()
    lacking = {"network": "Operation not permitted"}
    monkeypatch.setattr(
        sandbox,
        "command_with",
        lambda *_: [sys.executable, "-c", "print('network\\tOperation not permitted')"],
    )
    try:
        with pytest.warns(UserWarning, match="network of its own.*Operation not permitted"):
            assert sandbox.unprotected() == lacking
    finally:
        sandbox.unprotected.cache_clear()


def test_a_missing_program_is_reported():
    done = subprocess.run(
        sandbox.command(0, 0, [], "run", "/no/such/program"), capture_output=True, text=True
    )
    assert done.returncode == sandbox.NOT_LOADED and "No such file" in done.stderr
