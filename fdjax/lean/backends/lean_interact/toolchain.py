"""Finds what the Lean REPL needs on this machine; errors name the command that installs it."""

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

from fdjax.lean.backend import BackendUnavailable
from fdjax.runtime.files import cache_folder

# Variables of `lake env` that a REPL inherits: no tokens and no settings of the user.
_FOLDERS = ("LEAN_PATH", "LEAN_SRC_PATH", "LEAN_SYSROOT", "LAKE_HOME")  # folders that it reads
_VARIABLES = (
    *(*_FOLDERS, "LEAN_GITHASH", "LAKE", "ELAN_HOME", "ELAN_TOOLCHAIN"),
    *("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
)
_ELAN = "curl https://elan.lean-lang.org/elan-init.sh -sSf | sh -s -- -y"
_NEW_PROJECT = "lake +v4.35.0 new prover math && cd prover && lake exe cache get && lake build"
_PRINT_ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)))"


def _unavailable(missing: str, remedy: str) -> BackendUnavailable:
    return BackendUnavailable(f"{missing}\n  {remedy}")


class Installation(NamedTuple):
    """All that starting a REPL takes."""

    program: str
    folder: str  # the working directory: the project's folder, or the REPL's
    environment: dict[str, str]
    readable: tuple[str, ...]  # files and folders that it reads
    version: str  # of Lean and of the project: changes with all that could change a verdict


def find_package() -> str:
    """The version of the package lean-interact."""
    if importlib.util.find_spec("lean_interact") is None:
        raise _unavailable(
            "the Python package lean-interact is not installed",
            "Install it with `pip install 'lean-interact>=0.11'`.",
        )
    return importlib.metadata.version("lean-interact")


def find_lake(lake: str) -> str:
    """The path of lake: as named, on PATH, or where elan puts it."""
    home = Path(os.environ.get("ELAN_HOME") or Path.home() / ".elan")
    path = shutil.which(lake) or shutil.which(lake, path=str(home / "bin"))
    if not path:
        raise _unavailable(
            f"`{lake}`, Lean's build tool, is not installed",
            f"Install elan, which brings it: `{_ELAN}` (or `install-lean -y`, which"
            " comes with lean-interact).",
        )
    return path


def find_git() -> str:
    if not (path := shutil.which("git")):
        raise _unavailable(
            "git is not installed; it fetches the Lean REPL",
            "Install it (`apt install git`), or name the folder of a built REPL in"
            " the option `repl`.",
        )
    return path


def find_project(project: str) -> str:
    """The name of the toolchain of a Lake project that has been built."""
    folder = Path(project).expanduser()
    make_one = f"Make one with Mathlib: `{_NEW_PROJECT}` (see docs/lean.md)."
    if not folder.is_dir():
        raise _unavailable(f"the Lake project {project} does not exist", make_one)
    lakefile = any((folder / name).is_file() for name in ("lakefile.lean", "lakefile.toml"))
    if not lakefile or not (folder / "lean-toolchain").is_file():
        needs = "it needs a lakefile and a lean-toolchain"
        raise _unavailable(f"{project} is no Lake project: {needs}", make_one)
    if not (folder / ".lake").is_dir():
        raise _unavailable(
            f"the Lake project {project} has not been built",
            f"Build it: `cd {project} && lake exe cache get && lake build`.",
        )
    return (folder / "lean-toolchain").read_text().strip()


def find_repl(repl: str) -> str:
    """The path of the program of a REPL that was built in the folder `repl`."""
    program = Path(repl).expanduser() / ".lake" / "build" / "bin" / "repl"
    if not os.access(program, os.X_OK):
        raise _unavailable(
            f"{repl} holds no built REPL: {program} is missing",
            "Leave the option `repl` empty, and one is built on first use; or build"
            " github.com/augustepoiroux/repl there with `lake build`, at the tag of"
            " the project's Lean version.",
        )
    return str(program)


