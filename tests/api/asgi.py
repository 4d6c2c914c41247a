"""Sends a request to an application and leaves as soon as the answer begins: streams have no end."""

import asyncio
import json
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message


class Begun(msgspec.Struct, frozen=True):
    """The beginning of an answer: its status, its headers by their names in small letters, its first bytes."""

    status: int
    headers: dict[str, str]
    body: bytes


def begin(
    app: ASGIApp,
    method: str,
    path: str,
    *,
    headers: dict[str, str] | None = None,
    chunks: tuple[bytes, ...] = (),
    scheme: str = "http",
) -> Begun:
    """The answer's beginning. chunks: the parts in which the body comes; nothing is put right on the way, as clients
    do with a strange path or header. Fails after 20 seconds without an answer."""
    return asyncio.run(_begin(app, _scope(method, path, headers or {}, scheme), list(chunks)))


async def _begin(app: ASGIApp, scope: dict[str, Any], chunks: list[bytes]) -> Begun:
    told: list[Message] = []
    answered = asyncio.Event()

    async def receive() -> Message:
        if chunks:
            part = chunks.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(chunks)}
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        told.append(message)
        if message["type"] == "http.response.body":
            answered.set()

    task = asyncio.create_task(app(scope, receive, send))  # type: ignore[arg-type]
    waiter = asyncio.create_task(answered.wait())
    try:
        async with asyncio.timeout(20):
            await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
    finally:
        waiter.cancel()
        task.cancel()
        await asyncio.gather(task, waiter, return_exceptions=True)
    headers = {name.decode(): value.decode() for name, value in told[0]["headers"]}
    return Begun(told[0]["status"], headers, b"".join(message.get("body", b"") for message in told))


def _scope(method: str, path: str, headers: dict[str, str], scheme: str) -> dict[str, Any]:
    target, _, query = path.partition("?")
    given = {"host": "127.0.0.1:8080"} | headers
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": target,
        "raw_path": target.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items() if value],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8080),
        "state": {},
    }


def json_body(value: Any) -> dict[str, Any]:
    """What `begin` needs to send JSON."""
    data = json.dumps(value).encode()
    return {"headers": {"content-type": "application/json", "content-length": str(len(data))}, "chunks": (data,)}
