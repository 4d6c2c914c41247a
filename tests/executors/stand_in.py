"""A runner that a test plays: it says what the test says, and shows what the executor wants of it."""

import os
import socket
from typing import Any, TypeVar

from airloom.executors.settings import LocalSettings
from airloom.executors.unix_socket import connect, take_lock
from airloom.model.report import Report, TryKey
from airloom.model.wire import PROTOCOL, Ack, FromRunner, Hello, Reports, ToRunner, Unframer, frame
from tests.waiting import DEADLINE

T = TypeVar("T")


class StandIn:
    """Must be made before the executor, which then waits for it instead of starting a runner."""

    def __init__(self, settings: LocalSettings) -> None:
        lock = take_lock(settings.lock)
        assert lock is not None
        self._lock = lock
        self._settings = settings
        self._sock: socket.socket | None = None
        self._inbox: list[ToRunner] = []
        self._seq = 0

    def greet(self, name: str = "r1", live: tuple[TryKey, ...] = (), pending: tuple[TryKey, ...] = ()) -> None:
        """Connect, or connect again."""
        self.drop()
        self._sock = connect(self._settings.socket)
        self._sock.settimeout(DEADLINE)
        self._unframer: Unframer[ToRunner] = Unframer(ToRunner)
        self.say(
            Hello(protocol=PROTOCOL, runner=name, host="h", pid=1, version="1", live=live, pending=pending,
                  owner=self._settings.owner)
        )  # fmt: skip

    def say(self, message: FromRunner) -> None:
        assert self._sock is not None
        self._sock.sendall(frame(message))

    def report(self, *reports: Report) -> None:
        self._seq += 1
        self.say(Reports(seq=self._seq, reports=reports))

    def hear(self, kind: type[T]) -> T:
        """The next message, which must be of this kind; acknowledgements are passed over, unless they are wanted."""
        while True:
            message = self._next()
            if isinstance(message, kind):
                return message
            assert isinstance(message, Ack), message

    def _next(self) -> Any:
        assert self._sock is not None
        while not self._inbox:
            data = self._sock.recv(1024 * 1024)
            assert data, "the executor closed the connection"
            self._inbox += self._unframer.feed(data)
        return self._inbox.pop(0)

    def drop(self) -> None:
        """Lose the connection, and what was on its way."""
        if self._sock is not None:
            self._sock.close()
        self._sock = None
        self._inbox = []

    def close(self) -> None:
        self.drop()
        os.close(self._lock)
