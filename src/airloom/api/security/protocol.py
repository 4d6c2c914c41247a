"""HTTP/1.1 as uvicorn speaks it, with limits that it has not: of the time and the size of a request's head, of the
size of trailers, of the time in which nothing of an answer is taken, and of connections."""

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: seconds in which some of an answer has to be taken
STUCK_TIME = 60.0
#: seconds in which the request line and the headers have to come
HEAD_TIME = 15.0
#: bytes that they may have; and those that may come between two parts of a body, or behind it
HEAD_BYTES = 64 * 1024
#: connections of one server at once, and files that the process needs besides
MOST_CONNECTIONS, _FILES = 8192, 256


def allow_files() -> None:
    """Raise the number of files that this process may have open to what its connections need, where that is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + _FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _most_connections() -> int:
    """Above this, a connection is closed at once: without files left, nothing else would work either."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, max(soft - _FILES, soft // 2))


class GuardedHttp(HttpToolsProtocol):
    """One connection. One that is slow with a request's head is closed, and so is one that is endless with it, or with
    trailers or what is beside the data of a chunk: the parser keeps such text, and copies it at each part. One that
    takes nothing of its answer is cut off."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: bytes since something came to its end
        self._loose = 0
        self._deadline: asyncio.TimerHandle | None = None
        #: runs while more is to be sent than the client takes
        self._stuck: asyncio.TimerHandle | None = None
        self._unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        if len(self.connections) > _most_connections():
            transport.close()
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        self._stop_watching()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; close if too much of it is neither a whole head nor a body."""
        self._loose += len(data)
        super().data_received(data)
        if self._loose > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The headers are too long.")

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        if self._deadline is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        """Its head is here."""
        self._loose = 0
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of its body is here."""
        self._loose = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """All of it is here."""
        self._loose = 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        """The client does not take what is sent."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """It does again."""
        self._stop_watching()
        super().resume_writing()

    def _watch(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._stuck = self.loop.call_later(STUCK_TIME, self._look)

    def _look(self) -> None:
        if self.transport.get_write_buffer_size() < self._unsent:
            self._watch()
        else:
            self.transport.abort()

    def _stop_watching(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _await_head(self) -> None:
        self._deadline = self.loop.call_later(HEAD_TIME, self.timeout_keep_alive_handler)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
