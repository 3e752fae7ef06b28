"""Leans on the machines of a Ray cluster (docs.ray.io), for a farm that stays here with its queue.

Each node of the cluster holds a backend, and as many of its workers as the node has CPUs. A worker
of the farm sends its batch to whichever is free. What a lost node was at is done again elsewhere,
and a node that joins is taken on.
"""

import collections
import contextlib
import dataclasses
import functools
import queue
import socket
import threading
import time
import warnings
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fdjax.lean.backend import BackendUnavailable, Submission, Worker
from fdjax.lean.backends.registry import check_options, make_backend
from fdjax.runtime.files import digest
from fdjax.types import Theorem, Verdict

CONNECT_SECONDS = 10.0
START_SECONDS = 300.0  # for the nodes at the start of a run: a backend may build or import Mathlib
LOOK_SECONDS = 2.0  # between two looks at which nodes there are
PATIENCE = 300.0  # seconds without any node, after which the run ends
OVERTIME = 600.0  # seconds of silence beyond a batch's time, after which a node is given up
MAX_LOST = 3  # nodes to one batch, which may be what they died of


class Unavailable(RuntimeError):
    """There is no Ray cluster that could check proofs: what is missing, and what to do about it."""


class Identity(NamedTuple):
    """What must be the same on all nodes, or a verdict would depend on where it was found."""

    name: str
    version: str
    limits: str
    max_heartbeats: int
    max_batch: int
    source: str  # of the farm itself


class NodeLeans:
    """Lives in a process on a node: as a Ray actor, with a thread for each of its workers."""

    def open(self, backend: str, options: Mapping[str, Any], workers: int) -> Identity:
        """Raises Lost if this node cannot run the backend."""
        try:
            made = self._backend = make_backend(backend, options)
            self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
            for _ in range(workers):
                self._idle.put(made.worker())
        except Exception as error:  # of classes that may not survive the way back
            raise BackendUnavailable(str(error)) from None
        return Identity(
            made.name,
            made.version,
            made.limits,
            made.max_heartbeats,
            made.max_batch,
            source_version(),
        )

    def missing(self, imports: tuple[str, ...]) -> str | None:
        return self._backend.missing(imports)

    def check(self, batch: Sequence[Submission], timeout: float) -> list[Verdict | None]:
        worker = self._idle.get()
        try:
            return worker.check(batch, timeout)
        except BackendUnavailable:
            raise
        except Exception as error:
            raise RuntimeError(f"{type(error).__name__}: {error}") from None
        finally:
            self._idle.put(worker)


@functools.cache
def source_version() -> str:
    """Changes with the farm's own source: the audit, the evidence, the reading of messages."""
    folder = Path(__file__).parent
    files = [file for file in folder.rglob("*") if file.suffix in (".py", ".lean")]
    return digest({f.relative_to(folder).as_posix(): f.read_text("utf-8") for f in files})


@dataclasses.dataclass(eq=False)
class _Node:
    id: str
    name: str
    actor: Any
    size: int  # Leans at a time
    busy: int = 0
    starting: Any = None  # the reference of its Identity to come


