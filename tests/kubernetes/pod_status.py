"""The status of a pod as a kubelet reports it, from what its containers do."""

import time
from typing import Any

from tests.kubernetes.api import Object
from tests.kubernetes.node_parts import stamp


class ContainerStatus:
    """What is known of one container."""

    def __init__(self, spec: Object, reason: str) -> None:
        self.spec = spec
        self.name: str = spec["name"]
        self.id = ""
        self.state: Object = {"waiting": {"reason": reason}}
        self.last: Object = {}
        self.restarts = 0

    def wait(self, reason: str, message: str = "") -> bool:
        """It does not run (any more), for this reason. Returns whether that is new."""
        waiting = {"reason": reason} | ({"message": message} if message else {})
        if "terminated" in self.state:
            self.last = self.state
        changed = self.state != {"waiting": waiting}
        self.state = {"waiting": waiting}
        return changed

    def run(self, identity: str, at: float) -> None:
        """It runs."""
        if "terminated" in self.state:
            self.last = self.state
        self.id = identity
        self.state = {"running": {"startedAt": stamp(at)}}

    def end(self, code: int, at: float, reason: str = "", message: str = "") -> None:
        """It has ended."""
        ended: dict[str, Any] = {"exitCode": code, "reason": reason or ("Error" if code else "Completed")}
        if message:
            ended["message"] = message
        if self.id:
            ended["containerID"] = self.id
        started = self.state.get("running", {}).get("startedAt", stamp(at))
        self.state = {"terminated": {**ended, "startedAt": started, "finishedAt": stamp(at)}}

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return "running" in self.state

    @property
    def code(self) -> int | None:
        """Its exit code, if it has ended."""
        found: int | None = self.state.get("terminated", {}).get("exitCode")
        return found

    def as_json(self, ready: bool) -> Object:
        """As the API has it."""
        found = {
            "name": self.name, "image": self.spec["image"], "imageID": "", "state": self.state,
            "lastState": self.last, "ready": ready, "restartCount": self.restarts, "started": self.running,
        }  # fmt: skip
        if self.id:
            found |= {"containerID": self.id, "imageID": f"test://{self.spec['image']}"}
        return found


class PodStatus:
    """What is known of a pod on its node."""

    def __init__(self, pod: Object, host: str, address: str) -> None:
        spec = pod["spec"]
        reason = "PodInitializing" if spec.get("initContainers") else "ContainerCreating"
        self.inits = [ContainerStatus(one, "PodInitializing") for one in spec.get("initContainers", [])]
        self.mains = [ContainerStatus(one, reason) for one in spec["containers"]]
        self._policy: str = spec.get("restartPolicy", "Always")
        self._host = host
        self._address = address
        self._since = stamp()
        #: what ended it from outside: (phase, reason, message)
        self.verdict: tuple[str, str, str] | None = None

    def lose(self) -> None:
        """The node was restarted: nobody knows how its containers ended."""
        for one in self.all:
            text = "The container could not be located when the pod was terminated"
            one.end(137, time.time(), "ContainerStatusUnknown", text)
        self.verdict = ("Failed", "NodeRestarted", "the node was restarted, and the containers are gone")

    @property
    def all(self) -> list[ContainerStatus]:
        """All containers, in the order of their start."""
        return [*self.inits, *self.mains]

    def restarts(self, code: int, init: bool) -> bool:
        """Whether a container that ended with this code runs again."""
        if init or self._policy == "OnFailure":
            return code != 0 and self._policy != "Never"
        return self._policy == "Always"

    @property
    def phase(self) -> str:
        """The pod's phase."""
        if self.verdict is not None:
            return self.verdict[0]
        if any(one.code and not self.restarts(one.code, True) for one in self.inits):
            return "Failed"
        codes = [one.code for one in self.mains]
        if all(code is not None and not self.restarts(code, False) for code in codes):
            return "Failed" if any(codes) else "Succeeded"
        if any(one.running or one.last or one.code is not None for one in self.mains):
            return "Running"
        return "Pending"

    def as_json(self, before: Object) -> Object:
        """As the API has it. before: the status that the pod has there: what others wrote stays."""
        phase = self.phase
        over = phase in ("Succeeded", "Failed")
        ready = not over and all(one.running for one in self.mains)
        why = "" if ready else ("PodCompleted" if over else "ContainersNotReady")
        initialized = all(one.code == 0 for one in self.inits)
        ours = {
            "Initialized": (initialized, "" if initialized else "ContainersNotInitialized"),
            "Ready": (ready, why),
            "ContainersReady": (ready, why),
            "PodScheduled": (True, ""),
        }
        conditions = [one for one in before.get("conditions", []) if one["type"] not in ours]
        kept = {one["type"]: one for one in before.get("conditions", [])}
        for kind, (value, reason) in ours.items():
            held = str(value)
            same = kept.get(kind, {}).get("status") == held
            since = kept[kind].get("lastTransitionTime") if same else stamp()
            conditions.append({"type": kind, "status": held, "lastTransitionTime": since, "reason": reason or None})
        status = {
            "phase": phase, "conditions": conditions, "hostIP": self._host, "startTime": self._since,
            "podIP": self._address, "podIPs": [{"ip": self._address}],
            "containerStatuses": [one.as_json(one.running) for one in self.mains],
        }  # fmt: skip
        if self.inits:
            status["initContainerStatuses"] = [one.as_json(one.code == 0) for one in self.inits]
        if self.verdict is not None:
            status |= {"reason": self.verdict[1], "message": self.verdict[2]}
        return status


def has_run(status: Object) -> bool:
    """Whether a status that the API has tells of a container that was started."""
    told = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    return any("waiting" not in one["state"] for one in told)
