"""Runs a recipe in a folder. Any field of its config (docs/config.md) can be set by a flag.

    python -m fdjax.main --config=configs/fd.py --workdir=runs/mine --config.fd.steps=50

The same command goes on where a run was stopped. `--config.fd.is_clip=None` switches a field off.
"""

import argparse
import inspect
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from absl import logging

from fdjax.config import ConfigError
from fdjax.config.flags import load, split_flags
from fdjax.runtime.startup import keep_compiled_programs, keep_freed_memory


def main_train(argv: Sequence[str]) -> int:
    """`fdjax train` and `python -m fdjax.main`; `argv` holds the flags alone."""
    return _start("fdjax train", argv, __doc__, train=True)


def main_evaluate(argv: Sequence[str]) -> int:
    """Evaluates the stages of a finished run, without training. Figures that are there are kept.

    fdjax evaluate --config=configs/fd.py --workdir=runs/mine --config.evaluation.train_samples=256
    """
    return _start("fdjax evaluate", argv, inspect.getdoc(main_evaluate), train=False)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        refuse(message)


def parse(program: str, text: str, argv: Sequence[str]) -> argparse.Namespace:
    """The flags; `config` is the ConfigDict. Ends the program with code 2 and one line where a flag
    is unknown or cannot have its value.
    """
    parser = _Parser(
        program,
        usage=f"{program} --config=RECIPE --workdir=FOLDER [--config.FIELD=VALUE ...]",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--config", metavar="RECIPE", help="e.g. configs/fd.py")
    parser.add_argument("--workdir", metavar="FOLDER", help="of the run; the same one resumes it")
    parser.add_argument(
        "--coordinator",
        metavar="HOST:PORT",
        help="on several hosts, where all run this command with a workdir that they share: the "
        "first one's address, or auto (a TPU pod, SLURM)",
    )
    parser.add_argument("--processes", type=int, help="how many there are, unless auto")
    parser.add_argument("--process", type=int, help="which one this is, from 0, unless auto")
    parser.add_argument(
        "--profile",
        metavar="STEP:COUNT",
        help="writes a trace of COUNT steps of each stage, from STEP on (the first is 0), to "
        "WORKDIR/profile",
    )
    recipe, assignments, rest = split_flags(argv)
    flags = parser.parse_args(rest)
    if recipe is None or flags.workdir is None:
        refuse("--config=RECIPE and --workdir=FOLDER are needed")
    if flags.coordinator not in (None, "auto") and None in (flags.processes, flags.process):
        refuse("--coordinator=HOST:PORT takes --processes and --process, too")
    if flags.coordinator is None and (flags.processes, flags.process) != (None, None):
        refuse("--processes and --process take --coordinator=HOST:PORT, too")
    flags.profile = read_profile(flags.profile)
    try:
        flags.config = load(recipe, assignments)
    except ConfigError as error:
        refuse(str(error))
    return flags


def read_profile(text: str | None) -> range:
    """The steps of "STEP:COUNT"; none of None."""
    if text is None:
        return range(0)
    found = re.fullmatch(r"(\d+):([1-9]\d*)", text)
    if not found:
        refuse(f"--profile={text}: write STEP:COUNT, such as 20:3: steps 20, 21 and 22")
    first, count = map(int, found.groups())
    return range(first, first + count)


def refuse(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def _start(program: str, argv: Sequence[str], text: str, *, train: bool) -> int:
    flags = parse(program, text, argv)
    if flags.profile and not train:
        refuse("--profile: an evaluation has no steps; fdjax train has")
    logging.set_verbosity(logging.WARNING)  # Orbax logs several lines at every save
    try:
        _run(flags, train)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        raise SystemExit(130) from None
    return 0


def _run(flags: argparse.Namespace, train: bool) -> None:
    keep_freed_memory()
    keep_compiled_programs()
    from fdjax.lean.backend import BackendUnavailable  # after the flags: --help without JAX
    from fdjax.runtime.files import CorruptFile
    from fdjax.training import experiment

    if flags.coordinator:
        _join(flags)
    try:
        experiment.run_experiment(flags.config, flags.workdir, train=train, profile=flags.profile)
    except (ConfigError, CorruptFile, BackendUnavailable) as error:
        raise SystemExit(f"error: {error}") from None


def _join(flags: argparse.Namespace) -> None:
    from fdjax.runtime import hosts
    from fdjax.runtime.metrics import console

    auto = flags.coordinator == "auto"
    address = ("", None, None) if auto else (flags.coordinator, flags.processes, flags.process)
    try:
        hosts.join(*address)
    except (ValueError, RuntimeError) as error:
        message = f"error: --coordinator={flags.coordinator}: {error}"
        if auto:
            message += (
                " Where JAX finds no TPU pod and no SLURM it takes --coordinator=HOST:PORT"
                " --processes=N --process=I (docs/pods.md)"
            )
        raise SystemExit(message) from None
    console.quiet = not hosts.is_first()


if __name__ == "__main__":
    sys.exit(main_train(sys.argv[1:]))
