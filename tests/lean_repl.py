"""A Lean toolchain for tests, over the embedded Lean. Its REPL has the real one's protocol, and
misbehaves where a candidate holds a comment such as `-- repl: hang`; its `lean` compiles modules,
which its `leanchecker` replays. `toolchain(folder)` puts them where lean-interact and Lake would.

As a program: `lean_repl.py repl IMPORT_SECONDS`, `lean_repl.py lean ARGS...` and `lean_repl.py
leanchecker MODULE`. It can import what MODULES holds, and gives them no meaning.
"""

import json
import os
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

MODULES = {"Init", "Mathlib", "Aesop", "Lean"}
SWALLOWED = "Swallowed"  # imports of it fail, and no message says so: the environment is empty
EVALUATED = {"1": "1", "Lean.versionString": '"4.35.0"', "Lean.githash": '"9f3ac1"'}
VERSION = "v4.35.0"
GROWN: list[bytearray] = []
LISTED: list = []
_HEAD = "prelude\nimport FdPrelude\n"


def toolchain(folder: Path, import_seconds: float = 0.0) -> dict[str, str]:
    """Options of the lean_interact backend: a built REPL, and a `lake` that only has `env`."""
    from fdjax.lean.backends.embedded import prelude

    repl, lake = folder / ".lake" / "build" / "bin" / "repl", folder / "lake"
    root = folder / "toolchain"
    _program(repl, "repl", str(import_seconds))
    _program(root / "bin" / "lean", "lean")
    _program(root / "bin" / "leanchecker", "leanchecker")
    (folder / "lean-toolchain").write_text(f"leanprover/lean4:{VERSION}\n")
    # what this program reads, in a variable of lake's
    reads = [
        sys.prefix,
        sys.base_prefix,
        Path(__file__).resolve().parents[1],
        prelude.ensure_prelude().parent,
    ]
    lake.write_text(
        textwrap.dedent(f"""\
        #!/bin/sh
        [ "$1" = env ] || exit 1
        shift
        LEAN_PATH=/lean LEAN_SYSROOT='{root}' LEAN_SRC_PATH='{":".join(map(str, reads))}' exec "$@"
        """)
    )
    lake.chmod(0o755)
    return {"repl": str(folder), "lake": str(lake)}


def _program(path: Path, *arguments: str) -> None:
    from fdjax.lean.backends.embedded import prelude

    program = [sys.executable, "-B", str(Path(__file__).resolve()), *arguments]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        textwrap.dedent(f"""\
        #!{sys.executable}
        import os, sys
        os.environ["PYTHONPATH"] = {str(Path(__file__).resolve().parents[1])!r}
        os.environ["FDJAX_CACHE"] = {str(prelude.cache_folder())!r}
        os.execv({program[0]!r}, {program!r} + sys.argv[1:])
        """)
    )
    path.chmod(0o755)


def project(folder: Path) -> str:
    """A Lake project that looks as if it had been built."""
    (folder / ".lake").mkdir(parents=True)
    (folder / "lakefile.toml").write_text('name = "prover"\n')
    (folder / "lean-toolchain").write_text(f"leanprover/lean4:{VERSION}\n")
    return str(folder)


