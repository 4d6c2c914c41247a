"""Puts the task API together: an application of its own, served beside the public one or at a port of its own.

It carries model/wire.py: a Hello makes a session, POSTs bring a runner's messages and take the answers along, and one
long GET brings what the runner is to hear at once.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from airloom.api import problems
from airloom.api.problems import Refused
from airloom.api.remote.desk import Desk
from airloom.api.remote.office import Office
from airloom.api.state import Api
from airloom.model.wire import FromRunner, Hello, Unframer, Welcome

log = logging.getLogger("airloom.api")

PREFIX = "/task-api/v1"
MEDIA_TYPE = "application/msgpack"
#: bytes of a Hello, which names the tries in hand
_HELLO = 4 * 1024 * 1024
#: seconds that the next part of a body may be away, and after which a long body is a sign of life
_PATIENCE, _SIGN = 30.0, 5.0
#: a body of more bytes than this is decoded in a thread, answers of more are sent as they are made
_LARGE = 256 * 1024
#: bodies of more bytes that are in memory together
_LARGE_AT_ONCE = 4
#: kinds of messages that are told of in the log
_MOST_UNKNOWN = 20
_NO_STORE = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

_CLOSE = {"Connection": "close"}

OnSign = Callable[[], Awaitable[None]]


def make_task_app(api: Api, away: Callable[[], float] = lambda: 0.0) -> Starlette:
    """The ASGI application that runners talk to. `away`: for how many seconds this server's row has not been renewed
    because it has no database."""
    return make_runner_app(Office(api, away))


def make_runner_app(desk: Desk) -> Starlette:
    """The same, with whoever answers."""
    room = _Room()

    async def greet(request: Request) -> Response:
        visitor = await desk.identify(_token(request), _address(request))
        messages = await room.read(request, FromRunner, _HELLO, _nothing)
        if len(messages) != 1 or not isinstance(messages[0], Hello):
            raise Refused(400, "No greeting", "a session begins with one Hello")
        session = await desk.greet(visitor, messages[0])
        welcome = Welcome(session=session, alive=desk.alive, longest=desk.longest, now=desk.now())
        return _msgpack(msgspec.msgpack.encode(welcome))

    async def exchange(request: Request) -> Response:
        visitor = await desk.identify(_token(request), _address(request))
        runner = desk.runner_of(visitor, request.path_params["session"])
        messages = await room.read(request, FromRunner, desk.longest, lambda: desk.sign_of_life(visitor, runner))
        return await _answer(desk.answer(visitor, runner, messages))

    async def stream(request: Request) -> Response:
        visitor = await desk.identify(_token(request), _address(request))
        runner = desk.runner_of(visitor, request.path_params["session"])
        return StreamingResponse(desk.follow(visitor, runner), media_type=MEDIA_TYPE, headers=_NO_STORE)

    app = Starlette(
        routes=[
            Route(f"{PREFIX}/sessions", greet, methods=["POST"]),
            Route(f"{PREFIX}/sessions/{{session}}/messages", exchange, methods=["POST"]),
            Route(f"{PREFIX}/sessions/{{session}}/stream", stream, methods=["GET"]),
        ]
    )
    problems.install(app)
    return app


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _address(request: Request) -> str | None:
    return request.client.host if request.client else None


async def _nothing() -> None:
    return


class _Room:
    """Where bodies are read: of the large ones a few at a time."""

    def __init__(self) -> None:
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)
        self._unknown: set[str] = set()

    async def read(self, request: Request, kind: Any, limit: int, on_sign: OnSign) -> list[Any]:
        """The messages in a request's body. `on_sign` is called now and then while it comes. Raises Refused."""
        size = _size_of(request, limit)
        if size <= _LARGE:
            return self._decode(kind, await _parts(request, on_sign))
        while True:
            try:
                await asyncio.wait_for(self._large.acquire(), _SIGN)
                break
            except TimeoutError:
                await on_sign()
        try:
            return await asyncio.to_thread(self._decode, kind, await _parts(request, on_sign))
        finally:
            self._large.release()

    def _decode(self, kind: Any, parts: list[bytes]) -> list[Any]:
        unframer: Unframer[Any] = Unframer(kind)
        messages = unframer.feed(b"".join(parts))
        if not unframer.whole:
            raise Refused(400, "Broken off", "the body ends within a frame")
        if news := sorted(unframer.unknown - self._unknown)[: _MOST_UNKNOWN - len(self._unknown)]:
            self._unknown.update(news)
            log.warning("a runner is newer and says what this server does not know: %s", ", ".join(map(ascii, news)))
        return messages


def _size_of(request: Request, limit: int) -> int:
    headers = request.headers
    if headers.get("content-encoding", "identity") != "identity":
        raise Refused(415, "Compressed request", "send the body as it is, without Content-Encoding")
    if headers.get("content-type") != MEDIA_TYPE:
        raise Refused(415, "Wrong kind of body", f"send frames of the runner's protocol, as {MEDIA_TYPE}")
    if "content-length" not in headers:
        raise Refused(411, "No length", "say how long the body is: Content-Length", _CLOSE)
    size = int(headers["content-length"])
    if size > limit:
        raise Refused(413, "Too large", f"a request may have {limit:,} bytes here", _CLOSE)
    return size


async def _parts(request: Request, on_sign: OnSign) -> list[bytes]:
    parts: list[bytes] = []
    signed = time.monotonic()
    chunks = aiter(request.stream())
    while True:
        try:
            part = await asyncio.wait_for(anext(chunks), _PATIENCE)
        except StopAsyncIteration:
            return parts
        except TimeoutError:
            raise Refused(408, "Too slow", f"nothing came for {_PATIENCE:g} s", _CLOSE) from None
        except ClientDisconnect:
            raise Refused(400, "Broken off", "the body did not come whole") from None
        parts.append(part)
        if time.monotonic() - signed > _SIGN:
            signed = time.monotonic()
            await on_sign()


async def _answer(frames: AsyncIterator[bytes]) -> Response:
    """Small answers in one piece; large ones as they are made, so that few are in memory at once. What fails before
    anything was sent is told as an error; after that the connection breaks, and the runner asks again."""
    parts: list[bytes] = []
    size = 0
    async for part in frames:
        parts.append(part)
        size += len(part)
        if size > _LARGE:
            return StreamingResponse(_rest(parts, frames), media_type=MEDIA_TYPE, headers=_NO_STORE)
    return _msgpack(b"".join(parts))


async def _rest(parts: list[bytes], frames: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    with contextlib.suppress(IndexError):
        while True:
            yield parts.pop(0)
    async for part in frames:
        yield part


def _msgpack(body: bytes) -> Response:
    return Response(body, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})
