"""How a field of the config is declared: default, meaning and limits in one place."""

import contextlib
import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any


class ConfigError(ValueError):
    """The config cannot run, or differs from the one that the workdir began with."""


@contextlib.contextmanager
def naming_field(field: str, *errors: type[Exception]) -> Iterator[None]:
    """Turns `errors`, and a ConfigError, into a ConfigError that names the field of the config."""
    try:
        yield
    except (ConfigError, *errors) as error:
        raise ConfigError(f"{field}: {error}") from error


config_class = dataclasses.dataclass(frozen=True, kw_only=True)


def setting(default: Any, meaning: str, **limits: Any) -> Any:
    """A field with a value.

    `limits`: `choices` (a tuple), `at_least`, `above`, `at_most`, `below`; of a tuple's items, if
    it is one. None is allowed where the type allows it.
    """
    metadata = {"meaning": meaning, "limits": limits}
    if isinstance(default, Mapping):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def block(kind: type, meaning: str, **changes: Any) -> Any:
    """A field that holds a config of its own, with `changes` to its defaults."""
    metadata = {"meaning": meaning, "limits": {}}
    return dataclasses.field(default_factory=lambda: kind(**changes), metadata=metadata)


def field_types(kind: type) -> dict[str, Any]:
    """Name -> type of the fields of a config class."""
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def without_none(kind: Any) -> tuple[Any, bool]:
    """(T, True) of `T | None`, (T, False) of T."""
    if isinstance(kind, types.UnionType):
        rest = [member for member in typing.get_args(kind) if member is not types.NoneType]
        return rest[0], True
    return kind, False


def convert(value: Any, kind: Any, path: str) -> Any:
    """`value` as the type of the field at `path`; raises ConfigError where it is none."""
    kind, optional = without_none(kind)
    if value is None and optional:
        return None
    if typing.get_origin(kind) is tuple and isinstance(value, list | tuple):
        return tuple(convert(item, typing.get_args(kind)[0], path) for item in value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    base = typing.get_origin(kind) or kind
    if not isinstance(value, base) or (base is int and isinstance(value, bool)):
        raise ConfigError(f"{path} is {value!r}, must be of type {base.__name__}")
    return value


def check_limits(value: Any, field: dataclasses.Field, path: str) -> None:
    """Raises ConfigError naming the field at `path` if `value` is outside of its limits."""
    items = value if isinstance(value, tuple) else (value,)
    if "at_least" in field.metadata["limits"] and value == ():
        raise ConfigError(f"{path} is (), must hold at least one number")
    for item in items:
        for limit, bound in field.metadata["limits"].items():
            if item is not None and not _HOLDS[limit](item, bound):
                bounds = ", ".join(bound) if limit == "choices" else bound
                raise ConfigError(f"{path} is {value!r}, must be {_WORDS[limit]} {bounds}")


_HOLDS = {
    "choices": lambda value, bound: value in bound,
    "at_least": lambda value, bound: value >= bound,
    "above": lambda value, bound: value > bound,
    "at_most": lambda value, bound: value <= bound,
    "below": lambda value, bound: value < bound,
}
_WORDS = {
    "choices": "one of",
    "at_least": "at least",
    "above": "above",
    "at_most": "at most",
    "below": "below",
}
