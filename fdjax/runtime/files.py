"""Files that are readable after a crash at any moment: JSON lines, and files written at once.

Of the processes of one run only the first writes.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fdjax.runtime import hosts


class CorruptFile(ValueError):
    """A file does not hold what was written to it. The message names it and a remedy."""


def cache_folder() -> Path:
    """The user's cache: FDJAX_CACHE, else XDG_CACHE_HOME/fdjax, else ~/.cache/fdjax."""
    if chosen := os.environ.get("FDJAX_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "fdjax"


def digest(data: Any) -> str:
    """16 hexadecimal digits of the SHA-256 of `data` as JSON with sorted keys."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_atomically(path: str | os.PathLike, content: str | bytes) -> None:
    """Replaces the content at once: a reader finds the old or the new one, also after a crash."""
    if not hosts.is_first():
        return
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
    sync_folder(path.parent)


def append_line(path: str | os.PathLike, data: Mapping[str, Any]) -> None:
    """Appends a JSON line, in place of an incomplete one; returns when it is on disk.

    Several processes may append to the same file: each locks it meanwhile. The kernel releases the
    lock of a process that dies.
    """
    if not hosts.is_first():
        return
    path = Path(path)
    # surrogatepass: text that is no valid Unicode is read back as it was.
    line = json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
    new = not path.exists()
    with path.open("ab") as file:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(_end_of_lines(path))
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    if new:
        sync_folder(path.parent)


def read_object(path: str | os.PathLike, remedy: str = "") -> dict[str, Any]:
    """The JSON object in a file. Raises OSError, CorruptFile naming the file and the remedy."""
    return _object(Path(path).read_bytes(), f"{path}", remedy)


def read_lines(path: str | os.PathLike) -> list[dict[str, Any]]:
    """The complete lines of a JSON-lines file; none where there is no file.

    Raises CorruptFile naming the line that is no JSON object.
    """
    # Not splitlines(), which also splits at U+2028: JSON strings may hold it.
    lines = _whole_lines(Path(path)).split(b"\n")[:-1]
    remedy = "Correct the line, or remove it"
    return [_object(line, f"{path}:{i}", remedy) for i, line in enumerate(lines, start=1)]


def cut_back(path: str | os.PathLike, step: int) -> None:
    """Removes the lines whose "step" is `step` or later, and an incomplete one."""
    if Path(path).exists():
        kept = [line for line in read_lines(path) if line["step"] < step]
        write_atomically(path, "".join(json.dumps(k, ensure_ascii=False) + "\n" for k in kept))


def writable(folder: str | os.PathLike) -> bool:
    """Can files be created in `folder`, or the folder itself if it does not exist?"""
    folder = Path(folder)
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return existing.is_dir() and os.access(existing, os.W_OK)


def sync_folder(folder: str | os.PathLike) -> None:
    """Writes a folder's entries to disk, without which a new file does not survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _object(data: bytes, where: str, remedy: str) -> dict[str, Any]:
    remedy = remedy and f". {remedy}"
    try:
        read = json.loads(data.decode("utf-8", "surrogatepass"))
    except ValueError as error:
        raise CorruptFile(f"{where} is no JSON: {error}{remedy}") from error
    if not isinstance(read, dict):
        raise CorruptFile(f"{where} is no JSON object{remedy}")
    return read


def _end_of_lines(path: Path, block: int = 1 << 16) -> int:
    """Bytes up to the end of the last complete line, found from the end of the file."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            begin = max(0, end - block)
            file.seek(begin)
            found = file.read(end - begin).rfind(b"\n")
            if found >= 0:
                return begin + found + 1
            end = begin
    return 0


def _whole_lines(path: Path) -> bytes:
    data = path.read_bytes() if path.exists() else b""
    return data[: data.rfind(b"\n") + 1]
