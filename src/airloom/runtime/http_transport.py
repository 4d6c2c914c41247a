"""The transport over HTTP: the server is elsewhere. Two threads of its own wait for the network, so that the runner's
loop never does: one sends, and takes the answers; one hears what the server says by itself.
"""

import contextlib
import http.client
import logging
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from airloom.model.errors import AirloomError, SettingsError
from airloom.model.report import Cause, Ended, Outcome, Report
from airloom.model.wire import MAX_FRAME, FrameError, FromRunner, Hello, Reports, ToRunner, Unframer, Welcome, frame
from airloom.runtime.channel import Closed

log = logging.getLogger("airloom.runner")

PREFIX = "/task-api/v1"
_MEDIA_TYPE = "application/msgpack"
#: seconds that a connection may take to be made, and an answer to come
_CONNECT, _ANSWER = 10.0, 60.0
#: a stream is dead when it has shown no sign of life for so many times of what was promised
_MISSED = 3.0
#: bytes that are sent together, unless one message has more
_TOGETHER = 1024 * 1024
_CHUNK = 256 * 1024
#: seconds before a server that refuses this runner is asked again
_AFTER_REFUSAL = 5.0
_LONGEST_PROBLEM = 64 * 1024
_JSON = msgspec.json.Decoder(dict[str, Any])


class Refusal(AirloomError):
    """The server answers, and does not want this."""


class HttpServer:
    """Where the server is, and what this runner shows to it. `connect` gives a transport; never waits.

    url: http:// or https:// with host, and port and path if needed. token_file: holds the token; it is read for each
    connection. ca_file: the certificates to trust, instead of the system's. Raises SettingsError.
    """

    def __init__(self, url: str, token_file: str, ca_file: str = "") -> None:
        parts = urlsplit(url)
        try:
            port, secure = parts.port, {"http": False, "https": True}[parts.scheme]
            if not parts.hostname or parts.username is not None:
                raise ValueError
        except (KeyError, ValueError):
            text = "the server's address is none of http://HOST:PORT or https://HOST:PORT, with a path if needed"
            raise SettingsError(text) from None
        self.url = url
        self.host, self.path = parts.hostname, parts.path.rstrip("/")
        self.port = port or (443 if secure else 80)
        self.tls: ssl.SSLContext | None = None
        if secure:
            try:
                self.tls = ssl.create_default_context(cafile=ca_file or None)
            except OSError as error:
                raise SettingsError(f"the certificates to trust in {ca_file} cannot be read: {error}") from None
        self._token_file = token_file
        self._trouble = ""
        self._lock = threading.Lock()

    def connect(self) -> "HttpTransport":
        """A new transport."""
        return HttpTransport(self)

    def token(self) -> str:
        """The token. Raises Refusal when it cannot be read."""
        try:
            token = Path(self._token_file).read_text(encoding="ascii").strip()
        except (OSError, UnicodeError) as error:
            raise Refusal(f"the token in {self._token_file} cannot be read: {error}") from None
        if not token.isprintable() or not token or " " in token:
            raise Refusal(f"there is no token in {self._token_file}")
        return token

    def trouble(self, text: str) -> None:
        """Say what is wrong, once; "" when all is well again."""
        with self._lock:
            news, self._trouble = text != self._trouble, text
        if news and text:
            log.error("%s", text)
        elif news:
            log.warning("the server at %s is reached again", self.url)

    def open(self, timeout: float) -> http.client.HTTPConnection:
        """A connection, which is made when it is used."""
        if self.tls is not None:
            return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=self.tls)
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)


