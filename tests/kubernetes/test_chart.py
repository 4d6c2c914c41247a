"""The Helm chart at a real API server: everything is taken as it is meant, by old servers as well, upgrades keep what
was made up, and the scheduler's account may do exactly what the executor does.
"""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airloom.executors.kubernetes.client.api import Api
from airloom.executors.kubernetes.client.errors import ApiError
from airloom.executors.kubernetes.client.kubeconfig import find_access
from airloom.executors.kubernetes.pods import manifest_of
from airloom.executors.kubernetes.settings import read_clusters
from airloom.operations import kubernetes_doctor
from airloom.settings import load as load_settings
from tests.deploy import charts
from tests.deploy.charts import CASES, LEAST, Object, helm, of_kind
from tests.kubernetes.cluster import Cluster, ForeignCluster
from tests.kubernetes.conftest import Clusters
from tests.kubernetes.pod_bed import settings_of, work_of

ROOT = Path(__file__).parents[2]
_RBAC = "rbac.authorization.k8s.io/v1"
_PATHS = {
    "ConfigMap": "/api/v1/{}/configmaps",
    "Deployment": "/apis/apps/v1/{}/deployments",
    "HorizontalPodAutoscaler": "/apis/{version}/{}/horizontalpodautoscalers",
    "Ingress": "/apis/networking.k8s.io/v1/{}/ingresses",
    "Job": "/apis/batch/v1/{}/jobs",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/{}/networkpolicies",
    "PersistentVolumeClaim": "/api/v1/{}/persistentvolumeclaims",
    "PodDisruptionBudget": "/apis/{version}/{}/poddisruptionbudgets",
    "Role": f"/apis/{_RBAC}/{{}}/roles",
    "RoleBinding": f"/apis/{_RBAC}/{{}}/rolebindings",
    "ScaledObject": "/apis/keda.sh/v1alpha1/{}/scaledobjects",
    "Secret": "/api/v1/{}/secrets",
    "Service": "/api/v1/{}/services",
    "ServiceAccount": "/api/v1/{}/serviceaccounts",
    "StatefulSet": "/apis/apps/v1/{}/statefulsets",
    "TriggerAuthentication": "/apis/keda.sh/v1alpha1/{}/triggerauthentications",
}
#: the kinds that KEDA brings
_KEDA = {"scaledobjects": "ScaledObject", "triggerauthentications": "TriggerAuthentication"}


@pytest.fixture(scope="module")
def whole(clusters: Clusters, foreign_cluster: ForeignCluster | None) -> Cluster:
    """A cluster with every API of Kubernetes, and with KEDA's kinds."""
    cluster: Cluster = foreign_cluster or clusters.get("whole", all_groups=True)
    kinds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for plural, kind in _KEDA.items():
        if cluster.api.find(f"{kinds}/{plural}.keda.sh") is not None:
            continue
        schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
        version = {"name": "v1alpha1", "served": True, "storage": True, "schema": schema}
        names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
        spec = {"group": "keda.sh", "scope": "Namespaced", "names": names, "versions": [version]}
        cluster.api.create(kinds, {"metadata": {"name": f"{plural}.keda.sh"}, "spec": spec})
    return cluster


