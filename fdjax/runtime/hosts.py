"""Several processes as one run: the same program on every host of a pod.

All of them sample and update, as their devices are one mesh, and hold the same batches. What the
outside world decides must be the same for all: `told` is for what the first process knows (the
journal, feedback), `gathered` for what each does a share of (Lean). A single process has nobody to
tell. Only the first one writes to the workdir, which all share (fdjax/runtime/files.py).

The words go through the coordination service that JAX's processes keep anyway and not through the
devices, so that any thread may send them: collectives must be met in one order by all.
"""

import collections
import pickle
import threading
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Here(NamedTuple):
    index: int = 0
    count: int = 1


_here = Here()
_uses: collections.Counter[str] = collections.Counter()
_lock = threading.Lock()
_LEAVING_S = 30  # one that leaves alone waits so long for the others; then JAX ends them all
_DAY_MS = 24 * 60 * 60 * 1000  # one may wait for another's Lean or language model


def join(coordinator: str = "", processes: int | None = None, index: int | None = None) -> None:
    """Meets the other processes, before anything else is done with JAX.

    Without arguments JAX finds out who they are, as it can on a TPU pod or under SLURM; else
    `coordinator` is the HOST:PORT of the first one. Raises ValueError or RuntimeError.
    """
    global _here
    import jax  # not for those who only read a run's files

    jax.distributed.initialize(
        coordinator or None, processes, index, shutdown_timeout_seconds=_LEAVING_S
    )
    _here = Here(jax.process_index(), jax.process_count())


def count() -> int:
    return _here.count


def is_first() -> bool:
    return _here.index == 0


def is_mine(number: int) -> bool:
    """Is this process to do the `number`-th piece of a work that is divided?"""
    return number % _here.count == _here.index


def broadcast(name: str, find: Callable[[], T]) -> T:
    """What `find` returns on the first process, on all. An exception of it is raised on all.

    To be called by all, for each name in the same order.
    """
    return _exchanged(name, find, [0])[0]


def allgather(name: str, find: Callable[[], T]) -> list[T]:
    """What `find` returns on each process, in their order. To be called as `broadcast` is."""
    return _exchanged(name, find, range(_here.count))


def _exchanged(name: str, find: Callable[[], T], senders: Sequence[int]) -> list[T]:
    if _here.count == 1:
        return [find()]
    from orbax.checkpoint import multihost

    service = multihost.get_jax_distributed_client()
    with _lock:
        key = f"fdjax/{name}/{_uses[name]}"
        _uses[name] += 1
    if _here.index in senders:
        service.key_value_set_bytes(f"{key}/{_here.index}", _packed(find))
    found = [
        pickle.loads(
            zlib.decompress(service.blocking_key_value_get_bytes(f"{key}/{sender}", _DAY_MS))
        )
        for sender in senders
    ]
    service.wait_at_barrier(key, _DAY_MS)  # all have read it
    if _here.index in senders:
        service.key_value_delete(f"{key}/{_here.index}")
    for _, error in found:
        if error:
            raise error
    return [value for value, _ in found]


def _packed(find: Callable[[], Any]) -> bytes:
    """Its value and None, or None and its exception."""
    try:
        outcome = find(), None
    except Exception as error:
        outcome = None, error
    try:
        data = pickle.dumps(outcome)
        pickle.loads(data)  # not every exception survives that
    except Exception:
        data = pickle.dumps((None, RuntimeError(repr(outcome[1] or outcome[0])[:1000])))
    return zlib.compress(data, 1)
