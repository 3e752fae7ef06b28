"""The recipes in configs/, for several test modules."""

from pathlib import Path

from ml_collections import ConfigDict

from fdjax.config.flags import read_recipe

ROOT = Path(__file__).parent.parent


def preset(name: str) -> ConfigDict:
    """The ConfigDict of configs/NAME.py."""
    return read_recipe(str(ROOT / "configs" / f"{name}.py"))
