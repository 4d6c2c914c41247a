"""The pod of a try: what Airloom needs in it, a template under that, and what the task's executor_config changes.

Nothing here speaks with a cluster.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from airloom.executors import pod_terms
from airloom.executors.kubernetes import names
from airloom.executors.kubernetes.merging import laid_over
from airloom.executors.kubernetes.settings import (
    CA_FILE,
    DAGS_BUNDLE,
    DEFAULT_CLUSTER,
    GIT_FOLDER,
    GIT_KEYS,
    ClusterSettings,
    KubernetesSettings,
)
from airloom.executors.kubernetes.whole_pods import whole_fault
from airloom.executors.settings import LocalSettings
from airloom.model.errors import AirloomError
from airloom.model.pod_shape import BASE, OWN_PREFIX, OWN_VOLUMES, config_fault, shape_fault
from airloom.model.spelling import did_you_mean
from airloom.model.work import Work

Object = dict[str, Any]
#: changes a pod, or raises PodFault
Hook = Callable[[Object], Object]

_WORK, _HOME, _TMP, _DAGS, _GIT = (f"{OWN_VOLUMES}{what}" for what in ("work", "home", "tmp", "dags", "git"))
#: the container that fetches the code of a bundle from git, and what it has from the container of the task
_FETCH = f"{OWN_VOLUMES}code"
_SHARED = ("image", "imagePullPolicy", "env", "envFrom", "securityContext", "resources", "volumeMounts")
#: tasks expect it, and the root of a container may be read-only
_SCRATCH = "/tmp"  # noqa: S108
_CA_KEY = "ca.crt"
#: readable for whoever the container runs as; only the containers that mount it see it
_MODE = 0o444


class PodFault(AirloomError):
    """A pod cannot be made as it is asked for; the sentence goes to the task instance."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the pod of a try goes."""

    cluster: str
    namespace: str


def place_of(work: Work, settings: KubernetesSettings) -> Place:
    """The cluster and namespace of a try. Raises PodFault."""
    return _place(_config(work), settings)


def _place(config: Mapping[str, Any], settings: KubernetesSettings) -> Place:
    name = config.get("cluster", DEFAULT_CLUSTER)
    if name not in settings.clusters:
        raise PodFault(f"executor_config: there is no cluster {name!r}{_instead(name, settings.clusters)}")
    cluster = settings.clusters[name]
    override = (config.get("pod_override") or {}).get("metadata") or {}
    asked = {space for space in (config.get("namespace"), override.get("namespace")) if space}
    if len(asked) > 1:
        raise PodFault(f"executor_config names two namespaces, {' and '.join(sorted(asked))}: leave one of them out")
    namespace = asked.pop() if asked else cluster.namespace
    if namespace not in cluster.all_namespaces:
        allowed = ", ".join(filter(None, cluster.all_namespaces))
        raise PodFault(
            f"executor_config: pods may not be made in the namespace {namespace!r}; in the cluster {name} there is "
            f"{allowed}, and [kubernetes] namespaces can name more"
        )
    return Place(cluster=name, namespace=namespace)


def secret_key(work: Work) -> str:
    """Under which key of its Secret a try's work is."""
    return f"{work.key.ti_id}-{work.key.try_number}"


def ca_data(cluster: ClusterSettings) -> dict[str, bytes]:
    """What belongs into each Secret of this cluster beside the works."""
    return {_CA_KEY: cluster.ca.encode()} if cluster.ca else {}


def manifest_of(work: Work, settings: KubernetesSettings, secret: str, hook: Hook | None = None) -> Object:
    """The pod of a try, ready to be sent. secret: the name of the Secret with its work. Raises PodFault."""
    config = _config(work)
    place = _place(config, settings)
    cluster = settings.clusters[place.cluster]
    pod = laid_over(_plain(cluster, settings), _template(config, cluster))
    pod = laid_over(pod, config.get("pod_override") or {})
    pod = _with_ours(pod, work, cluster, settings, secret)
    pod["metadata"]["namespace"] = place.namespace
    if hook is not None:
        pod = _hooked(hook, pod)
    if fault := whole_fault(pod):
        raise PodFault(fault)
    return pod


