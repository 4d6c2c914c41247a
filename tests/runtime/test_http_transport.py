"""The transport over HTTP, against the task API's own server in front of a desk that does what the test says."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import uvicorn

from airloom.api.problems import Refused
from airloom.api.remote.app import make_runner_app
from airloom.api.remote.desk import Visitor
from airloom.model.wire import ALIVE, MAX_FRAME, FromRunner, Hello, ToRunner, frame
from airloom.runtime.http_transport import HttpServer, HttpTransport
from tests.runtime.transport_conformance import SECONDS, TransportConformance

TOKEN = "a-token"


class ScriptedDesk:
    """Hears everything, and says what the test wants to be said."""

    longest = MAX_FRAME
    alive = 15.0

    def __init__(self) -> None:
        self.heard: queue.Queue[FromRunner] = queue.Queue()
        #: closed: what comes is taken, and not answered
        self.gate = threading.Event()
        self.gate.set()
        self._said: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.listened = threading.Event()

    def say(self, data: bytes | None) -> None:
        """Send this over the stream; None ends it."""
        assert self.listened.wait(SECONDS)
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._said.put_nowait, data)

    async def identify(self, token: str, address: str | None) -> Visitor:
        if token != TOKEN:
            raise Refused(401, "No runner of ours", "the token is wrong")
        return Visitor(id="test")

    async def greet(self, visitor: Visitor, hello: Hello) -> str:
        self.heard.put(hello)
        return "session"

    def runner_of(self, visitor: Visitor, session: str) -> str:
        return session

    async def sign_of_life(self, visitor: Visitor, runner: str) -> None:
        """Nobody looks."""

    async def answer(self, visitor: Visitor, runner: str, messages: list[FromRunner]) -> AsyncIterator[bytes]:
        await asyncio.to_thread(self.gate.wait, SECONDS)
        for message in messages:
            self.heard.put(message)
        for nothing in ():
            yield nothing

    async def follow(self, visitor: Visitor, runner: str) -> AsyncIterator[bytes]:
        self._loop = asyncio.get_running_loop()
        self.listened.set()
        yield ALIVE
        while (data := await self._said.get()) is not None:
            yield data


class HttpEnd:
    """The server's end: the desk, as the suite drives it."""

    def __init__(self, desk: ScriptedDesk) -> None:
        self._desk = desk

    def send(self, message: ToRunner) -> None:
        self._desk.say(frame(message))

    def send_raw(self, data: bytes) -> None:
        self._desk.say(data)

    def receive(self) -> FromRunner:
        return self._desk.heard.get(timeout=SECONDS)

    def hold(self) -> None:
        """Take nothing from now on."""
        self._desk.gate.clear()

    @contextlib.contextmanager
    def reading_aside(self) -> Iterator[list[FromRunner]]:
        """Two messages are taken while the block runs."""
        self._desk.gate.set()
        received: list[FromRunner] = []
        yield received
        received += [self.receive(), self.receive()]

    def drop(self) -> None:
        self._desk.say(None)


@contextlib.contextmanager
def serving(desk: ScriptedDesk, **options: object) -> Iterator[int]:
    """The task API in a thread; its port."""
    config = uvicorn.Config(make_runner_app(desk), port=0, log_config=None, lifespan="off", **options)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    ready = threading.Event()
    started = server.startup

    async def startup(sockets: object = None) -> None:
        await started(sockets)  # type: ignore[arg-type]
        ready.set()

    server.startup = startup  # type: ignore[method-assign, assignment]
    config.timeout_graceful_shutdown = 1
    thread = threading.Thread(target=server.run)
    thread.start()
    assert ready.wait(SECONDS)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(SECONDS)


def hello(runner: str = "r") -> Hello:
    return Hello(protocol=1, runner=runner, host="h", pid=7, version="1")


class TestHttpTransport(TransportConformance):
    @pytest.fixture
    def ends(self, tmp_path: Path) -> Iterator[tuple[HttpTransport, HttpEnd]]:
        (tmp_path / "token").write_text(TOKEN + "\n")
        desk = ScriptedDesk()
        with serving(desk) as port:
            transport = HttpServer(f"http://127.0.0.1:{port}", str(tmp_path / "token")).connect()
            end = HttpEnd(desk)
            # The first word of every connection, which makes the session.
            transport.send(hello())
            assert end.receive() == hello()
            assert desk.listened.wait(SECONDS)
            yield transport, end
            desk.gate.set()
            transport.close()
