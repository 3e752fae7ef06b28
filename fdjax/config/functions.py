"""Functions of a user's own, which a config names by `package.module:function`."""

import functools
import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fdjax.config.settings import ConfigError
from fdjax.runtime.files import digest


@functools.cache
def load_function(path: str, arguments: str) -> Callable[..., Any]:
    """The function at `path`, found where Python finds modules, or from the working folder.
    `arguments`: the names of what it is called with, such as "theorem, attempt, verdict".

    Raises ConfigError that names `path` and what is wrong with it.
    """
    module_name, _, name = path.partition(":")
    if not module_name or not name.isidentifier():
        raise ConfigError(f"{path!r} must be package.module:function")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # the module's own errors, too
        raise ConfigError(f"{path!r}: {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise ConfigError(f"{path!r}: module {module_name} has no function {name}")
    try:
        inspect.signature(function).bind(*arguments.split(", "))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{path!r} must take ({arguments}): {error}") from error
    return function


def source_digest(path: str, arguments: str) -> str:
    """Of the source file that the function stands in: what else it imports is not in it. Raises
    ConfigError as `load_function` does, and where there is no such file."""
    function = inspect.unwrap(load_function(path, arguments))
    try:
        source = inspect.getsourcefile(function)
    except TypeError:  # a builtin, or an object that can be called
        source = None
    if source is None:
        raise ConfigError(f"{path!r} must be a function that a file of Python defines")
    return digest(Path(source).read_text(encoding="utf-8"))