def find_checker(installed: Installation, project: str, checker: str = "") -> tuple[str, str]:
    """Paths of the toolchain's `lean`, and of the program that replays a module compiled by it:
    `checker`, else the toolchain's leanchecker, else the lean4checker that the project requires."""
    root = Path(installed.environment.get("LEAN_SYSROOT", ""))
    lean = root / "bin" / "lean"
    if not os.access(lean, os.X_OK):
        raise _unavailable(
            f"kernel replay needs the toolchain's `lean`: {lean} is missing",
            "`lake env` names the toolchain in LEAN_SYSROOT: try it there.",
        )
    built = Path(project).expanduser() / ".lake/packages/lean4checker/.lake/build/bin/lean4checker"
    places = [Path(checker).expanduser()] if checker else [root / "bin" / "leanchecker", built]
    for place in places:
        if os.access(place, os.X_OK):
            return str(lean), str(place)
    raise _unavailable(
        f"nothing to replay proofs with: no {' and no '.join(map(str, places))}",
        "Lean has leanchecker since 2026. Before, build github.com/leanprover/"
        "lean4checker at the tag of that Lean, and name its program in the option"
        " `checker`.",
    )


def prepare(
    project: str, lean_version: str, repl: str, lake: str, readable: str = ""
) -> Installation:
    """Finds what a REPL needs, and builds the REPL if that has not been done (which takes minutes
    and the network). Raises BackendUnavailable, or ValueError for options that exclude each other.
    """
    if project and lean_version:
        raise ValueError(
            "the options project and lean_version exclude each other: a project's"
            " lean-toolchain names the Lean that it needs"
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
    folders = {
        config.working_dir,
        os.path.dirname(program),
        *map(os.path.expanduser, readable.split(os.pathsep)),
    }
    for name in _FOLDERS:
        folders.update(environment.get(name, "").split(os.pathsep))
    reads = tuple(sorted(folders - {""}))
    return Installation(program, config.working_dir, environment, reads, version)


def _configure(project: str, lean_version: str, repl: str, lake: str):
    """lean-interact's LeanREPLConfig, whose constructor fetches and builds the REPL."""
    from lean_interact import LeanREPLConfig, LocalProject

    folder = Path(project).expanduser()
    try:
        local = (
            LocalProject(directory=folder, lake_path=lake, auto_build=False) if project else None
        )
        return LeanREPLConfig(
            lean_version=lean_version or None,
            project=local,
            local_repl_path=Path(repl).expanduser() if repl else None,
            build_repl=not repl,
            cache_dir=cache_folder() / "lean_interact",
            lake_path=lake,
        )
    except Exception as error:  # of git, of lake, of the network
        raise _unavailable(
            f"lean-interact could not prepare the REPL: {type(error).__name__}: {error}",
            "The first use fetches and builds it, which needs the network; without one, build it"
            " elsewhere and name its folder in the option `repl`.",
        ) from error


def _lake_environment(lake: str, folder: str) -> dict[str, str]:
    """The variables that `lake env` sets (which takes seconds: it reads the whole project). Some
    versions of Lake give paths relative to the project; here they are absolute."""
    done = subprocess.run(
        [lake, "env", sys.executable, "-I", "-S", "-c", _PRINT_ENVIRONMENT],
        cwd=folder,
        text=True,
        errors="replace",
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    with contextlib.suppress(ValueError, AttributeError):
        variables = json.loads(done.stdout.strip().rsplit("\n", 1)[-1])
        inherited = {name: variables[name] for name in _VARIABLES if name in variables}
        for name in inherited.keys() & set(_FOLDERS):
            parts = filter(None, inherited[name].split(os.pathsep))
            inherited[name] = os.pathsep.join(os.path.join(folder, part) for part in parts)
        return inherited | {"LC_ALL": "C.UTF-8"}
    output = (done.stderr or done.stdout).strip()[-500:]
    raise _unavailable(
        f"`lake env` fails in {folder}: {output}", f"Try it there: `cd {folder} && lake env`."
    )


def _digest(program: str, project: str) -> str:
    """A digest of the REPL and of what a project's theorems can import: the revisions of its
    dependencies, and its own compiled modules."""
    digest = hashlib.sha256(f"{os.path.getsize(program)}".encode())
    if project:
        folder = Path(project).expanduser()
        for name in ("lean-toolchain", "lake-manifest.json"):
            digest.update(f"\0{name}\0{_read(folder / name)}".encode())
        built = folder / ".lake" / "build" / "lib"
        for module in sorted(built.rglob("*.olean")):
            hash_of_lake = _read(module.with_name(module.name + ".hash"))
            size = module.stat().st_size
            digest.update(f"\0{module.relative_to(built)}\0{size}\0{hash_of_lake}".encode())
    return digest.hexdigest()[:16]


def _read(file: Path) -> str:
    return file.read_text(errors="replace").strip() if file.is_file() else ""