class Release:
    """An installation of the chart in a namespace of its own."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.namespace = cluster.namespace("chart")
        self._others: dict[str, str] = {}
        self._helm = helm.Config(kubeconfig_path=cluster.kubeconfig(), namespace=self.namespace)

    def install(self, values: Object) -> list[Object]:
        """Install the chart; the objects that Helm sent."""
        return self._sent(self._helm.install(charts.chart(), charts.NAME, self.with_spaces(values)))

    def upgrade(self, values: Object) -> list[Object]:
        """Change it to these values."""
        return self._sent(self._helm.upgrade(charts.chart(), charts.NAME, self.with_spaces(values)))

    def rollback(self) -> None:
        """Go back to the revision before."""
        self._helm.rollback(charts.NAME)

    def uninstall(self) -> None:
        """Remove it."""
        self._helm.uninstall(charts.NAME)

    def close(self) -> None:
        """Leave the cluster."""
        self._helm.close()

    def find(self, one: Object) -> Object | None:
        """An object as the server has it."""
        space = one["metadata"].get("namespace", self.namespace)
        path = _PATHS[one["kind"]].format(f"namespaces/{space}", version=one["apiVersion"])
        return self.cluster.api.find(f"{path}/{one['metadata']['name']}")

    def with_spaces(self, values: Object) -> Object:
        """The values, with namespaces for tasks that are there."""
        own = values.get("kubernetes", {})
        for name in filter(None, (own.get("namespace"), *own.get("namespaces", ()))):
            self._others.setdefault(name, self.cluster.namespace("tasks"))
        if not self._others:
            return values
        spaces = [self._others[name] for name in own.get("namespaces", ())]
        first = self._others.get(own.get("namespace", ""), "")
        return {**values, "kubernetes": {**own, "namespace": first, "namespaces": spaces}}

    def _sent(self, release: Object) -> list[Object]:
        return charts.objects_of(release["manifest"])


@pytest.fixture
def release(whole: Cluster) -> Iterator[Release]:
    """One that is not there yet."""
    release = Release(whole)
    yield release
    release.close()


def missing(sent: Any, there: Any, where: str) -> Iterator[str]:
    """What a server has dropped or changed of what it was sent."""
    if isinstance(sent, dict):
        for key, value in sent.items():
            if value is not None:
                yield from missing(value, there.get(key) if isinstance(there, dict) else None, f"{where}.{key}")
    elif isinstance(sent, list):
        if len(sent) != len(there or ()):
            yield where
        else:
            for number, value in enumerate(sent):
                yield from missing(value, there[number], f"{where}[{number}]")
    elif sent != there:
        yield f"{where}: {sent!r} became {there!r}"


@pytest.mark.parametrize("case", CASES)
def test_the_server_takes_every_object_and_drops_no_part_of_it(release: Release, case: str) -> None:
    for one in release.install(CASES[case]):
        there = release.find(one)
        assert there is not None, one["metadata"]["name"]
        # An old server says nothing of fields that it does not know: it leaves them out.
        lost = [f for part in one if part != "status" for f in missing(one[part], there[part], f"{one['kind']}.{part}")]
        assert lost == []


def test_an_old_server_is_sent_the_groups_that_it_has(release: Release) -> None:
    groups = {group["name"]: {one["version"] for one in group["versions"]} for group in _groups(release.cluster)}
    sent = release.install(CASES["https inside"])
    versions = {one["kind"]: one["apiVersion"] for one in sent}
    assert versions["PodDisruptionBudget"] == f"policy/{'v1' if 'v1' in groups['policy'] else 'v1beta1'}"
    assert versions["HorizontalPodAutoscaler"] == f"autoscaling/{'v2' if 'v2' in groups['autoscaling'] else 'v2beta2'}"


def test_where_helm_knows_no_cluster_todays_groups_are_taken() -> None:
    versions = {one["kind"]: one["apiVersion"] for one in charts.render(CASES["https inside"])}
    assert versions["PodDisruptionBudget"] == "policy/v1"
    assert versions["HorizontalPodAutoscaler"] == "autoscaling/v2"


def _groups(cluster: Cluster) -> list[Object]:
    groups: list[Object] = cluster.api.get("/apis")["groups"]
    return groups


def secret_in(release: Release) -> dict[str, str]:
    """The data of the chart's Secret."""
    found: dict[str, str] = release.cluster.api.get(f"/api/v1/namespaces/{release.namespace}/secrets/demo-airloom")[
        "data"
    ]
    return found


def test_upgrades_and_rollbacks_keep_what_was_made_up(release: Release) -> None:
    release.install(CASES["example celery"])
    before = secret_in(release)
    release.upgrade({**CASES["example celery"], "api": {"replicas": 4}})
    assert secret_in(release) == before
    release.rollback()
    assert secret_in(release) == before


def test_an_uninstallation_leaves_the_secret_key_and_a_new_installation_takes_it_up(release: Release) -> None:
    release.install(LEAST)
    before = secret_in(release)
    release.uninstall()
    assert secret_in(release) == before
    release.install(LEAST)
    assert secret_in(release) == before


def test_what_is_given_later_takes_the_place_of_what_was_made_up(release: Release) -> None:
    release.install(LEAST)
    before = secret_in(release)
    release.upgrade({"image": LEAST["image"], "database": {"url": "postgresql://u:p@db:5432/a"}})
    after = secret_in(release)
    assert after["secret-key"] == before["secret-key"]
    assert after["database-url"] != before["database-url"]


def test_another_image_is_migrated_to_by_another_job(release: Release) -> None:
    (first,) = of_kind(release.install(LEAST), "Job")
    (second,) = of_kind(release.upgrade({**LEAST, "image": {"repository": "airloom", "tag": "2"}}), "Job")
    assert release.find(second) is not None
    gone = release.find(first)
    assert gone is None or gone["metadata"].get("deletionTimestamp")


def test_the_executor_can_be_changed(release: Release) -> None:
    for case in ("least", "example celery", "example local", "example trial"):
        values = {"nameOverride": "", **CASES[case]}
        sent = (release.install if case == "least" else release.upgrade)(values)
        assert all(release.find(one) is not None for one in sent), case


