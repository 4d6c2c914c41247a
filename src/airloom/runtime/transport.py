"""How a runner talks to the server that it works for: the protocol, and the one over a Unix socket."""

from collections.abc import Sequence
from typing import Protocol

from airloom.executors.unix_socket import connect
from airloom.model.wire import FromRunner, ToRunner
from airloom.runtime.channel import Channel, Closed
from airloom.runtime.loop import Served

__all__ = ["Closed", "Transport", "UnixTransport"]


class Transport(Served, Protocol):
    """A connection to the server. None of the methods waits; each raises Closed once the connection is gone."""

    #: whether the server is known to be there
    reached: bool

    def send(self, message: FromRunner) -> None:
        """Send a message, in order; what cannot go at once is kept."""

    def send_together(self, messages: Sequence[FromRunner]) -> None:
        """The same with several, for whose sake one request is enough."""

    def receive(self) -> list[ToRunner]:
        """What has come."""

    def close(self) -> None:
        """Free the connection; what was not sent is dropped."""


class UnixTransport(Channel[ToRunner]):
    """The server is on this machine, and listens at a socket in the home folder."""

    reached = True

    def __init__(self, path: str) -> None:
        """Connect. Raises OSError if nobody listens."""
        sock = connect(path)
        sock.setblocking(False)
        super().__init__(sock, ToRunner)

    def send_together(self, messages: Sequence[FromRunner]) -> None:
        for message in messages:
            self.send(message)
