"""Looks through what the Kubernetes executor needs of its clusters: rights, quotas, and whether a pod like those of
tasks is taken, gets its image and a node, and reaches the API."""

import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any
from uuid import uuid4

import msgspec

from airloom.executors.kubernetes.client.api import Api
from airloom.executors.kubernetes.client.errors import ApiError, Unreachable
from airloom.executors.kubernetes.client.objects import Pod
from airloom.executors.kubernetes.judge import Phase, Stand, judge
from airloom.executors.kubernetes.pods import Hook, PodFault, manifest_of
from airloom.executors.kubernetes.refusals import Fail, Wait, amount, refusal_of
from airloom.executors.kubernetes.settings import ClusterSettings, KubernetesSettings
from airloom.model.pod_shape import BASE, OWN_PREFIX, OWN_VOLUMES
from airloom.model.report import TryKey
from airloom.model.work import RunInfo, Work

Object = dict[str, Any]


class Verdict(StrEnum):
    """wrong: tasks cannot run; warning: something works less well than it could."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one look has shown. check: what was looked at."""

    cluster: str
    namespace: str
    check: str
    verdict: Verdict
    text: str


#: what the executor cannot do without, and what it uses to explain
_NEEDED = (
    *((verb, "pods") for verb in ("create", "get", "list", "watch", "delete")),
    *((verb, "secrets") for verb in ("create", "list", "delete")),
)
_USEFUL = {
    ("list", "events"): "without it nobody is told why a pod is stuck",
    ("list", "resourcequotas"): "without it this command cannot show quotas",
}
#: from this release on a server refuses fields that it does not know; older ones drop them
_STRICT = (1, 25)
_SOON = 0.5

#: what the pod runs: does one of the servers answer, whatever it says
_PROBE = """
import ssl, sys, urllib.error, urllib.request
servers, ca = sys.argv[1].split(","), sys.argv[2]
opener = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=ssl.create_default_context(cadata=ca or None))
)
faults = []
for server in servers:
    try:
        opener.open(server.strip(), timeout=10)
    except urllib.error.HTTPError:
        pass
    except OSError as error:
        faults.append(f"{server.strip()}: {getattr(error, 'reason', error)}")
        continue
    sys.exit(0)
with open("/dev/termination-log", "w") as words:
    words.write("; ".join(faults))
sys.exit("; ".join(faults))
"""


