"""What a pod's state means for its try: does it wait, and for what; does it run; how did it end, and whose fault is it.

Data in, data out. The runner's own report of an end always counts more than what is read here.
"""

import math
import re
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

import msgspec

from airloom.executors import pod_terms
from airloom.executors.kubernetes.client.objects import Condition, ContainerStatus, Pod, Terminated
from airloom.model.pod_shape import BASE, OWN_VOLUMES
from airloom.model.report import Cause


class Phase(StrEnum):
    """Where a pod is, for its try."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a try ended that no runner tells the end of."""

    cause: Cause
    detail: str
    exit_code: int | None = None
    signal: int | None = None


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """What a pod's state means.

    reason: while it waits, for what; while it runs, what is odd about it. patience: seconds that it may wait like that,
    None for as long as any pod may take to start, math.inf for any time. obscure: the pod's events tell more.
    doomed: it will not go on, but its processes may not have ended yet: it is to be deleted, and is over when it is
    gone. succeeded: the container of the task ended with 0, whatever became of the rest of the pod.
    """

    phase: Phase
    reason: str = ""
    patience: float | None = None
    obscure: bool = False
    doomed: bool = False
    ending: Ending | None = None
    succeeded: bool = False


#: a pod that was not there any more when somebody looked
UNSEEN = Ending(cause=Cause.LOST, detail="the pod is gone, and how it ended was not seen")

#: seconds: what is missing may be about to come, and a registry may be wrong for a moment
_SHORT, _NOW = 15.0, 0.0
_REGISTRY = 30.0

_BEFORE, _WHILE = " before the task had started", " while the task ran"
_SIGKILL, _SIGTERM = 137, 143
_SIGNALS = 128
_OOM = "OOMKilled"
#: shells: the command cannot be executed, or is not there
_NO_COMMAND = (126, 127)


class _Wait(NamedTuple):
    text: str
    patience: float | None = None


#: why a container does not run, in a node's words -> in ours
_CREATING = ("ContainerCreating", "PodInitializing", "")
_WAITS = {
    "ErrImagePull": _Wait("the image cannot be pulled"),
    "ImagePullBackOff": _Wait("the image cannot be pulled"),
    "RegistryUnavailable": _Wait("the image's registry is not reached"),
    "InvalidImageName": _Wait("the image's name is none", _NOW),
    "ErrImageNeverPull": _Wait("the image is not on the node, and may not be pulled", _NOW),
    "ImageInspectError": _Wait("the node cannot read the image", _SHORT),
    "SignatureValidationFailed": _Wait("the image's signature is not accepted", _NOW),
    "CreateContainerConfigError": _Wait("the container cannot be made as it is asked for", _SHORT),
    "CreateContainerError": _Wait("the node cannot make the container", _SHORT),
    "RunContainerError": _Wait("the container cannot be started", _SHORT),
    "CrashLoopBackOff": _Wait("the container ends again and again"),
    "PostStartHookError": _Wait("the container's postStart hook failed", _SHORT),
    "PreStartHookError": _Wait("the container's start hook failed", _SHORT),
    "PreCreateHookError": _Wait("the container's hook failed", _SHORT),
}
_PULLING = ("ErrImagePull", "ImagePullBackOff")
#: what registries say when to ask again is of no use
_REFUSED = re.compile(r"not found|unauthorized|denied|manifest unknown|forbidden|no match|invalid reference", re.I)

#: a node refuses a pod that was given to it: nothing has run
_REJECTIONS = re.compile(
    r"OutOf.+|UnexpectedAdmissionError|TopologyAffinityError|NodeAffinity|NodePorts|NodeShutdown|AppArmor"
    r"|SysctlForbidden|VolumeAttachmentLimitExceeded|PodOSNotSupported|PodLevelResourcesNotSupported"
    r"|PodFeatureUnsupported|InvalidNodeInfo|PodOSSelectorNodeLabelDoesNotMatch|Seccomp"
)
#: why a pod was to end, by the condition DisruptionTarget
_DISRUPTIONS = {
    "PreemptionByScheduler": (Cause.KILLED, "a pod of higher priority took its place"),
    "DeletionByTaintManager": (Cause.LOST, "its node is lost, or lets it stay no longer"),
    "EvictionByEvictionAPI": (Cause.KILLED, "it was evicted, as when a node is drained"),
    "DeletionByPodGC": (Cause.LOST, "its node is gone"),
    "TerminationByKubelet": (Cause.KILLED, "its node ended it"),
}
#: the same, by the pod's own reason
_VERDICTS = {
    "Evicted": (Cause.KILLED, "its node evicted it"),
    "Preempting": (Cause.KILLED, "its node needed the place for a critical pod"),
    "Terminated": (Cause.KILLED, "its node is shutting down"),
    "Shutdown": (Cause.KILLED, "its node is shutting down"),
    "NodeLost": (Cause.LOST, "its node is lost"),
}
_DEADLINE = "DeadlineExceeded"
_OWN_STORAGE = re.compile(r"ephemeral local storage usage exceeds|emptyDir volume .* exceeds", re.I)


