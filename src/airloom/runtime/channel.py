"""A channel: framed messages, and file descriptors, over a connected Unix stream socket."""

import array
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from airloom.model.wire import ALIVE, MAX_FRAME, Unframer, frame

CHUNK = 256 * 1024
MAX_FDS = 3
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)

T = TypeVar("T")


class Closed(Exception):
    """The other end is gone."""


class Channel(Generic[T]):
    """Messages over `sock`; `kind` is the union of types that come in.

    On a non-blocking socket `send` keeps what the socket does not take; `on_blocked` is called when that begins, and
    `flush` goes on with it.
    """

    def __init__(self, sock: socket.socket, kind: Any) -> None:
        self.sock = sock
        self.fds: deque[int] = deque()
        #: the last read found nothing
        self.idle = False
        self.on_blocked: Callable[[], None] = _nothing
        self._unframer: Unframer[T] = Unframer(kind)
        self._out: deque[tuple[memoryview, Sequence[int]]] = deque()

    def fileno(self) -> int:
        return self.sock.fileno()

    @property
    def blocked(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._out)

    def send(self, message: Any, fds: Sequence[int] = (), limit: int = MAX_FRAME) -> None:
        """Send a message, with descriptors, which are closed on this side once they are sent.

        Raises Closed, and FrameError if the message has more than `limit` bytes.
        """
        self._put(frame(message, limit), fds)

    def sign(self) -> None:
        """Give a sign of life, unless more than that is on its way. Raises Closed."""
        if not self._out:
            self._put(ALIVE)

    def _put(self, data: bytes, fds: Sequence[int] = ()) -> None:
        was_blocked = bool(self._out)
        self._out.append((memoryview(data), fds))
        if not was_blocked:
            self.flush()
            if self._out:
                self.on_blocked()

    def flush(self) -> None:
        """Send as much as the socket takes. Raises Closed."""
        out = self._out
        while out:
            data, fds = out[0]
            try:
                if fds:
                    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
                    sent = self.sock.sendmsg([data], rights)
                    for fd in fds:
                        os.close(fd)
                    fds = ()
                else:
                    sent = self.sock.send(data)
            except BlockingIOError:
                return
            except OSError as error:
                raise Closed from error
            if sent == len(data):
                out.popleft()
            else:
                out[0] = (data[sent:], fds)

    def receive(self) -> list[T]:
        """The messages that have come whole with one read (none, if the socket is non-blocking and has nothing).

        Raises Closed at the end of the stream.
        """
        try:
            data = self.sock.recv(CHUNK)
            self.idle = False
        except BlockingIOError:
            self.idle = True
            return []
        except OSError as error:
            raise Closed from error
        if not data:
            raise Closed
        return self._unframer.feed(data)

    def receive_with_fds(self) -> list[T]:
        """As `receive`; the descriptors that came along are put at the end of `fds`."""
        try:
            data, ancillary, _flags, _address = self.sock.recvmsg(CHUNK, socket.CMSG_SPACE(4 * MAX_FDS), _CLOEXEC)
        except BlockingIOError:
            return []
        except OSError as error:
            raise Closed from error
        for level, type_, payload in ancillary:
            if level == socket.SOL_SOCKET and type_ == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
                self.fds.extend(fds)
        if not data:
            raise Closed
        return self._unframer.feed(data)

    def close(self) -> None:
        """Close the socket and every descriptor that was not taken or not sent."""
        self.sock.close()
        while self.fds:
            os.close(self.fds.popleft())
        while self._out:
            for fd in self._out.popleft()[1]:
                os.close(fd)


def _nothing() -> None:
    return
