"""What people ask of the Kubernetes executor: a task's pod as it would be made, and to delete what is left over."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import msgspec

from airloom.executors.kubernetes import names
from airloom.executors.kubernetes.client.api import Api
from airloom.executors.kubernetes.client.kubeconfig import find_access
from airloom.executors.kubernetes.client.objects import moment
from airloom.executors.kubernetes.creators import SECRET
from airloom.executors.kubernetes.judge import Phase, judge
from airloom.executors.kubernetes.pods import Hook, Place, manifest_of, place_of
from airloom.executors.kubernetes.settings import KubernetesSettings
from airloom.model.errors import NotFound
from airloom.model.report import TryKey
from airloom.model.run import DagRow, RunRow, VersionRow
from airloom.model.spec import TaskSpec
from airloom.model.work import RunInfo, Work
from airloom.operations.cluster import OpsCluster
from airloom.operations.lookup import find_dag, find_run, find_tis, nearest
from airloom.operations.ops import Ops
from airloom.store import dags

#: stands for the Secret with the work, which is made with the pod
WORK_SECRET = "airloom-work-example"
#: seconds: a Secret that is younger may be about to be used
_FRESH = 600.0


class Leftover(msgspec.Struct, frozen=True, kw_only=True):
    """An object of ours that nothing needs any more. kind: pod or secret."""

    cluster: str
    namespace: str
    kind: str
    name: str
    why: str


def with_namespaces(settings: KubernetesSettings) -> KubernetesSettings:
    """The settings with the namespaces that are those of the credentials. Raises SettingsError."""
    clusters = {
        name: one
        if one.namespace
        else msgspec.structs.replace(one, namespace=find_access(one.kubeconfig, one.context).namespace)
        for name, one in settings.clusters.items()
    }
    return msgspec.structs.replace(settings, clusters=clusters)


@contextmanager
def connected(settings: KubernetesSettings) -> Iterator[dict[str, Api]]:
    """The clients of all clusters, by name, until the end of the block. Raises SettingsError."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(closing(Api(find_access(one.kubeconfig, one.context))))
            for name, one in settings.clusters.items()
        }


def example_work(ops: Ops, dag_id: str, task_id: str, run_id: str | None = None, map_index: int | None = None) -> Work:
    """The work of a task as it would be handed to the executor: of its newest version, or of a run's. It has no token.

    Raises NotFound, InvalidRequest.
    """
    with ops.db.reading() as conn:
        dag = find_dag(conn, dag_id)
        version = dags.current(conn, [dag_id])[0][1]
        run = find_run(conn, dag_id, run_id) if run_id is not None else None
        ti = find_tis(conn, run, task_id, map_index)[0] if run is not None else None
        if run is not None:
            version = next((one for one in dags.list_versions(conn, dag_id) if one.id == run.version_id), version)
    task = _task(dag, version, task_id)
    key = TryKey(ti.id, max(1, ti.try_number)) if ti is not None else TryKey(0, 1)
    return Work(
        key=key,
        dag_id=dag_id,
        task_id=task_id,
        run=_run_info(run),
        run_key=run.id if run is not None else 0,
        bundle=version.bundle,
        rel_path=version.rel_path,
        version_id=version.id,
        file_hash=version.file_hash,
        bundle_version=run.bundle_version if run is not None else version.bundle_version,
        map_index=ti.map_index if ti is not None else -1,
        queue=task.queue,
        executor="kubernetes",
        execution_timeout=task.execution_timeout,
        memory_limit=task.memory_limit,
        isolation=task.isolation,
        executor_config=task.executor_config,
    )


def _task(dag: DagRow, version: VersionRow, task_id: str) -> TaskSpec:
    tasks = {task.task_id: task for task in version.spec.tasks}
    if task_id not in tasks:
        raise NotFound(f"dag {dag.dag_id} has no task {task_id!r}{nearest(task_id, tasks)}")
    return tasks[task_id]


def _run_info(run: RunRow | None) -> RunInfo:
    if run is None:
        return RunInfo(run_id="example", run_type="manual", run_after=0.0)
    return RunInfo(run_id=run.run_id, run_type=run.run_type, run_after=run.run_after, conf=run.conf)


def pod_spec(work: Work, settings: KubernetesSettings, hook: Hook | None) -> dict[str, Any]:
    """The pod that would be made for a work. Raises PodFault."""
    return manifest_of(work, settings, WORK_SECRET, hook)


def checked(pod: dict[str, Any], work: Work, settings: KubernetesSettings, apis: Mapping[str, Api]) -> dict[str, Any]:
    """What the work's cluster would make of the pod, which it does not. Raises ApiError, Unreachable."""
    return apis[place_of(work, settings).cluster].check_pod(pod["metadata"]["namespace"], pod)


def clean_up(ops: Ops, settings: KubernetesSettings, apis: Mapping[str, Api], *, dry_run: bool) -> list[Leftover]:
    """Delete the pods of tries that are over, those that are kept for a look among them, and the Secrets that no pod
    uses. What lives is left alone, and so is what other installations made. dry_run: only say what would be deleted.

    Raises StoreError, ApiError, Unreachable.
    """
    found = []
    for name, cluster in settings.clusters.items():
        for namespace in cluster.all_namespaces:
            place = Place(cluster=name, namespace=namespace)
            found += list(_clean_place(ops, settings, apis[name], place, dry_run))
    return found


def _clean_place(ops: Ops, settings: KubernetesSettings, api: Api, place: Place, dry_run: bool) -> Iterator[Leftover]:
    selector = names.selector(settings.runner.owner, settings.runner.name)
    secrets = api.list_secrets(place.namespace, selector)
    pods = api.list_pods(place.namespace, selector).pods
    # After the pods were listed: what is not live by now has no pod that is still wanted.
    live = OpsCluster(ops, settings.runner.name).look().claims
    used = set()
    for pod in pods:
        labels = pod.metadata.labels
        if names.key_of(labels) in live:
            used.add(labels.get(SECRET, ""))
            continue
        why = "it has ended" if judge(pod).phase is Phase.ENDED else "its try is over"
        if not dry_run:
            api.delete_pod(place.namespace, pod.metadata.name, pod.metadata.uid)
        yield _leftover(place, "pod", pod.metadata.name, why)
    for secret in secrets:
        made = moment(secret.creation_timestamp) or 0.0
        if secret.name in used or ops.now() - made < _FRESH:
            continue
        if not dry_run:
            api.delete_secret(place.namespace, secret.name, secret.uid)
        yield _leftover(place, "secret", secret.name, "no pod of a live try has its work from it")


def _leftover(place: Place, kind: str, name: str, why: str) -> Leftover:
    return Leftover(cluster=place.cluster, namespace=place.namespace, kind=kind, name=name, why=why)
