"""Binds pods to nodes where no scheduler runs: in turn to those that are ready, have the labels that the pod wants,
and enough processors. A process of its own.

    python -m tests.kubernetes.binder ACCESS.json
"""

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import msgspec

from tests.kubernetes.api import Access, Api, Object, Refused, pods
from tests.kubernetes.fate import FATE
from tests.kubernetes.node_parts import stamp
from tests.kubernetes.quota import amount, asked_for

#: seconds after which pods that fit nowhere are looked at again
_AGAIN = 0.5
#: seconds until a server that did not answer is asked again
_PAUSE = 0.1


class Binder:
    """What it knows of nodes and pods, and who was bound where."""

    def __init__(self, access: Access) -> None:
        self._api = Api(access)
        self._lock = threading.Lock()
        self._nodes: dict[str, Object] = {}
        self._waiting: dict[str, Object] = {}
        #: by uid: the node and how many processors
        self._placed: dict[str, tuple[str, Decimal]] = {}
        self._turn = 0
        self._pool = ThreadPoolExecutor(8)

    def serve(self) -> None:
        """Bind, for ever."""
        threading.Thread(target=self._follow, args=("/api/v1/nodes", self._saw_node), daemon=True).start()
        threading.Thread(target=self._follow, args=("/api/v1/pods", self._saw_pod), daemon=True).start()
        while True:
            time.sleep(_AGAIN)
            with self._lock:
                waiting = list(self._waiting.values())
            for pod in waiting:
                self._consider(pod)

    def _follow(self, path: str, saw: Callable[[str, Object], None]) -> None:
        version = ""
        while True:
            try:
                if not version:
                    listed = self._api.get(path)
                    version = listed["metadata"]["resourceVersion"]
                    for item in listed["items"]:
                        saw("ADDED", item)
                for kind, item in self._api.watch(path, version):
                    version = item["metadata"]["resourceVersion"]
                    saw(kind, item)
            except Refused:
                version = ""
                time.sleep(_PAUSE)
            except OSError:
                time.sleep(_PAUSE)

    def _saw_node(self, kind: str, node: Object) -> None:
        with self._lock:
            if kind == "DELETED":
                self._nodes.pop(node["metadata"]["name"], None)
            else:
                self._nodes[node["metadata"]["name"]] = node

    def _saw_pod(self, kind: str, pod: Object) -> None:
        uid, node = pod["metadata"]["uid"], pod["spec"].get("nodeName")
        over = kind == "DELETED" or pod["status"]["phase"] in ("Succeeded", "Failed")
        with self._lock:
            new = uid not in self._waiting and uid not in self._placed
            if node or over:
                self._waiting.pop(uid, None)
            if over:
                self._placed.pop(uid, None)
            elif node:
                self._placed[uid] = (node, asked_for(pod, "requests", "cpu"))
            elif uid not in self._placed:
                self._waiting[uid] = pod
        if new:
            self._consider(pod)

    def _consider(self, pod: Object) -> None:
        with self._lock:
            uid = pod["metadata"]["uid"]
            if uid not in self._waiting:
                return
            name, why = self._choose(pod)
            if name:
                del self._waiting[uid]
                self._placed[uid] = (name, asked_for(pod, "requests", "cpu"))
        self._pool.submit(self._bind if name else self._complain, pod, name or why)

    def _choose(self, pod: Object) -> tuple[str, str]:
        """The node for a pod; or an empty name, and why there is none."""
        reasons: dict[str, int] = {}
        fitting = []
        for name, node in self._nodes.items():
            if reason := self._why_not(pod, name, node):
                reasons[reason] = reasons.get(reason, 0) + 1
            else:
                fitting.append(name)
        if fitting:
            self._turn += 1
            return fitting[self._turn % len(fitting)], ""
        counted = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        return "", f"0/{len(self._nodes)} nodes are available: {counted}."

    def _why_not(self, pod: Object, name: str, node: Object) -> str:
        ready = [one["status"] for one in node["status"].get("conditions", []) if one["type"] == "Ready"]
        labels = node["metadata"].get("labels", {})
        used = sum((cpu for at, cpu in self._placed.values() if at == name), Decimal(0))
        if ready != ["True"]:
            return "node(s) had taint {node.kubernetes.io/unreachable: }, that the pod didn't tolerate"
        if node["spec"].get("unschedulable"):
            return "node(s) were unschedulable"
        if not pod["spec"].get("nodeSelector", {}).items() <= labels.items():
            return "node(s) didn't match Pod's node affinity"
        wanted = asked_for(pod, "requests", "cpu")
        fate = pod["metadata"].get("annotations", {}).get(FATE)
        if fate == "unschedulable" or used + wanted > amount(node["status"]["allocatable"]["cpu"]):
            return "Insufficient cpu"
        return ""

    def _bind(self, pod: Object, node: str) -> None:
        named = pod["metadata"]
        body = {"metadata": {"name": named["name"], "uid": named["uid"]}, "target": {"kind": "Node", "name": node}}
        try:
            self._api.create(f"{pods(named['namespace'], named['name'])}/binding", body)
        except (Refused, OSError) as error:
            with self._lock:
                self._placed.pop(named["uid"], None)
                if not isinstance(error, Refused) or error.code not in (404, 409):
                    self._waiting[named["uid"]] = pod

    def _complain(self, pod: Object, why: str) -> None:
        """Say on the pod that no node has room for it, once while the reason is the same."""
        named = pod["metadata"]
        told = [one.get("message") for one in pod["status"].get("conditions", []) if one["type"] == "PodScheduled"]
        if told == [why]:
            return
        condition = {
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why,
            "lastTransitionTime": stamp(),
        }  # fmt: skip
        path = f"{pods(named['namespace'], named['name'])}/status"
        with contextlib.suppress(Refused, OSError):
            body = {"metadata": {"uid": named["uid"]}, "status": {"conditions": [condition]}}
            self._api.patch(path, body, "strategic")


def main() -> None:
    """Bind the pods of the cluster that the file of the first argument gives access to."""
    Binder(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Access)).serve()


if __name__ == "__main__":
    main()
