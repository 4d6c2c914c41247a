"""Commits the reports of all runners together: what comes while one commit is under way goes with the next."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from itertools import islice

import msgspec

from airloom.model.report import Ended, Report
from airloom.model.wire import LogChunk

#: bytes of reports in one commit, and what a report without its XComs is taken for
_COMMIT_BYTES, _REPORT_BYTES = 8 * 1024 * 1024, 500
#: sessions whose last number is remembered
_MOST = 10_000


class _Batch(msgspec.Struct, frozen=True):
    session: tuple[str, str]
    seq: int
    reports: list[Report]
    chunks: list[LogChunk]
    done: "asyncio.Future[list[int | None]]"

    @property
    def size(self) -> int:
        ends = (report for report in self.reports if isinstance(report, Ended))
        xcoms = sum(len(xcom.value) for end in ends for xcom in end.xcoms)
        return _REPORT_BYTES * len(self.reports) + xcoms + sum(len(chunk.data) for chunk in self.chunks)


class Recorder:
    """For one event loop. `commit` is called in a thread with what is to be committed, gives how far the logs go then,
    and raises what went wrong."""

    def __init__(self, commit: Callable[[list[Report], list[LogChunk]], list[int | None]]) -> None:
        self._commit = commit
        self._waiting: list[_Batch] = []
        self._worker: asyncio.Task[None] | None = None
        #: session -> the last of its batches that was committed
        self._kept: OrderedDict[tuple[str, str], int] = OrderedDict()

    async def keep(
        self, session: tuple[str, str], seq: int, reports: list[Report], chunks: list[LogChunk]
    ) -> list[int | None]:
        """Return when the reports are committed, and with them these pieces of logs: how far each log goes. Reports
        whose number was committed before are known, and left out; where this process does not know of it, the leader
        sees that each of the tries has ended already."""
        if seq <= self._kept.get(session, 0):
            reports = []
        if not reports and not chunks:
            return []
        done: asyncio.Future[list[int | None]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Batch(session, seq, reports, chunks, done))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await done

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._commit_some()
        finally:
            self._worker = None

    async def _commit_some(self) -> None:
        count = size = 0
        while count < len(self._waiting) and size < _COMMIT_BYTES:
            size += self._waiting[count].size
            count += 1
        batches, self._waiting = self._waiting[:count], self._waiting[count:]
        reports = [report for batch in batches for report in batch.reports]
        chunks = [chunk for batch in batches for chunk in batch.chunks]
        try:
            places = iter(await asyncio.to_thread(self._commit, reports, chunks))
        except Exception as error:
            for batch in batches:
                if not batch.done.done():
                    batch.done.set_exception(error)
            return
        for batch in batches:
            self._kept[batch.session] = max(batch.seq, self._kept.pop(batch.session, 0))
            mine = list(islice(places, len(batch.chunks)))
            if not batch.done.done():
                batch.done.set_result(mine)
        while len(self._kept) > _MOST:
            self._kept.popitem(last=False)
