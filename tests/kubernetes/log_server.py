"""The HTTPS server of a test kubelet: the logs of containers, as the API server fetches them for whoever asks."""

import asyncio
import contextlib
import datetime
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.kubernetes.pod_life import PodLife

#: seconds after which a log that is followed is looked at again
_LOOK = 0.05


class LogServer:
    """Serves /containerLogs/NAMESPACE/POD/CONTAINER. find: the life of a pod of that namespace and name, if any."""

    def __init__(self, find: Callable[[str, str], PodLife | None], certificate: str, key: str) -> None:
        self._find = find
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(certificate, key)

    async def start(self, address: str) -> int:
        """Serve; returns the port."""
        server = await asyncio.start_server(self._answer, address, 0, ssl=self._tls)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            asked = urlsplit(head.split()[1])
            query = {name: values[-1] for name, values in parse_qs(asked.query).items()}
            parts = asked.path.strip("/").split("/")
            life = self._find(parts[1], parts[2]) if len(parts) == 4 and parts[0] == "containerLogs" else None
            found = life.log_of(parts[3], query.get("previous") == "true") if life else None
            if found is None:
                writer.write(_head(404) + f"no such container: {asked.path}\n".encode())
            elif not found[1].id:
                reason = found[1].state["waiting"]["reason"]
                text = f'container "{parts[3]}" in pod "{parts[2]}" is waiting to start: {reason}\n'
                writer.write(_head(400) + text.encode())
            else:
                writer.write(_head(200))
                path, status = found
                identity = status.id
                ended = lambda: not (status.running and status.id == identity)  # noqa: E731
                async for piece in _lines(Path(path), query, ended):
                    writer.write(piece)
                    await writer.drain()
            await writer.drain()
        writer.close()


async def _lines(path: Path, query: dict[str, str], ended: Callable[[], bool]) -> AsyncIterator[bytes]:
    """What was asked for of a log, and what comes, if it is followed."""
    since = query.get("sinceTime", "")
    if "sinceSeconds" in query:
        before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=float(query["sinceSeconds"]))
        since = before.strftime("%Y-%m-%dT%H:%M:%SZ")
    stamped, follow = query.get("timestamps") == "true", query.get("follow") == "true"
    with path.open("rb") as log:
        lines = [line for line in log.read().splitlines(True) if line.decode()[: len(since) - 1] >= since[:-1]]
        if "tailLines" in query:
            lines = lines[max(0, len(lines) - int(query["tailLines"])) :]
        while True:
            # Asked before the look: what is written before the end is seen by the look after it.
            over = ended() or not follow
            yield b"".join(line if stamped else line.split(b" ", 3)[3] for line in lines)
            lines = log.read().splitlines(True)
            if over and not lines:
                return
            if not lines:
                await asyncio.sleep(_LOOK)


def _head(code: int) -> bytes:
    return f"HTTP/1.1 {code} -\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n".encode()
