"""A small kubelet for tests, a process of its own: it runs the containers of its node's pods as local processes, and
reports what a kubelet reports. Not there: probes, hooks, limits of memory, exec, networks of pods' own.

    python -m tests.kubernetes.kubelet SETTINGS.json
"""

import asyncio
import contextlib
import signal
import sys
import threading
import time
from pathlib import Path
from socket import socket

import msgspec

from tests.kubernetes.api import Api, Object, Refused
from tests.kubernetes.containers import spawn
from tests.kubernetes.log_server import LogServer
from tests.kubernetes.node_parts import Node, NodeSettings, Runtime, stamp
from tests.kubernetes.pod_life import PodLife

#: seconds from one sign of life to the next
_BEAT = 2.0
#: seconds until a server that did not answer is asked again
_PAUSE = 0.1
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


class Kubelet:
    """One node: the lives of its pods by their uid."""

    def __init__(self, settings: NodeSettings, line: socket) -> None:
        self._settings = settings
        self._line = line
        self._lives: dict[str, PodLife] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Be the node, until SIGTERM."""
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        settings = self._settings
        server = LogServer(self._find, settings.certificate, settings.key)
        port = await server.start(settings.address)
        self._node = Node(settings, Runtime(self._line, loop), port)
        await self._node.call(self._register, port)
        beating = asyncio.create_task(self._beat())
        threading.Thread(target=self._follow, args=(loop,), daemon=True).start()
        await stopped.wait()
        beating.cancel()

    def _find(self, namespace: str, name: str) -> PodLife | None:
        for life in self._lives.values():
            named = life.pod["metadata"]
            if (named["namespace"], named["name"]) == (namespace, name):
                return life
        return None

    def _saw(self, kind: str, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        life = self._lives.get(uid)
        if kind == "DELETED":
            if life is not None:
                life.remove()
        elif life is not None:
            life.saw(pod)
        else:
            life = self._lives[uid] = PodLife(self._node, pod)
            task = asyncio.create_task(life.run(), name=pod["metadata"]["name"])
            self._tasks.add(task)
            task.add_done_callback(lambda task: self._over(uid, task))

    def _over(self, uid: str, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._lives.pop(uid, None)
        if not task.cancelled() and (error := task.exception()):
            asyncio.get_running_loop().call_exception_handler({"message": task.get_name(), "exception": error})

    def _saw_all(self, pods: list[Object]) -> None:
        there = {pod["metadata"]["uid"] for pod in pods}
        for uid in set(self._lives) - there:
            self._lives[uid].remove()
        for pod in pods:
            self._saw("ADDED", pod)

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tell the loop what the API server has for this node; in a thread of its own, for ever."""
        api = Api(self._settings.access)
        mine = {"fieldSelector": f"spec.nodeName={self._settings.name}"}
        version = ""
        while True:
            try:
                if not version:
                    listed = api.get("/api/v1/pods", **mine)
                    version = listed["metadata"]["resourceVersion"]
                    loop.call_soon_threadsafe(self._saw_all, listed["items"])
                for kind, pod in api.watch("/api/v1/pods", version, **mine):
                    version = pod["metadata"]["resourceVersion"]
                    loop.call_soon_threadsafe(self._saw, kind, pod)
            except Refused:
                version = ""
                time.sleep(_PAUSE)
            except OSError:
                time.sleep(_PAUSE)

    def _register(self, port: int) -> None:
        settings = self._settings
        labels = {"kubernetes.io/hostname": settings.name, "kubernetes.io/os": "linux", **settings.labels}
        api, path = self._node.api, f"/api/v1/nodes/{settings.name}"
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": settings.name, "labels": labels}}
        if api.find(path) is None:
            api.create("/api/v1/nodes", node)
        status = {
            "addresses": [{"type": "InternalIP", "address": settings.address}], "capacity": settings.capacity,
            "allocatable": settings.capacity, "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "nodeInfo": {"kubeletVersion": "v0.0.0-test"},
        }  # fmt: skip
        api.patch(f"{path}/status", {"status": {**status, "conditions": [_ready()]}}, "strategic")

    async def _beat(self) -> None:
        path = f"/api/v1/nodes/{self._settings.name}/status"
        while True:
            with contextlib.suppress(Refused, OSError):
                await self._node.call(self._renew)
                await self._node.call(self._node.api.patch, path, {"status": {"conditions": [_ready()]}}, "strategic")
            await asyncio.sleep(_BEAT)

    def _renew(self) -> None:
        name = self._settings.name
        spec = {"holderIdentity": name, "leaseDurationSeconds": 10, "renewTime": stamp()[:-1] + ".000000Z"}
        try:
            self._node.api.patch(f"{_LEASES}/{name}", {"spec": spec})
        except Refused as refused:
            if refused.code != 404:
                raise
            self._node.api.create(_LEASES, {"metadata": {"name": name}, "spec": spec})


def _ready() -> Object:
    return {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": stamp()}


def main() -> None:
    """Be the node that the settings in the file of the first argument describe."""
    settings = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=NodeSettings)
    # It forks, which is safe only while there are no threads.
    line = spawn(settings.paths)
    asyncio.run(Kubelet(settings, line).serve())


if __name__ == "__main__":
    main()
