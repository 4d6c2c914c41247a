"""Connections to an API server: kept ones for requests, and one of its own for each stream."""

import contextlib
import http.client
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from airloom.executors.kubernetes.client.access import Access
from airloom.executors.kubernetes.client.errors import Uncertain, Unreachable, refusal
from airloom.executors.kubernetes.client.login import Shown
from airloom.executors.kubernetes.client.objects import STATUS, Status
from airloom.model.errors import AirloomError

#: how we are named in the audit logs of clusters
_AGENT = "airloom"
#: seconds that a connection may take to be made, and an answer to come: the server itself gives up after 60
_CONNECT, _ANSWER = 10.0, 70.0
#: connections that are kept while nobody uses them
_KEPT = 16
#: balancers forget connections that are silent: seconds of silence before a sign of life is sent, between signs, and
#: signs that may be missed; milliseconds that what was sent may remain without an answer
_SIGNS = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 60_000}
_PIECE = 256 * 1024
_LONGEST_WORDS = 200
#: how a connection fails that the server closed while it was kept
_STALE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)
_LOST = (OSError, http.client.HTTPException)
_JSON = "application/json"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked. path: with its query; accept: in which form the answer is wanted."""

    method: str = "GET"
    path: str
    body: bytes = b""
    accept: str = _JSON


class _Connection(http.client.HTTPConnection):
    """A connection that notices when its other end is gone, with TLS if need be."""

    def __init__(self, access: Access, tls: ssl.SSLContext | None, shown: Shown) -> None:
        proxy, server = access.proxy, access.server
        first = proxy or server
        super().__init__(first.host, first.port, timeout=_CONNECT)
        if proxy is not None:
            wanted = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
            self.set_tunnel(server.host, server.port, wanted)
        self._tls, self._name = tls, access.trust.name or server.host
        #: the certificate that it was made with
        self.identity = shown.certificate

    def connect(self) -> None:
        super().connect()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _SIGNS.items():
            if hasattr(socket, name):
                self.sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._name)
        self.sock.settimeout(_ANSWER)


class Stream:
    """An answer that comes bit by bit. patience: seconds of silence after which it is over; None: any. Another thread
    may close it."""

    def __init__(
        self, connection: _Connection, sock: socket.socket, response: http.client.HTTPResponse, patience: float | None
    ) -> None:
        self._connection, self._response, self._sock = connection, response, sock
        self._closed = False
        sock.settimeout(patience)

    def __iter__(self) -> Iterator[bytes]:
        """What comes, until the server or `close` ends it. Raises Unreachable when it is cut."""
        try:
            while piece := self._response.read1(_PIECE):
                yield piece
        except (*_LOST, ValueError, AttributeError) as error:
            # Nothing came for so long; with a number it is TCP that has given up.
            silent = isinstance(error, TimeoutError) and error.errno is None
            # What closing it under the thread that reads leads to is of many kinds.
            if not silent and not self._closed:
                raise Unreachable(f"the connection to the API server was cut: {_why(error)}") from None
        finally:
            self.close()

    def close(self) -> None:
        """End it; a thread that waits for more goes on."""
        self._closed = True
        with contextlib.suppress(OSError):
            # Not as TLS has it, which would take the socket from under the thread that reads.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._response.close()
        self._connection.close()


class Connections:
    """All connections to one API server, as one identity. Threads share it."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._lock = threading.Lock()
        self._kept: list[_Connection] = []
        self._closed = False
        self._tls: ssl.SSLContext | None = None
        self._made_of: tuple[bytes, bytes, bytes] | None = None

    def request(self, call: Call) -> bytes:
        """The body of an answer that is no refusal.

        The call may be sent twice, where the server had closed the connection before. Raises ApiError, Unreachable;
        Uncertain if the call changes something, and may have done so.
        """
        shown = self.access.login.shown()
        response, body = self._ask(call, shown)
        if response.status == http.client.UNAUTHORIZED and self.access.login.renew(shown):
            response, body = self._ask(call, self.access.login.shown())
        if response.status >= http.client.MULTIPLE_CHOICES:
            raise self._refusal(response, body)
        return body

    def stream(self, path: str, patience: float | None) -> Stream:
        """An answer that does not end soon. patience: see Stream. Raises ApiError, Unreachable."""
        shown = self.access.login.shown()
        begun = self._begin(path, shown, patience)
        if isinstance(begun, tuple) and begun[0].status == http.client.UNAUTHORIZED and self.access.login.renew(shown):
            begun = self._begin(path, self.access.login.shown(), patience)
        if isinstance(begun, Stream):
            return begun
        raise self._refusal(*begun)

    def close(self) -> None:
        """Free the connections that nobody uses, now and later. Streams are their users'."""
        self._closed = True
        self._drop_kept()

    # --- one call -----------------------------------------------------------------------------------------------------
    def _ask(self, call: Call, shown: Shown) -> tuple[http.client.HTTPResponse, bytes]:
        """The answer, whatever it is."""
        sent = False
        try:
            if (kept := self._take(shown)) is not None:
                sent = True
                try:
                    return self._exchange(kept, call, shown)
                except _STALE:
                    # Those beside it are as old.
                    self._drop_kept()
            fresh = self._open(shown)
            sent = True
            return self._exchange(fresh, call, shown)
        except (Unreachable, *_LOST) as error:
            text = str(error) if isinstance(error, Unreachable) else self._unreached(error)
            raise (Uncertain if sent and call.method != "GET" else Unreachable)(text) from None

    def _exchange(self, connection: _Connection, call: Call, shown: Shown) -> tuple[http.client.HTTPResponse, bytes]:
        try:
            response = self._send(connection, call, shown)
            body = response.read()
        except BaseException:
            connection.close()
            raise
        self._keep(connection)
        return response, body

    def _begin(
        self, path: str, shown: Shown, patience: float | None
    ) -> Stream | tuple[http.client.HTTPResponse, bytes]:
        connection = self._open(shown)
        try:
            sock: socket.socket = connection.sock
            response = self._send(connection, Call(path=path), shown)
            # 204: the log of a pod that no node has yet.
            if response.status < http.client.MULTIPLE_CHOICES:
                return Stream(connection, sock, response, patience)
            body = response.read()
        except _LOST as error:
            connection.close()
            raise Unreachable(self._unreached(error)) from None
        connection.close()
        return response, body

    def _send(self, connection: _Connection, call: Call, shown: Shown) -> http.client.HTTPResponse:
        connection.putrequest(call.method, self.access.server.path + call.path, skip_accept_encoding=True)
        headers = [("Accept", call.accept), ("User-Agent", _AGENT), *self.access.headers]
        if shown.authorization:
            headers.append(("Authorization", shown.authorization))
        if call.body:
            headers += [("Content-Type", _JSON), ("Content-Length", str(len(call.body)))]
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(call.body or None)
        return connection.getresponse()

    # --- connections --------------------------------------------------------------------------------------------------
    def _take(self, shown: Shown) -> _Connection | None:
        with self._lock:
            kept = self._kept.pop() if self._kept else None
        if kept is not None and kept.identity != shown.certificate:
            kept.close()
            self._drop_kept()
            return None
        return kept

    def _keep(self, connection: _Connection) -> None:
        with self._lock:
            # A server that wants to close it has done so already.
            if connection.sock is not None and len(self._kept) < _KEPT and not self._closed:
                self._kept.append(connection)
                return
        connection.close()

    def _drop_kept(self) -> None:
        with self._lock:
            dropped, self._kept = self._kept, []
        for connection in dropped:
            connection.close()

    def _open(self, shown: Shown) -> _Connection:
        connection = _Connection(self.access, self._context(shown), shown)
        try:
            connection.connect()
        except _LOST as error:
            connection.close()
            raise Unreachable(self._unreached(error)) from None
        return connection

    def _context(self, shown: Shown) -> ssl.SSLContext | None:
        """What TLS needs to know, made again when a file of it was replaced. None: no TLS."""
        if not self.access.server.secure:
            return None
        authorities = self.access.trust.authorities
        try:
            found = authorities.read_bytes() if isinstance(authorities, Path) else authorities
            with self._lock:
                if self._made_of != (found, shown.certificate, shown.key):
                    self._tls = _make_context(found, self.access.trust.verify, shown)
                    self._made_of = (found, shown.certificate, shown.key)
                return self._tls
        except OSError as error:
            raise Unreachable(f"the certificates to trust in {authorities!s} cannot be read: {error}") from None

    # --- what goes wrong ----------------------------------------------------------------------------------------------
    def _unreached(self, error: Exception) -> str:
        proxy = self.access.proxy
        way = f" by the proxy {proxy.host}:{proxy.port}" if proxy is not None else ""
        return f"the API server {self.access.server} is not reached{way}: {_why(error)}"

    def _refusal(self, response: http.client.HTTPResponse, body: bytes) -> AirloomError:
        """The error that an answer stands for. What is not Kubernetes' own may come from anybody on the way."""
        code, server = response.status, self.access.server
        asked = response.headers.get("Retry-After", "")
        retry_after = float(asked) if asked.isdecimal() else None
        if code == http.client.UNAUTHORIZED:
            text = f"the API server {server} does not accept {self.access.login.source}"
            return refusal(Status(code=code, reason="Unauthorized", message=text))
        try:
            status = STATUS.decode(body)
        except msgspec.MsgspecError:
            status = Status()
        if status.kind == "Status":
            return refusal(msgspec.structs.replace(status, code=code), retry_after)
        words = " ".join(body.decode(errors="replace").split())[:_LONGEST_WORDS]
        # The server itself says this in plain words when it is overrun, or fails.
        own = code in (http.client.REQUEST_ENTITY_TOO_LARGE, http.client.TOO_MANY_REQUESTS)
        if own or code >= http.client.INTERNAL_SERVER_ERROR:
            return refusal(Status(code=code, message=words), retry_after)
        return Unreachable(f"{server} answers {code}, and not as an API server does: {words or response.reason}")


