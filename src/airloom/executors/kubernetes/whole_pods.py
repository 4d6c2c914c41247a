"""Looks through a pod that is put together of parts that are right by themselves: whether they fit together."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from airloom.model.pod_shape import BASE

#: bytes: what etcd takes of one object; all annotations together; one text of a process' environment
_LARGEST = 1_500_000
_LARGEST_ANNOTATIONS = 256 * 1024
_LARGEST_TEXT = 128 * 1024


def whole_fault(pod: Mapping[str, Any]) -> str:
    """What does not fit in a pod; "" if all does, as far as can be told without a cluster."""
    return next(_faults(pod), "")


def _faults(pod: Mapping[str, Any]) -> Iterator[str]:
    spec, metadata = pod["spec"], pod["metadata"]
    volumes = {volume["name"] for volume in spec.get("volumes") or ()}
    seen: set[str] = set()
    for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
        name = container["name"]
        if name in seen:
            yield f"the pod has two containers that are called {name}"
        seen.add(name)
        if not container.get("image"):
            yield _no_image(name)
        for mount in container.get("volumeMounts") or ():
            if mount["name"] not in volumes:
                yield f"the container {name} mounts the volume {mount['name']}, and the pod has none of that name"
        for variable in container.get("env") or ():
            if len(str(variable.get("value", "")).encode()) > _LARGEST_TEXT:
                yield f"the container {name}: the variable {variable['name']} has more than {_LARGEST_TEXT:,} bytes"
    annotations = metadata.get("annotations") or {}
    if sum(len(key.encode()) + len(text.encode()) for key, text in annotations.items()) > _LARGEST_ANNOTATIONS:
        yield f"the annotations of the pod have more than {_LARGEST_ANNOTATIONS:,} bytes"
    try:
        size = len(msgspec.json.encode(pod))
    except (TypeError, ValueError, RecursionError) as error:
        yield f"the pod cannot be written as JSON: {error}"
        return
    if size > _LARGEST:
        yield f"the pod has {size:,} bytes; Kubernetes takes up to {_LARGEST:,}"


def _no_image(name: str) -> str:
    if name == BASE:
        return "no image is named for tasks: set [kubernetes] image, or give one in the template or in pod_override"
    return (
        f"the container {name} has no image: of a name other than {BASE} it is one beside that of the task; what is "
        f"meant for the task's own goes to the container {BASE}"
    )
