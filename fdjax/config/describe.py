"""`fdjax config`: every field of a config with its value and its meaning."""

import argparse
import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

from fdjax.config.flags import load, split_flags
from fdjax.config.read import check_stages, default, parse
from fdjax.config.run import Config
from fdjax.config.settings import ConfigError
from fdjax.config.stages import STAGES

EXAMPLE = """example:
  fdjax config --config=configs/fd.py --config.fd.alpha=1     * marks what differs from the default
  fdjax config --markdown > docs/config.md
"""


class Row(NamedTuple):
    path: str  # "fd.optimizer.learning_rate"; ends in a dot where it is a block
    value: Any
    meaning: str


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="fdjax config",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", help="a recipe, e.g. configs/fd.py; without it the defaults")
    parser.add_argument("--markdown", action="store_true", help="the page docs/config.md")
    recipe, assignments, rest = split_flags(argv)
    args = parser.parse_args(rest)
    if args.markdown:
        print(markdown(), end="")
        return 0
    try:
        config = parse(load(recipe, assignments) if recipe else default())
    except ConfigError as error:
        parser.exit(2, f"error: {error}\n")
    defaults = {row.path: row.value for row in rows(Config())}
    for row in rows(config):
        if row.path.endswith("."):
            print(f"\n{row.path.rstrip('.')}: {row.meaning}")
        else:
            changed = "*" if defaults.get(row.path, row.value) != row.value else " "
            print(f"{changed} {row.path} = {row.value!r}    {row.meaning}")
    try:
        check_stages(config, config.stages)
    except ConfigError as error:
        parser.exit(2, f"error: {error}\n")
    return 0


def rows(config: Any, prefix: str = "") -> Iterator[Row]:
    """The fields of a config class in order; a block's row comes before the rows of its fields."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        path = prefix + field.name
        if field.name == "blocks":
            for name, stage in value.items():
                yield from _block(name, stage, _first_line(type(stage)))
        elif dataclasses.is_dataclass(value):
            yield from _block(path, value, field.metadata["meaning"])
        elif field.name != "objective":
            yield Row(path, value, field.metadata["meaning"])


def _block(path: str, value: Any, meaning: str) -> Iterator[Row]:
    yield Row(f"{path}.", None, meaning)
    yield from rows(value, f"{path}.")


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").split("\n")[0].rstrip(".")


def markdown() -> str:
    """docs/config.md: the fields that all stages share, then those of each kind of stage."""
    lines = [
        "# Every field of a config",
        "",
        "Made by `fdjax config --markdown`; a test keeps it so. `None` is off. Set a field with",
        "`--config.NAME=VALUE` (`--config.fd.is_clip=None`), or in a recipe (`configs/`).",
        "A stage is a block of the config that `stages` names: `sft`, `fd`, `grpo` and",
        "`expert_iteration` are there, and a recipe may add others",
        "(`config.both = as_config_dict(CombinedStage())`).",
    ]
    run = dataclasses.replace(Config(), blocks={})
    lines += ["", "## The run", *_table(rows(run))]
    for objective, kind in STAGES.items():
        lines += ["", f"## Stages with objective {objective}", "", _first_line(kind) + "."]
        # The parts of a combined stage are named as the objectives whose tables have their fields.
        lines += _table(row for row in rows(kind()) if not _is_of_part(row.path))
    return "\n".join(lines) + "\n"


def _is_of_part(path: str) -> bool:
    block, _, field = path.partition(".")
    return block in STAGES and field != ""


def _table(fields: Iterator[Row]) -> list[str]:
    lines = ["", "| field | default | meaning |", "|---|---|---|"]
    for path, value, meaning in fields:
        shown = "" if path.endswith(".") else f"`{value!r}`"
        lines.append(f"| `{path}` | {shown} | {meaning} |".replace("|q)", "\\|q)"))
    return lines
