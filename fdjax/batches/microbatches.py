"""A batch cut into microbatches of a few shapes: rows of about the same length together.

The gradient is that of the whole batch whatever its microbatches (training/step.py).
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

SHORTEST = 16  # response columns: a narrower microbatch saves little
PARTS = (3 / 4, 1 / 2, 3 / 8, 1 / 4, 3 / 16, 1 / 8)  # further widths, of the longest response
ROWS = sorted(odd << k for odd in (1, 3) for k in range(20))  # of a microbatch, on a shard
SAVING = 0.1  # the least share of a row's columns that the next width saves
MANY = 8  # columns: where the next width saves so many,
SAVING_OF_MANY = 0.05  # this share is enough
FEWEST = 1 / 8  # of a batch's rows, in a microbatch: fewer make shapes to compile, and save little


class Microbatch(NamedTuple):
    rows: np.ndarray  # i64[n]: which rows of the batch, in their order
    batch: Any  # as the batch; behind its first n rows others that are masked


def microbatches(
    batch: Any, *, tokens: int, shards: int, prompts: Sequence[int]
) -> list[Microbatch]:
    """The rows of a batch of host arrays, those with the longest responses first.

    A microbatch has at most `tokens` tokens, padding included, on each of the `shards` that its
    rows are spread over, but at least one row. Its rows on each shard are one of `ROWS`, its
    responses are cut to one of `response_widths`, and its prompts to one of the widths `prompts`.
    A batch of parts {name: batch} is cut into {name: microbatch} of each.
    """
    if isinstance(batch, dict):
        return [
            cut._replace(batch={name: cut.batch})
            for name, part in batch.items()
            for cut in microbatches(part, tokens=tokens, shards=shards, prompts=prompts)
        ]
    masks = attention_masks(batch)
    response = learned(batch).shape[1]
    columns = max(mask.shape[1] for mask in masks) - response
    prompts = [min(width, columns) for width in prompts]
    lengths_N = masks[0][:, -response:].sum(axis=1)
    prompts_N = np.max([mask[:, :-response].sum(axis=1) for mask in masks], axis=0)
    longest = least(prompts, prompts_N.max(initial=0))
    found = []
    for width, count, rows in plan(lengths_N, response, longest, tokens, shards):
        prompt = least(prompts, prompts_N[rows].max())
        found.append(Microbatch(rows, _cut(batch, response, rows, count, prompt, width)))
    return found


def plan(
    lengths_N: np.ndarray, response: int, prompt: int, tokens: int, shards: int
) -> list[tuple[int, int, np.ndarray]]:
    """(response columns, rows with padding, which rows) of each microbatch."""
    widths = response_widths(response, prompt)
    order, found = np.argsort(-lengths_N, kind="stable"), []
    fewest = int(FEWEST * len(lengths_N))
    while len(order):
        longest = lengths_N[order[0]]
        width = least(widths, longest)
        most = max((n for n in ROWS if n * (prompt + width) <= tokens), default=1)
        # As many as need this width; shorter ones fill the rest.
        need = int((lengths_N[order] > max([w for w in widths if w < width], default=-1)).sum())
        count = shards * min(least(ROWS, -(-max(need, fewest) // shards)), most)
        found.append((width, count, np.sort(order[:count])))
        order = order[count:]
    return found


def response_widths(response: int, prompt: int) -> list[int]:
    """Columns that a microbatch's responses may have behind a prompt, in ascending order."""
    widths = [response]
    for part in PARTS:
        width = math.ceil(response * part)
        saving = SAVING_OF_MANY if widths[-1] - width >= MANY else SAVING
        if width >= SHORTEST and prompt + width <= (1 - saving) * (prompt + widths[-1]):
            widths.append(width)
    return sorted(widths)


def padding(batches: Sequence[Any]) -> float:
    """The share of padding in the columns of tokens of (micro)batches; 0 of none."""
    masks = [mask for batch in batches for mask in attention_masks(batch)]
    columns = sum(mask.size for mask in masks)
    return 1 - sum(int(mask.sum()) for mask in masks) / columns if columns else 0.0


def learned(batch: Any) -> np.ndarray:
    """bool[N, R]: which tokens of the responses are learned."""
    return batch.loss_mask if hasattr(batch, "loss_mask") else batch.weights > 0


def written(batch: Any) -> np.ndarray:
    """bool[N, R]: the tokens of the responses whose logits are computed: those that the model
    wrote, in supervised batches those that are learned. Tokens of tools are only attended to.
    """
    return batch.response_mask if hasattr(batch, "response_mask") else learned(batch)


def attention_masks(batch: Any) -> list[np.ndarray]:
    """bool[N, P+R]: of the rows that the student reads, then of those that the teacher reads."""
    if isinstance(batch, dict):
        return [mask for part in batch.values() for mask in attention_masks(part)]
    return [getattr(batch, name) for name in batch._fields if name.endswith("attention_mask")]


def least(widths: Sequence[int], length: int) -> int:
    """The least width that holds `length`; the largest where none does."""
    return min((w for w in widths if w >= length), default=max(widths))


def _cut(batch, response, rows, count, prompt, width):
    """Some rows; of tokens [N, P+R], R = `response`, the last `prompt` columns before the response
    and its first `width`, of other arrays [N, R] the first `width`.
    """

    def cut(name, x):
        x = x[rows]
        if name.endswith(("tokens", "attention_mask")):
            begin = x.shape[1] - response
            x = x[:, max(begin - prompt, 0) : begin + width]
        elif x.ndim == 2:
            x = x[:, :width]
        return np.pad(x, [(0, count - len(rows))] + [(0, 0)] * (x.ndim - 1))

    pairs = zip(batch._fields, batch)
    return type(batch)(*(x if x is None else cut(name, x) for name, x in pairs))