def _config(work: Work) -> Mapping[str, Any]:
    if fault := config_fault(work.executor_config):
        raise PodFault(f"executor_config: {fault}")
    return work.executor_config


def _instead(name: str, there: Mapping[str, Any]) -> str:
    return did_you_mean(name, there) or f"; there is {', '.join(there) or 'none'}"


def _template(config: Mapping[str, Any], cluster: ClusterSettings) -> Object:
    name = config.get("template")
    if name is None:
        return cluster.template
    if name not in cluster.templates:
        raise PodFault(f"executor_config: there is no template {name!r}{_instead(name, cluster.templates)}")
    return cluster.templates[name]


def _plain(cluster: ClusterSettings, settings: KubernetesSettings) -> Object:
    """What a pod is like if nobody says anything: as little as possible is allowed to it."""
    base = {
        "name": BASE,
        **({"image": cluster.image} if cluster.image else {}),
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "labels": {"app.kubernetes.io/name": "airloom", "app.kubernetes.io/component": "task"},
            # A node that is drained to save money does not end what runs.
            "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
        },
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": pod_terms.grace_period(settings.runner.grace),
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            **({"serviceAccountName": cluster.service_account} if cluster.service_account else {}),
            "containers": [base],
        },
    }


def _with_ours(pod: Object, work: Work, cluster: ClusterSettings, settings: KubernetesSettings, secret: str) -> Object:
    """The pod with what makes it the pod of this try, which nobody else may change."""
    runner = settings.runner
    base = _base(pod)
    volumes, mounts = _volumes(base, work, cluster, secret)
    told = msgspec.json.encode(runner_in_pod(cluster, runner)).decode()
    # Kubernetes replaces $(NAME) by a variable's value.
    environment = [{"name": pod_terms.SETTINGS, "value": told.replace("$(", "$$(")}]
    ours: Object = {"name": BASE, "env": environment, "volumeMounts": mounts}
    if cluster.dags_claim:
        volumes.append({"name": _DAGS, "persistentVolumeClaim": {"claimName": cluster.dags_claim, "readOnly": True}})
        path = {"subPath": cluster.dags_path} if cluster.dags_path else {}
        folder = runner_in_pod(cluster, runner).bundles.get(DAGS_BUNDLE)
        if folder is None:
            raise PodFault("[kubernetes] dags_claim is set, but no dags_folder: where in pods are the DAG files to be?")
        mounts.append({"name": _DAGS, "mountPath": folder, "readOnly": True, **path})
    spec: Object = {
        "restartPolicy": "Never",
        "volumes": volumes,
        "containers": [ours | _command(base, pod_terms.RUN)],
    }
    if work.bundle in runner.repositories:
        git = _git_volume(work.bundle, cluster, runner)
        spec["volumes"] = [*volumes, *git]
        # It is like the container of the task: the same image, proxies, certificates, limits.
        fetching = {key: base[key] for key in _SHARED if key in base} | {"name": _FETCH}
        looks = [{"name": _GIT, "mountPath": GIT_FOLDER, "readOnly": True}] if git else []
        ours = {**ours, "name": _FETCH, "volumeMounts": [*mounts, *looks], "command": list(pod_terms.FETCH)}
        pod = laid_over(pod, {"spec": {"initContainers": [laid_over(fetching, _own_fetching(pod))]}})
        spec["initContainers"] = [ours]
    metadata = {
        "name": names.pod_name(runner.owner, work),
        "labels": names.labels_of(runner.owner, runner.name, work),
        "annotations": {"kubectl.kubernetes.io/default-container": BASE, **names.annotations_of(work)},
    }
    return laid_over(pod, {"metadata": metadata, "spec": spec})


def _base(pod: Object) -> Object:
    return next((one for one in pod["spec"]["containers"] if one["name"] == BASE), {})


def _own_fetching(pod: Object) -> Object:
    """What a template or a task says itself of the container that fetches code."""
    return next((one for one in pod["spec"].get("initContainers", ()) if one["name"] == _FETCH), {})