def lean(text: str, timeout: float | None = None) -> list[dict]:
    """Messages of `lean --json`. Raises subprocess.TimeoutExpired after so many seconds."""
    from fdjax.lean.backends.embedded import prelude, process

    done = subprocess.run(
        process.lean_argv("--stdin", "--json", "-j1", "-DmaxErrors=0", "-DElab.async=false"),
        input=_HEAD + text,
        env=process.lean_environment(prelude.ensure_prelude()),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=timeout,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def header(command: str) -> tuple[str, list[dict]]:
    """(what follows the imports, errors)."""
    lines = command.split("\n")
    imports = [line.split()[1] for line in lines if line.startswith("import ")]
    if SWALLOWED in imports:
        return SWALLOWED, []
    unknown = [module for module in imports if module not in MODULES]
    rest = "\n".join(line for line in lines if not line.startswith("import "))
    errors = [message("error", f"unknown module prefix '{m}'", 1, 0) for m in unknown]
    return (SWALLOWED if errors else rest), errors


def message(severity: str, text: str, line: int, column: int) -> dict:
    return {
        "severity": severity,
        "pos": {"line": line, "column": column},
        "endPos": None,
        "data": text,
    }


def run(prefix: str, command: str, timeout: float | None = None) -> list[dict]:
    """Messages about `command` after `prefix`, as the REPL gives them."""
    if command.lstrip().startswith("#eval "):
        return [
            message("info", EVALUATED[line[6:]], number, 0)
            if line[6:] in EVALUATED
            else message("error", "not evaluated here", number, 0)
            for number, line in enumerate(command.split("\n"), 1)
            if line.startswith("#eval ")
        ]
    if listing := re.search(r"name\.hash\.toNat % (\d+) == (\d+)", command):
        text = declarations(*map(int, listing.groups()))
        return [message("info", f"declarations:\n{text}\n", 1, 0)]
    if prefix.startswith(SWALLOWED):
        return [
            message("error", f"unknown constant '{name}'", 1, 0)
            for name in re.findall(r"#print axioms (\S+)", command)
        ]
    before = (_HEAD + prefix).count("\n")
    messages = []
    for m in lean(prefix + command, timeout):
        if m["pos"]["line"] <= before:
            continue
        places = {
            end: m[end] and {"line": m[end]["line"] - before, "column": m[end]["column"]}
            for end in ("pos", "endPos")
        }
        severity = m["severity"].replace("information", "info")
        messages.append({"severity": severity, "data": m["data"], **places})
    return messages


def declarations(parts: int, part: int) -> str:
    """What the program that lists declarations says: those of the embedded library."""
    from fdjax.lean.backends.embedded import prelude
    from fdjax.lean.backends.embedded.declarations import library_declarations

    if not LISTED:
        LISTED.extend(library_declarations(prelude.ensure_prelude()))
    lines = (
        json.dumps([name, f"{name}.{{u}} {signature}", doc])
        for name, signature, doc in LISTED
        if len(name) % parts == part
    )
    return "\n".join(lines)


def misbehave(act: str, command: str) -> None:
    name = re.search(r"#print axioms (\S+)", command)
    lie = {"env": 7, "messages": [message("info", "'swap' does not depend on any axioms", 4, 0)]}
    match act:
        case "hang":
            time.sleep(1000)
        case "die":
            sys.exit(3)
        case "mute":
            os.close(1)
            time.sleep(1000)
        case "stderr":
            sys.stderr.write("x" * 1_000_000)
            return
        case "flood":
            for _ in range(1000):
                sys.stdout.write("x" * 100_000)
        case "memory":
            GROWN.append(bytearray(400 << 20))
            time.sleep(1000)
        case "grow":
            GROWN.append(bytearray(100 << 20))
            return
        case "garbage":
            send("{")
        case "list":
            send([1, 2])
        case "nothing":
            send({})
        case "silent":
            send({"env": 7})
        case "null":
            send({"env": 7, "messages": None})
        case "odd":
            send({"env": 7, "messages": [{"severity": "odd", "data": 3}, None]})
        case "lie":  # about a name without the nonce
            send(lie)
        case "echo":  # claims success, but not on the line of the `#print axioms`
            text = f"'{name[1]}' does not depend on any axioms"
            send({"env": 7, "messages": [message("info", text, 1, 0)]})
        case "twice":
            send(lie)
            send(lie)
        case "unknown":
            send({"message": "Unknown environment."})
        case "chatter":
            return
    raise Misbehaved


class Misbehaved(Exception):
    pass


def send(answer) -> None:
    sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n\n")
    sys.stdout.flush()


def answer(request: dict, environments: list[str]) -> dict:
    command = request["cmd"]
    if request.get("env") is None:
        command, errors = header(command)
        prefix = command if command == SWALLOWED else ""
        time.sleep(float(sys.argv[2]))
        messages = errors + ([] if prefix else run(prefix, command))
    elif request["env"] >= len(environments):
        return {"message": "Unknown environment."}
    else:
        if act := re.search(r"-- repl: (\w+)", command):
            misbehave(act[1], command)
        prefix = environments[request["env"]]
        messages = run(prefix, command)
    environments.append(f"{prefix}{command}\n")
    return {"env": len(environments) - 1} | ({"messages": messages} if messages else {})


def compile_module(arguments: list[str]) -> None:
    """As `lean --stdin ...`, with our library in place of all imports."""
    from fdjax.lean.backends.embedded import prelude, process

    text = sys.stdin.read()
    lines = ["" if line.startswith("import ") else line for line in text.split("\n")]
    lines[0] = "prelude import FdPrelude"
    done = subprocess.run(
        process.lean_argv(*arguments),
        input="\n".join(lines),
        text=True,
        env=process.lean_environment(prelude.ensure_prelude()),
    )
    sys.exit(done.returncode)


def replay(module: str) -> None:
    from fdjax.lean.backends.embedded import prelude, process, replay_child

    os.environ["LEAN_PATH"] += f":{prelude.ensure_prelude()}"
    os.execv(
        sys.executable, [sys.executable, replay_child.__file__, process.shared_library(), module]
    )


def repl() -> None:
    environments: list[str] = []
    lines: list[str] = []
    sys.stdin.reconfigure(encoding="utf-8")
    sys.stdout.reconfigure(encoding="utf-8")
    for line in sys.stdin:
        if line.strip():
            lines.append(line)
        elif lines:
            request, lines = json.loads("".join(lines)), []
            try:
                send(answer(request, environments))
            except Misbehaved:
                continue
            if "-- repl: chatter" in request["cmd"]:
                send({"env": 0})


if __name__ == "__main__":
    match sys.argv[1]:
        case "repl":
            repl()
        case "lean":
            compile_module(sys.argv[2:])
        case "leanchecker":
            replay(sys.argv[2])