class HttpTransport:
    """One connection to the server, from a Hello until anything fails.

    `fileno` is one end of a pair of sockets: there is something to read when there is something to receive, and no room
    to write while something is still to be sent.
    """

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self.on_blocked: Callable[[], None] = _nothing
        #: whether the server has answered; before that, nothing shows that it is there
        self.reached = False
        self._ours, self._theirs = socket.socketpair()
        for end in (self._ours, self._theirs):
            end.setblocking(False)
        self._ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        self._news = threading.Condition()
        self._out: deque[FromRunner] = deque()
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
        """Send a message, in order. Raises Closed."""
        with self._news:
            if self._end is not None:
                raise Closed from self._end
            self._out.append(message)
            begins, self._sending = not self._sending, True
            if begins:
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
        if messages:
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
        connection = self._server.open(_CONNECT)
        with self._news:
            self._connections.add(connection)
        try:
            work(connection)
        except Refusal as refusal:
            if self._end is None:
                self._server.trouble(f"the server at {self._server.url} refuses this runner: {refusal}")
                with self._news:
                    self._news.wait_for(lambda: self._end is not None, _AFTER_REFUSAL)
            self._stop(refusal)
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            if self._end is None:
                self._server.trouble(f"the server at {self._server.url} is not reached: {_reason(error)}")
            self._stop(error)
        except (FrameError, msgspec.MsgspecError) as error:
            self._server.trouble(f"{self._server.url} does not speak the runner's protocol: {error}")
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
            body = bytearray(_framed(first, self._longest))
            while len(body) < _TOGETHER and self._out and not isinstance(self._out[0], Hello):
                body += _framed(self._out.popleft(), self._longest)
            self._exchange(connection, bytes(body))

    def _greet(self, connection: http.client.HTTPConnection, hello: Hello) -> None:
        self._token = self._server.token()
        response = self._request(connection, "POST", "/sessions", frame(hello))
        welcome = msgspec.msgpack.decode(response.read(), type=Welcome)
        self._session, self._longest = welcome.session, welcome.longest - _TOGETHER
        if not self._streaming:
            self._streaming = True
            threading.Thread(
                target=self._run, args=(partial(self._listen, welcome),), name="http-listen", daemon=True
            ).start()

    def _exchange(self, connection: http.client.HTTPConnection, body: bytes) -> None:
        response = self._request(connection, "POST", f"/sessions/{self._session}/messages", body)
        unframer: Unframer[ToRunner] = Unframer(ToRunner)
        while data := response.read1(_CHUNK):
            self._take(unframer.feed(data))
        if response.length or not unframer.whole:
            raise http.client.IncompleteRead(b"")
        response.read()  # the connection is free for the next request
        self._there()

    def _listen(self, welcome: Welcome, connection: http.client.HTTPConnection) -> None:
        """Hear what the server says by itself, until it ends the stream: as it does when it stops."""
        response = self._request(connection, "GET", f"/sessions/{welcome.session}/stream", b"")
        _socket(connection).settimeout(_MISSED * welcome.alive)
        unframer: Unframer[ToRunner] = Unframer(ToRunner)
        while data := response.read1(_CHUNK):
            self._take(unframer.feed(data))
            self._there()

    def _there(self) -> None:
        """The server does as it should."""
        if not self.reached:
            self.reached = True
            self._server.trouble("")

    def _request(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes
    ) -> http.client.HTTPResponse:
        """The answer to a request, if its status is 200. Raises OSError, HTTPException, Refusal.

        A server may close a connection that was not used for a while just when it is used again: then the request is
        sent once more, which does no harm.
        """
        used_before = connection.sock is not None
        try:
            response = self._once(connection, method, path, body)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            if not used_before or self._end is not None:
                raise
            connection.close()
            response = self._once(connection, method, path, body)
        if response.status != 200:
            raise _problem(response)
        return response

    def _once(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes
    ) -> http.client.HTTPResponse:
        if connection.sock is None:
            connection.connect()
            _socket(connection).settimeout(_ANSWER)
            if self._end is not None:  # it was ended before it could be shut down
                raise ConnectionAbortedError
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": _MEDIA_TYPE}
        if method == "POST":
            headers["Content-Length"] = str(len(body))
        # In pieces: the time that sending may take counts for each of them.
        pieces = (body[start : start + _CHUNK] for start in range(0, len(body), _CHUNK))
        connection.request(method, self._server.path + PREFIX + path, pieces if body else None, headers)
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
    if isinstance(error, http.client.RemoteDisconnected):
        return "it has closed the connection"
    return str(error) or type(error).__name__


def _nothing() -> None:
    return
