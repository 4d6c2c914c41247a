"""The transport over HTTP: the server is elsewhere. Threads of its own wait for the network, so that the runner's loop
never does: one sends, and takes the answers; one does so for what is urgent, which is not to wait behind logs and
results; one hears what the server says by itself.
"""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from airloom.model.report import Cause, Ended, Outcome, Report
from airloom.model.wire import (
    HOLDS,
    MAX_FRAME,
    OLDEST_PROTOCOL,
    Claim,
    FrameError,
    FromRunner,
    Heartbeat,
    Hello,
    Reports,
    ToRunner,
    Unframer,
    Welcome,
    frame,
)
from airloom.runtime import fence
from airloom.runtime.channel import Closed
from airloom.runtime.http_server import HttpServer, Refusal

PREFIX = "/task-api/v1"
_MEDIA_TYPE = "application/msgpack"
#: seconds that a connection may take to be made, and an answer to come
_CONNECT, _ANSWER = 10.0, 60.0
#: and the answer to something urgent, which costs the server next to nothing
_URGENT_ANSWER = 10.0
#: a stream is dead when it has shown no sign of life for so many times of what was promised
_MISSED = 3.0
#: bytes that are sent together, unless one message has more
_TOGETHER = 1024 * 1024
_CHUNK = 256 * 1024
_URGENT = (Heartbeat, Claim)
#: seconds before a server that refuses this runner is asked again
_AFTER_REFUSAL = 5.0
_LONGEST_PROBLEM = 64 * 1024
_JSON = msgspec.json.Decoder(dict[str, Any])


