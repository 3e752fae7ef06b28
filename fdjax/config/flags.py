"""`--config=RECIPE --config.fd.steps=50`: a recipe, and fields of its config set by flags."""

import ast
import dataclasses
import re
import runpy
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from fdjax.config.read import nearest
from fdjax.config.run import Config
from fdjax.config.settings import ConfigError, field_types, without_none
from fdjax.config.stages import STAGES
from fdjax.models.config import ModelConfig

Assignments = list[tuple[str, str]]  # path of a field, text of its value
_FLAG = re.compile(r"--?(no)?config(?:\.([^=]+))?(?:=(.*))?", re.S)
_WORDS = {"true": True, "1": True, "false": False, "0": False}


def split_flags(argv: Sequence[str]) -> tuple[str | None, Assignments, list[str]]:
    """(the recipe of --config, the fields of --config.FIELD, all other arguments).

    A value may follow behind a space, too; `--config.FIELD` alone and `--noconfig.FIELD` are
    true and false.
    """
    recipe, assignments, rest = None, [], []
    arguments = list(argv)
    while arguments:
        argument = arguments.pop(0)
        match = _FLAG.fullmatch(argument)
        if not match:
            rest.append(argument)
            continue
        negated, path, value = match.groups()
        if value is None and negated:
            value = "false"
        elif value is None and arguments and not arguments[0].startswith("--"):
            value = arguments.pop(0)
        if path is None:
            recipe = value
        else:
            assignments.append((path, "true" if value is None else value))
    return recipe, assignments, rest


def load(recipe: str, assignments: Assignments) -> ConfigDict:
    """The recipe's config with the fields set, the last value of each. Raises ConfigError naming
    the flag.
    """
    config = read_recipe(recipe)
    for path, text in assignments:
        kind = _field_type(config, path)
        *blocks, name = path.split(".")
        block = config
        for part in blocks:
            block = block[part]
        with block.unlocked(), block.ignore_type():
            block[name] = _parse(text, kind, path)
    return config


def read_recipe(recipe: str) -> ConfigDict:
    """What the recipe's `get_config` returns; `recipe` may end in `:ARGUMENT`. Raises ConfigError
    where there is no such file or function.
    """
    name, *arguments = recipe.split(":", 1)
    file = Path(name).expanduser()
    if not file.is_file():
        near = nearest(name, [str(other) for other in file.parent.glob("*.py")])
        raise ConfigError(f"--config={recipe}: there is no such file{near}")
    try:
        namespace = runpy.run_path(str(file))
    except SyntaxError as error:
        raise ConfigError(f"--config={recipe}: no recipe in Python: {error}") from None
    if "get_config" not in namespace:
        raise ConfigError(f"--config={recipe}: no recipe: it has no get_config(), as configs/fd.py")
    return namespace["get_config"](*arguments)


def _field_type(config: ConfigDict, path: str) -> Any:
    """The type of the field at `path`; object where any value is possible."""
    kind: Any = Config
    for part in path.split("."):
        kind = _member_type(kind, part, config)
        if kind is None:
            near = nearest(path, _paths(config))
            raise ConfigError(f"--config.{path}: there is no such field{near}")
    if dataclasses.is_dataclass(kind):
        raise ConfigError(f"--config.{path}: it holds fields; set one of them")
    return kind


def _member_type(kind: Any, name: str, config: ConfigDict) -> Any:
    """The type of the member `name` of a config class; None where it has none."""
    if kind is Config and name == "model":
        return ModelConfig
    if kind is Config and name not in field_types(Config):
        stage = config.get(name)
        return STAGES.get(stage.get("objective")) if isinstance(stage, ConfigDict) else None
    if typing.get_origin(kind) is Mapping:  # options of a request, with any names
        return object
    return field_types(kind).get(name) if dataclasses.is_dataclass(kind) else None


def _paths(config: ConfigDict, before: str = "") -> Iterator[str]:
    for name, value in config.items():
        yield before + name
        if isinstance(value, ConfigDict):
            yield from _paths(value, f"{before}{name}.")


def _parse(text: str, kind: Any, path: str) -> Any:
    """The value of the field in a flag's text. Raises ConfigError naming the flag."""
    base, optional = without_none(kind)
    if text == "None" and optional:
        return None
    try:
        if base is bool:
            return _WORDS[text.lower()]
        if base in (str, int, float):
            return base(text)
        value = _literal(text)
        if typing.get_origin(base) is tuple:
            items = text.split(",") if isinstance(value, str) else value
            value = tuple(items) if isinstance(items, list | tuple) else (items,)
        return value
    except (KeyError, ValueError):
        raise ConfigError(f"--config.{path}={text}: must be of type {base.__name__}") from None


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