# --- rights -----------------------------------------------------------------------------------------------------------
def rights(cluster: Cluster, access: Any, namespace: str) -> set[tuple[str, str]]:
    """What an identity may do in a namespace, besides asking what it may do."""
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    api = type(cluster.api)(access)
    rules = api.create(path, {"spec": {"namespace": namespace}})["status"]["resourceRules"]
    found = {
        (verb, resource)
        for rule in rules
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if not resource.startswith("selfsubject")
    }
    assert all(rule["apiGroups"] in ([""], ["authorization.k8s.io"], ["authentication.k8s.io"]) for rule in rules)
    return found


def test_the_schedulers_account_may_do_exactly_what_the_executor_does_and_the_others_nothing(release: Release) -> None:
    release.install({**LEAST, "kubernetes": {"namespaces": ["team"]}})
    other = next(iter(release._others.values()))
    scheduler = release.cluster.as_service_account(release.namespace, "demo-airloom-scheduler")
    needed = {*kubernetes_doctor._NEEDED, *kubernetes_doctor._USEFUL}
    assert rights(release.cluster, scheduler, release.namespace) == needed
    assert rights(release.cluster, scheduler, other) == needed
    assert rights(release.cluster, scheduler, release.cluster.namespace()) == set()
    for name in ("demo-airloom", "demo-airloom-task"):
        assert rights(
            release.cluster, release.cluster.as_service_account(release.namespace, name), release.namespace
        ) == (set())


def test_with_the_schedulers_account_everything_works_that_the_executor_asks_of_kubernetes(release: Release) -> None:
    release.install(LEAST)
    namespace, name = release.namespace, "demo-airloom-scheduler"
    api = Api(find_access(str(release.cluster.service_account(namespace, name))))
    done = set()

    def do(method: str, *arguments: Any) -> Any:
        done.add(method)
        return getattr(api, method)(*arguments)

    labels = {"airloom.dev/installation": "x"}
    container = {"name": "base", "image": release.cluster.image, "command": ["true"]}
    pod = {"metadata": {"name": "a", "labels": labels}, "spec": {"containers": [container]}}
    try:
        do("create_secret", namespace, {"metadata": {"name": "works", "labels": labels}, "stringData": {"a": "b"}})
        made = do("create_pod", namespace, pod)
        listed = do("list_pods", namespace, "airloom.dev/installation=x")
        assert [one.metadata.name for one in listed.pods] == ["a"]
        with pytest.raises(ApiError, match="forbidden"):
            api.create_pod("default", pod)
        do("watch_pods", namespace, "airloom.dev/installation=x", listed.version, 60).close()
        assert do("get_pod", namespace, "a").metadata.uid == made.metadata.uid
        do("events_of", namespace, made.metadata.uid)
        do("quotas", namespace)
        do("delete_pod", namespace, "a", made.metadata.uid, 0)
        assert [one.name for one in do("list_secrets", namespace, "airloom.dev/installation=x")] == ["works"]
        do("delete_secret", namespace, "works")
    finally:
        api.close()
    folder = ROOT / "src" / "airloom" / "executors" / "kubernetes"
    used = {word for file in folder.glob("*.py") for word in re.findall(r"\b_?api\.(\w+)\(", file.read_text("utf-8"))}
    # `airloom kubernetes doctor` shows quotas.
    used |= {"quotas"}
    assert used - {"close"} == done


def test_the_cluster_takes_the_pod_of_a_task_as_the_chart_describes_it(release: Release) -> None:
    sent = release.install({**CASES["example kubernetes"], "postgresql": {"enabled": True}, "existingSecret": ""})
    (pod,) = (pod for name, pod in charts.pods(sent) if name.endswith("-scheduler"))
    (templates,) = of_kind(sent, "ConfigMap")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        told = charts.environment(pod["spec"]["containers"][0], folder)
        settings = load_settings(told | {"AIRLOOM_HOME": made}, folder).settings.kubernetes
        for file, text in templates["data"].items():
            (folder / file).write_text(text)
        given = {key: getattr(settings, key) for key in settings.__struct_fields__}
        further = {name: str(folder / Path(file).name) for name, file in settings.templates.items()}
        own = {"template_file": str(folder / "template.yaml"), "templates": further}
        clusters = read_clusters({**given, **own})
    api = Api(find_access(str(release.cluster.service_account(release.namespace, "demo-airloom-scheduler"))))
    try:
        for config in ({}, {"template": "gpu"}):
            manifest = manifest_of(work_of(config), settings_of(**clusters), "works")
            taken = api.check_pod(clusters["default"].namespace, manifest)
            container = next(one for one in manifest["spec"]["containers"] if one["name"] == "base")
            there = next(one for one in taken["spec"]["containers"] if one["name"] == "base")
            assert list(missing(container, there, "base")) == []
            assert list(missing(manifest["spec"]["volumes"], taken["spec"]["volumes"], "volumes")) == []
            assert taken["spec"]["serviceAccountName"] == "demo-airloom-task"
        assert taken["spec"]["nodeSelector"] == {"accelerator": "nvidia"}
    finally:
        api.close()