class HttpTransport:
    """One connection to the server, from a Hello until anything fails.

    `fileno` is one end of a pair of sockets: there is something to read when there is something to receive, and no room
    to write while something is still to be sent.
    """

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._address = server.address
        self.on_blocked: Callable[[], None] = _nothing
        #: whether the server has answered; before that, nothing shows that it is there
        self.reached = False
        self._ours, self._theirs = socket.socketpair()
        for end in (self._ours, self._theirs):
            end.setblocking(False)
        self._ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        self._news = threading.Condition()
        self._out: deque[FromRunner] = deque()
        self._urgent: deque[FromRunner] = deque()
        self._sending = False
        self._in: list[ToRunner] = []
        self._end: Exception | None = None
        self._session = ""
        self._longest = MAX_FRAME
        self._streaming = False
        self._connections: set[http.client.HTTPConnection] = set()
        self._token = ""
        threading.Thread(target=self._run, args=(self._send_all,), name="http-send", daemon=True).start()

    # --- the transport ------------------------------------------------------------------------------------------------
    def fileno(self) -> int:
        return self._ours.fileno()

    @property
    def blocked(self) -> bool:
        """Whether something is still to be sent, or to be answered."""
        return self._sending

    def send(self, message: FromRunner) -> None:
        """Send a message, in order; one that is urgent may arrive before others. Raises Closed."""
        self.send_together([message])

    def send_together(self, messages: Sequence[FromRunner]) -> None:
        """The same with several: the thread that sends finds all of them. Raises Closed."""
        with self._news:
            if self._end is not None:
                raise Closed from self._end
            usual = [message for message in messages if not isinstance(message, _URGENT)]
            self._out += usual
            self._urgent += (message for message in messages if isinstance(message, _URGENT))
            begins = bool(usual) and not self._sending
            if begins:
                self._sending = True
                self._fill()
            self._news.notify_all()
        if begins:
            self.on_blocked()

    def flush(self) -> None:
        """The thread sends. Raises Closed."""
        if self._end is not None:
            raise Closed from self._end

    def receive(self) -> list[ToRunner]:
        """What has come. Raises Closed, or FrameError for what is no message."""
        with self._news:
            with contextlib.suppress(BlockingIOError):
                while self._ours.recv(4096):
                    pass
            came, self._in = self._in, []
            if came or self._end is None:
                return came
            if isinstance(self._end, FrameError):
                raise self._end
            raise Closed from self._end

    def close(self) -> None:
        """Free the connection; what was not sent is dropped."""
        self._stop(Closed())
        self._ours.close()

    # --- between the threads ------------------------------------------------------------------------------------------
    def _fill(self) -> None:
        """Leave no room to write."""
        with contextlib.suppress(OSError):
            while True:
                self._ours.send(bytes(4096))

    def _drain(self) -> None:
        """There is room to write again."""
        with contextlib.suppress(OSError):
            while self._theirs.recv(65536):
                pass

    def _take(self, messages: list[ToRunner]) -> None:
        """The server does as it should, and says this. It is news for the runner's loop that it is there, too."""
        first, self.reached = not self.reached, True
        if first:
            self._server.reached(self._address)
        if messages or first:
            with self._news:
                self._in += messages
                with contextlib.suppress(OSError):
                    self._theirs.send(b"!")

    def _stop(self, why: Exception) -> None:
        """This connection is over."""
        with self._news:
            if self._end is None:
                self._end = why
                self._drain()
                self._theirs.close()
            connections = list(self._connections)
            self._news.notify_all()
        for connection in connections:
            if connection.sock is not None:
                with contextlib.suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)

    # --- in the threads -----------------------------------------------------------------------------------------------
    def _run(self, work: Callable[[http.client.HTTPConnection], None]) -> None:
        connection = self._server.open(self._address, _CONNECT)
        with self._news:
            self._connections.add(connection)
        try:
            work(connection)
        except Refusal as refusal:
            if self._end is None:
                self._server.refused(self._address, str(refusal))
                with self._news:
                    self._news.wait_for(lambda: self._end is not None, _AFTER_REFUSAL)
            self._stop(refusal)
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            if self._end is None:
                self._server.unreached(self._address, "is not reached", _reason(error))
            self._stop(error)
        except (FrameError, msgspec.MsgspecError) as error:
            self._server.unreached(self._address, "does not speak the runner's protocol", str(error))
            self._stop(error if isinstance(error, FrameError) else FrameError(str(error)))
        finally:
            self._stop(Closed())
            connection.close()

    def _send_all(self, connection: http.client.HTTPConnection) -> None:
        while True:
            with self._news:
                if not self._out:
                    self._sending = False
                    self._drain()
                self._news.wait_for(lambda: self._out or self._end is not None)
                if self._end is not None:
                    return
                first = self._out.popleft()
            if isinstance(first, Hello):
                self._greet(connection, first)
                continue
            body = bytearray(_framed(self._server.in_its_time(first), self._longest))
            while len(body) < _TOGETHER and self._out and not isinstance(self._out[0], Hello):
                body += _framed(self._server.in_its_time(self._out.popleft()), self._longest)
            self._exchange(connection, bytes(body))

    def _send_urgent(self, connection: http.client.HTTPConnection) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._urgent or self._end is not None)
                if self._end is not None:
                    return
                messages = list(self._urgent)
                self._urgent.clear()
            sent = fence.now()
            self._exchange(connection, b"".join(map(frame, messages)), _URGENT_ANSWER)
            if any(isinstance(message, Heartbeat) for message in messages):
                self._server.contact(sent)

    def _greet(self, connection: http.client.HTTPConnection, hello: Hello) -> None:
        self._token = self._server.token()
        asked = time.monotonic()
        response = self._request(connection, "POST", "/sessions", frame(hello))
        welcome = msgspec.msgpack.decode(response.read(), type=Welcome)
        if welcome.protocol < OLDEST_PROTOCOL:
            raise Refusal(
                f"it speaks version {welcome.protocol} of the protocol, and this runner {OLDEST_PROTOCOL} and later: "
                "update the server"
            )
        if welcome.now:
            self._server.set_clock(welcome.now, asked, time.monotonic())
        self._session, self._longest = welcome.session, welcome.longest - _TOGETHER
        if not self._streaming:
            self._streaming = True
            for name, work in (("http-listen", partial(self._listen, welcome)), ("http-urgent", self._send_urgent)):
                threading.Thread(target=self._run, args=(work,), name=name, daemon=True).start()

    def _exchange(self, connection: http.client.HTTPConnection, body: bytes, patience: float = _ANSWER) -> None:
        response = self._request(connection, "POST", f"/sessions/{self._session}/messages", body, patience)
        unframer: Unframer[ToRunner] = Unframer(ToRunner)
        while data := response.read1(_CHUNK):
            self._take(unframer.feed(data))
        self._server.passed_over(unframer.unknown)
        if response.length or not unframer.whole:
            raise http.client.IncompleteRead(b"")
        response.read()  # the connection is free for the next request
        self._take([])

    def _listen(self, welcome: Welcome, connection: http.client.HTTPConnection) -> None:
        """Hear what the server says by itself, until it ends the stream: as it does when it stops."""
        response = self._request(connection, "GET", f"/sessions/{welcome.session}/stream", b"")
        _socket(connection).settimeout(_MISSED * welcome.alive)
        unframer: Unframer[ToRunner] = Unframer(ToRunner)
        while data := response.read1(_CHUNK):
            self._take(unframer.feed(data))
            self._server.passed_over(unframer.unknown)

    def _request(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes, patience: float = _ANSWER
    ) -> http.client.HTTPResponse:
        """The answer to a request, if its status is 200. Raises OSError, HTTPException, Refusal.

        A server may close a connection that was not used for a while just when it is used again: then the request is
        sent once more, which does no harm.
        """
        used_before, sent = connection.sock is not None, fence.now()
        try:
            response = self._once(connection, method, path, body, patience)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            if not used_before or self._end is not None:
                raise
            connection.close()
            response = self._once(connection, method, path, body, patience)
        if response.status == 503 and HOLDS in response.headers:
            self._server.contact(sent)
        if response.status != 200:
            raise _problem(response)
        return response

    def _once(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes, patience: float
    ) -> http.client.HTTPResponse:
        if connection.sock is None:
            connection.connect()
            _socket(connection).settimeout(patience)
            if self._end is not None:  # it was ended before it could be shut down
                raise ConnectionAbortedError
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": _MEDIA_TYPE}
        if method == "POST":
            headers["Content-Length"] = str(len(body))
        # In pieces: the time that sending may take counts for each of them.
        pieces = (body[start : start + _CHUNK] for start in range(0, len(body), _CHUNK))
        connection.request(method, self._address.path + PREFIX + path, pieces if body else None, headers)
        return connection.getresponse()