def _command(base: Object, run: Sequence[str]) -> Object:
    """A command that a template or a task gives wraps ours: it gets it as its arguments."""
    return {"args": list(run)} if base.get("command") else {"command": list(run)}


def _volumes(base: Object, work: Work, cluster: ClusterSettings, secret: str) -> tuple[list[Object], list[Object]]:
    """Where the work comes from and what may be written to, as volumes and their mounts."""
    items = [{"key": secret_key(work), "path": pod_terms.WORK_FILE.removeprefix(f"{pod_terms.WORK_FOLDER}/")}]
    if cluster.ca:
        items.append({"key": _CA_KEY, "path": CA_FILE.removeprefix(f"{pod_terms.WORK_FOLDER}/")})
    volumes: list[Object] = [
        {"name": _WORK, "secret": {"secretName": secret, "items": items, "defaultMode": _MODE}},
        {"name": _HOME, "emptyDir": {}},
    ]
    mounts: list[Object] = [
        {"name": _WORK, "mountPath": pod_terms.WORK_FOLDER, "readOnly": True},
        {"name": _HOME, "mountPath": pod_terms.HOME},
    ]
    if _SCRATCH not in {mount["mountPath"].rstrip("/") for mount in base.get("volumeMounts", ())}:
        volumes.append({"name": _TMP, "emptyDir": {}})
        mounts.append({"name": _TMP, "mountPath": _SCRATCH})
    return volumes, mounts


def _git_volume(bundle: str, cluster: ClusterSettings, runner: LocalSettings) -> list[Object]:
    """The Secret by which a repository is reached, as a volume; none for one that is open to all. Raises PodFault."""
    keys = [name for field, name in GIT_KEYS.items() if getattr(runner.repositories[bundle], field)]
    if not keys:
        return []
    if not cluster.git_secret:
        raise PodFault(
            f"the bundle {bundle} is reached with {' and '.join(keys)}, which pods have from a Secret: name it as "
            "[kubernetes] git_secret"
        )
    items = [{"key": key, "path": key} for key in keys]
    return [{"name": _GIT, "secret": {"secretName": cluster.git_secret, "items": items, "defaultMode": _MODE}}]


def runner_in_pod(cluster: ClusterSettings, runner: LocalSettings) -> LocalSettings:
    """What the runner in a pod of this cluster is told."""
    bundles = {**runner.bundles, DAGS_BUNDLE: cluster.dags_folder} if cluster.dags_folder else runner.bundles
    return msgspec.structs.replace(
        runner, server=cluster.server, ca_file=CA_FILE if cluster.ca else "", bundles=bundles
    )


def _hooked(hook: Hook, pod: Object) -> Object:
    """What the mutation hook makes of a pod. Raises PodFault, if it changes what makes it the pod of its try."""
    changed = hook(pod)
    if fault := shape_fault(changed):
        raise PodFault(f"the mutation hook made a wrong pod: {fault.strip()}")
    if not changed.get("metadata") or not (changed.get("spec") or {}).get("containers"):
        raise PodFault("the mutation hook made a wrong pod: one without metadata, or without containers")
    for what, before, after in zip(_FIXED, _fixed(pod), _fixed(changed), strict=True):
        if before != after:
            raise PodFault(f"the mutation hook changes {what} of the pod from {before!r} to {after!r}; it may not")
    return changed


_FIXED = (
    *("the name", "the namespace", "Airloom's labels", "the restartPolicy"),
    *(f"what the container {BASE} runs", "Airloom's volumes"),
)


def _fixed(pod: Object) -> tuple[Any, ...]:
    metadata, spec = pod["metadata"], pod["spec"]
    base = _base(pod)
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key.startswith(OWN_PREFIX)}
    volumes = [one for one in spec.get("volumes") or () if one["name"].startswith(OWN_VOLUMES)]
    return (
        metadata.get("name"),
        metadata.get("namespace"),
        labels,
        spec.get("restartPolicy"),
        (base.get("command"), base.get("args")),
        sorted(volumes, key=lambda one: str(one["name"])),
    )
