"""What pods' states mean: one row for each way in which a pod waits, ends, or is ended."""

import math
from typing import Any

import msgspec
import pytest

from airloom.executors.kubernetes.client.objects import Pod
from airloom.executors.kubernetes.judge import UNSEEN, Phase, Stand, judge, judge_gone
from airloom.executors.pod_terms import UNABLE
from airloom.model.report import FINAL, INFRASTRUCTURE, Cause

Object = dict[str, Any]
DELETED = {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 30}
RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}


def container(state: Object, name: str = "base", **more: Any) -> Object:
    return {"name": name, "image": "team/flows:1", "state": state, **more}


def ended(code: int, reason: str = "Error", message: str = "") -> Object:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


def waits(reason: str, message: str = "") -> Object:
    return {"waiting": {"reason": reason, "message": message}}


def disrupted(reason: str, message: str = "") -> Object:
    return {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}]}


def pod(
    *containers: Object,
    phase: str = "Running",
    metadata: Object | None = None,
    spec: Object | None = None,
    **status: Any,
) -> Pod:
    return msgspec.convert(
        {
            "metadata": {"name": "p", **(metadata or {})},
            "spec": {"nodeName": "n1", **(spec or {})},
            "status": {"phase": phase, **({"containerStatuses": list(containers)} if containers else {}), **status},
        },
        Pod,
    )


def ending(stand: Stand) -> tuple[Cause, str]:
    assert stand.phase is Phase.ENDED and stand.ending is not None
    return stand.ending.cause, stand.ending.detail


# --- how the container of the task ended --------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("state", "cause", "text"),
    [
        (ended(0, "Completed"), Cause.LOST, "told nobody about its try"),
        (
            ended(1, "Error", "Traceback\n  boom"),
            Cause.EXIT,
            "exit code 1, and told nobody about its try: Traceback boom",
        ),
        (ended(5), Cause.EXIT, "exit code 5"),
        (ended(126), Cause.LAUNCH, "cannot be executed (exit code 126)"),
        (ended(127), Cause.LAUNCH, "cannot be executed (exit code 127)"),
        (ended(139), Cause.SIGNAL, "died of signal 11"),
        (ended(134), Cause.SIGNAL, "died of signal 6"),
        (ended(143), Cause.KILLED, "was told to end"),
        (ended(137), Cause.KILLED, "the container was killed"),
        (ended(137, "OOMKilled"), Cause.OOM, "ran out of memory on the node n1"),
        # One process of several was killed, and the container went on: what it says itself counts.
        (ended(5, "OOMKilled"), Cause.EXIT, "exit code 5"),
        (ended(0, "OOMKilled"), Cause.LOST, "told nobody"),
        (ended(128, "StartError", 'exec: "airloom": not found'), Cause.LAUNCH, 'cannot be started: exec: "airloom"'),
        (ended(127, "ContainerCannotRun", "no such file"), Cause.LAUNCH, "cannot be started: no such file"),
        (ended(137, "ContainerStatusUnknown", "could not be located"), Cause.LOST, "n1 does not know what became"),
        (ended(UNABLE, "Error", "the server is not reached"), Cause.LOST, "the server is not reached"),
        (ended(UNABLE), Cause.LOST, "the pod could not run its try, or not tell its end"),
    ],
)
def test_the_end_of_the_container_says_the_cause(state: Object, cause: Cause, text: str) -> None:
    code = state["terminated"]["exitCode"]
    stand = judge(pod(container(state), phase="Failed" if code else "Succeeded"))
    assert ending(stand)[0] is cause
    assert text in ending(stand)[1]
    assert stand.succeeded == (code == 0)


def test_a_signal_is_told_beside_the_exit_code() -> None:
    found = judge(pod(container(ended(139)), phase="Failed")).ending
    assert found is not None and (found.exit_code, found.signal) == (139, 11)


def test_a_sidecar_that_runs_on_does_not_keep_the_try_alive() -> None:
    stand = judge(pod(container(RUNNING, "proxy"), container(ended(0, "Completed"))))
    assert stand.phase is Phase.ENDED and stand.succeeded


def test_a_sidecar_that_ended_is_not_taken_for_the_task() -> None:
    stand = judge(pod(container(ended(137, "OOMKilled"), "proxy"), container(RUNNING)))
    assert (stand.phase, stand.reason) == (Phase.RUNNING, "the container proxy beside the task ran out of memory")


