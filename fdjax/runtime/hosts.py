"""Several processes as one run: the same program on every host of a pod.

All processes generate and update, since their devices are one mesh, and hold the same batches.
Data that the program does not compute must be equal on all of them: `broadcast` is for data of the
first process (the journal, feedback), `allgather` for data that each process has a share of
(verdicts). Only the first process writes to the workdir, which all share (fdjax/runtime/files.py).

Messages go through the coordination service of JAX's processes, not through the devices, so that
any thread may send them: collectives would have to be called in one order by all processes.
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
_uses: collections.Counter[str] = collections.Counter()  # of each name
_lock = threading.Lock()
_LEAVING_S = 30  # a process that ends waits so long for the others; then JAX ends them all
_DAY_MS = 24 * 60 * 60 * 1000  # timeout: another process may wait for Lean or a language model


def join(coordinator: str = "", processes: int | None = None, index: int | None = None) -> None:
    """Connects to the other processes. To be called before any other use of JAX.

    Without arguments JAX finds them itself, as it can on a TPU pod or under SLURM; else
    `coordinator` is the HOST:PORT of the first one. Raises ValueError or RuntimeError.
    """
    global _here
    import jax  # here, since commands that only read a run's files do not need it

    jax.distributed.initialize(
        coordinator or None, processes, index, shutdown_timeout_seconds=_LEAVING_S
    )
    _here = Here(jax.process_index(), jax.process_count())


def count() -> int:
    return _here.count


def is_first() -> bool:
    return _here.index == 0


def is_mine(number: int) -> bool:
    """Is piece `number` of work that the processes share for this process?"""
    return number % _here.count == _here.index


def broadcast(name: str, compute: Callable[[], T]) -> T:
    """The result of `compute` on the first process, or its exception, raised on all.

    To be called by all processes, for each name in the same order.
    """
    return _exchanged(name, compute, [0])[0]


def allgather(name: str, compute: Callable[[], T]) -> list[T]:
    """The results of `compute` on each process, by index. To be called as `broadcast` is."""
    return _exchanged(name, compute, range(_here.count))


def _exchanged(name: str, compute: Callable[[], T], senders: Sequence[int]) -> list[T]:
    if _here.count == 1:
        return [compute()]
    from orbax.checkpoint import multihost

    service = multihost.get_jax_distributed_client()
    with _lock:
        key = f"fdjax/{name}/{_uses[name]}"
        _uses[name] += 1
    if _here.index in senders:
        service.key_value_set_bytes(f"{key}/{_here.index}", _packed(compute))
    received = [
        pickle.loads(
            zlib.decompress(service.blocking_key_value_get_bytes(f"{key}/{sender}", _DAY_MS))
        )
        for sender in senders
    ]
    service.wait_at_barrier(key, _DAY_MS)  # until all processes have read it
    if _here.index in senders:
        service.key_value_delete(f"{key}/{_here.index}")
    for _, error in received:
        if error:
            raise error
    return [value for value, _ in received]


def _packed(compute: Callable[[], Any]) -> bytes:
    """Its result and None, or None and its exception."""
    try:
        outcome = compute(), None
    except Exception as error:
        outcome = None, error
    try:
        data = pickle.dumps(outcome)
        pickle.loads(data)  # fails for some exceptions
    except Exception:
        data = pickle.dumps((None, RuntimeError(repr(outcome[1] or outcome[0])[:1000])))
    return zlib.compress(data, 1)
