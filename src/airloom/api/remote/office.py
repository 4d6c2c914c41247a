"""Answers runners from the database: this is the Desk of the real task API."""

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from airloom.api.remote.acceptance import acceptable
from airloom.api.remote.cancels import Cancels
from airloom.api.remote.desk import Visitor
from airloom.api.remote.guard import Guard
from airloom.api.remote.recorder import Recorder
from airloom.api.state import Api
from airloom.executors.answers import reply_to
from airloom.model.report import TryKey
from airloom.model.wire import (
    ALIVE,
    MAX_FRAME,
    Ack,
    Ask,
    CancelTries,
    FromRunner,
    Heartbeat,
    Hello,
    LogAck,
    LogChunk,
    Reply,
    Reports,
    frame,
)
from airloom.operations import remote_runners
from airloom.operations.task_requests import answer
from airloom.runtime.logs import append_chunk, log_path
from airloom.store.notify import feed_listener

log = logging.getLogger("airloom.api")

#: seconds between two signs of life on a stream
_ALIVE = 15.0
#: bytes of one request beyond the XComs of one try: the rest of what a runner sends together
_BESIDE_XCOMS = 40 * 1024 * 1024
#: a runner stops its logs at the same limit, and then says so in the log
_LIMIT_NOTICE = 4096
#: threads that read and write for runners; more would only take the database from the others
_THREADS = 8

T = TypeVar("T")


class Office:
    """The memory of one API process, for one event loop."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._ops = dataclasses.replace(api.ops, via="task")
        self._guard = Guard(self._ops)
        self._recorder = Recorder(partial(remote_runners.keep_reports, self._ops))
        home = api.settings.core.home
        self._cancels = Cancels(self._ops, lambda: feed_listener(self._ops.db, home, "-tasks"))
        self._threads = anyio.CapacityLimiter(_THREADS)
        self.longest = min(MAX_FRAME, api.settings.xcom.max_size + _BESIDE_XCOMS)
        self.alive = _ALIVE

    async def identify(self, token: str, address: str | None) -> Visitor:
        """Who shows this token. Raises Refused."""
        return await self._guard.identify(token, address)

    async def greet(self, visitor: Visitor, hello: Hello) -> str:
        """Register a runner. One whose only try has ended is let in without, to hear of it. Raises AirloomError."""
        remote_runners.check_hello(hello, self._guard.database)
        await self._in_thread(remote_runners.register, self._ops, hello, visitor.id, visitor.only)
        return self._guard.session(visitor, hello.runner)

    def runner_of(self, visitor: Visitor, session: str) -> str:
        """The runner whose session it is. Raises Refused."""
        return self._guard.runner_of(visitor, session)

    async def sign_of_life(self, visitor: Visitor, runner: str) -> None:
        """Renew the leases as they are."""
        await self._in_thread(remote_runners.touch, self._ops, runner, visitor.id)

    async def answer(self, visitor: Visitor, runner: str, messages: list[FromRunner]) -> AsyncIterator[bytes]:
        """The frames that answer these messages, in their order. Raises StoreError."""
        together: list[Reports] = []
        for message in messages:
            if isinstance(message, Reports):
                together.append(message)
                continue
            if together:
                yield await self._keep(visitor, runner, together)
                together = []
            if isinstance(message, Ask):
                yield await self._reply(visitor, runner, message)
            elif isinstance(message, LogChunk):
                yield await self._append(visitor, message)
            elif isinstance(message, Heartbeat):
                cancels = await self._renew(visitor, runner, message)
                if cancels:
                    yield cancels
        if together:
            yield await self._keep(visitor, runner, together)

    async def follow(self, visitor: Visitor, runner: str) -> AsyncIterator[bytes]:
        """What the runner is to end, as soon as that is known."""
        follower = self._cancels.follow(runner)
        try:
            yield ALIVE
            while True:
                try:
                    cancels = await asyncio.wait_for(follower.get(), self.alive)
                except TimeoutError:
                    yield ALIVE
                    continue
                if cancels is None:
                    return
                mine = tuple(cancel for cancel in cancels if visitor.only in (None, cancel.key))
                if mine:
                    yield frame(CancelTries(cancels=mine))
        finally:
            self._cancels.leave(runner, follower)

    # --- the messages -------------------------------------------------------------------------------------------------
    def _proved(self, visitor: Visitor, key: TryKey, token: str) -> bool:
        """Whether the visitor may speak of a try."""
        if visitor.only in (None, key) and self._guard.tokens.proves(token, key):
            return True
        log.warning("a runner (%s) spoke of try %d of task instance %d without its token", visitor.id, *key[::-1])
        return False

    async def _keep(self, visitor: Visitor, runner: str, messages: list[Reports]) -> bytes:
        now = self._api.now()
        limit = self._api.settings.xcom.max_size
        reports = [
            acceptable(report, limit, now)
            for message in messages
            for report in message.reports
            if self._proved(visitor, report.key, report.token)
        ]
        seq = max(message.seq for message in messages)
        await self._recorder.keep((visitor.id, runner), seq, reports)
        return frame(Ack(seq=seq))

    async def _reply(self, visitor: Visitor, runner: str, ask: Ask) -> bytes:
        if not self._proved(visitor, ask.key, ask.token):
            return frame(
                Reply(id=ask.id, error="the server does not take this task for one of its own: its token is wrong")
            )
        ops = dataclasses.replace(self._ops, by=runner)
        return await self._in_thread(reply_to, ask, partial(answer, ops))

    async def _renew(self, visitor: Visitor, runner: str, message: Heartbeat) -> bytes | None:
        tokens = message.tokens if len(message.tokens) == len(message.live) else [""] * len(message.live)
        tries = tuple(key for key, token in zip(message.live, tokens, strict=True) if self._proved(visitor, key, token))
        cancels = await self._in_thread(remote_runners.renew, self._ops, runner, visitor.id, tries)
        return frame(CancelTries(cancels=cancels)) if cancels else None

    async def _append(self, visitor: Visitor, chunk: LogChunk) -> bytes:
        if not self._proved(visitor, chunk.key, chunk.token):
            return frame(LogAck(key=chunk.key, offset=None))
        return frame(LogAck(key=chunk.key, offset=await self._in_thread(self._append_here, chunk)))

    def _append_here(self, chunk: LogChunk) -> int | None:
        place = remote_runners.log_place(self._ops, chunk.key)
        if place is None:
            return None
        number = chunk.key.try_number
        home = str(self._api.logs.parent)
        path = log_path(home, place.dag_id, place.run_id, place.task_id, place.map_index, number)
        limit = self._api.settings.runner.log_max_bytes + _LIMIT_NOTICE
        try:
            return append_chunk(path, chunk.offset, chunk.data, limit)
        except OSError as error:
            log.error("the log %s cannot be written: %s", path, error.strerror)
            return chunk.offset  # it is tried again, after a while

    async def _in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        return await anyio.to_thread.run_sync(call, *arguments, limiter=self._threads)
