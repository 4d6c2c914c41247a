"""Refuses requests that no route should see: for another host, with a strange path, too large, too slow, compressed."""

import asyncio
import ipaddress
import re
import socket

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airloom.api.problems import Refused, problem
from airloom.sections import Settings

#: seconds in which the whole body of a request has to come
BODY_TIME = 30.0
#: bytes of all bodies that are held at once, beyond those that each request has free; as much as four of the largest
_HELD, _FREE = 64 * 1024 * 1024, 16 * 1024
#: what the headers of one request may be
_MOST_HEADERS, _HEADER_BYTES = 100, 32 * 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CLOSE = {"Connection": "close"}
_LOCAL = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})


class Gate:
    """Before the application. It reads a body whole, up to [api] max_body, before any route begins."""

    def __init__(self, app: ASGIApp, settings: Settings, body_time: float = BODY_TIME) -> None:
        self._app = app
        self._max_body = settings.api.max_body
        self._body_time = body_time
        self._room = max(_HELD, 4 * self._max_body)
        self._hosts = _own_hosts(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        body = bytearray()
        try:
            self._check(scope, headers)
            if _has_body(headers):
                receive = await self._read(headers, receive, body)
        except Refused as refusal:
            answer = problem(refusal.status, refusal.title, str(refusal), headers=refusal.headers)
            await answer(scope, receive, send)
        except _Gone:
            return
        else:
            await self._app(scope, receive, send)
        finally:
            self._room += _beyond_free(body)

    def _check(self, scope: Scope, headers: Headers) -> None:
        size = sum(len(name) + len(value) for name, value in headers.raw)
        if len(headers.raw) > _MOST_HEADERS or size > _HEADER_BYTES:
            raise Refused(431, "Headers too large", "the request's headers are too many or too long", _CLOSE)
        named = headers.getlist("host")
        if len(named) != 1 or not self._is_ours(named[0]):
            raise Refused(
                400,
                "Wrong host",
                "this server is not known by that name: use its address, or add the name to the setting [api] hosts",
            )
        path = scope["path"]
        if _CONTROL.search(path) or not {".", ".."}.isdisjoint(path.split("/")):
            raise Refused(400, "Wrong path", "the path holds control characters, or . or .. as a part")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Refused(415, "Compressed request", "send the body as it is, without Content-Encoding", _CLOSE)

    def _is_ours(self, host: str) -> bool:
        """Whether a Host header names this server. A page of another site whose name was made to lead here (DNS
        rebinding) has that site's name in it. An address is no such name."""
        name = _without_port(host.strip().lower())
        return name is not None and ("*" in self._hosts or name in self._hosts or _is_address(name))

    async def _read(self, headers: Headers, receive: Receive, body: bytearray) -> Receive:
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._max_body:
            raise self._too_large()
        try:
            async with asyncio.timeout(self._body_time):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    before = _beyond_free(body)
                    body += message.get("body", b"")
                    self._room -= _beyond_free(body) - before
                    if len(body) > self._max_body:
                        raise self._too_large()
                    if self._room < 0:
                        detail = "very many large requests come at this moment: try again in a few seconds"
                        raise Refused(503, "Too many requests", detail, _CLOSE | {"Retry-After": "5"})
                    more = message.get("more_body", False)
        except TimeoutError:
            detail = f"the body did not come within {self._body_time:g} s"
            raise Refused(408, "Too slow", detail, _CLOSE) from None
        return _again(body, receive)

    def _too_large(self) -> Refused:
        detail = f"a request may have {self._max_body} bytes; the setting [api] max_body allows more"
        return Refused(413, "Too large", detail, _CLOSE)


class _Gone(Exception):
    """The client went away before its request was whole."""


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _beyond_free(body: bytearray) -> int:
    return max(0, len(body) - _FREE)


def _again(body: bytearray, receive: Receive) -> Receive:
    """Gives the body that was read, then what else comes: that the client goes away."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": bytes(body), "more_body": False}

    return replay


def _own_hosts(settings: Settings) -> frozenset[str]:
    # No name is looked up: a slow name server must not hold up the start.
    name = socket.gethostname()
    own = {settings.api.host, name, f"{name}.local", *settings.api.hosts}
    base = settings.api.base_url.partition("://")[2].partition("/")[0]
    own.add(_without_port(base) or "")
    return frozenset(name.lower() for name in own if name) | _LOCAL


def _without_port(host: str) -> str | None:
    """A Host header's name; None when it is no host."""
    match = re.fullmatch(r"(\[[0-9a-f:.]+\]|[^\[\]:/@\s]+)(?::\d{1,5})?", host, re.IGNORECASE)
    return None if match is None else match[1].strip("[]").rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
