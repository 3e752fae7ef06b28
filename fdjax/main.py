"""Flags only: reads a config file and a workdir, and runs the experiment. Keep it short."""

from absl import app, flags, logging
from ml_collections import config_flags

from fdjax import command_line

_CONFIG = config_flags.DEFINE_config_file("config", None, "Recipe, e.g. configs/fd.py.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; the same one resumes it.")
_COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "On several hosts, where all run this same command with a workdir that "
    "they share: HOST:PORT of the first, or auto (a TPU pod, SLURM).",
)
_PROCESSES = flags.DEFINE_integer("processes", None, "How many there are, unless auto.", 2)
_PROCESS = flags.DEFINE_integer("process", None, "Which one this is, from 0, unless auto.", 0)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        command_line.refuse(f"unexpected arguments {argv[1:]}; did you mean --config.x=y?")
    logging.set_verbosity(logging.WARNING)  # Orbax tells a story of its own at every save
    from fdjax import experiment  # after the flags: --help need not wait for JAX
    from fdjax.files import Damaged
    from fdjax.lean.backend import Lost

    if _COORDINATOR.value:
        join(_COORDINATOR.value)
    elif (_PROCESSES.value, _PROCESS.value) != (None, None):
        command_line.refuse("--processes and --process take --coordinator=HOST:PORT, too")
    try:
        experiment.run(_CONFIG.value, _WORKDIR.value)
    except (experiment.ConfigError, Damaged, Lost) as error:
        raise SystemExit(f"error: {error}") from None


def join(coordinator: str) -> None:
    from fdjax import hosts
    from fdjax.metrics import console

    given = ("", None, None)
    if coordinator != "auto":
        if None in (_PROCESSES.value, _PROCESS.value):
            command_line.refuse("--coordinator=HOST:PORT takes --processes and --process, too")
        given = (coordinator, _PROCESSES.value, _PROCESS.value)
    try:
        hosts.join(*given)
    except (ValueError, RuntimeError) as error:
        raise SystemExit(f"error: --coordinator={coordinator}: {error}") from None
    console.quiet = not hosts.is_first()


if __name__ == "__main__":
    flags.mark_flags_as_required(["config", "workdir"])
    app.run(main, flags_parser=command_line.parse)