class RayCluster:
    """The `backend` of this name and these options, on every node of the Ray cluster at `address`
    (HOST:PORT, or "auto" for the one that this machine is part of) that has CPUs, of which it takes
    its share where so many `farms` use the cluster. To a farm it is that backend: a verdict, its
    key and a run's record do not say where it was found.

    Raises Unavailable if there is no cluster, or no node in it that can run the backend, or if
    nodes differ in whatever could change a verdict. Ends when its last worker is closed.
    """

    def __init__(
        self, backend: str, options: Mapping[str, Any] | None, address: str, farms: int = 1
    ):
        if backend == "kimina":
            raise ValueError(
                "a Kimina server has machines of its own: the backend kimina needs no Ray cluster"
            )
        check_options(backend, options or {})
        self._ray = _connect(address)
        self._address, self._farms = address, farms
        self._asked = backend, dict(options or {})
        self._changed = threading.Condition()
        self._deaths: collections.Counter[str] = collections.Counter()  # while starting
        # all below is guarded by _changed
        self._nodes: dict[str, _Node] = {}
        self._unfit: dict[str, str] = {}  # node -> why it is not used
        self._waiting: collections.deque[object] = collections.deque()  # who asks for a node
        self._identity: Identity | None = None
        self._importable: set[tuple[str, ...]] = set()
        self._looked = self._closed = False
        self._users = 0
        self._watcher = threading.Thread(target=self._watch, name="lean-ray", daemon=True)
        self._watcher.start()
        try:
            self._await_nodes()
        except BaseException:
            self._close()
            raise
        self.name, self.version, self.limits, self.max_heartbeats, self.max_batch, _ = (
            self._identity
        )

    def missing(self, imports: tuple[str, ...]) -> str | None:
        if imports in self._importable:
            return None
        try:
            reason = self.call("missing", imports, seconds=OVERTIME)
        except RuntimeError as error:  # perhaps not so the next time
            return str(error)
        if reason is None:
            self._importable.add(imports)
        return reason

    def pool(self, theorem: Theorem) -> Hashable:
        return theorem.context  # what the strictest backend asks for

    def worker(self) -> "RayWorker":
        with self._changed:
            self._users += 1
        return RayWorker(self)

    def leave(self) -> None:
        with self._changed:
            self._users -= 1
            last = not self._users
        if last:
            self._close()

    def call(self, method: str, *arguments: Any, seconds: float) -> Any:
        """What a node answers; another one if that is lost, or silent for so many seconds.

        Raises Lost if there are no nodes any more, RuntimeError for what went wrong on a node, or
        after MAX_LOST of them.
        """
        errors = self._ray.exceptions
        for _ in range(MAX_LOST):
            node = self._take()
            try:
                answer = getattr(node.actor, method).remote(*arguments)
                return self._ray.get(answer, timeout=seconds)
            except errors.RayTaskError as error:
                if not isinstance(error.cause, BackendUnavailable):
                    raise RuntimeError(str(error.cause)) from None
                self._refuse(node, str(error.cause))
            except errors.RayError as error:
                self._lose(node, error)
            finally:
                with self._changed:
                    node.busy -= 1
                    self._changed.notify_all()
        raise RuntimeError(f"{MAX_LOST} nodes of the Ray cluster were lost at it")

    def _take(self) -> _Node:
        """A place on the node with most of them, in the order of asking."""
        ticket, alone_since = object(), None
        with self._changed:
            self._waiting.append(ticket)
            try:
                while not self._closed:
                    ready = [node for node in self._nodes.values() if not node.starting]
                    best = max(ready, key=lambda node: node.size - node.busy, default=None)
                    if best and best.busy < best.size and self._waiting[0] is ticket:
                        best.busy += 1
                        return best
                    now = time.monotonic()
                    alone_since = None if ready else alone_since or now
                    if alone_since and now - alone_since >= PATIENCE:
                        raise BackendUnavailable(self._told("has no node left"))
                    self._changed.wait(1.0)
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        raise RuntimeError("this worker has been closed")

    def _await_nodes(self) -> None:
        """Until every node is ready, or the time for that is over and one is."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._looked and not any(node.starting for node in self._nodes.values()),
                START_SECONDS,
            )
            if self._unfit:
                raise Unavailable(self._told("has nodes that cannot be used"))
            if not self._nodes:
                raise Unavailable(
                    self._told(
                        "has no node with CPUs:\n  run `ray start --address=HOST:PORT` on some"
                    )
                )
            if not self._identity:
                raise Unavailable(
                    self._told(
                        f"gave Lean no CPUs within {START_SECONDS:g} seconds: `ray status` says who has"
                        " them"
                    )
                )

    def _told(self, what: str) -> str:
        return "\n  ".join([f"the Ray cluster at {self._address} {what}", *self._unfit.values()])

    def _watch(self) -> None:
        """The watcher's thread: starts Leans on nodes that are new, and greets those that run."""
        while not self._closed:
            with contextlib.suppress(Exception):  # the head is away: perhaps it comes back
                for listed in self._ray.nodes():
                    self._start(listed)
            with self._changed:
                self._looked = True
                self._changed.notify_all()
                starting = [node for node in self._nodes.values() if node.starting]
                if not starting and not self._closed:
                    self._changed.wait(LOOK_SECONDS)
            if starting:
                references = [node.starting for node in starting]
                ready, _ = self._ray.wait(references, timeout=LOOK_SECONDS)
                for node in starting:
                    if node.starting in ready:
                        self._greet(node)

    def _start(self, listed: Mapping[str, Any]) -> None:
        id, share = listed["NodeID"], listed["Resources"].get("CPU", 0) / self._farms
        if not listed["Alive"] or not share or id in self._nodes or id in self._unfit:
            return
        size = max(1, int(share))
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        actor = (
            self._ray.remote(NodeLeans)
            .options(
                num_cpus=min(share, size),
                max_concurrency=size,
                scheduling_strategy=NodeAffinitySchedulingStrategy(id, soft=False),
            )
            .remote()
        )
        name = f"{listed['NodeManagerHostname']} ({listed['NodeManagerAddress']}, {id[:8]})"
        node = _Node(id, name, actor, size, starting=actor.open.remote(*self._asked, size))
        with self._changed:
            self._nodes[id] = node
            closed = self._closed
        if closed:
            self._kill(node)

    def _greet(self, node: _Node) -> None:
        errors = self._ray.exceptions
        try:
            identity = self._ray.get(node.starting)
        except errors.RayTaskError as error:
            return self._refuse(node, str(error.cause))
        except Exception as error:  # nearly always a RayError
            self._deaths[node.id] += 1
            if self._deaths[node.id] >= MAX_LOST:
                return self._refuse(
                    node, f"its process does not start: {str(error).strip().splitlines()[-1]}"
                )
            return self._lose(node, error)
        if identity.source != source_version():
            return self._refuse(node, "it has another fdjax than this machine; install the same")
        with self._changed:
            expected = self._identity = self._identity or identity
        if identity != expected:
            differing = (
                f"{field} is {mine}, that of others is {theirs}"
                for field, mine, theirs in zip(Identity._fields, identity, expected)
                if mine != theirs
            )
            return self._refuse(node, "; ".join(differing))
        del self._deaths[node.id]
        with self._changed:
            node.starting = None
            self._changed.notify_all()

    def _refuse(self, node: _Node, reason: str) -> None:
        """Never again, unlike a node that was lost."""
        with self._changed:
            self._unfit[node.id] = f"node {node.name}: {reason}"
        self._drop(node, f"is not used: {reason}")

    def _lose(self, node: _Node, error: Exception) -> None:
        self._drop(node, f"is lost, others do its work: {type(error).__name__}")

    def _drop(self, node: _Node, told: str) -> None:
        with self._changed:
            known = self._nodes.get(node.id) is node and not self._closed
            if known:
                del self._nodes[node.id]
            self._changed.notify_all()
        if known:
            self._kill(node)
            if self._identity:
                warnings.warn(f"node {node.name} of the Ray cluster {told}", stacklevel=2)

    def _kill(self, node: _Node) -> None:
        with contextlib.suppress(Exception):  # it is dead already, or the cluster is
            self._ray.kill(node.actor)

    def _close(self) -> None:
        with self._changed:
            self._closed = True
            nodes = list(self._nodes.values())
            self._changed.notify_all()
        for node in nodes:
            self._kill(node)
        self._watcher.join(2 * LOOK_SECONDS)


