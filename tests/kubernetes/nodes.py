"""Nodes of a test cluster that are test kubelets: processes of this machine that can be killed, frozen and drained."""

import json
import sys
from pathlib import Path

import msgspec

from tests.kubernetes.api import Api, Object, Refused, pods
from tests.kubernetes.binaries import NoKubernetes
from tests.kubernetes.containers import why_not
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.daemon import Daemon
from tests.kubernetes.mounting import forget
from tests.kubernetes.node_parts import Image, NodeSettings

_CHECKOUT = Path(__file__).parents[2]
_PATH = f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin"
#: Any image is this machine, with the tests' own Python first on its PATH; `airloom...` starts Airloom.
IMAGES = {
    "": Image([], {"PATH": _PATH}),
    "airloom": Image([f"{sys.prefix}/bin/airloom"], {"PATH": _PATH}),
}


class LocalNode:
    """A node. `daemon.freeze()`: it says nothing more, and its containers go on; `daemon.thaw()`: it is back."""

    def __init__(self, plane: ControlPlane, settings: NodeSettings) -> None:
        self.name = settings.name
        self.folder = Path(settings.folder)
        self._api = plane.api
        self.folder.mkdir(exist_ok=True)
        file = plane.folder / f"{self.name}.json"
        file.write_bytes(msgspec.json.encode(settings))
        command = [sys.executable, "-m", "tests.kubernetes.kubelet", str(file)]
        log = plane.folder / f"{self.name}.log"
        # One of that name that was there before had its own defects.
        log.unlink(missing_ok=True)
        self.daemon = Daemon(command, log)

    def start(self) -> None:
        """Be there (again); returns when the API server knows that it is ready."""
        before = _heard(self._api, self.name)
        self.daemon.start({"PYTHONPATH": str(_CHECKOUT)})
        self.daemon.wait_until(lambda: _heard(self._api, self.name) != before)

    def ensure(self) -> None:
        """Start it if a test has left it dead."""
        if not self.daemon.running:
            self.start()

    def kill(self) -> None:
        """Cut its power: nothing that runs there runs on, and nobody is told."""
        self.daemon.kill()

    def declare_lost(self) -> None:
        """Say that the node is gone, and delete its pods, as the node controller does where one runs.

        The pods stay, marked as deleted, until the node is back or somebody removes them by force.
        """
        unknown = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}
        unknown["message"] = "Kubelet stopped posting node status."
        self._api.patch(f"/api/v1/nodes/{self.name}/status", {"status": {"conditions": [unknown]}}, "strategic")
        for pod in self.pods():
            named = pod["metadata"]
            path = pods(named["namespace"], named["name"])
            not_ready = {"type": "Ready", "status": "False", "reason": "NodeNotReady"}
            self._api.patch(f"{path}/status", {"status": {"conditions": [not_ready]}}, "strategic")
            self._api.delete(path, uid=named["uid"])

    def drain(self) -> None:
        """Let no new pod come, and evict those that are there, as `kubectl drain` does."""
        self._api.patch(f"/api/v1/nodes/{self.name}", {"spec": {"unschedulable": True}})
        for pod in self.pods():
            named = {key: pod["metadata"][key] for key in ("namespace", "name")}
            body = {"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": named}
            self._api.create(f"{pods(**named)}/eviction", body)

    def uncordon(self) -> None:
        """Undo `drain`."""
        self._api.patch(f"/api/v1/nodes/{self.name}", {"spec": {"unschedulable": None}})

    def pods(self) -> list[Object]:
        """The pods that are bound to it."""
        found: list[Object] = self._api.get("/api/v1/pods", fieldSelector=f"spec.nodeName={self.name}")["items"]
        return found


class LocalNodes:
    """The nodes of one control plane, and who binds pods to them if no scheduler runs there."""

    def __init__(self, plane: ControlPlane) -> None:
        """Raises NoKubernetes where containers cannot run."""
        if reason := why_not():
            raise NoKubernetes(reason)
        self.plane = plane
        self._nodes: list[LocalNode] = []
        self._binder: Daemon | None = None
        if not plane.scheduler:
            file = plane.folder / "binder.json"
            file.write_bytes(msgspec.json.encode(plane.access()))
            command = [sys.executable, "-m", "tests.kubernetes.binder", str(file)]
            log = plane.folder / "binder.log"
            log.unlink(missing_ok=True)
            self._binder = Daemon(command, log)
            self._binder.start({"PYTHONPATH": str(_CHECKOUT)})

    def add(
        self,
        name: str,
        *,
        labels: dict[str, str] | None = None,
        cpu: str = "1000",
        images: dict[str, Image] | None = None,
    ) -> LocalNode:
        """A new node, ready. images: more of them, by the beginnings of their names."""
        folder = self.plane.folder
        capacity = {"cpu": cpu, "memory": "1000Gi", "pods": "100000"}
        settings = NodeSettings(
            name=name, access=self.plane.access(), folder=str(folder / f"node-{name}"), labels=labels or {},
            certificate=str(folder / "kubelet.crt"), key=str(folder / "kubelet.key"), capacity=capacity,
            paths=[str(_CHECKOUT), sys.prefix, sys.base_prefix], images={**IMAGES, **(images or {})},
        )  # fmt: skip
        node = LocalNode(self.plane, settings)
        self._nodes.append(node)
        node.start()
        return node

    def ensure(self) -> None:
        """Start what a test has left dead."""
        if self._binder is not None and not self._binder.running:
            self._binder.start({"PYTHONPATH": str(_CHECKOUT)})
        for node in self._nodes:
            node.ensure()

    def defects(self) -> str:
        """What the nodes and the binder wrote to their logs, which is nothing but their own defects."""
        daemons = [node.daemon for node in self._nodes] + ([self._binder] if self._binder else [])
        return "".join(daemon.said() for daemon in daemons)

    def close(self) -> None:
        """End all of them, with what runs there, and take the nodes out of the cluster."""
        for node in self._nodes:
            node.kill()
            try:
                self.plane.api.delete(f"/api/v1/nodes/{node.name}")
            except (Refused, OSError) as error:
                print(f"the node {node.name} stays: {error}")
            forget([node.folder])
        if self._binder is not None:
            self._binder.kill()


def _heard(api: Api, name: str) -> str:
    """When a node was last known to be ready; empty: never."""
    status = (api.find(f"/api/v1/nodes/{name}") or {}).get("status", {})
    beats = [one for one in status.get("conditions", []) if one["type"] == "Ready" and one["status"] == "True"]
    return json.dumps(beats) + str(status.get("daemonEndpoints")) if beats else ""
