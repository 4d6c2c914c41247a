"""Real Kubernetes for tests: `cluster` is anybody's or our own, `control_plane` and `clusters` are our own.

Where there is none the tests skip, and say what to do.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.kubernetes.binaries import FOREIGN, NoKubernetes
from tests.kubernetes.cluster import Cluster, ForeignCluster
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.images import make_airloom, make_pause
from tests.kubernetes.nodes import LocalNode, LocalNodes
from tests.kubernetes.real_nodes import RealNode, check_machine

T = TypeVar("T")
_HERE = Path(__file__).parent


# Before pytest-xdist looks for the groups.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker of pytest-xdist has all these tests: each would have control planes of its own, of 300 MB."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("kubernetes"))


def _or_skip(make: Callable[[], T]) -> T:
    try:
        return make()
    except NoKubernetes as error:
        pytest.skip(str(error))


class Clusters:
    """Control planes by name, each made once and kept until pytest ends."""

    def __init__(self) -> None:
        self._planes: dict[str, ControlPlane] = {}

    def get(self, name: str, **options: Any) -> ControlPlane:
        """The control plane of that name, with all its servers up. options: ControlPlane's, for the first call."""
        if name not in self._planes:
            self._planes[name] = _or_skip(lambda: ControlPlane(**options))
        self._planes[name].ensure()
        return self._planes[name]

    def close(self) -> None:
        """End all of them."""
        for plane in self._planes.values():
            plane.close()


@pytest.fixture(scope="session")
def clusters() -> Iterator[Clusters]:
    """Several control planes at once, by name."""
    made = Clusters()
    yield made
    made.close()


@pytest.fixture
def control_plane(clusters: Clusters) -> ControlPlane:
    """A control plane of our own, whose servers a test may kill: they are started again for the next one."""
    return clusters.get("main")


@pytest.fixture
def forgetful_plane(clusters: Clusters) -> ControlPlane:
    """Another one, whose `compact` ends watches of pods with 410 Gone when they resume."""
    return clusters.get("forgetful", pod_cache=False)


@pytest.fixture(scope="session")
def foreign_cluster() -> Iterator[ForeignCluster | None]:
    """The cluster that the environment names, if it does."""
    named = os.environ.get(FOREIGN)
    cluster = _or_skip(lambda: ForeignCluster(Path(named))) if named else None
    yield cluster
    if cluster is not None:
        cluster.close()


@pytest.fixture
def cluster(foreign_cluster: ForeignCluster | None, request: pytest.FixtureRequest) -> Cluster:
    """A cluster, whosever it is: the one that the environment names, or else our own."""
    if foreign_cluster is not None:
        return foreign_cluster
    plane: ControlPlane = request.getfixturevalue("control_plane")
    return plane


@pytest.fixture(scope="session")
def main_nodes(clusters: Clusters) -> Iterator[LocalNodes]:
    """The nodes of the control plane `main`, one of them ready: node-1."""
    nodes = _or_skip(lambda: LocalNodes(clusters.get("main")))
    nodes.add("node-1")
    yield nodes
    nodes.close()
    assert not nodes.defects()


@pytest.fixture
def running_cluster(cluster: Cluster, request: pytest.FixtureRequest) -> Cluster:
    """A cluster where pods run: on nodes of its own, or on a test kubelet."""
    if isinstance(cluster, ControlPlane):
        request.getfixturevalue("main_nodes").ensure()
    return cluster


@pytest.fixture
def nodes(forgetful_plane: ControlPlane) -> Iterator[LocalNodes]:
    """No node yet, at `forgetful_plane`: a test adds its own, and may kill them."""
    made = _or_skip(lambda: LocalNodes(forgetful_plane))
    yield made
    forgetful_plane.ensure()
    made.close()
    assert not made.defects()


@pytest.fixture
def node(nodes: LocalNodes) -> LocalNode:
    """A node of this test alone."""
    return nodes.add("node-a")


@pytest.fixture(scope="session")
def real_node(clusters: Clusters, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    """A real node, in the control plane `real`, where real controllers and a real scheduler run; 20 seconds."""
    _or_skip(check_machine)
    plane = clusters.get("real", controllers=True, scheduler=True)
    folder = tmp_path_factory.mktemp("images")
    archives = _or_skip(lambda: [make_pause(folder), make_airloom(folder)])
    node = _or_skip(lambda: RealNode(plane, archives))
    yield node
    node.close()


@pytest.fixture
def namespace(cluster: Cluster) -> str:
    """A new, empty namespace of `cluster`."""
    return cluster.namespace()
