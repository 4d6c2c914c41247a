"""The tests' own control plane: its identities, its quotas, its faults."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kubernetes.api import Api, Object, Refused, pods
from tests.kubernetes.binaries import ASSETS, NoKubernetes, find_program
from tests.kubernetes.cluster import Cluster, ForeignCluster
from tests.kubernetes.conftest import Clusters
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.pods import make_pod
from tests.waiting import wait_for

_READ_PODS = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]


def test_a_user_may_do_only_what_was_granted(cluster: Cluster, namespace: str) -> None:
    alice, path = cluster.as_user("alice"), pods(namespace)
    with pytest.raises(Refused, match=r"403 Forbidden.*cannot list resource") as refused:
        alice.get(path)
    assert refused.value.code == 403
    cluster.grant(namespace, cluster.subject("alice"), _READ_PODS)
    wait_for(lambda: _allowed(alice.get, path), "the granted right")
    with pytest.raises(Refused, match="cannot create resource"):
        alice.create(path, _lying("p"))


def test_a_service_account_has_its_own_rights(cluster: Cluster, namespace: str) -> None:
    runner = Api(cluster.as_service_account(namespace, "runner"))
    with pytest.raises(Refused, match=f"system:serviceaccount:{namespace}:runner"):
        runner.get(pods(namespace))


def test_pods_beyond_a_quota_are_refused_until_it_is_freed(control_plane: ControlPlane, namespace: str) -> None:
    path = pods(namespace)
    control_plane.set_quota(namespace, {"pods": "2"})
    for name in ("a", "b"):
        control_plane.api.create(path, _lying(name))
    with pytest.raises(Refused, match="exceeded quota: test, requested: pods=1, used: pods=2, limited: pods=2"):
        control_plane.api.create(path, _lying("c"))
    control_plane.api.delete(f"{path}/a", grace=0)
    control_plane.recount_quota(namespace)
    wait_for(lambda: _allowed(control_plane.api.create, path, _lying("c")), "room in the quota")
    control_plane.lift_quota(namespace)
    wait_for(lambda: _allowed(control_plane.api.create, path, _lying("d")), "the end of the quota")


def test_a_quota_of_processors_counts_what_pods_ask_for(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.set_quota(namespace, {"requests.cpu": "1"})
    pod = _lying("a")
    pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "600m"}}
    control_plane.api.create(pods(namespace), pod)
    with pytest.raises(Refused, match=r"requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1"):
        control_plane.api.create(pods(namespace), {**pod, "metadata": {"name": "b"}})


def test_a_watch_tells_what_happened_after_its_version(cluster: Cluster, namespace: str) -> None:
    path = pods(namespace)
    version = cluster.api.get(path)["metadata"]["resourceVersion"]
    cluster.api.create(path, _lying("p"))
    cluster.api.delete(f"{path}/p", grace=0)
    kinds = []
    for kind, _ in cluster.api.watch(path, version):
        kinds.append(kind)
        if kind == "DELETED":
            break
    assert kinds[0] == "ADDED"


def test_after_a_compaction_an_old_version_is_gone(forgetful_plane: ControlPlane) -> None:
    path = pods(forgetful_plane.namespace())
    version = forgetful_plane.version()
    forgetful_plane.compact()
    with pytest.raises(Refused) as refused:
        list(forgetful_plane.api.watch(path, version, timeoutSeconds=5))
    assert refused.value.code == 410


def test_a_restarted_api_server_knows_what_it_knew(control_plane: ControlPlane, namespace: str) -> None:
    path = pods(namespace)
    control_plane.api.create(path, _lying("p"))
    before = control_plane.api.get(f"{path}/p")
    watch = control_plane.api.watch(path, before["metadata"]["resourceVersion"])
    control_plane.kill()
    assert list(watch) == []
    with pytest.raises(ConnectionError):
        control_plane.api.get(path)
    control_plane.start()
    assert control_plane.api.get(f"{path}/p") == before


def test_two_control_planes_know_nothing_of_each_other(control_plane: ControlPlane, clusters: Clusters) -> None:
    other = clusters.get("forgetful", pod_cache=False)
    name = other.namespace("only-there")
    assert other.api.find(f"/api/v1/namespaces/{name}")
    assert control_plane.api.find(f"/api/v1/namespaces/{name}") is None
    # Not even an identity of one is one of the other.
    assert Path(control_plane.access().ca).read_bytes() != Path(other.access().ca).read_bytes()


def test_a_cluster_that_a_kubeconfig_names_is_used_as_it_is(control_plane: ControlPlane) -> None:
    cluster = ForeignCluster(control_plane.kubeconfig())
    name = cluster.namespace()
    cluster.api.create(pods(name), _lying("p"))
    with pytest.raises(Refused, match="cannot list resource"):
        cluster.as_user("bob").get(pods(name))
    cluster.grant(name, cluster.subject("bob"), _READ_PODS)
    wait_for(lambda: _allowed(cluster.as_user("bob").get, pods(name)), "the granted right")
    cluster.close()
    assert "deletionTimestamp" in control_plane.api.get(f"/api/v1/namespaces/{name}")["metadata"]


def test_a_missing_program_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (ASSETS, "XDG_CACHE_HOME", "PATH"):
        monkeypatch.setenv(name, str(tmp_path / name))
    with pytest.raises(NoKubernetes, match=r"need kube-apiserver.*make kube-test-binaries"):
        find_program("kube-apiserver")


def test_programs_are_taken_from_the_assets_then_the_path_then_what_was_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    places = {ASSETS: tmp_path / "assets", "PATH": tmp_path / "path", "XDG_CACHE_HOME": tmp_path / "cache"}
    expected = []
    for name, folder in places.items():
        monkeypatch.setenv(name, str(folder))
        program = (folder / "airloom" / "kubernetes" if name == "XDG_CACHE_HOME" else folder) / "etcd"
        program.parent.mkdir(parents=True)
        program.touch(0o755)
        expected.append(program)
    for program in expected:
        assert find_program("etcd") == str(program)
        shutil.rmtree(program.parent)


def _lying(name: str) -> Object:
    """A pod that nobody runs, whatever nodes there are."""
    return make_pod(name, nodeName="nowhere")


def _allowed(function: Callable[..., Object], *arguments: object) -> Object | None:
    """What the server answers; None while it refuses: its caches learn of new rights and quotas in milliseconds."""
    try:
        return function(*arguments)
    except Refused:
        return None
