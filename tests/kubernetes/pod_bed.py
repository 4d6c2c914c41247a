"""What pods are made of in tests that need no cluster: settings and works."""

from typing import Any

from airloom.executors.kubernetes.settings import ClusterSettings, KubernetesSettings, for_pods
from airloom.executors.settings import LocalSettings
from airloom.model.bundles import GitBundle
from airloom.model.report import TryKey
from airloom.model.work import RunInfo, Work

OWNER = "0123abcd89ef"
Object = dict[str, Any]


def cluster_of(**values: Any) -> ClusterSettings:
    """A cluster with an image and a namespace, and what is said beside it."""
    known = {"server": "http://airloom:8080", "image": "team/flows:1", "namespace": "flows"}
    return ClusterSettings(**{**known, **values})


def settings_of(
    cluster: ClusterSettings | None = None,
    *,
    repositories: dict[str, GitBundle] | None = None,
    **others: ClusterSettings,
) -> KubernetesSettings:
    """An executor with this cluster, and others by their names."""
    local = LocalSettings(
        home="/var/lib/airloom",
        owner=OWNER,
        bundles={"dags": "/srv/dags", "more": "/srv/more"},
        repositories=repositories or {},
    )
    return KubernetesSettings(
        clusters={"default": cluster or cluster_of(), **others}, runner=for_pods(local, "kubernetes", 30.0, 300.0)
    )


def work_of(
    config: Object | None = None, *, dag_id: str = "etl", task_id: str = "load", bundle: str = "dags", key: int = 12
) -> Work:
    """A try of a task with this executor_config."""
    return Work(
        key=TryKey(key, 1),
        dag_id=dag_id,
        task_id=task_id,
        run=RunInfo(run_id="manual__2026-01-01T00:00:00+00:00", run_type="manual", run_after=0.0),
        run_key=1,
        bundle=bundle,
        rel_path="a.py",
        version_id=1,
        executor="kubernetes",
        executor_config=config or {},
        token="alt_secret",
    )


def override(*containers: Object, metadata: Object | None = None, **spec: Any) -> Object:
    """An executor_config with a pod_override of these containers."""
    pod: Object = {"spec": {**({"containers": list(containers)} if containers else {}), **spec}}
    return {"pod_override": pod | ({"metadata": metadata} if metadata else {})}
