"""The host's side of generation: which sample is in which slot, chunk after chunk.

A slot whose sample has ended takes the next sample of the queue. A sample whose turn has ended
waits for its answer (waiting.py), so many chunks as `lag` says; generation waits for an answer that
takes longer. All decisions follow from what was drawn, never from the clock: all hosts make the
same ones, and so does a resumed run.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from fdjax.config import ConfigError, EnvironmentConfig, GenerationConfig
from fdjax.models.config import ModelConfig
from fdjax.models.decoding import Weights
from fdjax.models.flops import contexts
from fdjax.rollout import engine
from fdjax.rollout.engine import Drawing
from fdjax.rollout.waiting import Answer, Conversation, Store, Waiting, Written
from fdjax.runtime import sharding


class Shapes(NamedTuple):
    """What the engine is compiled for."""

    slots: int
    columns: int  # of the cache: the longest sample with its prompt, and a chunk
    chunk: int  # steps between two looks at what has ended
    prompt: int  # tokens of the longest prompt
    prompts: int  # read at a time
    starts: int  # samples that begin, or go on, at a time
    store: int = 0  # rows for samples that wait
    readers: int = 0  # samples that read their answers at a time
    answer: int = 0  # tokens of an answer that each reads at a time


class Sample(NamedTuple):
    """One response to write. `name` and `index` are folded into its key."""

    prompt: int  # its place in the list of prompts
    name: int  # u32
    index: int
    budget: int  # tokens that it may have


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
    episodes: EnvironmentConfig | None = None,
) -> Shapes:
    """`prompt`, `response`: the most tokens of each.

    Raises ConfigError if `generation.memory_gb` does not hold one slot.
    """
    turn, answer = response, 0
    if episodes:
        turn = episodes.turn_tokens or response // episodes.turns
        answer = min(math.ceil(episodes.answer_tokens / 3 / 8) * 8, 64)
    chunk = config.chunk or min(max(8, turn // 8), 64)
    columns = prompt + response + max(chunk, answer)
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
        copied = max([w for w in widths(columns, mesh) if w < columns], default=0)
        stored = columns * _STORE if episodes else 0
        needed = size * (columns + chunk + copied + stored) / 1e9
        slots = min(slots, rows * int(config.memory_gb / needed))
        if not slots:
            raise ConfigError(
                f"generation.memory_gb={config.memory_gb}: the keys and values of one sample of "
                f"{prompt} + {response} tokens need {needed:.3g} GB on each device"
            )
    slots = math.ceil(slots / rows) * rows
    starts = max(1, slots // 4)
    prompts = math.ceil(max(1, starts // 4) / rows) * rows
    made = Shapes(slots, columns, chunk, prompt, prompts, starts)
    if episodes:
        store = math.ceil(slots * _STORE / rows) * rows
        readers = math.ceil(max(1, starts // 2) / rows) * rows
        made = made._replace(store=store, readers=readers, answer=answer)
    return made


_STORE = 0.75  # rows of the store for each slot: a third of them is `starts`


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
    conversation: Conversation | None = None,
) -> Iterator[Written]:
    """Yields the response of each sample of the queue as it ends; with a `conversation` each turn.

    The next chunk is on the device while the caller has what the last one ended. Samples of one
    prompt stand together in the queue, in the order of the prompts.
    """
    board = _Board(shapes, model, weights, mesh, prompts, queue, drawing, key, conversation)
    ended: list[Written] = []
    while (chunk := board.advance(told=not ended)) or ended:
        figures.active = len(board.held)
        begun = busy = time.perf_counter()
        for response in ended:
            yield response
            if chunk and not _is_ready(chunk):
                busy = time.perf_counter()
        ended = []
        if not chunk:
            figures.done = len(queue) - board.open
            continue
        if not _is_ready(chunk):
            chunk = jax.block_until_ready(chunk)
            busy = time.perf_counter()
        figures.seconds += busy - begun
        drawn = sharding.fetch(chunk)
        figures.bytes_read += board.bytes_read(drawn)
        ended = board.read(drawn)
        figures.done = len(queue) - board.open
        figures.tokens += int(drawn.count_S.sum())
        figures.steps += int(drawn.count_S.max())
        on_chunk()


def _is_ready(chunk):
    return all(x.is_ready() for x in jax.tree.leaves(chunk))


class _Board:
    """Who holds which slot, and who waits. `advance` and `read` take turns."""

    def __init__(self, shapes, model, weights, mesh, prompts, queue, drawing, key, conversation):
        self.shapes, self.model, self.weights, self.mesh = shapes, model, weights, mesh
        self.prompts, self.queue, self.drawing, self.key = prompts, queue, drawing, key
        self.conversation = conversation
        self.waiting: list[Waiting] = []  # in the order in which their turns ended
        self.sent = 0  # chunks
        self.held: dict[int, int] = {}  # slot -> sample, of those that write
        self.free = list(range(shapes.slots - 1, -1, -1))
        self.parts: list[list[engine.Drawn]] = [[] for _ in range(shapes.slots)]
        self.length = np.zeros(shapes.slots, int)  # columns that each slot has written
        self.next = 0  # the first sample of the queue without a slot
        self.block, self.read_prompts = -1, None  # the prompts that were read last
        self.widths = widths(shapes.columns, mesh)
        read = jax.tree.leaves({k: x for k, x in weights.items() if k != "embedding"})
        self.weight_bytes = mesh.devices.size * sum(
            math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize for x in read
        )
        with jax.set_mesh(mesh):
            self.slots = engine.empty(model, slots=shapes.slots, columns=shapes.columns)
            self.store = Store(shapes, model, weights) if conversation else None

    @property
    def open(self) -> int:
        """Samples that have not ended."""
        return len(self.queue) - self.next + len(self.held) + len(self.waiting)

    def advance(self, told: bool = True) -> engine.Drawn | None:
        """Fills free slots and sends a chunk to the device; None if there is nothing to write.

        `told`: does the conversation know all turns that have ended?
        """
        with jax.set_mesh(self.mesh):
            while self.waiting and self._go_on(told) and not self.held:
                pass  # all that were answered have ended
            while self.free and self.next < len(self.queue):
                self._start()
            if not self.held:
                return None
            longest = max(self.length[slot] for slot in self.held)
            idle = self.shapes.slots - len(self.held)
            more = self.next < len(self.queue) or self.waiting
            self.sent += 1
            self.slots, drawn = engine.decode(
                self.model,
                self.weights,
                self.slots,
                self.drawing,
                np.int32(idle + self.shapes.starts if more else self.shapes.slots),
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
        ended, waiting = [], []
        for slot, sample in list(self.held.items()):
            count = drawn.count_S[slot]
            self.length[slot] += count
            row = [x[slot, :count] for x in (drawn.token_SN, drawn.logprob_SN, drawn.entropy_SN)]
            self.parts[slot].append(row)
            if not drawn.active_S[slot]:
                columns = (np.concatenate(x) for x in zip(*self.parts[slot]))
                written = Written(sample, *columns, bool(drawn.ended_S[slot]))
                ended.append(written)
                self.parts[slot] = []
                del self.held[slot]
                stays = self.conversation and self.conversation.may_go_on(written)
                if not stays:
                    self.free.append(slot)
                if self.conversation:
                    token, place = written.tokens[-1], slot if stays else None
                    waiting.append(Waiting(sample, self.sent, token, self.length[slot], place))
        if waiting:
            self._wait(sorted(waiting))
        self.free.sort(reverse=True)
        return sorted(ended, key=lambda written: written.sample)

    def _wait(self, waiting: list[Waiting]) -> None:
        """Frees the slots of those that the store has room for."""
        with jax.set_mesh(self.mesh):
            moved = self.store.take(waiting, self.slots)
        for before, after in zip(waiting, moved):
            if before.slot is not None and after.slot is None:
                self.free.append(before.slot)
        self.waiting += moved

    def _go_on(self, told: bool) -> bool:
        """Answers the turns that are due; all that wait, if nothing else is left to do. Those that
        need a slot wait until one is free. Was any answered?"""
        chosen = self._with_slots(
            [w for w in self.waiting if self.sent - w.chunk >= self.conversation.lag]
        )
        left = self.held or (self.free and self.next < len(self.queue))
        if not chosen and not left and told:
            chosen = self._with_slots(self.waiting)
        taken = {w.sample for w in chosen}
        self.waiting = [w for w in self.waiting if w.sample not in taken]
        going_on = []
        answers = self.conversation.answers([w.sample for w in chosen]) if chosen else ()
        for w, answer in zip(chosen, answers):
            if answer:
                going_on.append((w, answer))
                continue
            if w.row is not None:
                self.store.release([w.row])
            elif w.slot is not None:
                self.free.append(w.slot)
        self.free.sort(reverse=True)
        for begin in range(0, len(going_on), self.shapes.starts):
            self._resume(going_on[begin : begin + self.shapes.starts])
        return bool(chosen)

    def _with_slots(self, waiting: list[Waiting]) -> list[Waiting]:
        """Those that need no slot, that have theirs, or for which one is free."""
        chosen, free = [], len(self.free)
        for w in waiting:
            if w.row is None or free:
                chosen.append(w)
                free -= w.row is not None
        return chosen

    def _resume(self, going_on: list[tuple[Waiting, Answer]]) -> None:
        ready, rows = self.store.read(going_on, self.slots, self.free), []
        for r in ready:
            sample, answer = self.queue[r.sample], r.answer
            budget = answer.drawn, answer.budget
            rows.append((r.slot, r.row, r.token, r.length, *budget, sample.name, sample.index))
            self.held[r.slot], self.length[r.slot] = r.sample, r.length - 1
        self._insert(self.store.cache.layers, rows)
        self.store.release([r.row for r in ready])

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
            new = slot, place, ids[-1], len(ids), 0, sample.budget, sample.name, sample.index
            rows.append(new)
            self.held[slot], self.length[slot] = self.next, len(ids) - 1
            self.next += 1
        self._insert(self.read_prompts, rows)

    def _insert(self, read, rows: list[tuple[int, ...]]) -> None:
        """`rows`: the fields of `engine.Start`, for each sample."""
        nobody = (self.shapes.slots, 0, 0, 1, 0, 0, 0, 0)
        columns = np.array(rows + [nobody] * (self.shapes.starts - len(rows))).T
        start = engine.Start(*columns[:6].astype(np.int32), *columns[6:].astype(np.uint32))
        self.slots = engine.insert(self.slots, read, start, self.key)

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


def widths(columns, mesh):
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