def test_a_kept_pod_whose_sidecars_were_ended_by_a_deadline_still_succeeded() -> None:
    stand = judge(pod(container(ended(0, "Completed")), phase="Failed", reason="DeadlineExceeded"))
    assert stand.succeeded and ending(stand)[0] is Cause.LOST


# --- what ended it from outside -----------------------------------------------------------------------------------
ENDED_FROM_OUTSIDE: list[tuple[Object, Cause, str]] = [
    (
        {"reason": "Evicted", "message": "The node was low on resource: memory."},
        Cause.KILLED,
        "its node evicted it",
    ),
    (
        {
            "reason": "Evicted",
            "message": "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ",
        },
        Cause.ERROR,
        "took more of its node's disk than it may",
    ),
    ({"reason": "Preempting", "message": "Preempted in order to admit critical pod"}, Cause.KILLED, "critical pod"),
    ({"reason": "DeadlineExceeded"}, Cause.TIMEOUT, "activeDeadlineSeconds of 60 s"),
    (
        {"reason": "Terminated", "message": "Pod was terminated in response to imminent node shutdown."},
        Cause.KILLED,
        "is shutting down",
    ),
    ({"reason": "Shutdown"}, Cause.KILLED, "is shutting down"),
    ({"reason": "NodeLost"}, Cause.LOST, "node is lost"),
    (
        disrupted("EvictionByEvictionAPI", "Eviction API: evicting"),
        Cause.KILLED,
        "was evicted, as when a node is drained",
    ),
    (
        disrupted("PreemptionByScheduler", "default-scheduler: preempting to accommodate a higher priority pod"),
        Cause.KILLED,
        "higher priority took its place",
    ),
    (
        disrupted("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint"),
        Cause.LOST,
        "node is lost, or lets it stay no longer",
    ),
    (disrupted("DeletionByPodGC", "PodGC: node no longer exists"), Cause.LOST, "its node is gone"),
    (
        disrupted("TerminationByKubelet", "The node was low on resource"),
        Cause.KILLED,
        "its node ended it",
    ),
    (disrupted("SomethingNew", "said newly"), Cause.KILLED, "SomethingNew"),
    (
        {"reason": "Evicted", "message": "low on memory", **disrupted("TerminationByKubelet", "low on memory")},
        Cause.KILLED,
        "its node evicted it",
    ),
]


@pytest.mark.parametrize("code", [137, 143])
@pytest.mark.parametrize(("status", "cause", "text"), ENDED_FROM_OUTSIDE)
def test_who_ended_the_pod_is_said(status: Object, cause: Cause, text: str, code: int) -> None:
    seen = pod(container(ended(code)), phase="Failed", spec={"activeDeadlineSeconds": 60}, **status)
    found = ending(judge(seen))
    assert found[0] is cause
    message = status.get("message") or next(iter(status.get("conditions", ())), {}).get("message", "")
    assert text in found[1]
    assert found[1].endswith(f" while the task ran{': ' if message else ''}{message.strip()}")


@pytest.mark.parametrize(("status", "cause", "text"), ENDED_FROM_OUTSIDE)
def test_a_container_that_still_runs_in_a_failed_pod_is_not_over_but_doomed(
    status: Object, cause: Cause, text: str
) -> None:
    stand = judge(pod(container(RUNNING), phase="Failed", spec={"activeDeadlineSeconds": 60}, **status))
    assert (stand.phase, stand.doomed, stand.ending) == (Phase.RUNNING, True, None)
    assert text in stand.reason


def test_an_evicted_pod_whose_containers_are_not_told_of_may_still_run() -> None:
    seen = pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory.")
    assert (judge(seen).phase, judge(seen).doomed) == (Phase.RUNNING, True)
    assert judge_gone(seen).cause is Cause.KILLED


@pytest.mark.parametrize("code", [137, 143])
def test_a_pod_that_somebody_deleted_says_so(code: int) -> None:
    seen = pod(container(ended(code)), phase="Failed", metadata=DELETED)
    assert ending(judge(seen)) == (Cause.KILLED, "somebody deleted the pod while the task ran")


def test_a_pod_that_is_being_deleted_runs_until_its_container_has_ended() -> None:
    stand = judge(pod(container(RUNNING), metadata=DELETED))
    assert (stand.phase, stand.doomed) == (Phase.RUNNING, True)


def test_what_was_deleted_before_it_had_a_node_never_ran() -> None:
    seen = pod(phase="Pending", metadata=DELETED, spec={"nodeName": ""})
    assert (judge(seen).phase, judge(seen).doomed) == (Phase.WAITING, True)
    assert judge_gone(seen).cause is Cause.LAUNCH
    assert judge_gone(seen).detail == "somebody deleted the pod before the task had started"