class RayWorker:
    """A place in the cluster, wherever it is free."""

    def __init__(self, cluster: RayCluster):
        self._cluster = cluster
        self._closing = threading.Lock()  # held from the first `close` on

    def check(self, batch: Sequence[Submission], timeout: float) -> list[Verdict | None]:
        seconds = OVERTIME + 2 * timeout * len(batch)
        return self._cluster.call("check", list(batch), timeout, seconds=seconds)

    def close(self) -> None:
        if self._closing.acquire(blocking=False):
            self._cluster.leave()


def _connect(address: str):
    """The module ray, connected."""
    try:
        import ray
    except ImportError as error:
        raise Unavailable(
            f"the Python package ray is not installed ({error})\n"
            "  Install it with `pip install 'fdjax[ray]'`."
        ) from None
    if ray.is_initialized():
        return ray
    try:
        host, colon, port = address.removeprefix("ray://").rpartition(":")
        if colon:  # Ray itself would try for minutes
            socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (OSError, ValueError, OverflowError, RuntimeError) as error:
        raise Unavailable(
            f"there is no Ray cluster at {address!r}: {error}\n"
            "  Start one with `ray start --head` there and `ray start --address=HOST:PORT` on the"
            " other machines, this one among them, or leave the address empty."
        ) from error
    return ray
