"""The files of the web UI: its build, as it is in this package's folder `static`, and its page for every other path."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from airloom.api.problems import problem
from airloom.api.security.headers import page_policy

FOLDER = Path(__file__).with_name("static")

_NONCE = "__CSP_NONCE__"
#: the build gives these files names that change with what is in them
_HASHED = "/assets/"
_FOR_EVER = "public, max-age=31536000, immutable"
_FOR_AN_HOUR = "public, max-age=3600"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
#: Content-Encoding -> what a file that was compressed with it is called; the best first
_ENCODINGS = {"br": ".br", "gzip": ".gz"}
_NOT_BUILT = (
    "<!doctype html><title>Airloom</title><h1>The pages are not built</h1>"
    "<p>This copy of Airloom has no web pages yet: <code>make ui</code> builds them. The API under /api/v1 works.</p>"
)


@dataclass(frozen=True)
class _Build:
    """One build: its page, and by path each other file. stamp: when the page was written; 0.0: there is none."""

    stamp: float = 0.0
    page: str = ""
    files: Mapping[str, Path] = field(default_factory=dict)


class Pages:
    """Answers what no route answers; paths of the API go on to `not_found`.

    Only files that a walk through the folder found are given: no path leads out of it.
    """

    def __init__(self, not_found: ASGIApp, folder: Path = FOLDER) -> None:
        self._not_found = not_found
        self._folder = folder
        self._build = _Build()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or path == "/api" or path.startswith("/api/"):
            await self._not_found(scope, receive, send)
            return
        if scope["method"] not in ("GET", "HEAD"):
            response: Response = problem(405, "Not allowed", "pages can only be read", headers={"Allow": "GET, HEAD"})
        else:
            response = await run_in_threadpool(self._answer, path, Headers(scope=scope))
        await response(scope, receive, send)

    def _answer(self, path: str, headers: Headers) -> Response:
        build = self._current()
        if path in build.files:
            return _file(build.files, path, headers)
        if path.startswith(_HASHED):
            return problem(
                404, "Not found", "there is no such file; a newer build may have replaced it: reload the page"
            )
        if not build.stamp:
            return HTMLResponse(_NOT_BUILT, status_code=404)
        nonce = secrets.token_urlsafe(16)
        policy = {"Content-Security-Policy": page_policy(nonce)}
        return HTMLResponse(build.page.replace(_NONCE, nonce), headers=policy)

    def _current(self) -> _Build:
        """The build that is there; it is read again when its page was written anew."""
        index = self._folder / "index.html"
        try:
            stamp = index.stat().st_mtime
            if stamp != self._build.stamp:
                found = (path for path in self._folder.rglob("*") if path.is_file() and path != index)
                files = {f"/{path.relative_to(self._folder).as_posix()}": path for path in found}
                self._build = _Build(stamp, index.read_text(encoding="utf-8"), files)
        except OSError:
            # It is being built right now, or was never.
            self._build = _Build()
        return self._build


def _file(files: Mapping[str, Path], path: str, headers: Headers) -> Response:
    accepted = {part.partition(";")[0].strip() for part in headers.get("accept-encoding", "").split(",")}
    answer = {"Cache-Control": _FOR_EVER if path.startswith(_HASHED) else _FOR_AN_HOUR, "Vary": "Accept-Encoding"}
    file = files[path]
    for encoding, ending in _ENCODINGS.items():
        if encoding in accepted and path + ending in files:
            file = files[path + ending]
            answer["Content-Encoding"] = encoding
            break
    try:
        content = file.read_bytes()
    except OSError:
        return problem(404, "Not found", "this file has just gone: reload the page")
    suffix = Path(path).suffix
    return Response(content, headers=answer, media_type=_TYPES.get(suffix, "application/octet-stream"))
