"""Pods as they are made, and what a real API server says of them."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from airloom.executors.kubernetes.client.api import Api
from airloom.executors.kubernetes.client.errors import ApiError
from airloom.executors.kubernetes.client.kubeconfig import find_access
from airloom.executors.kubernetes.pods import manifest_of
from airloom.executors.kubernetes.refusals import Fail, Refusal, Scope, Wait, refusal_of
from airloom.model.bundles import GitBundle
from airloom.model.report import Cause
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.pod_bed import Object, cluster_of, override, settings_of, work_of
from tests.waiting import wait_for


@pytest.fixture
def api(cluster: Cluster) -> Iterator[Api]:
    with closing(Api(find_access(str(cluster.kubeconfig())))) as made:
        yield made


def made(namespace: str, config: Object | None = None, **work: Any) -> Object:
    git = {"flows": GitBundle(url="git@host:flows.git", ssh_key_file="/key")}
    settings = settings_of(cluster_of(namespace=namespace, git_secret="key", ca="PEM"), repositories=git)
    return manifest_of(work_of(config, **work), settings, "works-1")


EVERYTHING = override(
    {
        "name": "base",
        "image": "gpu:2",
        "imagePullPolicy": "IfNotPresent",
        "env": [
            {"name": "PLAIN", "value": "1"},
            {"name": "HIDDEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        ],
        "envFrom": [{"configMapRef": {"name": "c"}}],
        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "2Gi", "nvidia.com/gpu": "1"}},
        "volumeMounts": [{"name": "data", "mountPath": "/data", "subPath": "in", "readOnly": True}],
        "securityContext": {"readOnlyRootFilesystem": True, "runAsUser": 10001},
    },
    {"name": "proxy", "image": "proxy:1", "ports": [{"containerPort": 8080}]},
    metadata={"labels": {"team": "data"}, "annotations": {"note": "x" * 1000}},
    initContainers=[{"name": "prepare", "image": "a:1", "args": ["sh", "-c", "true"]}],
    nodeSelector={"pool": "gpu"},
    tolerations=[{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
    affinity={
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]
            }
        }
    },
    topologySpreadConstraints=[{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
    volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "d"}}],
    serviceAccountName="default",
    imagePullSecrets=[{"name": "registry"}],
    hostAliases=[{"ip": "10.0.0.1", "hostnames": ["db"]}],
    priorityClassName=None,
    activeDeadlineSeconds=3600,
    dnsConfig={"options": [{"name": "ndots", "value": "2"}]},
)


@pytest.mark.parametrize(
    ("config", "work"),
    [
        ({}, {}),
        (EVERYTHING, {}),
        ({}, {"bundle": "flows"}),
        ({}, {"dag_id": "d." * 125, "task_id": "_" * 250}),
        ({}, {"dag_id": "日本語 dag/№ 7", "task_id": "🚀", "key": 2**63 - 1}),
    ],
)
def test_the_pods_that_are_made_are_taken_as_they_are(
    api: Api, namespace: str, config: Object, work: dict[str, Any]
) -> None:
    pod = made(namespace, config, **work)
    taken = api.check_pod(namespace, pod)
    assert taken["metadata"]["labels"].items() >= pod["metadata"]["labels"].items()
    sent, kept = (one["spec"]["containers"] for one in (pod, taken))
    assert [one["name"] for one in sent] == [one["name"] for one in kept]
    assert sent[0]["env"] == kept[0]["env"]


def refused(api: Api, namespace: str, config: Object) -> Refusal:
    with pytest.raises(ApiError) as error:
        api.check_pod(namespace, made(namespace, config))
    return refusal_of(error.value, namespace)


CPU = {"name": "base", "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}}


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (override({"name": "base", "resources": {"limits": {"memory": "1Qi"}}}), None),
        (override(dnsPolicy="Sometimes"), "spec.dnsPolicy: Unsupported value"),
        (override({"name": "base", "image": "a:1", "imagePullPolicy": "Often"}), "imagePullPolicy: Unsupported value"),
        (override(tolerations=[{"key": "a", "effect": 3}]), "the cluster does not take the pod"),
        (override(priorityClassName="nope"), "no PriorityClass with name nope was found"),
        (
            override({"name": "base", "resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}}),
            "must be less than or equal to memory limit",
        ),
    ],
)
def test_an_override_that_is_wrong_fails_with_the_place(
    api: Api, namespace: str, config: Object, text: str | None
) -> None:
    if text is None:
        with pytest.raises(Exception, match="expected an amount"):
            made(namespace, config)
        return
    said = refused(api, namespace, config)
    assert isinstance(said, Fail) and text in said.detail
    assert said.cause is Cause.INVALID


def test_a_namespace_that_does_not_exist_fails_by_its_name(api: Api) -> None:
    assert refused(api, "nowhere", {}) == Fail(
        detail="there is no namespace nowhere in the cluster", cause=Cause.LAUNCH
    )


def test_a_full_quota_waits_and_one_that_is_too_small_for_ever_fails(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    with closing(Api(find_access(str(control_plane.kubeconfig())))) as api:
        control_plane.set_quota(namespace, {"requests.cpu": "1500m"})

        def taken(config: Object, name: str) -> Refusal | None:
            pod = made(namespace, config)
            pod["metadata"]["name"] = name
            pod["spec"]["nodeName"] = "nowhere"
            try:
                api.create_pod(namespace, pod)
            except ApiError as error:
                return refusal_of(error, namespace)
            return None

        # The server's cache has a new quota a moment later.
        unsaid = wait_for(lambda: taken({}, f"p-{id(object())}"), "the quota")
        assert isinstance(unsaid, Fail) and "wants every container to say requests.cpu" in unsaid.detail
        assert taken(override(CPU), "first") is None
        full = wait_for(lambda: taken(override(CPU), "second"), "the quota to be full")
        assert isinstance(full, Wait) and full.scope is Scope.NAMESPACE
        assert full.reason.endswith("requests.cpu 1/1500m")
        large = {"name": "base", "resources": {"requests": {"cpu": "9"}, "limits": {"cpu": "9"}}}
        never = taken(override(large), "third")
        assert isinstance(never, Fail) and never.detail.endswith("requests.cpu 9, of 1500m in all")


def test_a_limit_of_the_namespace_s_is_told(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    limits = {"limits": [{"type": "Container", "max": {"memory": "64Mi"}}]}
    path = f"/api/v1/namespaces/{namespace}/limitranges"
    control_plane.api.create(path, {"metadata": {"name": "small"}, "spec": limits})
    large = override({"name": "base", "resources": {"limits": {"memory": "512Mi"}}})
    with closing(Api(find_access(str(control_plane.kubeconfig())))) as api:
        said: list[Refusal] = []

        def look() -> bool:
            try:
                api.check_pod(namespace, made(namespace, large))
            except ApiError as error:
                said.append(refusal_of(error, namespace))
            return bool(said)

        wait_for(look, "the limits to be known")
    assert isinstance(said[0], Fail)
    assert "maximum memory usage per Container is 64Mi, but limit is 512Mi" in said[0].detail


def test_an_account_without_a_role_waits_for_it(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    kubeconfig = control_plane.service_account(namespace, "loom")
    with closing(Api(find_access(str(kubeconfig)))) as api:
        said = refused(api, namespace, {})
    assert isinstance(said, Wait) and said.scope is Scope.NAMESPACE
    assert f"may not create pods in the namespace {namespace}" in said.reason


def test_a_namespace_that_is_being_deleted_waits(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    control_plane.api.delete(f"/api/v1/namespaces/{namespace}")
    with closing(Api(find_access(str(control_plane.kubeconfig())))) as api:
        said = refused(api, namespace, {})
    assert isinstance(said, Wait)
    assert said.reason == f"the namespace {namespace} is being deleted"
