"""People who look: `python -m benchmarks.watchers ADDRESS COOKIE DAG NUMBER`, ended by its parent.

Each holds the event stream open and, like an open page, asks for what it shows every two seconds, with its ETag.
"""

import asyncio
import sys
from urllib.parse import urlsplit

_EVERY = 2.0


async def _follow(host: str, port: int, head: str) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET /api/v1/events HTTP/1.1\r\n{head}Accept: text/event-stream\r\n\r\n".encode())
    while await reader.read(65536):
        pass


async def _look(host: str, port: int, head: str, path: str, delay: float) -> None:
    await asyncio.sleep(delay)
    reader, writer = await asyncio.open_connection(host, port)
    tag = ""
    while True:
        known = f"If-None-Match: {tag}\r\n" if tag else ""
        writer.write(f"GET {path} HTTP/1.1\r\n{head}{known}\r\n".encode())
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        fields = dict(line.split(": ", 1) for line in answer.split("\r\n")[1:] if ": " in line)
        await reader.readexactly(int(fields.get("content-length", 0)))
        tag = fields.get("etag", "")
        await asyncio.sleep(_EVERY)


async def _main(address: str, cookie: str, dag_id: str, number: int) -> None:
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or 80
    head = f"Host: {host}:{port}\r\nCookie: {cookie}\r\n"
    pages = ("/api/v1/home", f"/api/v1/dags/{dag_id}/grid?limit=25", f"/api/v1/dags/{dag_id}/runs?limit=50")
    tasks = [asyncio.create_task(_follow(host, port, head)) for _ in range(number)]
    tasks += [
        asyncio.create_task(_look(host, port, head, pages[one % len(pages)], _EVERY * one / number))
        for one in range(number)
    ]
    print("looking", flush=True)
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
