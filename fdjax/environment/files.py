"""Tools `write`, `edit` and `read`: the files of an episode's scratch space, in memory only."""

import re

from fdjax.environment.protocol import Call
from fdjax.environment.tools import Answer, File, Limits, Scene, Tool

# No folders: a name is a key, and no file of this machine has anything to do with it.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_FILE = {"type": "string", "description": "a name such as Main.lean"}


class NoFile(ValueError):
    """The message, for the model, says what is wrong with the name of a file."""


def file_tools(limits: Limits) -> tuple[Tool, Tool, Tool]:
    """The three tools."""

    def write(scene: Scene, call: Call) -> Answer:
        name, text = call.arguments["file"], call.arguments["text"]
        file = File(text, scene.turn, call.places.get("text"))
        return _saved(scene, name, file, limits)

    def edit(scene: Scene, call: Call) -> Answer:
        name, old, new = (call.arguments[key] for key in ("file", "old", "new"))
        try:
            text = find_file(scene, name).text
        except NoFile as reason:
            return Answer((str(reason),))
        count = text.count(old) if old else 0
        count += text.rfind(old) != text.find(old) and count == 1  # `aa` is twice in `aaa`
        if count != 1:
            found = f"`old` occurs {count} times" if old else "`old` is empty"
            remedy = "add what surrounds it" if count else "`read` shows the file"
            return Answer((f"{name} is unchanged: {found} in it; {remedy}",))
        return _saved(scene, name, File(text.replace(old, new), scene.turn), limits)

    def read(scene: Scene, call: Call) -> Answer:
        if "file" not in call.arguments:
            listed = (f"{name}: {len(f.text)} characters" for name, f in scene.files.items())
            return Answer(tuple(listed) or ("there are no files yet",))
        try:
            lines = find_file(scene, call.arguments["file"]).text.split("\n")
        except NoFile as reason:
            return Answer((str(reason),))
        first = max(call.arguments.get("first", 1), 1)
        last = min(call.arguments.get("last", len(lines)), len(lines))
        if first > last:
            return Answer((f"no such lines: the file has {len(lines)}",))
        return Answer(tuple(f"{n}: {lines[n - 1]}" for n in range(first, last + 1)))

    return (
        Tool(
            "write",
            "Create a file, or replace it.",
            {"file": _FILE, "text": {"type": "string", "description": "all of its text"}},
            write,
            required=("file", "text"),
            edits=True,
        ),
        Tool(
            "edit",
            "Replace a text that occurs exactly once in a file.",
            {
                "file": _FILE,
                "old": {"type": "string", "description": "the text to be replaced"},
                "new": {"type": "string", "description": "what to put there"},
            },
            edit,
            required=("file", "old", "new"),
            edits=True,
        ),
        Tool(
            "read",
            "Show a file with the numbers of its lines; without a name, list the files.",
            {
                "file": _FILE,
                "first": {"type": "integer", "description": "line to begin at, from 1"},
                "last": {"type": "integer", "description": "line to end at"},
            },
            read,
        ),
    )


def find_file(scene: Scene, name: str) -> File:
    """Raises NoFile."""
    if name in scene.files:
        return scene.files[name]
    known = ", ".join(scene.files) or "none yet"
    raise NoFile(f"there is no file {name[:64]!r}; files: {known}")


def _saved(scene: Scene, name: str, file: File, limits: Limits) -> Answer:
    if not _NAME.fullmatch(name):
        allowed = "up to 64 letters, digits, `_`, `-` and `.`, without folders"
        return Answer((f"{name[:64]!r} cannot be a file's name: it has {allowed}",))
    if len(file.text) > limits.file_chars:
        size = f"{len(file.text):,} characters, the limit is {limits.file_chars:,}"
        return Answer((f"{name} is unchanged: it would have {size}",))
    if name not in scene.files and len(scene.files) >= limits.files:
        return Answer((f"{name} is not written: there are {limits.files} files, the limit",))
    lines = file.text.count("\n") + 1
    return Answer((f"{name} has {lines} lines now",), files={**scene.files, name: file})
