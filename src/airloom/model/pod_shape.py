"""What is wrong with a pod as people write it, in a template or in a task's executor_config: told before it is sent.

Fields that are not known here pass, for Kubernetes gets new ones; those that are a slip of the pen do not.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from airloom.model.spelling import did_you_mean

#: the container that runs the task, as in Airflow
BASE = "base"
#: what volumes of ours are called, and annotations and labels, and variables
OWN_VOLUMES = "airloom-"
OWN_PREFIX = "airloom.dev/"
OWN_VARIABLES = "AIRLOOM_POD"

#: the keys of executor_config that are for Kubernetes
CONFIG_KEYS = ("pod_override", "cluster", "namespace", "template")
_FORMER_KEYS = {
    "KubernetesExecutor": "pod_override, with a pod as Kubernetes has it",
    "pod_template_file": "template, with the name of one of [kubernetes] templates",
}


class _Kind(NamedTuple):
    """What a field holds: in words, and whether a value is that."""

    text: str
    fits: Callable[[Any], bool]


def _all(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple) and all(isinstance(one, kind) for one in value)


_TEXT = _Kind("a text", lambda value: isinstance(value, str))
_WHOLE = _Kind("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool))
_FLAG = _Kind("true or false", lambda value: isinstance(value, bool))
_OBJECT = _Kind("a table", lambda value: isinstance(value, Mapping))
_MAP = _Kind(
    "texts by name",
    lambda value: isinstance(value, Mapping) and all(one is None or isinstance(one, str) for one in value.values()),
)
_OBJECTS = _Kind("a list of tables", _all(Mapping))
_TEXTS = _Kind("a list of texts", _all(str))
_POD = {"apiVersion": _TEXT, "kind": _TEXT, "metadata": _OBJECT, "spec": _OBJECT}
_METADATA = {
    **dict.fromkeys(("name", "generateName", "namespace"), _TEXT),
    **dict.fromkeys(("labels", "annotations"), _MAP),
    "finalizers": _TEXTS,
    "ownerReferences": _OBJECTS,
}
_SPEC = {
    **dict.fromkeys(
        (
            *("containers", "ephemeralContainers", "hostAliases", "imagePullSecrets", "initContainers"),
            *("readinessGates", "resourceClaims", "schedulingGates", "tolerations", "topologySpreadConstraints"),
            "volumes",
        ),
        _OBJECTS,
    ),
    **dict.fromkeys(("affinity", "dnsConfig", "os", "resources", "securityContext", "workloadRef"), _OBJECT),
    **dict.fromkeys(("nodeSelector", "overhead"), _MAP),
    **dict.fromkeys(("activeDeadlineSeconds", "priority", "terminationGracePeriodSeconds"), _WHOLE),
    **dict.fromkeys(
        (
            *("automountServiceAccountToken", "enableServiceLinks", "hostIPC", "hostNetwork", "hostPID", "hostUsers"),
            *("setHostnameAsFQDN", "shareProcessNamespace"),
        ),
        _FLAG,
    ),
    **dict.fromkeys(
        (
            *("dnsPolicy", "hostname", "hostnameOverride", "nodeName", "preemptionPolicy", "priorityClassName"),
            *("restartPolicy", "runtimeClassName", "schedulerName", "serviceAccount", "serviceAccountName"),
            "subdomain",
        ),
        _TEXT,
    ),
}
_CONTAINER = {
    **dict.fromkeys(("args", "command"), _TEXTS),
    **dict.fromkeys(
        ("env", "envFrom", "ports", "resizePolicy", "restartPolicyRules", "volumeDevices", "volumeMounts"), _OBJECTS
    ),
    **dict.fromkeys(
        ("lifecycle", "livenessProbe", "readinessProbe", "resources", "securityContext", "startupProbe"), _OBJECT
    ),
    **dict.fromkeys(("stdin", "stdinOnce", "tty"), _FLAG),
    **dict.fromkeys(
        (
            *("image", "imagePullPolicy", "name", "restartPolicy", "terminationMessagePath"),
            *("terminationMessagePolicy", "workingDir"),
        ),
        _TEXT,
    ),
}
_LISTS_OF_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_QUANTITY = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?")
_SNAKE = re.compile(r"_([a-z])")


def name_fault(what: str, name: Any) -> str:
    """Why a namespace, a container or a volume cannot be called that; "" if it can."""
    if isinstance(name, str) and _NAME.fullmatch(name):
        return ""
    return f"{what} cannot be called {name!r}: a name has up to 63 small letters, digits and '-', none at its ends"


def namespace_fault(name: Any) -> str:
    """What is wrong with the name of a namespace; "" if nothing is."""
    return name_fault("a namespace", name)


def config_fault(config: Mapping[str, Any]) -> str:
    """What is wrong with a task's executor_config, as far as it is for Kubernetes; "" if nothing is. Keys that are like
    none of ours are for others."""
    for key in config:
        if key in _FORMER_KEYS:
            return f"{key!r} is not supported; there is {_FORMER_KEYS[key]}"
        if key not in CONFIG_KEYS and (hint := did_you_mean(key, CONFIG_KEYS, cutoff=0.75, show=repr)):
            return f"there is no {key!r}{hint}"
    for key in ("cluster", "namespace", "template"):
        if key in config and (not isinstance(config[key], str) or not config[key]):
            return f"{key} is to be a name, not {config[key]!r}"
    if "namespace" in config and (fault := namespace_fault(config["namespace"])):
        return fault
    return override_fault(config["pod_override"]) if "pod_override" in config else ""


def override_fault(pod: Any) -> str:
    """What is wrong with the pod_override of a task; "" if nothing is."""
    if fault := pod_fault(pod):
        return f"pod_override{'' if fault.startswith(' ') else ': '}{fault}"
    return ""


def template_fault(pod: Any) -> str:
    """What is wrong with a template of pods; "" if nothing is."""
    if fault := pod_fault(pod):
        return fault.strip()
    names = [container["name"] for container in (pod.get("spec") or {}).get("containers") or ()]
    if names and BASE not in names:
        return f"no container is called {BASE}, which is the one that runs the task; there is {', '.join(names)}"
    return ""


def pod_fault(pod: Any) -> str:
    """What is wrong with a pod that is to be merged with others, ours among them; "" if nothing is. None stands for a
    field that is to go."""
    return shape_fault(pod) or next(_taken(pod), "")


def shape_fault(pod: Any) -> str:
    """What is wrong with a pod whoever wrote it; "" if nothing is."""
    return next(_faults(pod), "")


def _taken(pod: Mapping[str, Any]) -> Iterator[str]:
    """What only Airloom may say of a pod."""
    metadata, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    for key in ("name", "generateName"):
        if metadata.get(key):
            yield f"metadata.{key} cannot be given: Airloom names pods after their tries"
    for kind in ("labels", "annotations"):
        for key in metadata.get(kind) or ():
            if key.startswith(OWN_PREFIX):
                yield f"metadata.{kind}: {key} is Airloom's own"
    for volume in spec.get("volumes") or ():
        if volume["name"].startswith(OWN_VOLUMES):
            yield f"spec.volumes: {volume['name']}: names that begin with {OWN_VOLUMES} are Airloom's own"
    for container in (one for kind in _LISTS_OF_CONTAINERS for one in spec.get(kind) or ()):
        if container["name"] == BASE and container.get("args"):
            yield f"the args of {BASE} cannot be given: they are what runs the task; a command that is given gets them"
        for variable in container.get("env") or ():
            if variable["name"].startswith(OWN_VARIABLES):
                yield f"the container {container['name']}: the variable {variable['name']} is Airloom's own"


def _faults(pod: Any) -> Iterator[str]:
    if not isinstance(pod, Mapping):
        yield f" is to be a pod, as a table with a spec, or an object of the Kubernetes client, not {_shown(pod)}"
        return
    yield from _fields(pod, "", _POD, closed=True)
    if pod.get("kind", "Pod") != "Pod" or pod.get("apiVersion", "v1") != "v1":
        yield f"it is of the kind {pod.get('kind', 'Pod')}, {pod.get('apiVersion', 'v1')}; expected a Pod, v1"
    yield from _metadata_faults(pod.get("metadata") or {})
    yield from _spec_faults(pod.get("spec") or {})


def _metadata_faults(metadata: Mapping[str, Any]) -> Iterator[str]:
    yield from _fields(metadata, "metadata.", _METADATA)
    if metadata.get("namespace") and (fault := namespace_fault(metadata["namespace"])):
        yield f"metadata.namespace: {fault}"
    for kind in ("labels", "annotations"):
        for key, value in (metadata.get(kind) or {}).items():
            if not isinstance(key, str) or not _KEY.fullmatch(key):
                yield f"metadata.{kind}: {key!r} can be no key in Kubernetes"
            if kind == "labels" and value is not None and not _LABEL.fullmatch(value):
                yield (
                    f"metadata.labels: {key} cannot be {value[:80]!r}: a label has up to 63 letters, digits, '-', '_' "
                    "and '.', the last three not at its ends; annotations can be longer"
                )


def _spec_faults(spec: Mapping[str, Any]) -> Iterator[str]:
    yield from _fields(spec, "spec.", _SPEC)
    if spec.get("restartPolicy") not in (None, "Never"):
        yield f"spec.restartPolicy is {spec['restartPolicy']}: it is Never, retries are Airloom's"
    for volume in spec.get("volumes") or ():
        if fault := name_fault("a volume", volume.get("name")):
            yield f"spec.volumes: {fault}"
    for kind in _LISTS_OF_CONTAINERS:
        for number, container in enumerate(spec.get(kind) or ()):
            if container.get("name") is None:
                yield f"spec.{kind}[{number}] has no name; the container of the task is called {BASE}"
            elif fault := name_fault("a container", container["name"]):
                yield f"spec.{kind}: {fault}"
            yield from _container_faults(container, f"spec.{kind}[{container.get('name')}].")


def _container_faults(container: Mapping[str, Any], where: str) -> Iterator[str]:
    yield from _fields(container, where, _CONTAINER)
    for variable in container.get("env") or ():
        name, value = variable.get("name"), variable.get("value")
        if not isinstance(name, str) or not name or "=" in name or not name.isprintable():
            yield f"{where}env: a variable cannot be called {name!r}"
        if value is not None and not isinstance(value, str):
            yield f"{where}env: the value of {name} is to be a text, {str(value)!r}, not {_shown(value)}"
    for mount in container.get("volumeMounts") or ():
        if not isinstance(mount.get("mountPath"), str) or not isinstance(mount.get("name"), str):
            yield f"{where}volumeMounts: each has the name of a volume and a mountPath"
    for kind in ("requests", "limits"):
        amounts = (container.get("resources") or {}).get(kind) or {}
        if not isinstance(amounts, Mapping):
            yield f"{where}resources.{kind} is to be amounts by name, not {_shown(amounts)}"
            continue
        for resource, amount in amounts.items():
            if isinstance(amount, bool) or not _QUANTITY.fullmatch(str(amount)):
                yield f"{where}resources.{kind}: {resource} is {amount!r}; expected an amount such as 500m or 2Gi"


def _fields(given: Mapping[str, Any], where: str, known: Mapping[str, _Kind], *, closed: bool = False) -> Iterator[str]:
    """What is wrong with the names and types of fields. closed: there are no others than those that are known."""
    for key, value in given.items():
        if not isinstance(key, str) or key.startswith("$"):
            yield f"{where}{key}: this is no field; lists are merged by name, and null takes a field away"
        elif key not in known:
            camel = _SNAKE.sub(lambda match: match[1].upper(), key)
            if camel != key and (camel in known or not closed):
                yield f"{where}{key}: Kubernetes writes it {camel}"
            hint = did_you_mean(key, known, cutoff=0.6 if closed else 0.85)
            if closed or hint:
                yield f"{where}{key}: there is no such field{hint or '; there are ' + ', '.join(known)}"
        elif value is not None and not known[key].fits(value):
            yield f"{where}{key} is to be {known[key].text}, not {_shown(value)}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
