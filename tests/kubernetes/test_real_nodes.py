"""Real nodes: Kubernetes' own kubelet, containerd and runc, with controllers and a scheduler of Kubernetes."""

from importlib.metadata import version

import pytest

from tests.kubernetes.api import pods
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.conftest import Clusters
from tests.kubernetes.images import AIRLOOM
from tests.kubernetes.pods import make_pod, over, state_of, wait_for_pod
from tests.kubernetes.real_nodes import RealNode
from tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("real_node")]


@pytest.fixture
def real_cluster(clusters: Clusters, real_node: RealNode) -> Cluster:
    """The control plane of the real node."""
    return clusters.get("real")


@pytest.fixture
def room(real_cluster: Cluster) -> str:
    """A namespace whose service account is there."""
    name = real_cluster.namespace()
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    wait_for(lambda: (real_cluster.api.find(account) or {}).get("secrets"), "the service account")
    return name


def test_airloom_starts_in_a_container(real_cluster: Cluster, room: str) -> None:
    real_cluster.api.create(pods(room), make_pod("p", ["airloom", "--version"], AIRLOOM, hostNetwork=True))
    pod = wait_for_pod(real_cluster.api, room, "p", over)
    assert pod["status"]["phase"] == "Succeeded"
    assert real_cluster.api.text(f"{pods(room, 'p')}/log").strip() == version("airloom")


def test_a_container_that_fails_is_reported_with_its_code(real_cluster: Cluster, room: str) -> None:
    command = ["sh", "-c", "echo no disk > /dev/termination-log; exit 3"]
    real_cluster.api.create(pods(room), make_pod("p", command, AIRLOOM, hostNetwork=True))
    ended = state_of(wait_for_pod(real_cluster.api, room, "p", over))
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "no disk\n")


def test_a_container_over_its_limit_of_memory_is_killed(real_cluster: Cluster, room: str) -> None:
    pod = make_pod("p", ["python", "-c", "print(len(bytearray(200 << 20)))"], AIRLOOM, hostNetwork=True)
    pod["spec"]["containers"][0]["resources"] = {"limits": {"memory": "64Mi"}}
    real_cluster.api.create(pods(room), pod)
    ended = state_of(wait_for_pod(real_cluster.api, room, "p", over))
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")


def test_an_image_that_is_not_there_and_may_not_be_pulled_is_said_so(real_cluster: Cluster, room: str) -> None:
    pod = make_pod("p", ["true"], "localhost/nowhere:1", hostNetwork=True)
    pod["spec"]["containers"][0]["imagePullPolicy"] = "Never"
    real_cluster.api.create(pods(room), pod)
    wait_for_pod(real_cluster.api, room, "p", lambda pod: state_of(pod).get("reason") == "ErrImageNeverPull")


def test_a_kubelet_that_was_killed_takes_its_containers_up_again(
    real_cluster: Cluster, room: str, real_node: RealNode
) -> None:
    command = ["sh", "-c", "trap 'exit 5' TERM; echo begun; while :; do sleep 0.1; done"]
    real_cluster.api.create(pods(room), make_pod("p", command, AIRLOOM, hostNetwork=True))
    wait_for_pod(real_cluster.api, room, "p", lambda pod: pod["status"]["phase"] == "Running")
    real_node.kubelet.kill()
    real_node.start()
    begun = real_cluster.api.get(pods(room))["metadata"]["resourceVersion"]
    real_cluster.api.delete(pods(room, "p"))
    codes = []
    for kind, pod in real_cluster.api.watch(pods(room), begun):
        codes.append(state_of(pod).get("exitCode"))
        if kind == "DELETED":
            break
    assert 5 in codes
