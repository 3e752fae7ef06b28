"""What lies in a workdir is reused only if it came of the same things: records."""

import json
from pathlib import Path
from typing import Any

from fdjax.config import ConfigError
from fdjax.runtime.files import read_object, write_atomically


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """config.json of a new stage; raises ConfigError as `check_record` does."""
    check_record(folder, record)
    file = folder / "config.json"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(record, indent=1, ensure_ascii=False))


def check_record(folder: Path, record: dict[str, Any]) -> None:
    """Raises ConfigError if the folder holds a stage of another config, Damaged."""
    file = folder / "config.json"
    remedy = f"Put back a copy, remove {folder} (the stage begins anew) or take another --workdir"
    old = read_object(file, remedy) if file.exists() else record
    if old.get("fingerprint") != record["fingerprint"]:
        named = [
            {folder.name if k == "stage" else k: v for k, v in r.items()} for r in (old, record)
        ]
        changes = "\n  ".join(differences(*named))
        raise ConfigError(
            f"{folder} holds a stage of another config:\n  {changes}\n"
            "Take another --workdir, or go back to the old values."
        )


def differences(old, new, path="") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [k for k in {**old, **new} if k != "fingerprint"]
        return [
            line
            for k in keys
            for line in differences(old.get(k), new.get(k), f"{path}.{k}" if path else k)
        ]
    return [] if old == new else [f"{path}: {old!r} there, {new!r} now"]
