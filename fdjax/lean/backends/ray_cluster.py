"""A backend on the machines of a Ray cluster (docs.ray.io), for a farm whose queue stays here.

Each node of the cluster holds a backend, and as many of its workers as the node has CPUs. A worker
of the farm sends its batch to any free one. If a node is lost, its batches are checked again on
another; a node that joins is used, too.
"""

import collections
import contextlib
import dataclasses
import functools
import hashlib
import queue
import socket
import threading
import time
import warnings
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fdjax.lean.backend import BackendUnavailable, Pair, Worker
from fdjax.lean.backends.registry import check_options, make_backend
from fdjax.types import Theorem, Verdict

CONNECT_SECONDS = 10.0
START_SECONDS = 300.0  # for the nodes at the start of a run: a backend may build or import Mathlib
POLL_SECONDS = 2.0  # between two looks at the list of nodes
PATIENCE = 300.0  # seconds without any node, after which the run ends
OVERTIME = 600.0  # seconds without an answer beyond a batch's time, after which a node is given up
MAX_LOST = 3  # nodes that one batch may lose: it may be what kills them


class Identity(NamedTuple):
    """What must be equal on all nodes, so that a verdict does not depend on the node."""

    name: str
    version: str
    limits: str
    max_heartbeats: int
    max_batch: int
    source: str  # source_version()


