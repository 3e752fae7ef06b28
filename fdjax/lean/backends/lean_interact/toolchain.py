"""What the Lean REPL needs on this machine, found or missed with the command that installs it."""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from fdjax.runtime.files import cache_folder

# What a REPL inherits of the environment that `lake env` makes: no tokens, nothing of the user's.
_VARIABLES = (
    "LEAN_PATH",
    "LEAN_SRC_PATH",
    "LEAN_SYSROOT",
    "LEAN_GITHASH",
    "LAKE",
    "LAKE_HOME",
    "ELAN_HOME",
    "ELAN_TOOLCHAIN",
    "PATH",
    "HOME",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
)
_FOLDERS = ("LEAN_PATH", "LEAN_SRC_PATH", "LEAN_SYSROOT", "LAKE_HOME")  # of those, what it reads
_ELAN = "curl https://elan.lean-lang.org/elan-init.sh -sSf | sh -s -- -y"
_NEW_PROJECT = "lake +v4.24.0 new prover math && cd prover && lake exe cache get && lake build"
_PRINT_ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)))"


class Unavailable(RuntimeError):
    """Something that Lean needs is missing: what, and what to do about it."""

    def __init__(self, missing: str, remedy: str):
        super().__init__(f"{missing}\n  {remedy}")
        self.missing, self.remedy = missing, remedy


class Compiling(NamedTuple):
    """What kernel replay takes besides an Installation."""

    lean: str
    checker: str  # leanchecker or lean4checker


class Installation(NamedTuple):
    """All that starting a REPL takes."""

    program: str
    folder: str  # where it runs: the project's, or the REPL's own
    environment: dict[str, str]
    readable: tuple[str, ...]  # files and folders that it needs
    version: str  # of Lean and of the project: changes with whatever could change a verdict


def find_package() -> str:
    """The version of lean-interact."""
    if importlib.util.find_spec("lean_interact") is None:
        raise Unavailable(
            "the Python package lean-interact is not installed",
            "Install it with `pip install 'lean-interact>=0.11'`.",
        )
    return importlib.metadata.version("lean-interact")


def find_lake(lake: str) -> str:
    """The path of lake: as named, on PATH, or where elan puts it."""
    home = Path(os.environ.get("ELAN_HOME") or Path.home() / ".elan")
    found = shutil.which(lake) or shutil.which(lake, path=str(home / "bin"))
    if not found:
        raise Unavailable(
            f"`{lake}`, Lean's build tool, is not installed",
            f"Install elan, which brings it: `{_ELAN}` (or `install-lean -y`, which"
            " comes with lean-interact).",
        )
    return found


def find_git() -> str:
    if not (found := shutil.which("git")):
        raise Unavailable(
            "git is not installed; it fetches the Lean REPL",
            "Install it (`apt install git`), or name the folder of a built REPL in"
            " the option `repl`.",
        )
    return found


def find_project(project: str) -> str:
    """The toolchain of a Lake project that has been built."""
    folder = Path(project).expanduser()
    if not folder.is_dir():
        raise Unavailable(
            f"the Lake project {project} does not exist",
            f"Make one with Mathlib: `{_NEW_PROJECT}` (see docs/lean.md).",
        )
    lakefile = any((folder / name).is_file() for name in ("lakefile.lean", "lakefile.toml"))
    if not lakefile or not (folder / "lean-toolchain").is_file():
        raise Unavailable(
            f"{project} is no Lake project: it needs a lakefile and a lean-toolchain",
            f"Make one with Mathlib: `{_NEW_PROJECT}` (see docs/lean.md).",
        )
    if not (folder / ".lake").is_dir():
        raise Unavailable(
            f"the Lake project {project} has not been built",
            f"Build it: `cd {project} && lake exe cache get && lake build`.",
        )
    return (folder / "lean-toolchain").read_text().strip()


def find_repl(repl: str) -> str:
    """The program of a REPL that was built in the folder `repl`."""
    program = Path(repl).expanduser() / ".lake" / "build" / "bin" / "repl"
    if not os.access(program, os.X_OK):
        raise Unavailable(
            f"{repl} holds no built REPL: {program} is missing",
            "Leave the option `repl` empty, and one is built on first use; or build"
            " github.com/augustepoiroux/repl there with `lake build`, at the tag of"
            " the project's Lean version.",
        )
    return str(program)


