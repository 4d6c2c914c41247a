"""The life of one pod on a test kubelet's node: its containers in order, what stops it, and what is reported."""

import asyncio
import contextlib
import os
import signal
import time
from typing import Any, NamedTuple

from tests.kubernetes.api import Object, pods
from tests.kubernetes.containers import Bind, News, Order
from tests.kubernetes.fate import FATE, VERDICTS, image_problem, seconds_to_pull
from tests.kubernetes.mounting import Mounting, NotReady, expand, forget, in_cluster
from tests.kubernetes.node_parts import Node, Started
from tests.kubernetes.pod_status import ContainerStatus, PodStatus, has_run

#: seconds between attempts at what is not there yet
_AGAIN = 0.5
_LONGEST_BACK_OFF = 30.0


class Ending(NamedTuple):
    """Why a pod is to end. grace: seconds from SIGTERM to SIGKILL. verdict: (phase, reason, message), if it has one."""

    grace: float
    verdict: tuple[str, str, str] | None = None


class PodLife:
    """One pod from when its node sees it until it is gone."""

    def __init__(self, node: Node, pod: Object) -> None:
        self.pod = pod
        self._node = node
        named = pod["metadata"]
        self._path = pods(named["namespace"], named["name"])
        self._folder = node.folder / named["uid"]
        loop = asyncio.get_running_loop()
        self._ending: asyncio.Future[Ending] = loop.create_future()
        self._deleted: asyncio.Future[Ending] = loop.create_future()
        #: done when the API server knows the pod no more
        self._gone: asyncio.Future[Ending] = loop.create_future()
        address = node.new_address()
        self.status = PodStatus(pod, node.settings.address, address)
        known = {"podIP": address, "hostIP": node.settings.address}
        placed = {**pod, "status": {**pod.get("status", {}), **known}}
        self._mounting = Mounting(node.api, placed, self._folder / "volumes")
        self._running: dict[str, Started] = {}
        self._reasons: dict[str, str] = {}
        self._publishing = asyncio.Lock()
        self._published: Object = {}
        #: ended before this kubelet was started, which has nothing to add then
        self._was_over = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        self._background: set[asyncio.Task[None]] = set()
        self.saw(pod)

    def saw(self, pod: Object) -> None:
        """The API server has this now."""
        self.pod = pod
        named = pod["metadata"]
        if named.get("deletionTimestamp"):
            ending = Ending(named.get("deletionGracePeriodSeconds", 0))
            for future in (self._deleted, self._ending):
                if not future.done():
                    future.set_result(ending)
        fate = "" if self._was_over else named.get("annotations", {}).get(FATE, "")
        if fate in VERDICTS:
            self._condemn(*VERDICTS[fate])
        elif fate == "oom":
            self._kill_first("OOMKilled")
        elif fate.startswith("exit-"):
            self._end_hollow(int(fate.removeprefix("exit-")))

    async def run(self) -> None:
        """Live; returns when the pod is gone and nothing of it is left."""
        try:
            living = asyncio.create_task(self._live())
            await first_of(living, self._ending)
            if not living.done():
                living.cancel()
                await first_of(living)
                await self._end(self._ending.result())
            elif living.exception():
                raise living.exception() or AssertionError
            await self._publish()
            await self._deleted
            if not self._gone.done():
                uid = self.pod["metadata"]["uid"]
                await self._node.insist(self._node.api.delete, self._path, grace=0, uid=uid)
        finally:
            for started in self._running.values():
                self._signal(started, signal.SIGKILL)
            forget([self._folder])

    def log_of(self, container: str, previous: bool) -> tuple[str, ContainerStatus] | None:
        """The file of a container's log, and its status; None if there is none of that name."""
        for status in self.status.all:
            if status.name == container:
                return f"{self._folder}/{container}-{status.restarts - previous}.log", status
        return None

    def remove(self) -> None:
        """It is gone at the API server: what still runs of it is killed."""
        for future in (self._gone, self._deleted, self._ending):
            if not future.done():
                future.set_result(Ending(0))

    async def _live(self) -> None:
        if self._was_over:
            return
        if has_run(self.pod.get("status", {})):
            self.status.lose()
            return
        self._publish_soon()
        if seconds := self.pod["spec"].get("activeDeadlineSeconds"):
            text = "Pod was active on the node longer than the specified deadline"
            asyncio.get_running_loop().call_later(seconds, self._condemn, "Failed", "DeadlineExceeded", text)
        while True:
            try:
                if self.pod["metadata"].get("annotations", {}).get(FATE) == "stuck":
                    raise NotReady("FailedMount", "Unable to attach or mount volumes: timed out waiting")
                await self._node.insist(self._mounting.make_volumes)
                break
            except NotReady as error:
                await self._say("", error)
                await asyncio.sleep(_AGAIN)
        for status in self.status.inits:
            if await self._run(status, True) != 0:
                return
        for status in self.status.mains:
            status.wait("ContainerCreating")
        await asyncio.gather(*(self._run(status, False) for status in self.status.mains))

    async def _run(self, status: ContainerStatus, init: bool) -> int:
        """Run a container until it ends for good; returns its exit code."""
        back_off = 1.0
        while True:
            await self._pull(status)
            code = await self._run_once(status)
            if not self.status.restarts(code, init):
                self._publish_soon()
                return code
            self._publish_soon()
            await asyncio.sleep(0.1)
            status.wait("CrashLoopBackOff", f"back-off {back_off:g}s restarting failed container={status.name}")
            status.restarts += 1
            self._publish_soon()
            await asyncio.sleep(back_off)
            back_off = min(2 * back_off, _LONGEST_BACK_OFF)

    async def _pull(self, status: ContainerStatus) -> None:
        """Have the image. What an image is like, its name says: see `fate`."""
        image: str = status.spec["image"]
        await asyncio.sleep(seconds_to_pull(image))
        backing_off = False
        while error := image_problem(image, status.spec.get("imagePullPolicy", ""), backing_off):
            backing_off = not backing_off
            await self._say(status.name, error, status)
            await asyncio.sleep(_AGAIN)

    async def _run_once(self, status: ContainerStatus) -> int:
        spec = status.spec
        while True:
            try:
                environment = await self._node.insist(self._mounting.environment, spec) or {}
                break
            except NotReady as error:
                await self._say(status.name, error, status)
                await asyncio.sleep(_AGAIN)
        identity = f"{self.pod['metadata']['uid']}/{status.name}-{status.restarts}"
        try:
            if spec["image"].startswith("hollow.test/"):
                started = Started(0, time.time(), asyncio.get_running_loop().create_future())
            else:
                binds = self._mounting.binds(spec)
                order = make_order(self._node, self.pod, identity, spec, environment, binds)
                started = await self._start(status, order)
        except OSError as error:
            text = f'failed to create containerd task: OCI runtime create failed: exec: "{error}": unknown'
            status.end(128, time.time(), "StartError", text)
            return 128
        self._running[status.name] = started
        status.run(f"test://{identity}", started.at)
        self._publish_soon()
        # What already is its fate counts for what starts later, too.
        self.saw(self.pod)
        news = await asyncio.shield(started.ended)
        self._note_end(status, news)
        return news.code or 0

    async def _start(self, status: ContainerStatus, order: Order) -> Started:
        starting = asyncio.create_task(self._node.runtime.start(order))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # It will run all the same; who cancels ends what runs.
            with contextlib.suppress(OSError):
                self._running[status.name] = await starting
            raise

    def _note_end(self, status: ContainerStatus, news: News) -> None:
        self._running.pop(status.name, None)
        message = ""
        with contextlib.suppress(OSError):
            message = (self._folder / f"{status.name}-message").read_text(errors="replace")[:4096]
        status.end(news.code or 0, news.at, self._reasons.get(status.name, ""), message)

    def _condemn(self, phase: str, reason: str, message: str) -> None:
        if not self._ending.done() and self.status.phase not in ("Succeeded", "Failed"):
            self._ending.set_result(Ending(0 if reason == "Evicted" else 2, (phase, reason, message)))

    def _kill_first(self, reason: str) -> None:
        for status in self.status.mains[:1]:
            if started := self._running.get(status.name):
                self._reasons[status.name] = reason
                self._signal(started, signal.SIGKILL)

    def _end_hollow(self, code: int) -> None:
        for started in self._running.values():
            if started.pid == 0 and not started.ended.done():
                started.ended.set_result(News(id="", at=time.time(), code=code))

    async def _end(self, ending: Ending) -> None:
        """Stop the containers: SIGTERM, and SIGKILL after the grace period, or at once when the pod is gone."""
        running = {status: self._running[status.name] for status in self.status.all if status.name in self._running}
        ends = [started.ended for started in running.values()]
        if ends and ending.grace > 0:
            for started in running.values():
                self._signal(started, signal.SIGTERM)
            await first_of(self._gone, asyncio.gather(*ends), seconds=ending.grace)
        for status, started in running.items():
            self._signal(started, signal.SIGKILL)
            self._note_end(status, await started.ended)
        if ending.verdict is not None:
            self.status.verdict = ending.verdict
            await self._node.tell(self.pod, ending.verdict[1], ending.verdict[2])

    def _signal(self, started: Started, number: int) -> None:
        if started.ended.done():
            return
        if started.pid == 0:
            started.ended.set_result(News(id="", at=time.time(), code=128 + number))
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(started.pid, number)

    async def _say(self, container: str, error: NotReady, status: ContainerStatus | None = None) -> None:
        """Report what the pod waits for, once while it is the same."""
        changed = status.wait(error.reason, error.message) if status else self._reasons.get("") != error.message
        if status is None:
            self._reasons[""] = error.message
        if changed:
            self._publish_soon()
            reason = error.reason if error.reason == "FailedMount" else "Failed"
            await self._node.tell(self.pod, reason, error.message)

    def _publish_soon(self) -> None:
        task = asyncio.create_task(self._publish())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _publish(self) -> None:
        async with self._publishing:
            status = self.status.as_json(self.pod.get("status", {}))
            if status != self._published and not self._gone.done() and not self._was_over:
                body = {"metadata": {"uid": self.pod["metadata"]["uid"]}, "status": status}
                await self._node.insist(self._node.api.patch, f"{self._path}/status", body)
                self._published = status


