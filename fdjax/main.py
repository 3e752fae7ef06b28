"""Runs a recipe in a folder. Any field of its config, fdjax/config.py, can be set by a flag.

    python -m fdjax.main --config=configs/fd.py --workdir=runs/mine --config.fd.steps=50

The same command goes on where a run was stopped.
"""

import sys

from absl import app, flags, logging
from ml_collections import config_flags

from fdjax import command_line

_CONFIG = config_flags.DEFINE_config_file("config", None, "Recipe, e.g. configs/fd.py.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; the same one resumes it.")
_COORDINATOR = flags.DEFINE_string(
    "coordinator",
    None,
    "On several hosts, where all run this same command with a workdir that "
    "they share: HOST:PORT of the first, or auto (a TPU pod, SLURM).",
)
_PROCESSES = flags.DEFINE_integer("processes", None, "How many there are, unless auto.", 2)
_PROCESS = flags.DEFINE_integer("process", None, "Which one this is, from 0, unless auto.", 0)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        command_line.refuse(f"unexpected arguments {argv[1:]}; did you mean --config.x=y?")
    logging.set_verbosity(logging.WARNING)  # Orbax tells a story of its own at every save
    try:
        run()
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        raise SystemExit(130) from None


def run() -> None:
    from fdjax.lean.backend import BackendUnavailable
    from fdjax.runtime.files import CorruptFile
    from fdjax.training import experiment  # after the flags: --help need not wait for JAX

    if _COORDINATOR.value:
        join(_COORDINATOR.value)
    elif (_PROCESSES.value, _PROCESS.value) != (None, None):
        command_line.refuse("--processes and --process take --coordinator=HOST:PORT, too")
    try:
        experiment.run(_CONFIG.value, _WORKDIR.value)
    except (experiment.ConfigError, CorruptFile, BackendUnavailable) as error:
        raise SystemExit(f"error: {error}") from None


def join(coordinator: str) -> None:
    from fdjax.runtime import hosts
    from fdjax.runtime.metrics import console

    given = ("", None, None)
    if coordinator != "auto":
        if None in (_PROCESSES.value, _PROCESS.value):
            command_line.refuse("--coordinator=HOST:PORT takes --processes and --process, too")
        given = (coordinator, _PROCESSES.value, _PROCESS.value)
    try:
        hosts.join(*given)
    except (ValueError, RuntimeError) as error:
        told = f"error: --coordinator={coordinator}: {error}"
        if coordinator == "auto":
            told += (
                " Where JAX finds no TPU pod and no SLURM it takes --coordinator=HOST:PORT"
                " --processes=N --process=I (docs/pods.md)"
            )
        raise SystemExit(told) from None
    console.quiet = not hosts.is_first()


if __name__ == "__main__":
    flags.mark_flags_as_required(["config", "workdir"])
    app.run(main, flags_parser=command_line.parse)
