"""Whether a checkpoint on disk is what was written: the size and CRC-32 of each of its files.

Orbax notices most damage, in exceptions of many kinds that do not name the file. It does not
notice a changed value that still decodes, or damage in an array written without compression.
"""

import concurrent.futures
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

from fdjax.runtime import hosts
from fdjax.runtime.files import CorruptFile, read_object, write_atomically

FILE = "checksums.json"  # in a checkpoint's folder
_PARSED = ("params/_METADATA", "state/_METADATA", "meta/metadata", "metrics/metrics")
_BLOCK = 1 << 24  # bytes


def seal(checkpoint: Path) -> None:
    """Writes checksums.json: path -> [size, CRC-32] of the files of all items."""
    files = sorted(file for file in checkpoint.rglob("*/*") if file.is_file())
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        sums = pool.map(lambda file: [file.stat().st_size, _crc(file)], files)
    names = [str(file.relative_to(checkpoint)) for file in files]
    write_atomically(checkpoint / FILE, json.dumps(dict(zip(names, sums)), indent=0))


def damage(checkpoint: Path, item: str = "", *, contents: bool = True) -> str | None:
    """What is wrong, naming the file; None if nothing is.

    With `item` only its files are read; without `contents` only sizes are compared. To be called
    by all hosts: they share the work and get the same answer. Earlier versions wrote checkpoints
    without checksums.json; of these only the metadata are read.
    """
    found = hosts.allgather("checkpoint", lambda: next(_damages(checkpoint, item, contents), None))
    return next((text for text in found if text), None)


def check(checkpoint: Path, item: str = "") -> None:
    """Raises CorruptFile naming what `damage` finds."""
    if text := damage(checkpoint, item):
        raise CorruptFile(f"{text}. Put back a copy, or name another checkpoint")


def _damages(checkpoint: Path, item: str, contents: bool) -> Iterator[str]:
    listed, prefix = checkpoint / FILE, item and f"{item}/"
    try:
        if not listed.exists():
            for name in _PARSED:
                file = checkpoint / name
                if name.startswith(prefix) and (file.exists() or not name.startswith("metrics")):
                    read_object(file)
            return
        for number, (name, (size, crc)) in enumerate(read_object(listed).items()):
            file = checkpoint / name
            if not name.startswith(prefix) or not hosts.is_mine(number):
                continue
            if (there := file.stat().st_size) != size:
                yield f"{file} has {there:,} of {size:,} bytes"
            elif contents and _crc(file) != crc:
                yield f"{file} does not hold what was written (its CRC-32 differs)"
    except FileNotFoundError as error:
        yield f"{error.filename} is gone"
    except OSError as error:
        yield f"{error.filename} cannot be read ({error.strerror})"
    except (TypeError, ValueError) as error:
        yield str(error) if isinstance(error, CorruptFile) else f"{listed} is no list of checksums"


def _crc(file: Path) -> int:
    crc = 0
    with open(file, "rb") as data:
        while block := data.read(_BLOCK):
            crc = zlib.crc32(block, crc)
    return crc