class NodeActor:
    """The Ray actor of a node: a backend and its workers, with a thread for each worker."""

    def open(self, name: str, options: Mapping[str, Any], workers: int) -> Identity:
        """Raises BackendUnavailable if this node cannot run the backend."""
        try:
            backend = self._backend = make_backend(name, options)
            self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
            for _ in range(workers):
                self._idle.put(backend.worker())
        except Exception as error:  # its class may not be picklable
            raise BackendUnavailable(str(error)) from None
        return Identity(
            *(getattr(backend, field) for field in Identity._fields[:-1]), source_version()
        )

    def missing(self, imports: tuple[str, ...]) -> str | None:
        return self._backend.missing(imports)

    def check(self, batch: Sequence[Pair], timeout: float) -> list[Verdict | None]:
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
    """Changes with the source of fdjax.lean: the audit, the evidence, the reading of messages."""
    folder = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for file in sorted(f for f in folder.rglob("*") if f.suffix in (".py", ".lean")):
        digest.update(f"\0{file.relative_to(folder).as_posix()}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


@dataclasses.dataclass(eq=False)
class _Node:
    id: str
    name: str
    actor: Any
    size: int  # its number of workers
    busy: int = 0
    starting: Any = None  # reference to the result of NodeActor.open; None when the node is ready


class RayCluster:
    """The `backend` of this name and these options, on every node with CPUs of the Ray cluster at
    `address` (HOST:PORT, or "auto" for the one that this machine is part of). It takes its share of
    the CPUs where `farms` farms use the cluster. Its name, version and limits are those of the
    backend, so verdicts, their cache keys and the record of a run do not depend on the cluster.

    The constructor raises BackendUnavailable if there is no cluster, or no node in it that can run
    the backend, or if nodes differ in what could change a verdict. The cluster is left when the
    last worker is closed.
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
        self._backend = backend, dict(options or {})
        self._deaths: collections.Counter[str] = collections.Counter()  # node -> failed starts
        self._importable: set[tuple[str, ...]] = set()
        self._changed = threading.Condition()
        # all below is guarded by _changed
        self._nodes: dict[str, _Node] = {}
        self._unusable: dict[str, str] = {}  # node -> reason
        self._waiting: collections.deque[object] = collections.deque()  # calls that need a node
        self._identity: Identity | None = None
        self._listed = self._closed = False
        self._workers = 0
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
        except RuntimeError as error:  # not kept: it may work the next time
            return str(error)
        if reason is None:
            self._importable.add(imports)
        return reason

    def pool(self, theorem: Theorem) -> Hashable:
        return theorem.context  # as the strictest backend requires

    def worker(self) -> "RayWorker":
        with self._changed:
            self._workers += 1
        return RayWorker(self)

    def leave(self) -> None:
        """A worker is closed."""
        with self._changed:
            self._workers -= 1
            last = not self._workers
        if last:
            self._close()

    def call(self, method: str, *arguments: Any, seconds: float) -> Any:
        """The result of a method of NodeActor, on another node if the first one dies or does not
        answer for `seconds`.

        Raises BackendUnavailable if there are no nodes any more; RuntimeError for an error on a
        node, or after MAX_LOST lost nodes.
        """
        errors = self._ray.exceptions
        for _ in range(MAX_LOST):
            node = self._acquire()
            try:
                answer = getattr(node.actor, method).remote(*arguments)
                return self._ray.get(answer, timeout=seconds)
            except errors.RayTaskError as error:
                if not isinstance(error.cause, BackendUnavailable):
                    raise RuntimeError(str(error.cause)) from None
                self._exclude(node, str(error.cause))
            except errors.RayError as error:
                self._lose(node, error)
            finally:
                with self._changed:
                    node.busy -= 1
                    self._changed.notify_all()
        raise RuntimeError(f"{MAX_LOST} nodes of the Ray cluster were lost while they ran it")

    def _acquire(self) -> _Node:
        """The node with the most free workers, one of which is now taken; first come, first served.

        Raises BackendUnavailable if there is no node for PATIENCE seconds.
        """
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
                        raise self._unavailable("has no node left")
                    self._changed.wait(1.0)
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        raise RuntimeError("this worker has been closed")

    def _await_nodes(self) -> None:
        """Returns when all nodes are ready, or one is and START_SECONDS are over."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._listed and not any(node.starting for node in self._nodes.values()),
                START_SECONDS,
            )
            if self._unusable:
                raise self._unavailable("has nodes that cannot be used")
            if not self._nodes:
                remedy = "run `ray start --address=HOST:PORT` on some"
                raise self._unavailable(f"has no node with CPUs:\n  {remedy}")
            if not self._identity:
                cause = "`ray status` shows what has them"
                raise self._unavailable(f"gave Lean no CPUs in {START_SECONDS:g} seconds: {cause}")

    def _unavailable(self, reason: str) -> BackendUnavailable:
        lines = [f"the Ray cluster at {self._address} {reason}", *self._unusable.values()]
        return BackendUnavailable("\n  ".join(lines))

    def _watch(self) -> None:
        """The watcher's thread: starts actors on new nodes, and admits those that have started."""
        while not self._closed:
            with contextlib.suppress(Exception):  # the head does not answer: it may come back
                for listed in self._ray.nodes():
                    self._start(listed)
            with self._changed:
                self._listed = True
                self._changed.notify_all()
                starting = [node for node in self._nodes.values() if node.starting]
                if not starting and not self._closed:
                    self._changed.wait(POLL_SECONDS)
            if starting:
                references = [node.starting for node in starting]
                ready, _ = self._ray.wait(references, timeout=POLL_SECONDS)
                for node in starting:
                    if node.starting in ready:
                        self._admit(node)

    def _start(self, listed: Mapping[str, Any]) -> None:
        """Starts an actor on a node of Ray's list, unless it has one or cannot be used."""
        id, share = listed["NodeID"], listed["Resources"].get("CPU", 0) / self._farms
        if not listed["Alive"] or not share or id in self._nodes or id in self._unusable:
            return
        size = max(1, int(share))
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        actor_class = self._ray.remote(NodeActor).options(
            num_cpus=min(share, size),
            max_concurrency=size,
            scheduling_strategy=NodeAffinitySchedulingStrategy(id, soft=False),
        )
        actor = actor_class.remote()
        name = f"{listed['NodeManagerHostname']} ({listed['NodeManagerAddress']}, {id[:8]})"
        node = _Node(id, name, actor, size, starting=actor.open.remote(*self._backend, size))
        with self._changed:
            self._nodes[id] = node
            closed = self._closed
        if closed:
            self._kill(node)

    def _admit(self, node: _Node) -> None:
        """Makes a node ready whose actor has started, if it is like the others."""
        try:
            identity = self._ray.get(node.starting)
        except self._ray.exceptions.RayTaskError as error:
            return self._exclude(node, str(error.cause))
        except Exception as error:  # nearly always a RayError
            self._deaths[node.id] += 1
            if self._deaths[node.id] < MAX_LOST:
                return self._lose(node, error)
            last_line = str(error).strip().splitlines()[-1]
            return self._exclude(node, f"its process does not start: {last_line}")
        if identity.source != source_version():
            return self._exclude(node, "it has another fdjax than this machine; install the same")
        with self._changed:
            expected = self._identity = self._identity or identity
        if identity != expected:
            differences = (
                f"{field} is {value}, that of others is {other}"
                for field, value, other in zip(Identity._fields, identity, expected)
                if value != other
            )
            return self._exclude(node, "; ".join(differences))
        del self._deaths[node.id]
        with self._changed:
            node.starting = None
            self._changed.notify_all()

    def _exclude(self, node: _Node, reason: str) -> None:
        """The node is never used again, unlike one that was lost."""
        with self._changed:
            self._unusable[node.id] = f"node {node.name}: {reason}"
        self._drop(node, f"is not used: {reason}")

    def _lose(self, node: _Node, error: Exception) -> None:
        self._drop(node, f"is lost, others do its work: {type(error).__name__}")

    def _drop(self, node: _Node, warning: str) -> None:
        with self._changed:
            listed = self._nodes.get(node.id) is node and not self._closed
            if listed:
                del self._nodes[node.id]
            self._changed.notify_all()
        if listed:
            self._kill(node)
            if self._identity:
                warnings.warn(f"node {node.name} of the Ray cluster {warning}", stacklevel=2)

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
        self._watcher.join(2 * POLL_SECONDS)


class RayWorker:
    """Any free worker of the cluster."""

    def __init__(self, cluster: RayCluster):
        self._cluster = cluster
        self._closing = threading.Lock()  # never released after the first `close`

    def check(self, batch: Sequence[Pair], timeout: float) -> list[Verdict | None]:
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
        raise BackendUnavailable(
            f"the Python package ray is not installed ({error})\n"
            "  Install it with `pip install -e '.[ray]'`."
        ) from None
    if ray.is_initialized():
        return ray
    try:
        host, colon, port = address.removeprefix("ray://").rpartition(":")
        if colon:  # Ray itself would try for minutes
            socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (OSError, ValueError, OverflowError, RuntimeError) as error:
        raise BackendUnavailable(
            f"there is no Ray cluster at {address!r}: {error}\n"
            "  Start one with `ray start --head` there and `ray start --address=HOST:PORT` on the"
            " other machines, this one among them, or leave the address empty."
        ) from error
    return ray
