"""A proxy before an API server that does to requests what a bad day does: answers 429 or 500, loses requests, loses
answers, cuts watches. What it does not touch it passes on as it is."""

import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec

from tests.kubernetes.api import Access
from tests.kubernetes.control_plane import ControlPlane

#: headers of one connection, which are not the next one's
_OWN_HEADERS = {"host", "connection", "transfer-encoding", "content-length", "accept-encoding"}

#: Whether a rule is for a request, by its method and its path with the query.
Matches = Callable[[str, str], bool]


class Rule:
    """What happens to the next `left` requests that match. code: the answer; 0: none, and the connection is closed.

    passed_on: whether the server gets the request nevertheless.
    """

    def __init__(self, matches: Matches, left: int, code: int, passed_on: bool) -> None:
        self.matches = matches
        self.left = left
        self.code = code
        self.passed_on = passed_on


def creates_pods(method: str, path: str) -> bool:
    """Whether a request creates a pod."""
    return method == "POST" and path.partition("?")[0].endswith("/pods")


def watches(method: str, path: str) -> bool:
    """Whether a request is a watch."""
    return method == "GET" and "watch=" in path


class Meddler:
    """The proxy of one control plane. Clients reach it with `access` or `kubeconfig`; rules count from their making."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._watching: set[socket.socket] = set()
        #: (method, path with query) of all requests, in their order
        self.requests: list[tuple[str, str]] = []
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(plane.folder / "server.crt", plane.folder / "server.key")
        self.upstream_tls = ssl.create_default_context(cafile=plane.access().ca)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.meddler = self
        self._server.tls = tls
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def access(self, user: str = "admin") -> Access:
        """How the cluster is reached through the proxy."""
        server = f"https://127.0.0.1:{self._server.server_address[1]}"
        return msgspec.structs.replace(self.plane.access(user), server=server)

    def kubeconfig(self, user: str = "admin") -> Path:
        """The same as a file."""
        return self.access(user).write(self.plane.folder / f"{user}-{self._server.server_address[1]}.kubeconfig")

    def answer(self, code: int, times: int, matches: Matches = creates_pods) -> Rule:
        """Refuse the next so many requests with this code, as the server itself would; 429 says Retry-After: 1."""
        return self._add(Rule(matches, times, code, passed_on=False))

    def lose_requests(self, times: int, matches: Matches = creates_pods) -> Rule:
        """The next so many requests never arrive: their connections break."""
        return self._add(Rule(matches, times, 0, passed_on=False))

    def lose_answers(self, times: int, matches: Matches = creates_pods) -> Rule:
        """The server does what the next so many requests say, but their connections break before the answer."""
        return self._add(Rule(matches, times, 0, passed_on=True))

    def cut_watches(self) -> int:
        """Break all watches that run; returns how many those were."""
        with self._lock:
            broken = list(self._watching)
            self._watching.clear()
        for connection in broken:
            _break(connection)
        return len(broken)

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()
        self.cut_watches()

    def rule_for(self, method: str, path: str) -> Rule | None:
        """The rule that a request falls under, which has one less left then."""
        with self._lock:
            self.requests.append((method, path))
            for rule in self._rules:
                if rule.left > 0 and rule.matches(method, path):
                    rule.left -= 1
                    return rule
        return None

    def note_watch(self, connection: socket.socket, runs: bool) -> None:
        """A watch runs on this connection (no more)."""
        with self._lock:
            (self._watching.add if runs else self._watching.discard)(connection)

    def _add(self, rule: Rule) -> Rule:
        with self._lock:
            self._rules.append(rule)
        return rule


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    meddler: Meddler
    tls: ssl.SSLContext

    def finish_request(self, request: socket.socket, client_address: Any) -> None:  # type: ignore[override]
        # In the thread of the connection: a slow handshake holds nobody up.
        try:
            request = self.tls.wrap_socket(request, server_side=True)
            super().finish_request(request, client_address)
        except (OSError, http.client.HTTPException):
            _break(request)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Answers are written at once.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server
    _upstream: http.client.HTTPSConnection | None = None

    def log_message(self, *arguments: object) -> None:
        """Nothing: `Meddler.requests` has it."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        rule = self.server.meddler.rule_for(self.command, self.path)
        if rule is None:
            self._pass_on(body)
            return
        if rule.passed_on:
            self._ask(body).read()
        if rule.code == 0:
            self.close_connection = True
            _break(self.connection)
        else:
            self._refuse(rule.code)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _refuse(self, code: int) -> None:
        reason = "TooManyRequests" if code == 429 else "InternalError"
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}
        text = json.dumps({**status, "message": "the tests' proxy says so"}).encode()
        more = {"Retry-After": "1"} if code == 429 else {}
        self._head(code, {"Content-Type": "application/json", "Content-Length": str(len(text)), **more})
        self.wfile.write(text)
        self.wfile.flush()

    def _head(self, code: int, headers: dict[str, str]) -> None:
        self.send_response_only(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _ask(self, body: bytes) -> http.client.HTTPResponse:
        meddler = self.server.meddler
        if self._upstream is None:
            host, port = meddler.plane.host, meddler.plane.port
            self._upstream = http.client.HTTPSConnection(host, port, context=meddler.upstream_tls)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _OWN_HEADERS}
        self._upstream.request(self.command, self.path, body or None, headers)
        return self._upstream.getresponse()

    def _pass_on(self, body: bytes) -> None:
        try:
            answer = self._ask(body)
        except (OSError, http.client.HTTPException):
            self.close_connection = True
            self._upstream = None
            return
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in _OWN_HEADERS}
        if answer.length is not None:
            content = answer.read()
            self._head(answer.status, {**headers, "Content-Length": str(len(content))})
            self.wfile.write(content)
            self.wfile.flush()
        else:
            self._stream(answer, headers)

    def _stream(self, answer: http.client.HTTPResponse, headers: dict[str, str]) -> None:
        """Pass on what comes, as it comes."""
        self._head(answer.status, {**headers, "Transfer-Encoding": "chunked"})
        watch = watches(self.command, self.path)
        if watch:
            self.server.meddler.note_watch(self.connection, True)
        try:
            self.wfile.flush()
            for piece in _pieces(answer):
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
            self.wfile.flush()
        finally:
            if watch:
                self.server.meddler.note_watch(self.connection, False)


def _pieces(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    while piece := answer.read1(1 << 20):
        yield piece


def _break(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
