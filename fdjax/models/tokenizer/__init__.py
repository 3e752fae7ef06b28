"""Text to token ids and back, and where in the text each token starts.

A folder holds a tokenizer: one trained here (`tokenizer.model`, a lossless sentencepiece model), or
a published one in Hugging Face's layout (`tokenizer.json` or `tokenizer.model`, beside
`tokenizer_config.json`).
"""

import os
from pathlib import Path

from fdjax.models.tokenizer.protocol import Tokenizer
from fdjax.models.tokenizer.published import PublishedTokenizer, read_files
from fdjax.models.tokenizer.trained import SentencePieceTokenizer, train

__all__ = ["PublishedTokenizer", "SentencePieceTokenizer", "Tokenizer", "holds", "load", "train"]


def holds(folder: str | os.PathLike) -> bool:
    """Whether there is a tokenizer in `folder`."""
    return any((Path(folder) / name).exists() for name in ("tokenizer.json", "tokenizer.model"))


def load(folder: str | os.PathLike) -> Tokenizer:
    """The tokenizer of a folder: what `save` wrote, or a published model's.

    Raises FileNotFoundError if there is none, ValueError naming what is wrong with it.
    """
    folder = Path(folder).expanduser()
    if not holds(folder):
        raise FileNotFoundError(f"{folder} holds neither tokenizer.json nor tokenizer.model")
    published = any((folder / f"tokenizer{end}").exists() for end in ("_config.json", ".json"))
    try:
        if published:
            tokenizer = PublishedTokenizer(read_files(folder))
        else:
            tokenizer = SentencePieceTokenizer((folder / "tokenizer.model").read_bytes())
        tokenizer.check()
    except ValueError as error:
        raise ValueError(f"the tokenizer in {folder}: {error}") from error
    return tokenizer
