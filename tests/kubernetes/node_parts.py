"""What all pods of a test kubelet's node share: its settings, its calls to the API server, its containers."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from socket import socket
from typing import Any, TypeVar

import msgspec

from tests.kubernetes.api import Access, Api, Object, Refused
from tests.kubernetes.containers import News, Order

#: conflicts in a row after which an object is another one
_CONFLICTS = 5

T = TypeVar("T")


class Image(msgspec.Struct, frozen=True):
    """What images of a name that begins like its key have beside this machine's files."""

    entry_point: list[str] = []
    environment: dict[str, str] = {}


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A node. certificate, key: of its server of logs; paths: what containers need to see of this machine.

    images: by the beginnings of their names; the longest that fits counts.
    """

    name: str
    access: Access
    folder: str
    certificate: str
    key: str
    address: str = "127.0.0.1"
    labels: dict[str, str] = {}
    capacity: dict[str, str]
    paths: list[str] = []
    images: dict[str, Image] = {}


class Started:
    """A container that runs. pid: of its process 1, here; 0: it has no process. `ended` is set at its end."""

    def __init__(self, pid: int, at: float, ended: "asyncio.Future[News]") -> None:
        self.pid = pid
        self.at = at
        self.ended = ended


class Runtime:
    """The containers of a node: orders to the process that runs them, and what it tells."""

    def __init__(self, line: socket, loop: asyncio.AbstractEventLoop) -> None:
        self._line = line
        self._loop = loop
        self._starting: dict[str, asyncio.Future[News]] = {}
        self._ending: dict[str, asyncio.Future[News]] = {}
        loop.add_reader(line, self._read)

    async def start(self, order: Order) -> Started:
        """Run a container. Raises OSError with what the system said if that is not possible."""
        started = self._starting[order.id] = self._loop.create_future()
        ended = self._ending[order.id] = self._loop.create_future()
        await self._loop.run_in_executor(None, self._line.send, msgspec.json.encode(order))
        news = await started
        if news.error:
            del self._ending[order.id]
            raise OSError(news.error)
        return Started(news.pid, news.at, ended)

    def _read(self) -> None:
        news = msgspec.json.decode(self._line.recv(65536), type=News)
        waiting = self._ending if news.code is not None else self._starting
        future = waiting.pop(news.id, None)
        if future is not None and not future.done():
            future.set_result(news)


class Node:
    """What a pod's life needs of its node."""

    def __init__(self, settings: NodeSettings, runtime: Runtime, port: int) -> None:
        self.settings = settings
        self.runtime = runtime
        self.api = Api(settings.access)
        self.folder = Path(settings.folder)
        self._port = port
        self._pods = 0
        self._pool = ThreadPoolExecutor(8, "api")

    async def call(self, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Call something that waits for the API server, in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: function(*arguments, **named))

    async def insist(self, function: Callable[..., T], *arguments: Any, **named: Any) -> T | None:
        """The same until the server answers; None if it says that the object is gone or another one."""
        conflicts = 0
        while True:
            try:
                return await self.call(function, *arguments, **named)
            except Refused as refused:
                # A conflict may also be with who writes at the same moment.
                conflicts += refused.code == 409
                if refused.code == 404 or "metadata.uid" in refused.message or conflicts > _CONFLICTS:
                    return None
                if refused.code not in (409, 429, 500, 503, 504):
                    raise
            except OSError:
                pass
            await asyncio.sleep(0.2)

    def new_address(self) -> str:
        """An address for a pod: all are this machine's, and the port makes the node's its own."""
        self._pods += 1
        return f"127.{self._port >> 8}.{self._port & 255}.{1 + self._pods % 250}"

    def image_of(self, name: str) -> Image:
        """What is known of an image."""
        fitting = [beginning for beginning in self.settings.images if name.startswith(beginning)]
        return self.settings.images[max(fitting, key=len)] if fitting else Image()

    async def tell(self, pod: Object, reason: str, message: str, kind: str = "Warning") -> None:
        """An event of a pod, for who asks why."""
        named = pod["metadata"]
        about = {"kind": "Pod", "apiVersion": "v1", "namespace": named["namespace"], "name": named["name"]}
        event = {
            "metadata": {"generateName": f"{named['name'][:200]}."},
            "involvedObject": {**about, "uid": named["uid"]}, "reason": reason, "message": message[:1000],
            "type": kind, "count": 1, "source": {"component": "kubelet", "host": self.settings.name},
            "firstTimestamp": stamp(), "lastTimestamp": stamp(),
        }  # fmt: skip
        with contextlib.suppress(Refused, OSError):
            await self.call(self.api.create, f"/api/v1/namespaces/{named['namespace']}/events", event)


def stamp(at: float | None = None) -> str:
    """A time as Kubernetes writes it, in whole seconds; None: now."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
