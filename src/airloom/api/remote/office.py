"""Answers runners from the database: this is the Desk of the real task API."""

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator, Callable
from functools import partial
from itertools import compress
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import msgspec

from airloom.api.problems import Refused
from airloom.api.remote.acceptance import acceptable
from airloom.api.remote.cancels import Cancels
from airloom.api.remote.desk import Visitor
from airloom.api.remote.guard import Guard
from airloom.api.remote.recorder import Recorder
from airloom.api.state import Api
from airloom.executors.answers import reply_to
from airloom.model.processes import holds
from airloom.model.report import Report, TryKey
from airloom.model.wire import (
    ALIVE,
    HOLDS,
    MAX_FRAME,
    Ack,
    Ask,
    CancelTries,
    Claim,
    FromRunner,
    GetSource,
    Heartbeat,
    Hello,
    LogAck,
    LogChunk,
    Refusal,
    Reply,
    Reports,
    Source,
    frame,
)
from airloom.operations import remote_runners, try_logs
from airloom.operations.task_requests import answer
from airloom.store.notify import feed_listener

log = logging.getLogger("airloom.api")

#: seconds between two signs of life on a stream
_ALIVE = 15.0
#: bytes of one request beyond the XComs of one try: the rest of what a runner sends together
_BESIDE_XCOMS = 40 * 1024 * 1024
#: threads that read and write for runners; more would only take the database from the others
_THREADS = 8

T = TypeVar("T")


