"""Clients of the event stream: `python -m benchmarks.listeners ADDRESS COOKIE NUMBER FILE`.

They say `listening` when all are there. When all have heard of the event whose number is written to them, they write
into FILE what each of them heard: [number of the event, when] as JSON.
"""

import asyncio
import re
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

_ID = re.compile(rb"event: (?:changes|ready|resync)\nid: (\d+)\n")

Heard = list[tuple[int, float]]


async def _listen(address: str, cookie: str, heard: Heard, ready: asyncio.Event) -> None:
    parts = urlsplit(address)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = f"Host: {parts.netloc}\r\nCookie: {cookie}\r\nAccept: text/event-stream\r\n\r\n"
    writer.write(f"GET /api/v1/events HTTP/1.1\r\n{head}".encode())
    rest = b""
    while part := await reader.read(65536):
        now = time.time()
        rest += part
        for found in _ID.finditer(rest):
            heard.append((int(found[1]), now))
        rest = rest.rpartition(b"\n\n")[2]
        if heard:
            ready.set()


async def _main(address: str, cookie: str, number: int, results: Path) -> None:
    heard: list[Heard] = [[] for _ in range(number)]
    ready = [asyncio.Event() for _ in range(number)]
    tasks = [asyncio.create_task(_listen(address, cookie, one, event)) for one, event in zip(heard, ready, strict=True)]
    await asyncio.gather(*(event.wait() for event in ready))
    print("listening", flush=True)
    last = int(await asyncio.to_thread(sys.stdin.readline))
    while not all(one[-1][0] >= last for one in heard):
        await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    results.write_bytes(msgspec.json.encode(heard))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])))
