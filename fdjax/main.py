"""Runs a recipe in a folder. Any field of its config (docs/config.md) can be set by a flag.

    python -m fdjax.main --config=configs/fd.py --workdir=runs/mine --config.fd.steps=50

The same command goes on where a run was stopped. `--config.fd.is_clip=None` switches a field off.
"""

import ast
import collections
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from fdjax.config import ConfigError, nearest
from fdjax.config.describe import read_recipe

_ARGV: list[str] = []  # what ml_collections reads fields from; `parse` fills it
_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Recipe, e.g. configs/fd.py.", sys_argv=_ARGV
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; the same one resumes it.")
_COORDINATOR = flags.DEFINE_string(
    "coordinator",
    None,
    "On several hosts, where all run this same command with a workdir that they share: HOST:PORT "
    "of the first, or auto (a TPU pod, SLURM).",
)
_PROCESSES = flags.DEFINE_integer("processes", None, "How many there are, unless auto.", 2)
_PROCESS = flags.DEFINE_integer("process", None, "Which one this is, from 0, unless auto.", 0)


def main_train(argv: Sequence[str]) -> int:
    """`fdjax train` and `python -m fdjax.main`; `argv` holds the flags alone."""
    return _start("fdjax train", argv, __doc__, train=True)


def main_evaluate(argv: Sequence[str]) -> int:
    """Evaluates the stages of a finished run, without training. Figures that are there are kept.

    fdjax evaluate --config=configs/fd.py --workdir=runs/mine --config.evaluation.train_samples=256
    """
    return _start("fdjax evaluate", argv, inspect.getdoc(main_evaluate), train=False)


def _start(program: str, argv: Sequence[str], text: str, *, train: bool) -> int:
    def main(rest: list[str]) -> None:
        if len(rest) > 1:
            refuse(f"unexpected arguments {rest[1:]}; did you mean --config.x=y?")
        logging.set_verbosity(logging.WARNING)  # Orbax logs several lines at every save
        try:
            _run(train)
        except KeyboardInterrupt:
            print("stopped; the same command goes on from here", file=sys.stderr)
            raise SystemExit(130) from None

    if {"-h", "--help"} & set(argv):  # absl's own would describe fdjax/cli.py
        print(f"usage: {program} --config=FILE --workdir=FOLDER [--config.FIELD=VALUE ...]\n")
        print(f"{text}\n{flags.FLAGS.module_help(sys.modules[__name__])}")
        return 0
    flags.mark_flags_as_required(["config", "workdir"])
    app.run(main, argv=[program, *argv], flags_parser=parse)
    return 0


def _run(train: bool) -> None:
    from fdjax.lean.backend import BackendUnavailable  # after the flags: --help without JAX
    from fdjax.runtime.files import CorruptFile
    from fdjax.training import experiment

    if _COORDINATOR.value:
        _join(_COORDINATOR.value)
    elif (_PROCESSES.value, _PROCESS.value) != (None, None):
        refuse("--processes and --process take --coordinator=HOST:PORT, too")
    try:
        experiment.run_experiment(_CONFIG.value, _WORKDIR.value, train=train)
    except (ConfigError, CorruptFile, BackendUnavailable) as error:
        raise SystemExit(f"error: {error}") from None


def _join(coordinator: str) -> None:
    from fdjax.runtime import hosts
    from fdjax.runtime.metrics import console

    address = ("", None, None)
    if coordinator != "auto":
        if None in (_PROCESSES.value, _PROCESS.value):
            refuse("--coordinator=HOST:PORT takes --processes and --process, too")
        address = (coordinator, _PROCESSES.value, _PROCESS.value)
    try:
        hosts.join(*address)
    except (ValueError, RuntimeError) as error:
        message = f"error: --coordinator={coordinator}: {error}"
        if coordinator == "auto":
            message += (
                " Where JAX finds no TPU pod and no SLURM it takes --coordinator=HOST:PORT"
                " --processes=N --process=I (docs/pods.md)"
            )
        raise SystemExit(message) from None
    console.quiet = not hosts.is_first()


