"""An application behind a real HTTP server, in a thread of the test, at a free port; and raw connections to it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import uvicorn
from starlette.types import ASGIApp

from airloom.api.security.protocol import GuardedHttp

#: seconds in which anything has to happen
DEADLINE = 30.0


@contextmanager
def served(app: ASGIApp, lifespan: Literal["on", "off"] = "off") -> Iterator[str]:
    """Serves `app` as Airloom does; the address. lifespan on: with what it has beside its requests."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=GuardedHttp, ws="none", lifespan=lifespan, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


class Raw:
    """A connection on which a test sends what it likes."""

    def __init__(self, address: str) -> None:
        host, _, port = address.partition("://")[2].partition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=DEADLINE)

    def send(self, data: bytes) -> "Raw":
        """Send some bytes."""
        self._socket.sendall(data)
        return self

    def rest(self) -> bytes:
        """What comes until the server closes the connection."""
        parts = []
        try:
            while part := self._socket.recv(65536):
                parts.append(part)
        except ConnectionResetError:
            # It closed while we were still sending.
            pass
        finally:
            self._socket.close()
        return b"".join(parts)
