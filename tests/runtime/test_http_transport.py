"""The transport over HTTP, against the task API's own server in front of a desk that does what the test says."""

import asyncio
import contextlib
import logging
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from airloom.api.problems import Refused
from airloom.api.remote.app import make_runner_app
from airloom.api.remote.desk import Visitor
from airloom.model.errors import SettingsError
from airloom.model.report import Ended, Outcome, TryKey, XComValue
from airloom.model.wire import ALIVE, MAX_FRAME, Ack, FromRunner, Heartbeat, Hello, Reports, ToRunner, frame
from airloom.runtime import http_transport
from airloom.runtime.channel import Closed
from airloom.runtime.http_server import HttpServer
from airloom.runtime.http_transport import HttpTransport
from tests.runtime.transport_conformance import SECONDS, TransportConformance, wait_and_receive

TOKEN = "a-token"


class ScriptedDesk:
    """Hears everything, and says what the test wants to be said."""

    longest = MAX_FRAME
    alive = 15.0
    #: seconds by which its clock is ahead
    ahead = 0.0

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

    def now(self) -> float:
        return time.time() + self.ahead

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
def serving(desk: ScriptedDesk, **options: Any) -> Iterator[int]:
    """The task API in a thread; its port."""
    fixed = {"log_config": None, "lifespan": "off", "timeout_graceful_shutdown": 1}
    server = uvicorn.Server(uvicorn.Config(make_runner_app(desk), **{"port": 0, **fixed, **options}))
    ready = threading.Event()
    startup = server.startup

    async def start(sockets: Any = None) -> None:
        await startup(sockets)
        ready.set()

    server.startup = start  # type: ignore[method-assign]
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
            transport = HttpTransport(HttpServer(f"http://127.0.0.1:{port}", str(tmp_path / "token")))
            end = HttpEnd(desk)
            # The first word of every connection, which makes the session.
            transport.send(hello())
            assert end.receive() == hello()
            assert desk.listened.wait(SECONDS)
            yield transport, end
            desk.gate.set()
            transport.close()


# --- what only HTTP has -----------------------------------------------------------------------------------------------
class Reached:
    """A server and what a runner needs to reach it."""

    def __init__(self, folder: Path, desk: ScriptedDesk, port: int, scheme: str = "http", ca_file: str = "") -> None:
        self.desk = desk
        token = folder / "token"
        token.write_text(TOKEN)
        self.server = HttpServer(f"{scheme}://localhost:{port}/", str(token), ca_file)
        self.token = token

    def connect(self) -> HttpTransport:
        return HttpTransport(self.server)


def end_of(transport: HttpTransport) -> None:
    """Wait until the transport says that it is over."""
    with pytest.raises(Closed):
        while True:
            wait_and_receive(transport)