def test_what_was_gone_while_it_ran_was_deleted() -> None:
    assert judge_gone(pod(container(RUNNING))).cause is Cause.KILLED
    assert judge_gone(pod(container(RUNNING), **disrupted("DeletionByPodGC"))).cause is Cause.LOST


def test_what_was_gone_after_its_end_ended_as_it_said() -> None:
    assert judge_gone(pod(container(ended(137, "OOMKilled")), metadata=DELETED)).cause is Cause.OOM


def test_what_nobody_saw_end_is_lost() -> None:
    assert UNSEEN.cause is Cause.LOST


# --- what never began ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "reason",
    [
        *("OutOfcpu", "OutOfmemory", "OutOfpods", "OutOfephemeral-storage", "UnexpectedAdmissionError"),
        *("TopologyAffinityError", "NodeAffinity", "NodePorts", "NodeShutdown", "AppArmor", "SysctlForbidden"),
        *("VolumeAttachmentLimitExceeded", "PodOSNotSupported"),
    ],
)
def test_a_pod_that_its_node_refuses_never_ran(reason: str) -> None:
    text = "Pod Node didn't have enough resource: cpu, requested: 900000, used: 0, capacity: 2000"
    cause, detail = ending(judge(pod(phase="Failed", reason=reason, message=text)))
    assert cause is Cause.LAUNCH and cause in INFRASTRUCTURE
    assert detail == f"the node n1 refused the pod: {reason}: {text}"


def test_an_init_container_that_failed_is_named_with_its_last_words() -> None:
    seen = pod(
        container(waits("PodInitializing")),
        phase="Failed",
        initContainerStatuses=[
            container(ended(0, "Completed"), "first"),
            container(ended(3, "Error", "no key"), "code"),
        ],
    )
    assert ending(judge(seen)) == (Cause.LAUNCH, "the init container code ended with exit code 3: no key")


def test_an_init_container_may_run_out_of_memory() -> None:
    seen = pod(
        container(waits("PodInitializing")),
        phase="Failed",
        initContainerStatuses=[container(ended(137, "OOMKilled"), "code")],
    )
    assert ending(judge(seen)) == (Cause.LAUNCH, "the init container code ran out of memory")


def test_a_sidecar_among_the_init_containers_is_no_failed_start() -> None:
    seen = pod(
        container(waits("PodInitializing")),
        phase="Failed",
        reason="Evicted",
        spec={"initContainers": [{"name": "proxy", "restartPolicy": "Always"}]},
        initContainerStatuses=[container(ended(143), "proxy")],
    )
    assert ending(judge(seen)) == (Cause.KILLED, "the pod was ended: its node evicted it before the task had started")


# --- what it waits for --------------------------------------------------------------------------------------------
def waiting(*containers: Object, **more: Any) -> Stand:
    stand = judge(pod(*containers, phase="Pending", **more))
    assert stand.phase is Phase.WAITING
    return stand


@pytest.mark.parametrize(
    ("reason", "message", "patience", "text"),
    [
        ("ErrImagePull", "dial tcp: i/o timeout", None, "the image cannot be pulled (team/flows:1): dial tcp"),
        ("ErrImagePull", "toomanyrequests: rate limit", None, "toomanyrequests"),
        ("ErrImagePull", "manifest for team/flows:1 not found", 30.0, "not found"),
        ("ErrImagePull", "unauthorized: authentication required", 30.0, "unauthorized"),
        ("ErrImagePull", "pull access denied", 30.0, "denied"),
        ("ErrImagePull", "manifest unknown", 30.0, "manifest unknown"),
        ("ImagePullBackOff", 'Back-off pulling image "team/flows:1"', None, "Back-off"),
        ("ImagePullBackOff", "Back-off: ErrImagePull: not found", 30.0, "not found"),
        ("RegistryUnavailable", "", None, "registry is not reached"),
        ("InvalidImageName", "couldn't parse image reference", 0.0, "the image's name is none: couldn't parse"),
        ("ErrImageNeverPull", "", 0.0, "may not be pulled"),
        ("ImageInspectError", "", 15.0, "cannot read the image"),
        ("SignatureValidationFailed", "", 0.0, "signature is not accepted"),
        ("CreateContainerConfigError", 'secret "x" not found', 15.0, 'as it is asked for: secret "x" not found'),
        (
            "CreateContainerConfigError",
            'container has runAsNonRoot and image will run as root (pod: "p", container: base)',
            15.0,
            "runAsNonRoot",
        ),
        ("CreateContainerError", "no command specified", 15.0, "cannot make the container: no command specified"),
        ("RunContainerError", "", 15.0, "cannot be started"),
        ("CrashLoopBackOff", "", None, "again and again"),
        ("PostStartHookError", "", 15.0, "postStart hook"),
        ("PreCreateHookError", "", 15.0, "hook"),
        ("PreStartHookError", "", 15.0, "hook"),
        ("SomethingNew", "said newly", None, "SomethingNew: said newly"),
    ],
)
def test_a_container_that_is_held_up_says_by_what(reason: str, message: str, patience: float | None, text: str) -> None:
    stand = waiting(container(waits(reason, message)))
    assert text in stand.reason
    assert stand.patience == patience
    assert not stand.doomed and not stand.obscure