class Office:
    """The memory of one API process, for one event loop."""

    def __init__(self, api: Api, away: Callable[[], float]) -> None:
        self._api = api
        self._away = away
        self._ops = dataclasses.replace(api.ops, via="task")
        self._guard = Guard(self._ops)
        self._log_limit = api.settings.runner.log_max_bytes
        self._recorder = Recorder(partial(remote_runners.keep_reports, self._ops, self._log_limit))
        home = api.settings.core.home
        self._cancels = Cancels(self._ops, lambda: feed_listener(self._ops.db, home, "-tasks"))
        self._threads = anyio.CapacityLimiter(_THREADS)
        self.longest = min(MAX_FRAME, api.settings.xcom.max_size + _BESIDE_XCOMS)
        self.alive = _ALIVE

    async def identify(self, token: str, address: str | None) -> Visitor:
        """Who shows this token. Raises Refused."""
        if holds(self._away(), self._api.settings.api.outage):
            # At once: all runners ask, and each question to the database would take a thread for seconds.
            text = f"this server has been without its database for {self._away():.0f} s"
            raise Refused(503, "The database does not answer", text, {HOLDS: "1", "Retry-After": "5"})
        return await self._guard.identify(token, address)

    async def greet(self, visitor: Visitor, hello: Hello) -> str:
        """Register a runner. One whose only try has ended is let in without, to hear of it. Raises AirloomError."""
        remote_runners.check_hello(hello, self._guard.database)
        await self._in_thread(remote_runners.register, self._ops, hello, visitor.id, visitor.only)
        return self._guard.session(visitor, hello.runner)

    def now(self) -> float:
        """The server's clock."""
        return self._api.now()

    def runner_of(self, visitor: Visitor, session: str) -> str:
        """The runner whose session it is. Raises Refused."""
        return self._guard.runner_of(visitor, session)

    async def sign_of_life(self, visitor: Visitor, runner: str) -> None:
        """Renew the leases as they are."""
        await self._in_thread(remote_runners.touch, self._ops, runner, visitor.id)

    async def answer(self, visitor: Visitor, runner: str, messages: list[FromRunner]) -> AsyncIterator[bytes]:
        """The frames that answer these messages, in their order. Raises StoreError."""
        together: list[Reports] = []
        chunks: list[LogChunk] = []
        for message in messages:
            if isinstance(message, Reports):
                together.append(message)
                continue
            if isinstance(message, LogChunk):
                chunks.append(message)
                continue
            if together or chunks:
                yield await self._keep(visitor, runner, together, chunks)
                together, chunks = [], []
            if isinstance(message, Ask):
                yield await self._reply(visitor, runner, message)
            elif isinstance(message, Claim):
                yield await self._claim(visitor, runner, message)
            elif isinstance(message, GetSource):
                yield await self._source(visitor, message)
            elif isinstance(message, Heartbeat):
                yield await self._renew(visitor, runner, message)
        if together or chunks:
            yield await self._keep(visitor, runner, together, chunks)

    async def follow(self, visitor: Visitor, runner: str) -> AsyncIterator[bytes]:
        """What the runner is to end, and what is wanted of its worker, as soon as that is known."""
        pod = visitor.only is not None
        worker = "" if pod else await self._in_thread(remote_runners.worker_of, self._ops, runner)
        follower = self._cancels.follow(runner, worker)
        try:
            yield ALIVE
            while True:
                try:
                    message = await asyncio.wait_for(follower.get(), self.alive)
                except TimeoutError:
                    yield ALIVE
                    continue
                if message is None:
                    return
                if isinstance(message, CancelTries) and visitor.only is not None:
                    mine = tuple(cancel for cancel in message.cancels if cancel.key == visitor.only)
                    message = CancelTries(cancels=mine)
                yield frame(message)
        finally:
            self._cancels.leave(runner, follower)

    # --- the messages -------------------------------------------------------------------------------------------------
    def _proved(self, visitor: Visitor, key: TryKey, token: str) -> bool:
        """Whether the visitor may speak of a try."""
        if visitor.only in (None, key) and self._guard.tokens.proves(token, key):
            return True
        text = "a runner (%s) spoke of try %d of task instance %d without a token of this server's secret key"
        log.warning(text, visitor.id, *key[::-1])
        return False

    def _with_tokens(self, visitor: Visitor, keys: tuple[TryKey, ...], tokens: tuple[str, ...]) -> tuple[TryKey, ...]:
        """Those of the tries that the visitor may speak of."""
        shown = dict(zip(keys, tokens, strict=False))
        return tuple(key for key in keys if self._proved(visitor, key, shown.get(key, "")))

    async def _refuse_own(self, runner: str, unproved: set[TryKey]) -> None:
        """Raise Conflict if a runner has been given one of these tries whose tokens are not good here."""
        if unproved:
            await self._in_thread(remote_runners.refuse_own, self._ops, runner, unproved)

    async def _keep(self, visitor: Visitor, runner: str, messages: list[Reports], chunks: list[LogChunk]) -> bytes:
        """What tries were told and wrote, in one commit: a log is there when the end of its try is."""
        proved = [self._proved(visitor, chunk.key, chunk.token) for chunk in chunks]
        pieces = [*compress(chunks, proved)]
        if messages:
            reports = self._reports(visitor, messages)
            said = {report.key for message in messages for report in message.reports}
            await self._refuse_own(runner, said.difference(report.key for report in reports))
            seq = max(message.seq for message in messages)
            places = await self._recorder.keep((visitor.id, runner), seq, reports, pieces)
        else:
            places = await self._in_thread(try_logs.keep_chunks, self._ops, pieces, self._log_limit)
        offsets = iter(places)
        acks: list[LogAck | Ack] = [
            LogAck(key=chunk.key, offset=next(offsets) if good else None)
            for chunk, good in zip(chunks, proved, strict=True)
        ]
        acks += [Ack(seq=seq)] if messages else []
        return b"".join(map(frame, acks))

    def _reports(self, visitor: Visitor, messages: list[Reports]) -> list[Report]:
        """What the visitor may say."""
        now = self._api.now()
        limit = self._api.settings.xcom.max_size
        return [
            acceptable(report, limit, now)
            for message in messages
            for report in message.reports
            if self._proved(visitor, report.key, report.token)
        ]

    async def _reply(self, visitor: Visitor, runner: str, ask: Ask) -> bytes:
        if not self._proved(visitor, ask.key, ask.token):
            return frame(
                Reply(id=ask.id, error="the server does not take this task for one of its own: its token is wrong")
            )
        ops = dataclasses.replace(self._ops, by=runner)
        return await self._in_thread(reply_to, ask, partial(answer, ops))

    async def _renew(self, visitor: Visitor, runner: str, message: Heartbeat) -> bytes:
        tries = self._with_tokens(visitor, message.live, message.tokens)
        who = runner, visitor.id, visitor.only
        await self._refuse_own(runner, set(message.live).difference(tries))
        cancels, wanted = await self._in_thread(remote_runners.renew, self._ops, *who, message, tries)
        return (frame(CancelTries(cancels=cancels)) if cancels else b"") + frame(wanted)

    async def _claim(self, visitor: Visitor, runner: str, message: Claim) -> bytes:
        asked = self._with_tokens(visitor, message.keys, message.tokens)
        claimed = await self._in_thread(remote_runners.claim, self._ops, runner, asked)
        foreign = (Refusal(key, "its token is wrong") for key in message.keys if key not in asked)
        return frame(msgspec.structs.replace(claimed, refused=(*claimed.refused, *foreign)))

    async def _source(self, visitor: Visitor, message: GetSource) -> bytes:
        text: bytes | None = None
        if self._proved(visitor, message.key, message.token):
            text = await self._in_thread(remote_runners.source_of, self._ops, message.key, message.file_hash)
        return frame(Source(file_hash=message.file_hash, text=text))

    async def _in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        return await anyio.to_thread.run_sync(call, *arguments, limiter=self._threads)
