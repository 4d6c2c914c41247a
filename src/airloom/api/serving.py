"""Serves the API over HTTP, until it is told to stop."""

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from airloom.api.app import make_app
from airloom.api.live import Live
from airloom.api.remote.app import PREFIX as TASK_PREFIX
from airloom.api.remote.app import make_task_app
from airloom.api.security.protocol import GuardedHttp, allow_files
from airloom.api.state import Api
from airloom.decide.state import WorldConfig
from airloom.operations.ops import Ops
from airloom.sections import Settings
from airloom.services.listening import Sockets

#: seconds that requests have to end when the server stops; event streams are cut off then
_LAST_WORDS = 2
#: seconds that a connection without a request is kept
_KEEP_ALIVE = 30


def serve(ops: Ops, settings: Settings, config: WorldConfig, sockets: Sockets) -> None:
    """Serve until SIGTERM or SIGINT. `config`: what the scheduler runs with. That a certificate can be used was seen
    when the sockets were opened."""
    allow_files()
    # It warns of every request that is none: anybody can send as many as they like.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    address = sockets.address(settings.api)
    api = Api(ops=ops, settings=settings, world_config=config, now=time.time, address=address, listens=sockets.places())
    public = make_app(api)
    live: Live = public.state.live
    task = make_task_app(api, lambda: live.away)
    if sockets.task is None:
        places = [(_server(api, _Split(public, task)), sockets.public)]
    else:
        places = [(_server(api, public), sockets.public), (_server(api, task), sockets.task)]
    with asyncio.Runner(loop_factory=places[0][0].config.get_loop_factory()) as runner:
        runner.run(_serve(places, live.hub.close))


async def _serve(places: "list[tuple[_Server, socket.socket]]", end_streams: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        end_streams()
        for server, _ in places:
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await asyncio.gather(*(server.serve(sockets=[place]) for server, place in places))


class _Server(uvicorn.Server):
    """Leaves the signals alone: several servers of one process hear them together."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(api: Api, app: ASGIApp) -> _Server:
    settings = api.settings.api
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=GuardedHttp,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_LAST_WORDS,
        ssl_certfile=settings.tls_certificate or None,
        ssl_keyfile=settings.tls_key or None,
    )
    return _Server(config)


class _Split:
    """The task API beside the rest on one port: what guards browsers is not for runners, and the other way round."""

    def __init__(self, public: ASGIApp, task: ASGIApp) -> None:
        self._public = public
        self._task = task

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        remote = scope["type"] == "http" and scope["path"].startswith(f"{TASK_PREFIX}/")
        await (self._task if remote else self._public)(scope, receive, send)
