"""Environments and tools by name, as a config gives them."""

import collections
from collections.abc import Callable, Sequence

from fdjax.config import ConfigError, naming_field
from fdjax.config.functions import load_function, source_digest
from fdjax.environment.check import check_tool
from fdjax.environment.files import file_tools
from fdjax.environment.protocol import Environment, FindProof
from fdjax.environment.repair import Repair
from fdjax.environment.search import search_tool
from fdjax.environment.submit import submit_tool
from fdjax.environment.tools import DEFAULT_LIMITS, Limits, Tool
from fdjax.environment.tools_environment import ToolEnvironment
from fdjax.lean.farm import Farm
from fdjax.lean.search.declarations import open_index
from fdjax.runtime.files import digest

ENVIRONMENTS = ("repair", "tools")
TOOLS = ("check", "write", "edit", "read", "search", "submit")


def make_environment(
    name: str,
    farm: Farm,
    find_proof: FindProof,
    *,
    turns: int,
    answer_budget: int,
    measure: Callable[[str], int] = len,
    lean_seconds: float | None = None,
    tools: Sequence[str] = TOOLS,
    imports: tuple[str, ...] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> Environment:
    """The environment of this name; the arguments are those of Repair and ToolEnvironment, and of
    `make_tools`. Raises ConfigError, and for the tool `search` BackendUnavailable."""
    if name == "repair":
        return Repair(farm, find_proof, turns, answer_budget, measure)
    if name != "tools":
        raise ConfigError(f"environment.name is {name!r}, must be one of {', '.join(ENVIRONMENTS)}")
    made = make_tools(tools, farm, imports, limits)
    return ToolEnvironment(made, find_proof, turns, answer_budget, measure, lean_seconds, limits)


def make_tools(
    names: Sequence[str], farm: Farm, imports: tuple[str, ...] = (), limits: Limits = DEFAULT_LIMITS
) -> tuple[Tool, ...]:
    """The tools of these names: ours, or `package.module:function`, a function that is given the
    farm and returns a Tool. `imports`: of the theorems; `search` finds what they make available.
    Raises ConfigError for what is no tool, BackendUnavailable where there can be no index.
    """
    check_names(names)
    makers: dict[str, Callable[[], Tool]] = {
        "check": lambda: check_tool(farm),
        "search": lambda: search_tool(open_index(farm.backend, imports, print)),
        "submit": lambda: submit_tool(farm.allow_helpers),
        **{tool.name: lambda tool=tool: tool for tool in file_tools(limits)},
    }
    tools = [makers[name]() if name in makers else _imported(name, farm) for name in names]
    [(name, count)] = collections.Counter(tool.name for tool in tools).most_common(1)
    if count > 1:
        raise ConfigError(f"environment.tools has {count} tools of the name {name!r}")
    return tuple(tools)


def check_names(names: Sequence[str]) -> None:
    """Raises ConfigError for a name of no tool, without importing any."""
    for name in names:
        if ":" not in name and name not in TOOLS:
            known = f"{', '.join(TOOLS)}, or `package.module:function` for one of your own"
            raise ConfigError(f"environment.tools has {name!r}, known are {known}")
    if "submit" not in names:
        raise ConfigError("environment.tools must hold 'submit': it gives the proof that is judged")


def tools_digest(names: Sequence[str]) -> str | None:
    """Of the source files of the tools that are not ours; None without such. Raises ConfigError."""
    own = [source_digest(name, "farm") for name in names if ":" in name]
    return digest(own) if own else None


def _imported(path: str, farm: Farm) -> Tool:
    with naming_field("environment.tools"):
        tool = load_function(path, "farm")(farm)
    if not isinstance(tool, Tool):
        raise ConfigError(
            f"environment.tools has {path!r}, which returns {type(tool).__name__}, not a Tool"
        )
    if tool.edits and tool.uses_lean:
        raise ConfigError(
            f"environment.tools has {path!r} with edits and uses_lean: a tool with edits is run "
            "once more on resume, so it must not wait for Lean; it must have one of the two"
        )
    for name in {**tool.properties, **dict.fromkeys(tool.required)}:
        kind = tool.properties.get(name, {}).get("type")
        if kind not in ("string", "integer"):
            raise ConfigError(
                f"environment.tools has {path!r}, whose argument {name!r} has the type {kind!r}, "
                "must be string or integer"
            )
    return tool
