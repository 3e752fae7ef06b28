"""The command `fdjax`: each subcommand calls the `main` of the module that does the work."""

import difflib
import importlib
import sys
from typing import NamedTuple

USAGE = """usage: fdjax COMMAND [ARGUMENTS]

{commands}

`fdjax COMMAND --help` shows the arguments of a command.

example:
  fdjax train --config=configs/fd.py --workdir=runs/fd
"""


class Command(NamedTuple):
    module: str  # imported only when the command runs: JAX takes seconds to import
    function: str  # (argv: list[str]) -> exit code or None
    help: str


COMMANDS = {
    "train": Command("fdjax.main", "main_train", "run the stages of a recipe, or resume them"),
    "evaluate": Command("fdjax.main", "main_evaluate", "pass@k of a model, without training"),
    "plan": Command(
        "fdjax.training.planning.command", "main", "memory, time and price on a slice to come"
    ),
    "compare": Command("fdjax.reporting.compare", "main", "tables and curves of several runs"),
    "report": Command("fdjax.reporting.report", "main", "the report of a run, finished or not"),
    "convert": Command(
        "fdjax.models.hf.convert", "main", "checkpoints from and to Hugging Face's layout"
    ),
    "config": Command("fdjax.config.describe", "main", "every field of a config, and its meaning"),
    "data": Command("fdjax.data.__main__", "main", "clean files of published theorems"),
    "lean": Command(
        "fdjax.lean.__main__",
        "main",
        "check proofs, find declarations; bench and doctor of a backend",
    ),
}


def main(argv: list[str] | None = None) -> int:
    """The exit code of the command; 2 where there is no such command."""
    name, *arguments = (sys.argv[1:] if argv is None else argv) or [""]
    if name in ("-h", "--help"):
        print(usage(), end="")
        return 0
    if name not in COMMANDS:
        print(f"error: {unknown(name)}" if name else usage(), file=sys.stderr)
        return 2
    command = COMMANDS[name]
    function = getattr(importlib.import_module(command.module), command.function)
    try:
        return function(arguments) or 0
    except KeyboardInterrupt:
        return 130


def usage() -> str:
    width = max(map(len, COMMANDS))
    lines = (f"  {name:{width}}  {command.help}" for name, command in COMMANDS.items())
    return USAGE.format(commands="\n".join(lines))


def unknown(name: str) -> str:
    nearest = difflib.get_close_matches(name, COMMANDS, n=1)
    suggestion = f"did you mean {nearest[0]}? " if nearest else ""
    return f"there is no command {name}; {suggestion}`fdjax --help` lists them"


if __name__ == "__main__":
    sys.exit(main())
