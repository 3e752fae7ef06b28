"""Flags that cannot be are told in one line, with the nearest that can."""

import collections
import difflib
import re
import runpy
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict

_CONFIG = re.compile(r"--?config(?:=(.*))?")
_FIELD = re.compile(r"--?(?:no)?config\.([^=\[]+)")


def parse(argv: Sequence[str]) -> list[str]:
    """The arguments that are no flags, for `absl.app.run`. Ends the program with code 2 where a
    flag is unknown or has no such value, or where there is no such config; and where one of
    several values is there twice, which ml_collections would add up.
    """
    given = _config(argv)
    path = Path(given.split(":")[0])
    if given and not path.is_file():
        refuse(f"--config={given}: there is no such file{_nearest(str(path), _recipes(path))}")
    try:
        rest = flags.FLAGS(argv)
    except flags.Error as error:
        refuse(str(error))
    except SyntaxError as error:
        refuse(f"--config={given}: it is no recipe in Python: {error}")
    except (AttributeError, KeyError):  # of ml_collections, which does not name the flag
        known = list(_fields(_read(given)))
        for name in (match[1] for match in map(_FIELD.match, argv) if match):
            if name not in known:
                refuse(f"--config.{name}: there is no such field{_nearest(name, known)}")
        raise
    times = collections.Counter(match[1] for match in map(_FIELD.match, argv) if match)
    for name, count in times.items():
        if count > 1 and isinstance(flags.FLAGS[f"config.{name}"], flags.MultiFlag):
            refuse(
                f"--config.{name} is there {count} times: give all of its values at once, "
                f"--config.{name}='(...)'"
            )
    return rest


def refuse(told: str) -> None:
    print(f"error: {told}", file=sys.stderr)
    sys.exit(2)


def _config(argv: Sequence[str]) -> str:
    """The value of --config, or nothing."""
    for arg, following in zip(argv, [*argv[1:], ""]):
        if match := _CONFIG.fullmatch(arg):
            return following if match[1] is None else match[1]
    return ""


def _recipes(path: Path) -> list[str]:
    return [str(file) for file in path.parent.glob("*.py")]


def _read(given: str) -> ConfigDict:
    path, *arguments = given.split(":", 1)
    made = runpy.run_path(path)
    if "get_config" not in made:
        refuse(f"--config={given}: it is no recipe: it has no get_config(), as configs/fd.py has")
    return made["get_config"](*arguments)


def _fields(block: ConfigDict, before: str = "") -> Iterator[str]:
    for name, value in block.items():
        yield before + name
        if isinstance(value, ConfigDict):
            yield from _fields(value, f"{before}{name}.")


def _nearest(name: str, known: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {nearest[0]}?" if nearest else ""