def _framed(message: FromRunner, limit: int) -> bytes:
    """A message as bytes. An end whose XComs are too large for the server has failed: nothing else would ever be heard
    of this runner."""
    data = frame(message)
    while len(data) > limit and isinstance(message, Reports):
        largest = max(map(_size, message.reports), default=0)
        if not largest:
            break
        reports = tuple(_failed(report, limit) if _size(report) == largest else report for report in message.reports)
        message = msgspec.structs.replace(message, reports=reports)
        data = frame(message)
    return data


def _size(report: Report) -> int:
    return sum(len(xcom.value) for xcom in report.xcoms) if isinstance(report, Ended) else 0


def _failed(report: Report, limit: int) -> Ended:
    assert isinstance(report, Ended)
    return msgspec.structs.replace(
        report,
        outcome=Outcome.FAILED,
        cause=Cause.RESULT,
        detail=f"its XComs have {_size(report):,} bytes, and the server takes {limit:,}: see [xcom] max_size",
        xcoms=(),
        skip=None,
        map_length=None,
    )


def _socket(connection: http.client.HTTPConnection) -> socket.socket:
    """The socket of a connection that is made. Raises ConnectionAbortedError if it was closed meanwhile."""
    sock: socket.socket | None = connection.sock
    if sock is None:
        raise ConnectionAbortedError("the connection was closed")
    return sock


def _problem(response: http.client.HTTPResponse) -> Exception:
    """What a status other than 200 means."""
    data = response.read(_LONGEST_PROBLEM)
    try:
        detail = str(_JSON.decode(data)["detail"])
    except (msgspec.MsgspecError, KeyError):
        detail = response.reason
    text = f"{response.status}, {detail}"
    # A session that is not known any more, or a server that is in trouble: to begin anew helps, soon or later.
    again = response.status >= 500 or response.status in (404, 408)
    return http.client.HTTPException(text) if again else Refusal(text)


def _reason(error: Exception) -> str:
    """Why the server is not reached, for whoever has to mend it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted ({error.verify_message}): give the file of the certificates to trust, or "
            "the name that is in the certificate"
        )
    if isinstance(error, ssl.SSLError):
        return f"no encrypted connection can be made ({error.reason}): see whether https:// is right"
    if isinstance(error, (http.client.RemoteDisconnected, http.client.IncompleteRead)):
        return "it has closed the connection"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _nothing() -> None:
    return
