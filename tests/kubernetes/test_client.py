"""The client of Kubernetes' API: what it asks of a real API server, and what it makes of the answers."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from airloom.executors.kubernetes.client import api as client_api
from airloom.executors.kubernetes.client.api import Api
from airloom.executors.kubernetes.client.errors import ApiError, Gone
from airloom.executors.kubernetes.client.kubeconfig import find_access
from airloom.executors.kubernetes.client.objects import Object, Watched, moment
from tests.kubernetes.api import pods
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.pods import make_pod
from tests.waiting import wait_for

_OURS = "app=ours"


@pytest.fixture
def api(cluster: Cluster) -> Iterator[Api]:
    with closing(Api(find_access(str(cluster.kubeconfig())))) as made:
        yield made


def _pod(name: str, app: str = "ours") -> Object:
    # On a node that is not there it stays as it is.
    pod = make_pod(name, nodeName="nowhere")
    pod["metadata"]["labels"] = {"app": app}
    return pod


def _until(watch: Iterable[Watched], enough: Callable[[Watched], bool]) -> list[Watched]:
    """What a watch tells, up to what is waited for."""
    seen = []
    for watched in watch:
        seen.append(watched)
        if enough(watched):
            break
    return seen


def test_a_pod_is_made_read_and_deleted(api: Api, namespace: str) -> None:
    made = api.create_pod(namespace, _pod("p"))
    found = api.get_pod(namespace, "p")
    assert found is not None
    assert found.metadata == made.metadata
    assert (found.metadata.labels, found.spec.node_name) == ({"app": "ours"}, "nowhere")
    assert [container.name for container in found.spec.containers] == ["main"]
    assert found.status.phase == "Pending"
    assert moment(found.metadata.creation_timestamp)
    api.delete_pod(namespace, "p", grace=0)
    assert api.get_pod(namespace, "p") is None


def test_a_pod_that_is_gone_or_is_another_one_is_not_deleted(api: Api, namespace: str) -> None:
    api.delete_pod(namespace, "p")
    first = api.create_pod(namespace, _pod("p")).metadata.uid
    api.delete_pod(namespace, "p", uid=first, grace=0)
    second = api.create_pod(namespace, _pod("p")).metadata.uid
    api.delete_pod(namespace, "p", uid=first, grace=0)
    found = api.get_pod(namespace, "p")
    assert found is not None
    assert (found.metadata.uid, found.metadata.deletion_timestamp) == (second, None)


def test_a_pod_gets_its_time_to_end(api: Api, namespace: str) -> None:
    api.create_pod(namespace, _pod("p"))
    api.delete_pod(namespace, "p", grace=77)
    found = api.get_pod(namespace, "p")
    assert found is not None
    assert found.metadata.deletion_timestamp
    assert found.metadata.deletion_grace_period_seconds == 77


def test_a_second_pod_of_a_name_is_refused(api: Api, namespace: str) -> None:
    api.create_pod(namespace, _pod("p"))
    with pytest.raises(ApiError, match='pods "p" already exists') as refused:
        api.create_pod(namespace, _pod("p"))
    assert (refused.value.code, refused.value.reason) == (409, "AlreadyExists")


def test_a_refusal_names_the_fields_that_are_wrong(api: Api, namespace: str) -> None:
    pod = _pod("p")
    pod["spec"]["containers"][0]["image"] = ""
    pod["spec"]["restartPolicy"] = "Sometimes"
    with pytest.raises(ApiError, match="422 Invalid") as refused:
        api.create_pod(namespace, pod)
    fields = {cause.field for cause in refused.value.causes}
    assert fields == {"spec.containers[0].image", "spec.restartPolicy"}
    assert all(cause.message for cause in refused.value.causes)


def test_a_pod_that_is_only_checked_is_shown_with_its_defaults_and_not_made(api: Api, namespace: str) -> None:
    checked = api.check_pod(namespace, _pod("p"))
    assert checked["spec"]["terminationGracePeriodSeconds"] == 30
    assert api.get_pod(namespace, "p") is None


def test_a_field_that_no_pod_has_is_not_passed_over_by_servers_that_can_say_so(api: Api, namespace: str) -> None:
    pod = _pod("p")
    pod["spec"]["nodeSelectr"] = {}
    if api.server_version().minor >= 25:
        with pytest.raises(ApiError, match=r'unknown field "spec.nodeSelectr"'):
            api.check_pod(namespace, pod)
    else:
        assert "nodeSelectr" not in api.check_pod(namespace, pod)["spec"]


def test_a_list_has_all_pages_and_only_pods_of_the_selector(
    api: Api, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_api, "_PAGE", 2)
    names = [f"p{number}" for number in range(5)]
    for name in names:
        api.create_pod(namespace, _pod(name))
    api.create_pod(namespace, _pod("other", "theirs"))
    listed = api.list_pods(namespace, _OURS)
    assert sorted(pod.metadata.name for pod in listed.pods) == names
    assert listed.version


def test_a_watch_tells_all_that_follows_its_version(api: Api, namespace: str) -> None:
    version = api.list_pods(namespace, _OURS).version
    api.create_pod(namespace, _pod("other", "theirs"))
    made = api.create_pod(namespace, _pod("p"))
    api.delete_pod(namespace, "p", grace=0)
    with closing(api.watch_pods(namespace, _OURS, version, 60)) as watch:
        seen = _until(watch, lambda watched: watched.kind == "DELETED")
    assert seen[0].kind == "ADDED"
    assert {watched.pod.metadata.uid for watched in seen if watched.pod} == {made.metadata.uid}
    assert all(watched.pod and watched.version == watched.pod.metadata.resource_version for watched in seen)


def test_a_pod_that_loses_the_labels_is_told_of_as_deleted(api: Api, cluster: Cluster, namespace: str) -> None:
    made = api.create_pod(namespace, _pod("p"))
    cluster.api.patch(pods(namespace, "p"), {"metadata": {"labels": {"app": "theirs"}}})
    with closing(api.watch_pods(namespace, _OURS, made.metadata.resource_version, 60)) as watch:
        assert next(iter(watch)).kind == "DELETED"


def test_a_watch_ends_when_its_time_is_over_and_another_goes_on_from_there(api: Api, namespace: str) -> None:
    version = api.list_pods(namespace, _OURS).version
    api.create_pod(namespace, _pod("p"))
    events = iter(api.watch_pods(namespace, _OURS, version, 4))
    assert next(events).kind == "ADDED"
    other = api.create_pod(namespace, _pod("other", "theirs"))
    # Before the server ends the watch, it says how far it has come with other pods.
    rest = list(events)
    assert {(watched.kind, watched.pod) for watched in rest} == {("BOOKMARK", None)}
    assert int(rest[-1].version) >= int(other.metadata.resource_version)
    api.delete_pod(namespace, "p", grace=0)
    with closing(api.watch_pods(namespace, _OURS, rest[-1].version, 60)) as watch:
        following = _until(watch, lambda watched: watched.kind == "DELETED")
    assert "ADDED" not in {watched.kind for watched in following}


def test_a_version_that_is_still_to_come_is_not_waited_for(api: Api, namespace: str) -> None:
    version = int(api.list_pods(namespace, _OURS).version)
    with pytest.raises(Gone, match=f"which is before {version + 1000000}"):
        api.watch_pods(namespace, _OURS, str(version + 1000000), 60)


def test_a_watch_is_closed_by_another_thread(api: Api, namespace: str) -> None:
    watch = api.watch_pods(namespace, _OURS, api.list_pods(namespace, _OURS).version, 60)
    api.create_pod(namespace, _pod("p"))
    told, seen = threading.Event(), []

    def follow() -> None:
        for watched in watch:
            seen.append(watched)
            told.set()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(follow)
        assert told.wait(60)
        watch.close()
        done.result(60)
    assert len(seen) == 1


def test_many_threads_share_one_api(api: Api, namespace: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: api.create_pod(namespace, _pod(f"p{number}")), range(80)))
        listed = {pod.metadata.uid for pod in api.list_pods(namespace, _OURS).pods}
        assert listed == {pod.metadata.uid for pod in made}
        list(pool.map(lambda pod: api.delete_pod(namespace, pod.metadata.name, pod.metadata.uid, 0), made))
    assert api.list_pods(namespace, _OURS).pods == []


def test_events_of_a_pod_come_in_their_order(api: Api, cluster: Cluster, namespace: str) -> None:
    made = api.create_pod(namespace, _pod("p")).metadata
    about = {"kind": "Pod", "namespace": namespace, "name": "p"}
    for name, when, uid in (("b", 2, made.uid), ("a", 1, made.uid), ("c", 3, "another")):
        event = {"metadata": {"name": name}, "involvedObject": {**about, "uid": uid}, "reason": name.upper()}
        event |= {"type": "Warning", "message": f"the {name}", "lastTimestamp": f"2026-01-01T00:00:0{when}Z"}
        cluster.api.create(f"/api/v1/namespaces/{namespace}/events", event)
    found = api.events_of(namespace, made.uid)
    assert [(event.reason, event.message) for event in found] == [("A", "the a"), ("B", "the b")]
    assert found[1].at - found[0].at == 1.0


def test_secrets_are_made_listed_without_what_they_hide_and_deleted(
    api: Api, cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_api, "_PAGE", 1)
    for name in ("a", "b"):
        labels = {"metadata": {"name": name, "labels": {"app": "ours"}}}
        made = api.create_secret(namespace, {**labels, "data": {"key": "c2VjcmV0"}})
    assert cluster.api.get(f"/api/v1/namespaces/{namespace}/secrets/b")["data"] == {"key": "c2VjcmV0"}
    assert [secret.name for secret in api.list_secrets(namespace, _OURS)] == ["a", "b"]
    assert api.list_secrets(namespace, "app=theirs") == ()
    api.delete_secret(namespace, "b", uid="another")
    assert made in api.list_secrets(namespace, _OURS)
    api.delete_secret(namespace, "b", uid=made.uid)
    api.delete_secret(namespace, "b")
    assert [secret.name for secret in api.list_secrets(namespace, _OURS)] == ["a"]


def test_quotas_show_what_is_used_and_refuse_more(api: Api, cluster: Cluster, namespace: str) -> None:
    assert api.quotas(namespace) == ()
    cluster.set_quota(namespace, {"pods": "1"})
    wait_for(lambda: api.quotas(namespace)[0].hard, "the quota to count")
    api.create_pod(namespace, _pod("p"))
    wait_for(lambda: api.quotas(namespace)[0].used == {"pods": "1"}, "the pod to be counted")
    with pytest.raises(ApiError, match=r"exceeded quota: test, requested: pods=1.*403 Forbidden"):
        api.create_pod(namespace, _pod("q"))


def test_one_may_what_was_granted(cluster: Cluster, namespace: str) -> None:
    api = Api(find_access(str(cluster.kubeconfig("alice"))))
    assert not api.may("create", "pods", namespace)
    rule: Object = {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["create", "get"]}
    cluster.grant(namespace, cluster.subject("alice"), [rule])
    wait_for(lambda: api.may("create", "pods", namespace), "the granted right")
    assert api.may("get", "pods/log", namespace)
    assert not api.may("get", "pods/exec", namespace)
    assert not api.may("create", "secrets", namespace)
    with pytest.raises(ApiError, match=r'User .*cannot create resource "secrets"') as refused:
        api.create_secret(namespace, {"metadata": {"name": "s"}})
    assert (refused.value.code, refused.value.kind, refused.value.name) == (403, "secrets", "")
    api.close()


def test_the_release_of_the_server_is_known(api: Api) -> None:
    version = api.server_version()
    assert version.text.startswith(f"v{version.major}.{version.minor}.")


def test_a_namespace_that_is_not_there_is_named(api: Api) -> None:
    with pytest.raises(ApiError, match='namespaces "nope" not found') as refused:
        api.create_pod("nope", _pod("p"))
    assert (refused.value.code, refused.value.kind) == (404, "namespaces")
    api.delete_pod("nope", "p")
    assert api.get_pod("nope", "p") is None


def test_a_log_is_read_while_the_container_writes_it(running_cluster: Cluster, namespace: str) -> None:
    api = Api(find_access(str(running_cluster.kubeconfig())))
    pod = make_pod("p", ["sh", "-c", "echo one; echo two; exec sleep 1000"], running_cluster.image)
    api.create_pod(namespace, pod)
    with pytest.raises(ApiError, match=r"container|\"q\" not found"):
        api.pod_log(namespace, "q")

    def begun() -> bool:
        try:
            return b"two" in b"".join(api.pod_log(namespace, "p", "main"))
        except ApiError:
            return False

    wait_for(begun, "the log")
    assert b"".join(api.pod_log(namespace, "p", tail=1)) == b"two\n"
    first = b"".join(api.pod_log(namespace, "p", timestamps=True)).splitlines()[0].decode()
    assert first.endswith(" one")
    assert moment(first.partition(" ")[0])
    assert b"".join(api.pod_log(namespace, "p", since="2099-01-01T00:00:00Z")) == b""
    log = api.pod_log(namespace, "p", follow=True)
    read = b""
    for piece in log:
        read += piece
        if b"two" in read:
            # Nothing more comes: the one that reads is let go.
            threading.Timer(0.0, log.close).start()
    assert read == b"one\ntwo\n"
    api.delete_pod(namespace, "p", grace=0)
    api.close()
