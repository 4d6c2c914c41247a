"""What tests tell a test kubelet to do to a pod: by the name of an image, and by an annotation, at any time.

Images: missing.test/... cannot be pulled; slow-2.5.test/... takes that many seconds to pull; hollow.test/... runs no
process at all until it is told its end; any other has this machine's files.
"""

import re

from tests.kubernetes.api import Api, pods
from tests.kubernetes.mounting import NotReady

_NAME = re.compile(r"[a-z0-9]+([._:/@-]+[A-Za-z0-9_]+)*")

#: The annotation. Its values: the keys of VERDICTS; `oom`: the first container is killed for want of memory;
#: `stuck`: its volumes are never mounted; `exit-3`: its hollow containers end with that code;
#: `unschedulable`: the binder finds no node for it.
FATE = "test.kubelet/fate"

#: (phase, reason, message) as kubelets report them
VERDICTS = {
    "evict": ("Failed", "Evicted", "The node was low on resource: memory. Container main was using 2Gi."),
    "preempt": ("Failed", "Preempting", "Preempted in order to admit critical pod"),
    "shutdown": ("Failed", "Terminated", "Pod was terminated in response to imminent node shutdown."),
    "reject": ("Failed", "OutOfcpu", "Pod Node didn't have enough resource: cpu, requested: 9, used: 0, capacity: 1"),
}


def decide(api: Api, namespace: str, name: str, fate: str) -> None:
    """Let it happen to a pod."""
    api.patch(pods(namespace, name), {"metadata": {"annotations": {FATE: fate}}})


def preempt(api: Api, namespace: str, name: str) -> None:
    """Let a pod make room for one of a higher priority, as a scheduler does: it is marked, then deleted gracefully."""
    path, text = pods(namespace, name), "default-scheduler: preempting to accommodate a higher priority pod"
    mark = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": text}
    api.patch(f"{path}/status", {"status": {"conditions": [mark]}}, "strategic")
    api.delete(path)


def seconds_to_pull(image: str) -> float:
    """How long an image takes to arrive."""
    host = image.partition("/")[0]
    return float(host.removeprefix("slow-").removesuffix(".test")) if host.startswith("slow-") else 0.0


def image_problem(image: str, policy: str, backing_off: bool) -> NotReady | None:
    """Why an image cannot be had; None if it can. backing_off: whether the last attempt has just failed."""
    if not _NAME.fullmatch(image):
        text = f'Failed to apply default image tag "{image}": couldn\'t parse image reference: invalid reference format'
        return NotReady("InvalidImageName", text)
    if not image.startswith("missing.test/"):
        return None
    if policy == "Never":
        return NotReady("ErrImageNeverPull", f'Container image "{image}" is not present with pull policy of Never')
    if backing_off:
        return NotReady("ImagePullBackOff", f'Back-off pulling image "{image}"')
    text = f'rpc error: code = NotFound desc = failed to pull and unpack image "{image}": not found'
    return NotReady("ErrImagePull", text)
