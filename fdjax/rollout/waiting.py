"""Samples between two turns: a turn of the model has ended, and its answer is to come.

The cache of such a sample moves to a row of a store, so that its slot can be given to another;
where no row is free it stays in its slot. The answer is read into the row, and the sample goes on
in any free slot, or in its own.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from fdjax.rollout import engine


class Written(NamedTuple):
    """A response that has ended; of an episode: a turn."""

    sample: int  # its place in the queue
    tokens: np.ndarray  # i32[n]
    logprobs: np.ndarray  # f32[n]
    entropy: np.ndarray  # f32[n]
    finished: bool  # by a stop id or by `until`, not by its budget


class Answer(NamedTuple):
    """What stands between two turns of the model."""

    tokens: Sequence[int]
    drawn: int  # tokens of the response, these included
    budget: int  # the response may have so many at the end of the next turn


class Conversation(Protocol):
    """Who answers. The caller of `scheduler.run` tells it of each turn that `run` yields."""

    lag: int  # chunks between a turn and its answer, 1 or more

    def may_go_on(self, turn: Written) -> bool:
        """Is there room for another turn?"""

    def answers(self, samples: Sequence[int]) -> list[Answer | None]:
        """Waits for what answers the last turn of each sample; None: it has ended."""


class Waiting(NamedTuple):
    """A sample whose turn has ended. Its cache is in its slot or in a row of the store, and in
    neither if nothing can follow."""

    sample: int
    chunk: int  # that ended the turn
    token: int  # the last one, which the cache does not hold yet
    columns: int  # that the cache holds
    slot: int | None = None
    row: int | None = None


class Ready(NamedTuple):
    """A sample that has read its answer, in a row of the store."""

    sample: int
    slot: int
    row: int
    token: int  # the answer's last
    length: int  # tokens read
    answer: Answer


class Store:
    """Rows for the caches of samples that wait. All calls stand under `jax.set_mesh`."""

    def __init__(self, shapes, model, weights):
        self.shapes, self.model, self.weights = shapes, model, weights
        self.free = list(range(shapes.store - 1, -1, -1))
        self.cache = engine.empty_store(model, rows=shapes.store, columns=shapes.columns)

    def take(self, waiting: Sequence[Waiting], slots: engine.Slots) -> list[Waiting]:
        """Moves caches from their slots to rows, in order, as long as rows are free. As many as
        go on at a time stay free: a sample that waits in its slot passes through one of them.
        """
        moved, spare = [], self.shapes.starts
        for w in waiting:
            fits = w.slot is not None and len(self.free) > spare
            moved.append(w._replace(row=self.free.pop()) if fits else w)
        self._park([w for w in moved if w.slot is not None and w.row is not None], slots)
        return [w._replace(slot=None) if w.row is not None else w for w in moved]

    def read(
        self, going_on: Sequence[tuple[Waiting, Answer]], slots: engine.Slots, free: list[int]
    ) -> list[Ready]:
        """Reads answers. Those that wait in their slots are at most `starts`; those without a slot
        take one of `free`."""
        own = [w for w, _ in going_on if w.slot is not None]
        rows = {w.sample: self.free.pop() for w in own}
        self._park([w._replace(row=rows[w.sample]) for w in own], slots)
        ready, given = [], []
        for w, answer in going_on:
            row = rows.get(w.sample, w.row)
            slot = free.pop() if w.slot is None else w.slot
            *read, last = w.token, *answer.tokens
            ready.append(Ready(w.sample, slot, row, last, w.columns + len(read) + 1, answer))
            given.append(read)
        self._extend([r.row for r in ready], given)
        return ready

    def release(self, rows: Sequence[int]) -> None:
        self.free.extend(rows)
        self.free.sort(reverse=True)

    def _park(self, waiting: Sequence[Waiting], slots: engine.Slots) -> None:
        M, nowhere = self.shapes.starts, (0, self.shapes.store)
        for begin in range(0, len(waiting), M):
            places = [(w.slot, w.row) for w in waiting[begin : begin + M]]
            slot_M, row_M = np.array(places + [nowhere] * (M - len(places)), np.int32).T
            self.cache = engine.park(self.cache, slots, slot_M, row_M)

    def _extend(self, rows: Sequence[int], given: Sequence[Sequence[int]]) -> None:
        """Piece after piece, of few rows at a time: one shape, whatever the lengths of answers."""
        M, T, nobody = self.shapes.readers, self.shapes.answer, (self.shapes.store, ())
        for at in range(0, max(map(len, given), default=0), T):
            pieces = [(row, ids[at : at + T]) for row, ids in zip(rows, given) if len(ids) > at]
            for begin in range(0, len(pieces), M):
                some = pieces[begin : begin + M]
                tokens_MT, count_M = np.zeros((M, T), np.int32), np.zeros(M, np.int32)
                for m, (_, ids) in enumerate(some):
                    tokens_MT[m, : len(ids)], count_M[m] = ids, len(ids)
                row_M = np.array([r for r, _ in some + [nobody] * (M - len(some))], np.int32)
                self.cache = engine.extend(
                    self.model, self.weights, self.cache, row_M, tokens_MT, count_M
                )