def find_checker(installed: Installation, project: str, checker: str = "") -> Compiling:
    """The toolchain's `lean`, and what replays a module that it compiled: the program `checker`,
    else the toolchain's own, else the one that the project requires."""
    root = Path(installed.environment.get("LEAN_SYSROOT", ""))
    lean = root / "bin" / "lean"
    if not os.access(lean, os.X_OK):
        raise Unavailable(
            f"kernel replay needs the toolchain's `lean`: {lean} is missing",
            "`lake env` names the toolchain in LEAN_SYSROOT: try it there.",
        )
    built = Path(project).expanduser() / ".lake/packages/lean4checker/.lake/build/bin/lean4checker"
    places = [Path(checker).expanduser()] if checker else [root / "bin" / "leanchecker", built]
    for place in places:
        if os.access(place, os.X_OK):
            return Compiling(str(lean), str(place))
    raise Unavailable(
        f"nothing to replay proofs with: no {' and no '.join(map(str, places))}",
        "Lean has leanchecker since 2026. Before, build github.com/leanprover/"
        "lean4checker at the tag of that Lean, and name its program in the option"
        " `checker`.",
    )


def prepare(
    project: str, lean_version: str, repl: str, lake: str, readable: str = ""
) -> Installation:
    """Finds all of it, and builds the REPL where it has not been (minutes, and the network).

    Raises Unavailable, or ValueError for options that exclude each other.
    """
    if project and lean_version:
        raise ValueError(
            "the options project and lean_version exclude each other: a project's"
            " lean-toolchain says which Lean it needs"
        )
    find_package()
    lake = find_lake(lake)
    if project:
        find_project(project)
    if repl:
        find_repl(repl)
    else:
        find_git()
    config = _configure(project, lean_version, repl, lake)
    program = find_repl(config.cache_repl_dir)
    environment = _lake_environment(lake, config.working_dir)
    lean = config.lean_version or _read(Path(config.cache_repl_dir) / "lean-toolchain")
    version = f"{lean}-{_digest(program, project)}"
    folders = {config.working_dir, os.path.dirname(program), *readable.split(os.pathsep)}
    for name in _FOLDERS:
        folders.update(environment.get(name, "").split(os.pathsep))
    reads = tuple(sorted(folders - {""}))
    return Installation(program, config.working_dir, environment, reads, version)


def _configure(project: str, lean_version: str, repl: str, lake: str):
    from lean_interact import LeanREPLConfig, LocalProject

    try:
        return LeanREPLConfig(
            lean_version=lean_version or None,
            project=LocalProject(
                directory=Path(project).expanduser(), lake_path=lake, auto_build=False
            )
            if project
            else None,
            local_repl_path=Path(repl).expanduser() if repl else None,
            build_repl=not repl,
            cache_dir=cache_folder() / "lean_interact",
            lake_path=lake,
        )
    except Exception as error:  # of git, of lake, of the network: what it says is the reason
        raise Unavailable(
            f"lean-interact could not prepare the REPL: {type(error).__name__}: {error}",
            "The first use fetches and builds it, which needs the network; without one, build it"
            " elsewhere and name its folder in the option `repl`.",
        ) from error


def _lake_environment(lake: str, folder: str) -> dict[str, str]:
    """What `lake env` sets, asked once: it reads the whole project, and takes seconds for that.
    Some Lakes name folders as seen from the project's; here they do for whoever runs elsewhere."""
    asked = [lake, "env", sys.executable, "-I", "-S", "-c", _PRINT_ENVIRONMENT]
    done = subprocess.run(
        asked,
        cwd=folder,
        text=True,
        errors="replace",
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    with contextlib.suppress(ValueError, AttributeError):
        found = json.loads(done.stdout.strip().rsplit("\n", 1)[-1])
        kept = {name: found[name] for name in _VARIABLES if name in found}
        for name in kept.keys() & set(_FOLDERS):
            parts = filter(None, kept[name].split(os.pathsep))
            kept[name] = os.pathsep.join(os.path.join(folder, part) for part in parts)
        return kept | {"LC_ALL": "C.UTF-8"}
    said = (done.stderr or done.stdout).strip()[-500:]
    raise Unavailable(
        f"`lake env` fails in {folder}: {said}", f"Try it there: `cd {folder} && lake env`."
    )


def _digest(program: str, project: str) -> str:
    """Of the REPL and of what the project would import: its dependencies' revisions, its own
    modules as they were built."""
    found = hashlib.sha256(f"{os.path.getsize(program)}".encode())
    if project:
        folder = Path(project).expanduser()
        for name in ("lean-toolchain", "lake-manifest.json"):
            found.update(f"\0{name}\0{_read(folder / name)}".encode())
        built = folder / ".lake" / "build" / "lib"
        for module in sorted(built.rglob("*.olean")):
            own = _read(module.with_name(module.name + ".hash"))
            size = module.stat().st_size
            found.update(f"\0{module.relative_to(built)}\0{size}\0{own}".encode())
    return found.hexdigest()[:16]


def _read(file: Path) -> str:
    return file.read_text(errors="replace").strip() if file.is_file() else ""