def certificate(folder: Path, name: str) -> tuple[str, str]:
    """Files of a certificate for a host, signed by itself, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / f"{name}.crt", folder / f"{name}.key"
    files[0].write_bytes(made.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(files[0]), str(files[1])


def test_https_is_spoken_with_a_server_whose_certificate_is_trusted(tmp_path: Path):
    desk = ScriptedDesk()
    crt, key = certificate(tmp_path, "localhost")
    with serving(desk, ssl_certfile=crt, ssl_keyfile=key) as port:
        reached = Reached(tmp_path, desk, port, "https", crt)
        transport = reached.connect()
        transport.send(hello())
        assert desk.heard.get(timeout=SECONDS) == hello()
        desk.say(frame(Ack(seq=1)))
        assert wait_and_receive(transport) == [Ack(seq=1)]
        assert transport.reached
        transport.close()


@pytest.mark.parametrize(("name", "trusted"), [("localhost", False), ("elsewhere", True)])
def test_a_certificate_that_is_not_trusted_is_refused_with_what_to_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, trusted: bool
):
    desk = ScriptedDesk()
    crt, key = certificate(tmp_path, name)
    with serving(desk, ssl_certfile=crt, ssl_keyfile=key) as port:
        transport = Reached(tmp_path, desk, port, "https", crt if trusted else "").connect()
        transport.send(hello())
        end_of(transport)
        transport.close()
    assert "its certificate is not trusted" in caplog.text
    assert not transport.reached
    assert desk.heard.empty()


def test_plain_http_where_https_is_expected_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    desk = ScriptedDesk()
    with serving(desk) as port:
        transport = Reached(tmp_path, desk, port, "https").connect()
        transport.send(hello())
        end_of(transport)
        transport.close()
    assert "see whether https:// is right" in caplog.text


def test_a_trouble_is_told_once_and_its_end_once(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    desk = ScriptedDesk()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    reached = Reached(tmp_path, desk, port)
    for _ in range(3):
        transport = reached.connect()
        transport.send(hello())
        end_of(transport)
        transport.close()
    assert caplog.text.count("is not reached: ") == 1
    with serving(desk, port=port):
        transport = reached.connect()
        transport.send(hello())
        transport.send(Heartbeat(live=()))
        while desk.heard.get(timeout=SECONDS) != Heartbeat(live=()):
            pass
        desk.say(frame(Ack(seq=1)))
        wait_and_receive(transport)
        transport.close()
    assert caplog.text.count("is reached again") == 1


def test_a_refusal_is_told_with_the_servers_words_and_the_token_never_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(http_transport, "_AFTER_REFUSAL", 0.0)
    desk = ScriptedDesk()
    with serving(desk) as port:
        reached = Reached(tmp_path, desk, port)
        reached.token.write_text("another-token")
        transport = reached.connect()
        transport.send(hello())
        end_of(transport)
        transport.close()
        reached.token.unlink()
        transport = reached.connect()
        transport.send(hello())
        end_of(transport)
        transport.close()
    assert "refuses this runner: 401, the token is wrong" in caplog.text
    assert "cannot be read" in caplog.text
    assert "another-token" not in caplog.text


def test_a_connection_that_the_server_closed_while_it_was_idle_is_made_anew(tmp_path: Path):
    desk = ScriptedDesk()
    with serving(desk, timeout_keep_alive=0) as port:
        transport = Reached(tmp_path, desk, port).connect()
        transport.send(hello())
        for number in range(1, 4):
            beat = Heartbeat(live=(TryKey(number, 1),))
            transport.send(beat)
            while desk.heard.get(timeout=SECONDS) != beat:
                pass
            desk.say(frame(Ack(seq=number)))
            assert wait_and_receive(transport) == [Ack(seq=number)]
        transport.close()


def test_what_is_on_its_way_is_dropped_when_the_transport_is_closed(tmp_path: Path):
    desk = ScriptedDesk()
    with serving(desk) as port:
        transport = Reached(tmp_path, desk, port).connect()
        transport.send(hello())
        assert desk.listened.wait(SECONDS)
        desk.gate.clear()
        transport.send(Reports(seq=1, reports=()))
        assert transport.blocked
        transport.close()
        desk.gate.set()
        with pytest.raises(Closed):
            transport.send(Heartbeat(live=()))


@pytest.mark.parametrize("url", ["", "localhost:8080", "ftp://x", "http://", "http://host:port"])
def test_an_address_that_is_none_is_refused_with_an_example(tmp_path: Path, url: str):
    with pytest.raises(SettingsError, match="http://HOST:PORT"):
        HttpServer(url, str(tmp_path / "token"))


def test_a_file_of_certificates_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(SettingsError, match="nowhere"):
        HttpServer("https://localhost", "", str(tmp_path / "nowhere"))


def test_a_runner_that_works_on_one_machine_loads_nothing_of_http():
    code = "import sys, airloom.runtime.runner; print([m for m in ('http.client', 'ssl', 'email') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_an_end_that_is_too_large_for_the_server_is_told_as_a_failure_and_holds_up_nothing(tmp_path: Path):
    desk = ScriptedDesk()
    desk.longest = 3 * 1024 * 1024
    with serving(desk) as port:
        transport = Reached(tmp_path, desk, port).connect()
        transport.send(hello())
        big = XComValue(key="return_value", value=b"x" * (4 * 1024 * 1024))
        good = Ended(key=TryKey(1, 1), at=1.0, outcome=Outcome.SUCCESS)
        bad = Ended(key=TryKey(2, 1), at=1.0, outcome=Outcome.SUCCESS, xcoms=(big,))
        transport.send(Reports(seq=1, reports=(good, bad)))
        assert desk.heard.get(timeout=SECONDS) == hello()
        told = desk.heard.get(timeout=SECONDS)
        assert isinstance(told, Reports)
        assert told.reports[0] == good
        assert isinstance(told.reports[1], Ended)
        assert (told.reports[1].outcome, told.reports[1].xcoms) == (Outcome.FAILED, ())
        assert "see [xcom] max_size" in (told.reports[1].detail or "")
        transport.close()