def _make_context(authorities: bytes, verify: bool, shown: Shown) -> ssl.SSLContext:
    """Raises Unreachable for certificates that are none."""
    try:
        context = ssl.create_default_context(cadata=authorities.decode("ascii") or None)
    except (ssl.SSLError, ValueError) as error:
        raise Unreachable(f"the certificates to trust cannot be used: {error}") from None
    # Newer Pythons set this, and many clusters' own authorities do not stand it.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if shown.certificate:
        # It can only be loaded from a file; this one nobody else can read, and it is gone at once.
        with tempfile.NamedTemporaryFile() as file:
            file.write(shown.certificate + b"\n" + shown.key)
            file.flush()
            try:
                # Without a password here, OpenSSL would ask the terminal for it.
                context.load_cert_chain(file.name, password="")
            except (ssl.SSLError, ValueError) as error:
                raise Unreachable(f"the client's certificate or its key cannot be used: {error}") from None
    return context


def _why(error: Exception) -> str:
    """Why there was no answer, for whoever has to mend it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted ({error.verify_message}): see certificate-authority in the kubeconfig, "
            "and tls-server-name where it is reached by another name"
        )
    if isinstance(error, ssl.SSLError):
        return f"no encrypted connection can be made ({error.reason or error}): see whether https:// is right"
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, (http.client.RemoteDisconnected, http.client.IncompleteRead)):
        return "it has closed the connection"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