# --- Flags ---------------------------------------------------------------------------------------

_FIELD = re.compile(r"--?(?:no)?config\.([^=\[]+)")
_ASSIGNMENT = re.compile(r"--?config\.([\w.]+)=(.*)", re.S)
_OPTION = re.compile(r"feedback\.llm\.options\.\w+")  # of a mapping that takes any key


def parse(argv: Sequence[str]) -> list[str]:
    """The arguments that are no flags, for `absl.app.run`.

    Ends the program with code 2 and one line where a flag is unknown or cannot have the value, and
    where a flag of several values is there twice, whose values ml_collections would add up.
    """
    recipe = _recipe(argv)
    path = Path(recipe.split(":")[0]).expanduser()
    if recipe and not path.is_file():
        near = nearest(str(path), [str(file) for file in path.parent.glob("*.py")])
        refuse(f"--config={recipe}: there is no such file{near}")
    argv, assignments = _take_assignments(argv)
    _ARGV[:] = argv
    try:
        rest = flags.FLAGS(argv)
    except flags.Error as error:
        refuse(str(error))
    except SyntaxError as error:
        refuse(f"--config={recipe}: no recipe in Python: {error}")
    except (AttributeError, KeyError):  # of ml_collections, which does not name the flag
        _refuse_unknown([match[1] for match in map(_FIELD.match, argv) if match], recipe)
        raise
    times = collections.Counter(match[1] for match in map(_FIELD.match, argv) if match)
    for name, count in times.items():
        if count > 1 and isinstance(flags.FLAGS[f"config.{name}"], flags.MultiFlag):
            refuse(
                f"--config.{name} is there {count} times: give all of its values at once, "
                f"--config.{name}='(...)'"
            )
    if assignments:
        _refuse_unknown([name for name in assignments if not _OPTION.fullmatch(name)], recipe)
    for name, value in assignments.items():
        _assign(_CONFIG.value, name, value)
    return rest


def refuse(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def _take_assignments(argv: Sequence[str]) -> tuple[list[str], dict[str, object]]:
    """`argv` without the flags that ml_collections cannot take, and what these set: None, and
    keys that the default mapping does not have.
    """
    rest, assignments = [], {}
    for arg in argv:
        match = _ASSIGNMENT.fullmatch(arg)
        if match and match[2] == "None":
            assignments[match[1]] = None
        elif match and _OPTION.fullmatch(match[1]):
            assignments[match[1]] = _literal(match[2])
        else:
            rest.append(arg)
            if match:  # of several values of a field the last counts
                assignments.pop(match[1], None)
    return rest, assignments


def _literal(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _assign(config: ConfigDict, name: str, value: object) -> None:
    *blocks, field = name.split(".")
    for block in blocks:
        config = config[block]
    with config.unlocked():
        config[field] = value


def _refuse_unknown(names: Sequence[str], recipe: str) -> None:
    try:
        known = list(_fields(read_recipe(recipe)))
    except ConfigError as error:
        refuse(str(error))
    for name in names:
        if name not in known:
            refuse(f"--config.{name}: there is no such field{nearest(name, known)}")


def _recipe(argv: Sequence[str]) -> str:
    """The value of --config, or nothing."""
    for arg, following in zip(argv, [*argv[1:], ""]):
        if match := re.fullmatch(r"--?config(?:=(.*))?", arg):
            return following if match[1] is None else match[1]
    return ""


def _fields(block: ConfigDict, before: str = "") -> Iterator[str]:
    for name, value in block.items():
        yield before + name
        if isinstance(value, ConfigDict):
            yield from _fields(value, f"{before}{name}.")


if __name__ == "__main__":
    sys.exit(main_train(sys.argv[1:]))