async def first_of(*futures: "asyncio.Future[Any]", seconds: float | None = None) -> None:
    """Return when one of them is done, or after so many seconds; none is cancelled."""
    await asyncio.wait(futures, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)


def make_order(node: Node, pod: Object, identity: str, spec: Object, own: dict[str, str], binds: list[Bind]) -> Order:
    """How a container is run. own: its variables; binds: its volumes. Raises OSError if it has no command."""
    image, named = node.image_of(spec["image"]), pod["metadata"]
    security = {**pod["spec"].get("securityContext", {}), **spec.get("securityContext", {})}
    values = {"PATH": os.defpath, "HOME": "/" if security.get("runAsUser") else "/root", **image.environment}
    values |= {"HOSTNAME": named["name"], **in_cluster(node.settings.access), **own}
    command = spec.get("command") or image.entry_point
    words = [expand(word, values) for word in [*command, *spec.get("args", [])]]
    if not words:
        raise OSError("no command specified")
    message = node.folder / named["uid"] / f"{spec['name']}-message"
    message.parent.mkdir(parents=True, exist_ok=True)
    message.touch()
    message.chmod(0o666)
    told = Bind(str(message), spec.get("terminationMessagePath", "/dev/termination-log"))
    return Order(
        id=identity, folder=str(node.folder / identity), hostname=named["name"], command=words,
        environment=values, directory=spec.get("workingDir") or "/", user=security.get("runAsUser"),
        group=security.get("runAsGroup"), read_only=bool(security.get("readOnlyRootFilesystem")),
        binds=[told, *binds],
    )  # fmt: skip