def judge(pod: Pod, before: Stand | None = None) -> Stand:
    """What the state of a pod means that is still there. before: what it meant at the last look."""
    base = _base(pod)
    state = base.state if base is not None else None
    if state is not None and state.terminated is not None:
        ended = state.terminated
        return Stand(phase=Phase.ENDED, ending=_end_of(pod, ended), succeeded=ended.exit_code == 0)
    over = pod.status.phase in ("Succeeded", "Failed")
    if over and _never_ran(pod):
        return Stand(phase=Phase.ENDED, ending=_failed_start(pod))
    started = state is not None and state.running is not None
    doomed = over or pod.metadata.deletion_timestamp is not None
    if started or over:
        return Stand(phase=Phase.RUNNING, reason=_odd(pod, doomed), doomed=doomed)
    if doomed:
        return Stand(phase=Phase.WAITING, reason="the pod is being deleted", doomed=True)
    return _waiting(pod, before)


def judge_gone(pod: Pod) -> Ending:
    """How a pod ended that has been deleted, by its last state."""
    stand = judge(pod)
    if stand.ending is not None:
        return stand.ending
    why = _why_ended(pod) or _Why(Cause.KILLED, "somebody deleted the pod")
    if stand.phase is Phase.WAITING:
        return Ending(cause=Cause.LAUNCH, detail=why.told(_BEFORE))
    return Ending(cause=why.cause, detail=why.told(_WHILE))


def _base(pod: Pod) -> ContainerStatus | None:
    return next((one for one in pod.status.container_statuses if one.name == BASE), None)


def _never_ran(pod: Pod) -> bool:
    """Whether a pod that has failed has never had the container of the task, not even one that is about to end."""
    base = _base(pod)
    if base is not None:
        return base.state.running is None
    return bool(_REJECTIONS.fullmatch(pod.status.reason)) or next(_broken_init(pod), None) is not None


def _failed_start(pod: Pod) -> Ending:
    for status, ended in _broken_init(pod):
        if status.name.startswith(OWN_VOLUMES) and ended.exit_code == pod_terms.UNABLE:
            return _by_code(ended.exit_code, ended)
        how = "ran out of memory" if ended.reason == _OOM else f"ended with exit code {ended.exit_code}"
        return Ending(cause=Cause.LAUNCH, detail=_with(f"the init container {status.name} {how}", ended.message))
    if _REJECTIONS.fullmatch(pod.status.reason):
        text = f"the node {pod.spec.node_name} refused the pod: {pod.status.reason}"
        return Ending(cause=Cause.LAUNCH, detail=_with(text, pod.status.message))
    why = _why_ended(pod) or _Why(Cause.LAUNCH, "the pod failed", pod.status.message)
    return Ending(cause=why.cause, detail=why.told(_BEFORE))


def _broken_init(pod: Pod) -> Iterator[tuple[ContainerStatus, Terminated]]:
    """Init containers that failed; one that goes on beside the task is none of them."""
    for status in pod.status.init_container_statuses:
        ended = status.state.terminated
        if ended is not None and ended.exit_code != 0 and status.name not in _beside(pod):
            yield status, ended


def _end_of(pod: Pod, ended: Terminated) -> Ending:
    """How the container of the task ended."""
    code = ended.exit_code
    if code == 0:
        return Ending(cause=Cause.LOST, detail="the pod ended well, and told nobody about its try", exit_code=0)
    if ended.reason == _OOM and code == _SIGKILL:
        return Ending(cause=Cause.OOM, detail=_out_of_memory(pod), exit_code=code)
    if ended.reason in ("StartError", "ContainerCannotRun"):
        return Ending(cause=Cause.LAUNCH, detail=_with("the container cannot be started", ended.message))
    if ended.reason == "ContainerStatusUnknown":
        return Ending(cause=Cause.LOST, detail=f"the node {pod.spec.node_name} does not know what became of the pod")
    if code in (_SIGKILL, _SIGTERM) and (why := _why_ended(pod)):
        return Ending(cause=why.cause, detail=why.told(_WHILE), exit_code=code)
    return _by_code(code, ended)


def _by_code(code: int, ended: Terminated) -> Ending:
    if code in (pod_terms.UNABLE, pod_terms.UNTOLD):
        text = _with("the pod could not run its try, or not tell its end", ended.message)
        return Ending(cause=Cause.LOST, detail=text, exit_code=code)
    if code in _NO_COMMAND:
        cause, text = Cause.LAUNCH, f"the command of the container cannot be executed (exit code {code})"
    elif code in (_SIGKILL, _SIGTERM):
        cause, text = Cause.KILLED, "the container was killed" if code == _SIGKILL else "the container was told to end"
    elif code > _SIGNALS:
        cause, text = Cause.SIGNAL, f"the container died of signal {code - _SIGNALS}"
    else:
        cause, text = Cause.EXIT, f"the container ended with exit code {code}, and told nobody about its try"
    signal = code - _SIGNALS if code > _SIGNALS else None
    return Ending(cause=cause, detail=_with(text, ended.message), exit_code=code, signal=signal)


