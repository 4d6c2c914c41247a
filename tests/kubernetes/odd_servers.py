"""Servers that an API server's client may meet: one that answers as it is told, and a proxy that makes tunnels."""

import base64
import contextlib
import select
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def make_answer(status: str, body: str = "", *headers: str) -> bytes:
    """An HTTP answer. status: as in "404 Not Found"."""
    head = "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body.encode())}", *headers))
    return f"{head}\r\n\r\n{body}".encode()


class OddServer:
    """Gives one answer after the other to whatever it is asked, the last one for ever; b"" breaks the connection."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self._server = _listen(_Odd)
        self._server.answer = self._next
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        #: what was asked, as in "GET /version", with the headers
        self.asked: list[tuple[str, dict[str, str]]] = []

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()

    def _next(self, asked: str, headers: dict[str, str]) -> bytes:
        self.asked.append((asked, headers))
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class TunnelProxy:
    """A proxy that makes tunnels for whoever shows the password; `tunnels` are those that it made."""

    def __init__(self, user: str = "", password: str = "") -> None:
        self._server = _listen(_Tunnel)
        self._server.answer = self._judge
        self._wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode() if user else ""
        self.port: int = self._server.server_address[1]
        self.tunnels: list[str] = []

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()

    def _judge(self, target: str, headers: dict[str, str]) -> bytes:
        if self._wanted and headers.get("Proxy-Authorization") != self._wanted:
            return make_answer("407 Proxy Authentication Required")
        self.tunnels.append(target)
        return b"HTTP/1.1 200 Connection established\r\n\r\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    answer: Callable[[str, dict[str, str]], bytes]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 0
    server: _Server

    def log_message(self, *arguments: object) -> None:
        """Nothing: the servers keep what they were asked."""


class _Odd(_Handler):
    def _serve(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = self.server.answer(f"{self.command} {self.path}", dict(self.headers.items()))
        self.close_connection = not answer or b"Connection: close" in answer
        self.wfile.write(answer)

    do_GET = do_POST = do_DELETE = _serve


class _Tunnel(_Handler):
    def do_CONNECT(self) -> None:
        answer = self.server.answer(self.path, dict(self.headers.items()))
        self.close_connection = True
        self.wfile.write(answer)
        if b" 200 " not in answer:
            return
        host, _, port = self.path.rpartition(":")
        with contextlib.suppress(OSError), socket.create_connection((host, int(port))) as beyond:
            ends = {self.connection: beyond, beyond: self.connection}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    if not (data := end.recv(1 << 16)):
                        return
                    ends[end].sendall(data)


def _listen(handler: type[_Handler]) -> _Server:
    server = _Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
