"""`fdjax lean doctor`: does a backend work on this machine, and what is missing?"""

import importlib.metadata
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from fdjax.lean import sandbox
from fdjax.lean.backend import Backend
from fdjax.lean.backends.registry import BACKENDS, make_backend, option_names
from fdjax.lean.farm import Farm
from fdjax.lean.replay import ReplayBackend
from fdjax.types import Candidate, Theorem

START_SECONDS = 300.0  # for a proof of True, with everything that has to be imported first
TRUE = Theorem("doctor", "doctor", ": True")


SOUND = (4, 34)  # the oldest Lean without a known proof of False
_ADVICE = (
    "kernels before Lean 4.34 accept known proofs of False\n"
    "(github.com/leanprover/lean4, issues 14484 and 14576). Replay asks the same kernel: for final"
    "\nclaims take Lean 4.34.1 or later, or an independent checker besides."
)


class Finding(NamedTuple):
    name: str
    good: bool | None  # None: it works, and the user should know something
    message: str  # what was found; or what is missing, and the remedy on further lines


Probe = Callable[[], str]  # returns what it finds; raises an error that names what is missing


def main(name: str | None, options: Mapping[str, Any]) -> int:
    """Prints the findings. Returns 0 if the backend works; without a name, if one of them does."""
    if name is not None and name not in BACKENDS:
        print(f"unknown backend {name!r}: known are {', '.join(BACKENDS)}")
        return 2
    works = []
    for each in [name] if name else BACKENDS:
        print(each, flush=True)
        good = True
        for finding in examine(each, options if name else _fitting(each, options)):
            good &= finding.good is not False
            message = finding.message.replace("\n", "\n" + 26 * " ")
            mark = {True: "ok", None: "WARNING", False: "MISSING"}[finding.good]
            print(f"  {mark:8}{finding.name:15} {message}", flush=True)
        works.append(good)
    return 0 if any(works) else 1


def _fitting(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    known = option_names(name)
    return {option: value for option, value in options.items() if option in known}


def examine(name: str, options: Mapping[str, Any]) -> Iterator[Finding]:
    """A finding for each thing that the backend needs; if nothing is missing, also for a proof."""
    good = True
    for part, probe in _PROBES[name](options).items():
        finding = _try(part, probe)
        good &= finding.good
        yield finding
    if good:
        yield _try("proof of True", lambda: _prove(make_backend(name, options)))
        yield Finding("replay", True, _replay(name, options))
        yield kernel(_lean_of(name, options))


def _try(name: str, probe: Probe) -> Finding:
    try:
        return Finding(name, True, probe())
    except Exception as error:  # the user needs to see it, whatever it is
        return Finding(name, False, str(error) or type(error).__name__)


def _prove(backend: Backend) -> str:
    began = time.monotonic()
    with Farm(backend, workers=1, timeout=START_SECONDS) as farm:
        farm.require([TRUE])
        good, bad = farm.check(
            [(TRUE, Candidate(proof)) for proof in ("by trivial", "by exact absurd")]
        )
        if not good.proved or bad.status != "failed":
            raise RuntimeError(f"a proof gets the verdict {good}\nand a wrong one {bad}")
        seconds = time.monotonic() - began
        mathlib = "without" if backend.missing(("Mathlib",)) else "with"
    return f"in {seconds:.1f} s, and a wrong one fails; {mathlib} Mathlib"


def _replay(name: str, options: Mapping[str, Any]) -> str:
    """A backend works without replay, so that a failure is a message and no error."""
    began = time.monotonic()
    try:
        ReplayBackend(make_backend(name, options)).try_out(START_SECONDS)
    except Exception as error:
        return f"no, and only lean.replay needs it: {error}"
    return f"in {time.monotonic() - began:.1f} s a proof and what is none"


def kernel(version: str) -> Finding:
    """`version`: text that names a version of Lean."""
    found = re.search(r"(\d+)\.(\d+)", version)
    if not found:
        return Finding("kernel", None, f"the version of Lean is not known ({version}): {_ADVICE}")
    lean = int(found[1]), int(found[2])
    name = f"of Lean {found[1]}.{found[2]}"
    if lean >= SOUND:
        return Finding("kernel", True, f"{name}: no proof of False is known to us")
    return Finding("kernel", None, f"{name}: {_ADVICE}")


def _lean_of(name: str, options: Mapping[str, Any]) -> str:
    if name == "embedded":
        from fdjax.lean.backends.embedded import process

        return process.lean_version().removeprefix("Lean (version ")
    version = make_backend(name, options).version
    return version.rpartition("-")[0].rpartition(":")[2]


def _embedded(options: Mapping[str, Any]) -> dict[str, Probe]:
    from fdjax.lean.backends.embedded import prelude, process
    from fdjax.lean.backends.embedded.backend import EmbeddedBackend

    def wheel() -> str:
        process.shared_library()
        return f"{process.WHEEL} {importlib.metadata.version(process.WHEEL)}"

    return {
        "wheel": wheel,
        "Lean": process.lean_version,
        "library": lambda: str(prelude.ensure_prelude()),
        "sandbox": _sandbox,
        "memory": lambda: _memory(1024, options.get("memory_mb", EmbeddedBackend.memory_mb)),
    }


def _lean_interact(options: Mapping[str, Any]) -> dict[str, Probe]:
    from fdjax.lean.backends.lean_interact import toolchain

    lake, project = options.get("lake", "lake"), options.get("project", "")
    repl = options.get("repl", "")
    probes: dict[str, Probe] = {
        "package": lambda: f"lean-interact {toolchain.find_package()}",
        "lake": lambda: toolchain.find_lake(lake),
        "elan": lambda: shutil.which("elan") or "not found; only needed to install toolchains",
    }
    if repl:
        probes["REPL"] = lambda: toolchain.find_repl(repl)
    else:
        probes["git"] = toolchain.find_git
    if project:
        probes["project"] = lambda: f"{project}: {toolchain.find_project(project)}"
    else:
        probes["project"] = lambda: "none: Lean alone, without Mathlib (--project names one)"
    probes["sandbox"] = _sandbox
    memory_mb = options.get("memory_mb", 8192)
    probes["memory"] = lambda: _memory(memory_mb, memory_mb)
    return probes


def _sandbox() -> str:
    """A backend works without these, so that what is lacking is a message and no error."""
    lacking = sandbox.unprotected()
    return "\n".join(
        f"{title}: {lacking.get(name, 'yes')}" for name, title in sandbox.PROTECTIONS.items()
    )


def _memory(needed_mb: int, limit_mb: int) -> str:
    """`needed_mb`: what one Lean rarely exceeds; `limit_mb`: where it is stopped."""
    import psutil

    free = psutil.virtual_memory().available >> 20
    message = f"{free:,} MB are free, one Lean is stopped at {limit_mb:,}"
    if free < needed_mb:
        raise RuntimeError(f"{message}\nUse fewer workers, or a machine with more memory.")
    return message


def _kimina(options: Mapping[str, Any]) -> dict[str, Probe]:
    def server() -> str:
        backend = make_backend("kimina", options)
        return f"{backend.url}, Lean {backend.version}"

    return {"server": server}


_PROBES = {"embedded": _embedded, "lean_interact": _lean_interact, "kimina": _kimina}