def _out_of_memory(pod: Pod) -> str:
    node = f" on the node {pod.spec.node_name}" if pod.spec.node_name else ""
    return f"the container ran out of memory{node}: all of its processes were killed; its limit is in resources.limits"


class _Why(NamedTuple):
    """What ended a pod that was not at its end by itself. message: what Kubernetes says."""

    cause: Cause
    text: str
    message: str = ""

    def told(self, when: str = "") -> str:
        return _with(self.text + when, self.message)


def _why_ended(pod: Pod) -> _Why | None:
    """What ended a pod, if it was not the task's own end."""
    status = pod.status
    if status.reason == _DEADLINE:
        seconds = pod.spec.active_deadline_seconds
        return _Why(Cause.TIMEOUT, f"the pod reached its activeDeadlineSeconds{f' of {seconds} s' if seconds else ''}")
    if status.reason == "Evicted" and _OWN_STORAGE.search(status.message):
        return _Why(Cause.ERROR, "the pod took more of its node's disk than it may", status.message)
    target = next((one for one in status.conditions if one.type == "DisruptionTarget" and one.status == "True"), None)
    # Of what a node has ended the pod's own reason says more.
    if status.reason in _VERDICTS and (target is None or target.reason == "TerminationByKubelet"):
        cause, text = _VERDICTS[status.reason]
        return _Why(cause, f"the pod was ended: {text}", status.message)
    if target is not None:
        cause, text = _DISRUPTIONS.get(target.reason, (Cause.KILLED, target.reason))
        return _Why(cause, f"the pod was ended: {text}", target.message)
    return _Why(Cause.KILLED, "somebody deleted the pod") if pod.metadata.deletion_timestamp else None


def _odd(pod: Pod, doomed: bool) -> str:
    if doomed:
        why = _why_ended(pod)
        return why.told() if why else "the pod is over, its container is not yet"
    for status in pod.status.container_statuses:
        ended = status.state.terminated
        if ended is not None and ended.exit_code != 0 and status.name != BASE:
            how = "ran out of memory" if ended.reason == _OOM else f"ended with exit code {ended.exit_code}"
            return f"the container {status.name} beside the task {how}"
    return ""


def _waiting(pod: Pod, before: Stand | None) -> Stand:
    placed = next((one for one in pod.status.conditions if one.type == "PodScheduled"), None)
    if placed is not None and placed.status == "False":
        return _unplaced(placed, pod)
    if not pod.spec.node_name and not pod.status.container_statuses:
        return Stand(phase=Phase.WAITING, reason="the pod waits for a node")
    for status in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        waiting = status.state.waiting
        if waiting is not None and waiting.reason not in _CREATING:
            return _held_up(status, before)
    for status in pod.status.init_container_statuses:
        if status.state.running is not None and status.name not in _beside(pod):
            return Stand(phase=Phase.WAITING, reason=f"the init container {status.name} runs")
    node = f"the node {pod.spec.node_name}" if pod.spec.node_name else "its node"
    return Stand(phase=Phase.WAITING, reason=f"{node} makes the container", obscure=True)


def _beside(pod: Pod) -> set[str]:
    return {one.name for one in pod.spec.init_containers if one.restart_policy == "Always"}


def _unplaced(placed: Condition, pod: Pod) -> Stand:
    if placed.reason == "SchedulingGated":
        return Stand(phase=Phase.WAITING, reason="the pod is held by a scheduling gate", patience=math.inf)
    if pod.status.nominated_node_name:
        text = f"the pod waits until others have left the node {pod.status.nominated_node_name} for it"
    elif placed.reason == "Unschedulable":
        text = "no node can take the pod"
    else:
        text = f"the pod cannot be given to a node: {placed.reason}"
    return Stand(phase=Phase.WAITING, reason=_with(text, placed.message))


def _held_up(status: ContainerStatus, before: Stand | None) -> Stand:
    """Why a container does not get on, as its node says."""
    waiting = status.state.waiting
    reason, message = (waiting.reason, waiting.message) if waiting is not None else ("", "")
    known = _WAITS.get(reason, _Wait(reason))
    which = "" if status.name == BASE else f"the container {status.name}: "
    if reason in _PULLING:
        refused = bool(_REFUSED.search(message))
        start = f"{which}{known.text}{f' ({status.image})' if status.image else ''}"
        # Older nodes say why in turns only: between, that they wait before they try again.
        if not refused and reason == "ImagePullBackOff" and before is not None and before.reason.startswith(start):
            return before
        return Stand(phase=Phase.WAITING, reason=_with(start, message), patience=_REGISTRY if refused else None)
    return Stand(phase=Phase.WAITING, reason=_with(which + known.text, message), patience=known.patience)


def _with(text: str, message: str) -> str:
    """A sentence with what Kubernetes says beside it, on one line."""
    more = " ".join(message.split())
    return f"{text}: {more}" if more else text