def test_between_two_attempts_the_registry_s_words_are_kept() -> None:
    first = judge(pod(container(waits("ErrImagePull", "manifest unknown")), phase="Pending"))
    then = judge(pod(container(waits("ImagePullBackOff", "Back-off pulling image")), phase="Pending"), first)
    assert then == first


def test_the_words_about_one_image_are_not_kept_for_another() -> None:
    first = judge(pod(container(waits("ErrImagePull", "manifest unknown"), image="a:1"), phase="Pending"))
    second = pod(container(waits("ImagePullBackOff", "Back-off pulling image"), image="b:1"), phase="Pending")
    assert "Back-off" in judge(second, first).reason


def test_an_init_container_that_is_held_up_is_named() -> None:
    stand = waiting(
        container(waits("PodInitializing")),
        initContainerStatuses=[
            container(waits("CreateContainerConfigError", 'secret "git" not found'), "airloom-code")
        ],
    )
    assert stand.reason.startswith("the container airloom-code: the container cannot be made")


def test_a_container_that_is_made_may_be_stuck_for_reasons_that_only_events_tell() -> None:
    for state in (waits("ContainerCreating"), waits("PodInitializing"), {}):
        stand = waiting(container(state))
        assert (stand.reason, stand.obscure, stand.patience) == ("the node n1 makes the container", True, None)


def test_an_init_container_that_runs_is_waited_for() -> None:
    stand = waiting(container(waits("PodInitializing")), initContainerStatuses=[container(RUNNING, "airloom-code")])
    assert (stand.reason, stand.obscure) == ("the init container airloom-code runs", False)


def placed(status: str, reason: str, message: str = "", **more: Any) -> Object:
    return {
        "spec": {"nodeName": ""},
        "conditions": [{"type": "PodScheduled", "status": status, "reason": reason, "message": message}],
        **more,
    }


def test_a_pod_that_no_node_can_take_says_why_not() -> None:
    text = "0/3 nodes are available: 3 Insufficient cpu."
    stand = waiting(**placed("False", "Unschedulable", text))
    assert (stand.reason, stand.patience) == (f"no node can take the pod: {text}", None)


def test_a_pod_that_waits_for_others_to_be_preempted_says_so() -> None:
    stand = waiting(**placed("False", "Unschedulable", "x", nominatedNodeName="n7"))
    assert stand.reason.startswith("the pod waits until others have left the node n7")


def test_a_scheduling_gate_is_a_queue_and_no_failure() -> None:
    assert waiting(**placed("False", "SchedulingGated")).patience == math.inf


def test_an_error_of_the_scheduler_is_shown() -> None:
    assert waiting(**placed("False", "SchedulerError", "oh")).reason.endswith("SchedulerError: oh")


def test_a_pod_that_nobody_has_looked_at_waits_for_a_node() -> None:
    assert waiting(spec={"nodeName": ""}).reason == "the pod waits for a node"


# --- what runs, and what is right -----------------------------------------------------------------------------------
def test_a_container_that_runs_runs_whatever_the_phase_says() -> None:
    for phase in ("Pending", "Running", "Unknown"):
        assert judge(pod(container(RUNNING), phase=phase)) == Stand(phase=Phase.RUNNING)


def test_a_short_pod_is_never_seen_to_run() -> None:
    first = judge(pod(phase="Pending", spec={"nodeName": ""}))
    assert first.phase is Phase.WAITING
    assert judge(pod(container(ended(0, "Completed")), phase="Succeeded"), first).succeeded


def test_no_end_that_is_inferred_is_final_by_itself() -> None:
    for code in range(256):
        found = judge(pod(container(ended(code)), phase="Failed")).ending
        assert found is not None and found.cause not in FINAL