def examine(
    settings: KubernetesSettings,
    apis: dict[str, Api],
    hook: Hook | None,
    patience: float,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[Finding]:
    """Look through all clusters and namespaces. patience: seconds that a pod has to start and to end; 0: make none."""
    for cluster in settings.clusters.values():
        yield from _Examination(cluster, settings, apis[cluster.name], hook, patience, wait).findings()


class _Examination:
    """Of one cluster."""

    def __init__(
        self,
        cluster: ClusterSettings,
        settings: KubernetesSettings,
        api: Api,
        hook: Hook | None,
        patience: float,
        wait: Callable[[float], None],
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._api = api
        self._hook = hook
        self._patience = patience
        self._wait = wait
        self._namespace = ""

    def findings(self) -> Iterator[Finding]:
        """All that there is to say; what cannot be asked ends it."""
        try:
            release = self._api.server_version()
        except (ApiError, Unreachable) as error:
            yield self._finding("server", Verdict.WRONG, str(error))
            return
        yield self._finding("server", Verdict.OK, f"{self._api.access.server} is Kubernetes {release.text}")
        if (release.major, release.minor) < _STRICT:
            text = "this release drops fields that it does not know, and says nothing; newer ones refuse the pod"
            yield self._finding("server", Verdict.WARNING, text)
        for namespace in self._cluster.all_namespaces:
            self._namespace = namespace
            try:
                yield from self._rights()
                yield from self._quotas()
                yield from self._pod()
            except (ApiError, Unreachable) as error:
                yield self._finding("namespace", Verdict.WRONG, str(error))

    def _finding(self, check: str, verdict: Verdict, text: str) -> Finding:
        return Finding(cluster=self._cluster.name, namespace=self._namespace, check=check, verdict=verdict, text=text)

    def _rights(self) -> Iterator[Finding]:
        missing = [pair for pair in _NEEDED if not self._api.may(*pair, self._namespace)]
        for verb, resource in missing:
            yield self._finding("rights", Verdict.WRONG, f"we may not {verb} {resource}: a Role has to allow it")
        if not missing:
            yield self._finding("rights", Verdict.OK, "pods and secrets can be made, watched and deleted")
        for (verb, resource), why in _USEFUL.items():
            if not self._api.may(verb, resource, self._namespace):
                yield self._finding("rights", Verdict.WARNING, f"we may not {verb} {resource}: {why}")

    def _quotas(self) -> Iterator[Finding]:
        try:
            quotas = self._api.quotas(self._namespace)
        except ApiError:
            return
        for quota in quotas:
            full = [one for one, hard in quota.hard.items() if amount(quota.used.get(one, "0")) >= amount(hard)]
            says = ", ".join(f"{one} {quota.used.get(one, '0')}/{hard}" for one, hard in quota.hard.items())
            yield self._finding("quota", Verdict.WARNING if full else Verdict.OK, f"{quota.name}: {says}")

    def _pod(self) -> Iterator[Finding]:
        try:
            manifest = probe(self._cluster, self._settings, self._namespace, self._hook)
        except PodFault as fault:
            yield self._finding("pod", Verdict.WRONG, str(fault))
            return
        try:
            taken = self._api.check_pod(self._namespace, manifest)
        except ApiError as error:
            refusal = refusal_of(error, self._namespace)
            waits = isinstance(refusal, Wait)
            text = refusal.reason if isinstance(refusal, Wait) else refusal.detail if isinstance(refusal, Fail) else ""
            yield self._finding("pod", Verdict.WARNING if waits else Verdict.WRONG, text or str(error))
            return
        lost = list(_dropped(manifest, taken))
        if lost:
            yield self._finding("pod", Verdict.WARNING, f"the cluster drops {', '.join(lost)} of the pod")
        yield self._finding("pod", Verdict.OK, "the cluster takes a pod like those of tasks")
        if self._patience:
            yield self._tried(manifest)

    def _tried(self, manifest: Object) -> Finding:
        made = self._api.create_pod(self._namespace, manifest)
        try:
            return self._told(made)
        finally:
            self._api.delete_pod(self._namespace, made.metadata.name, made.metadata.uid, grace=0)

    def _told(self, pod: Pod) -> Finding:
        """What becomes of the pod."""
        stand, waited, held = judge(pod), 0.0, 0.0
        while waited < self._patience:
            if stand.ending is not None:
                if stand.succeeded:
                    return self._finding(
                        "trial", Verdict.OK, f"a pod got its image, and reached {self._cluster.server}"
                    )
                return self._finding("trial", Verdict.WRONG, self._why(pod, stand))
            if stand.patience is not None and held >= stand.patience:
                break
            self._wait(_SOON)
            waited += _SOON
            found = self._api.get_pod(self._namespace, pod.metadata.name)
            if found is None:
                return self._finding("trial", Verdict.WRONG, "somebody deleted the pod before it had ended")
            pod, before = found, stand
            stand = judge(pod, before)
            held = held + _SOON if stand.reason == before.reason else 0.0
        return self._finding(
            "trial", Verdict.WRONG, f"a pod did not end within {waited:.0f} s: {self._held(pod, stand)}"
        )

    def _why(self, pod: Pod, stand: Stand) -> str:
        words = next((one.state.terminated for one in pod.status.container_statuses if one.name == BASE), None)
        if words is not None and words.message:
            return f"a pod does not reach the API: {' '.join(words.message.split())}"
        return f"a pod failed: {stand.ending.detail if stand.ending is not None else stand.reason}"

    def _held(self, pod: Pod, stand: Stand) -> str:
        if stand.phase is Phase.RUNNING:
            return "it runs"
        try:
            events = self._api.events_of(self._namespace, pod.metadata.uid) if stand.obscure else ()
        except ApiError:
            events = ()
        warned = [event.message for event in events if event.type == "Warning"]
        return f"{stand.reason}: {warned[-1]}" if warned else stand.reason


def probe(cluster: ClusterSettings, settings: KubernetesSettings, namespace: str, hook: Hook | None) -> Object:
    """A pod that is made as those of tasks are, and asks the API instead of running a task. The executor does not see
    it. Raises PodFault."""
    config = {"cluster": cluster.name, "namespace": namespace}
    work = Work(
        key=TryKey(0, 1),
        dag_id="doctor",
        task_id="probe",
        run=RunInfo(run_id="doctor", run_type="manual", run_after=0.0),
        run_key=0,
        bundle="",
        rel_path="",
        version_id=0,
        executor_config=config,
    )
    pod = manifest_of(work, settings, "none", hook)
    metadata, spec = pod["metadata"], pod["spec"]
    metadata["name"] = f"airloom-doctor-{uuid4().hex[:10]}"
    for kind in ("labels", "annotations"):
        metadata[kind] = {key: text for key, text in metadata[kind].items() if not key.startswith(OWN_PREFIX)}
    work_volume = f"{OWN_VOLUMES}work"
    spec["volumes"] = [one for one in spec["volumes"] if one["name"] != work_volume]
    spec["activeDeadlineSeconds"] = 600
    base = next(one for one in spec["containers"] if one["name"] == BASE)
    base["volumeMounts"] = [one for one in base["volumeMounts"] if one["name"] != work_volume]
    run = ["python3", "-c", _PROBE, cluster.server, cluster.ca]
    base["args" if "args" in base else "command"] = run
    return pod


def _dropped(sent: Any, taken: Any, where: str = "") -> Iterator[str]:
    """What was sent and did not arrive, as older servers do with fields that they do not know."""
    if isinstance(sent, dict) and isinstance(taken, dict):
        for key, value in sent.items():
            place = f"{where}.{key}" if where else key
            if key not in taken:
                if value not in ({}, [], "", None, False):
                    yield place
            else:
                yield from _dropped(value, taken[key], place)
    elif isinstance(sent, list) and isinstance(taken, list):
        by_name = {one.get("name"): one for one in taken if isinstance(one, dict)}
        for one in sent:
            if isinstance(one, dict) and one.get("name") in by_name:
                yield from _dropped(one, by_name[one["name"]], f"{where}[{one['name']}]")
