"""Flags only: reads a config file and a workdir, and runs the experiment. Keep it short."""

from absl import app, flags, logging
from ml_collections import config_flags

from fdjax import command_line

_CONFIG = config_flags.DEFINE_config_file("config", None, "Recipe, e.g. configs/fd.py.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; the same one resumes it.")


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        command_line.refuse(f"unexpected arguments {argv[1:]}; did you mean --config.x=y?")
    logging.set_verbosity(logging.WARNING)  # Orbax tells a story of its own at every save
    from fdjax import experiment  # after the flags: --help need not wait for JAX
    from fdjax.lean.backend import Lost

    try:
        experiment.run(_CONFIG.value, _WORKDIR.value)
    except (experiment.ConfigError, Lost) as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    flags.mark_flags_as_required(["config", "workdir"])
    app.run(main, flags_parser=command_line.parse)
