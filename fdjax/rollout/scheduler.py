"""The host's side of generation: which sample is in which slot, chunk after chunk.

A slot whose sample has ended takes the next sample of the queue. All decisions follow from
what was drawn, never from the clock: all hosts make the same ones, and so does a resumed run.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from fdjax.config import ConfigError, GenerationConfig
from fdjax.models.config import ModelConfig
from fdjax.models.decoding import Weights
from fdjax.models.flops import contexts
from fdjax.rollout import engine
from fdjax.rollout.engine import Drawing
from fdjax.runtime import sharding


class Shapes(NamedTuple):
    """What the engine is compiled for."""

    slots: int
    columns: int  # of the cache: the longest sample with its prompt, and a chunk
    chunk: int  # steps between two looks at what has ended
    prompt: int  # tokens of the longest prompt
    prompts: int  # read at a time
    starts: int  # samples that begin at a time


class Sample(NamedTuple):
    """One response to write. `name` and `index` are folded into its key."""

    prompt: int  # its place in the list of prompts
    name: int  # u32
    index: int
    budget: int  # tokens that it may have


class Written(NamedTuple):
    """A response that has ended."""

    sample: int  # its place in the queue
    tokens: np.ndarray  # i32[n]
    logprobs: np.ndarray  # f32[n]
    entropy: np.ndarray  # f32[n]
    finished: bool  # by a stop id or by `until`, not by its budget


@dataclasses.dataclass
class Figures:
    """Of generation so far."""

    total: int  # samples
    done: int = 0
    tokens: int = 0
    steps: int = 0  # decoding steps
    active: int = 0  # slots that hold a sample now
    seconds: float = 0.0  # in which the host knows that the device was busy
    # Of weights, and of keys and values of tokens attended to, by decoding, on all devices.
    bytes_read: int = 0


def plan(
    config: GenerationConfig,
    model: ModelConfig,
    mesh: jax.sharding.Mesh,
    *,
    samples: int,
    prompt: int,
    response: int,
) -> Shapes:
    """`prompt`, `response`: the most tokens of each.

    Raises ConfigError if `generation.memory_gb` does not hold one slot.
    """
    chunk = config.chunk or min(max(8, response // 8), 64)
    columns = prompt + response + chunk
    unit = 128 if columns >= 1024 else 8
    columns = math.ceil(columns / unit) * unit
    rows = sharding.rows(mesh)
    slots = config.slots
    # Quarters: few shapes, however many samples are asked for. On a CPU a step takes as long as its
    # slots are many: half as many as samples, so that those which are free are filled again.
    enough = max(samples // 2, 4) if _on(mesh, "cpu") else 4 * max(samples, 2) - 1
    while slots > enough:
        slots //= 4
    if config.memory_gb:
        tensor = mesh.shape["tensor"]
        heads = model.num_kv_heads // math.gcd(tensor, model.num_kv_heads)
        size = 2 * model.num_layers * heads * model.head_dim * np.dtype(model.dtype).itemsize
        copied = max([w for w in _widths(columns, mesh) if w < columns], default=0)
        needed = size * (columns + chunk + copied) / 1e9
        slots = min(slots, rows * int(config.memory_gb / needed))
        if not slots:
            raise ConfigError(
                f"generation.memory_gb={config.memory_gb}: the keys and values of one sample of "
                f"{prompt} + {response} tokens need {needed:.3g} GB on each device"
            )
    slots = math.ceil(slots / rows) * rows
    starts = max(1, slots // 4)
    prompts = math.ceil(max(1, starts // 4) / rows) * rows
    return Shapes(slots, columns, chunk, prompt, prompts, starts)


def run(
    shapes: Shapes,
    model: ModelConfig,
    weights: Weights,
    mesh: jax.sharding.Mesh,
    prompts: Sequence[Sequence[int]],
    queue: Sequence[Sample],
    drawing: Drawing,
    key: jax.Array,
    figures: Figures,
    on_chunk: Callable[[], None] = lambda: None,
) -> Iterator[Written]:
    """Yields the response of each sample of the queue as it ends.

    The next chunk is on the device while the caller has what the last one ended. Samples of one
    prompt stand together in the queue, in the order of the prompts.
    """
    board = _Board(shapes, model, weights, mesh, prompts, queue, drawing, key)
    ended: list[Written] = []
    while chunk := board.advance():
        figures.active = len(board.held)
        begun = busy = time.perf_counter()
        for response in ended:
            yield response
            busy = busy if _is_ready(chunk) else time.perf_counter()
        if not _is_ready(chunk):
            chunk = jax.block_until_ready(chunk)
            busy = time.perf_counter()
        figures.seconds += busy - begun
        drawn = sharding.fetch(chunk)
        figures.bytes_read += board.bytes_read(drawn)
        ended = board.read(drawn)
        figures.done += len(ended)
        figures.tokens += int(drawn.count_S.sum())
        figures.steps += int(drawn.count_S.max())
        on_chunk()
    figures.active = 0
    yield from ended


def _is_ready(chunk):
    return all(x.is_ready() for x in jax.tree.leaves(chunk))


class _Board:
    """Who holds which slot. `advance` and `read` take turns."""

    def __init__(self, shapes, model, weights, mesh, prompts, queue, drawing, key):
        self.shapes, self.model, self.weights, self.mesh = shapes, model, weights, mesh
        self.prompts, self.queue, self.drawing, self.key = prompts, queue, drawing, key
        self.held: dict[int, int] = {}  # slot -> sample
        self.free = list(range(shapes.slots - 1, -1, -1))
        self.parts: list[list[engine.Drawn]] = [[] for _ in range(shapes.slots)]
        self.length = np.zeros(shapes.slots, int)  # columns that each slot has written
        self.next = 0  # the first sample of the queue without a slot
        self.block, self.read_prompts = -1, None  # the prompts that were read last
        self.widths = _widths(shapes.columns, mesh)
        read = jax.tree.leaves({k: x for k, x in weights.items() if k != "embedding"})
        self.weight_bytes = mesh.devices.size * sum(
            math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize for x in read
        )
        with jax.set_mesh(mesh):
            self.slots = engine.empty(model, slots=shapes.slots, columns=shapes.columns)

    def advance(self) -> engine.Drawn | None:
        """Fills free slots and sends a chunk to the device; None if there is nothing to write."""
        with jax.set_mesh(self.mesh):
            while self.free and self.next < len(self.queue):
                self._start()
            if not self.held:
                return None
            longest = max(self.length[slot] for slot in self.held)
            waiting = self.next < len(self.queue)
            self.slots, drawn = engine.decode(
                self.model,
                self.weights,
                self.slots,
                self.drawing,
                np.int32(self.shapes.starts if waiting else self.shapes.slots),
                steps=self.shapes.chunk,
                width=next(width for width in self.widths if width >= longest),
            )
        return drawn

    def bytes_read(self, drawn: engine.Drawn) -> int:
        """By a chunk that `read` has not read yet: all weights at each step but the embedding, and
        of each slot the keys and values that the tokens drawn attend to.
        """
        model, lengths = self.model, self.length
        attended = sum(
            contexts(model, lengths[slot], lengths[slot] + drawn.count_S[slot])
            for slot in self.held
        )
        column = 2 * model.num_kv_heads * model.head_dim * np.dtype(model.dtype).itemsize
        return int(drawn.count_S.max()) * self.weight_bytes + int(attended) * column

    def read(self, drawn: engine.Drawn) -> list[Written]:
        """What ended in a chunk, in the order of the queue."""
        ended = []
        for slot, sample in list(self.held.items()):
            count = drawn.count_S[slot]
            self.length[slot] += count
            row = [x[slot, :count] for x in (drawn.token_SN, drawn.logprob_SN, drawn.entropy_SN)]
            self.parts[slot].append(row)
            if not drawn.active_S[slot]:
                columns = (np.concatenate(x) for x in zip(*self.parts[slot]))
                ended.append(Written(sample, *columns, bool(drawn.ended_S[slot])))
                self.parts[slot] = []
                self.free.append(slot)
                del self.held[slot]
        self.free.sort(reverse=True)
        return sorted(ended, key=lambda written: written.sample)

    def _start(self) -> None:
        """The next samples of the queue, as many as have free slots and one block of prompts."""
        s = self.shapes
        block = self.queue[self.next].prompt // s.prompts
        if block != self.block:
            self._read_prompts(block)
        rows = []
        while (
            self.free
            and self.next < len(self.queue)
            and len(rows) < s.starts
            and self.queue[self.next].prompt // s.prompts == block
        ):
            slot, sample = self.free.pop(), self.queue[self.next]
            ids = self.prompts[sample.prompt]
            place = sample.prompt - block * s.prompts
            rows.append((slot, place, ids[-1], len(ids), sample.budget, sample.name, sample.index))
            self.held[slot], self.length[slot] = self.next, len(ids) - 1
            self.next += 1
        nobody = (s.slots, 0, 0, 1, 0, 0, 0)
        columns = np.array(rows + [nobody] * (s.starts - len(rows))).T
        start = engine.Start(*columns[:5].astype(np.int32), *columns[5:].astype(np.uint32))
        self.slots = engine.insert(self.slots, self.read_prompts, start, self.key)

    def _read_prompts(self, block: int) -> None:
        s = self.shapes
        ids = self.prompts[block * s.prompts : (block + 1) * s.prompts]
        tokens_BP = np.zeros((s.prompts, s.prompt), np.int32)
        mask_BP = np.zeros((s.prompts, s.prompt), bool)
        mask_BP[:, 0] = True  # a row without a prompt
        for row, prompt in enumerate(ids):
            tokens_BP[row, : len(prompt)] = prompt
            mask_BP[row, : len(prompt)] = True
        tokens_BP, mask_BP = sharding.put((tokens_BP, mask_BP), self.mesh)
        self.block, self.read_prompts = block, None  # frees those of the block before
        self.read_prompts = engine.prefill(self.model, self.weights, tokens_BP, mask_BP)


def _widths(columns, mesh):
    """How many columns of the cache a chunk may read. XLA copies them, if they are not all: of a
    short cache that takes longer than to read it all, and on a TPU further slots could use the
    room.
    """
    if _on(mesh, "tpu"):
        return [columns]
    unit = max(math.ceil(columns / 4 / 8) * 8, 128)
    return [*range(unit, columns, unit), columns]


def _on(mesh, platform):
    return mesh.devices.flat[0].platform == platform
