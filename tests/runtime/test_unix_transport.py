"""The transport over a Unix socket, and who may be at its ends."""

import contextlib
import os
import select
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from airloom.executors.unix_socket import Listener, connect, peer
from airloom.model.errors import AirloomError, Conflict
from airloom.model.wire import FromRunner, ToRunner, Unframer, frame
from airloom.runtime.transport import UnixTransport
from tests.runtime.transport_conformance import SECONDS, TransportConformance


class SocketServer:
    """The server's end of a Unix socket."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(SECONDS)
        self._sock = sock
        self._unframer: Unframer[FromRunner] = Unframer(FromRunner)
        self._inbox: list[FromRunner] = []

    def send(self, message: ToRunner) -> None:
        self.send_raw(frame(message))

    def send_raw(self, data: bytes) -> None:
        self._sock.sendall(data)

    def receive(self) -> FromRunner:
        while not self._inbox:
            self._inbox += self._unframer.feed(self._sock.recv(1024 * 1024))
        return self._inbox.pop(0)

    def hold(self) -> None:
        """Nothing is ever taken before it is asked for."""

    @contextlib.contextmanager
    def reading_aside(self) -> Iterator[list[FromRunner]]:
        """Two messages are read in a thread while the block runs."""
        received: list[FromRunner] = []
        thread = threading.Thread(target=lambda: received.extend([self.receive(), self.receive()]))
        thread.start()
        yield received
        thread.join(SECONDS)

    def drop(self) -> None:
        self._sock.close()


class TestUnixTransport(TransportConformance):
    @pytest.fixture
    def ends(self, tmp_path: Path) -> Iterator[tuple[UnixTransport, SocketServer]]:
        listener = Listener(str(tmp_path / "s.sock"))
        transport = UnixTransport(str(tmp_path / "s.sock"))
        select.select([listener.sock], [], [], SECONDS)
        accepted = listener.accept()
        assert accepted is not None
        server = SocketServer(accepted)
        yield transport, server
        server.drop()
        transport.close()
        listener.close()


def test_only_its_owner_may_connect(tmp_path: Path):
    path = tmp_path / "s.sock"
    listener = Listener(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with connect(str(path)) as sock:
        assert peer(sock) == (os.getpid(), os.getuid())
    listener.close()


def test_a_socket_in_use_is_refused_with_what_to_do(tmp_path: Path):
    listener = Listener(str(tmp_path / "s.sock"))
    with pytest.raises(Conflict, match="Stop it, or give this one a home folder of its own"):
        Listener(str(tmp_path / "s.sock"))
    listener.close()
    Listener(str(tmp_path / "s.sock")).close()


def test_a_socket_that_a_dead_process_left_is_replaced(tmp_path: Path):
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(ConnectionRefusedError):
        connect(str(path))
    listener = Listener(str(path))
    connect(str(path)).close()
    listener.close()
    assert not path.exists()


def test_a_path_beyond_the_limit_of_socket_addresses_works(tmp_path: Path):
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    listener = Listener(str(folder / "s.sock"))
    connect(str(folder / "s.sock")).close()
    assert (folder / "s.sock").is_socket()
    listener.close()


def test_a_folder_that_is_not_there_is_an_error_that_names_it(tmp_path: Path):
    with pytest.raises(AirloomError, match="nowhere"):
        Listener(str(tmp_path / "nowhere" / "s.sock"))
