"""Commits the reports of all runners together: what comes while one commit is under way goes with the next."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from airloom.model.report import Ended, Report

#: bytes of reports in one commit, and what a report without its XComs is taken for
_COMMIT_BYTES, _REPORT_BYTES = 8 * 1024 * 1024, 500
#: sessions whose last number is remembered
_MOST = 10_000


class _Batch(msgspec.Struct, frozen=True):
    session: tuple[str, str]
    seq: int
    reports: list[Report]
    done: "asyncio.Future[None]"

    @property
    def size(self) -> int:
        ends = (report for report in self.reports if isinstance(report, Ended))
        return _REPORT_BYTES * len(self.reports) + sum(len(xcom.value) for end in ends for xcom in end.xcoms)


class Recorder:
    """For one event loop. `commit` is called in a thread with what is to be committed, and raises what went wrong."""

    def __init__(self, commit: Callable[[list[Report]], None]) -> None:
        self._commit = commit
        self._waiting: list[_Batch] = []
        self._worker: asyncio.Task[None] | None = None
        #: session -> the last of its batches that was committed
        self._kept: OrderedDict[tuple[str, str], int] = OrderedDict()

    async def keep(self, session: tuple[str, str], seq: int, reports: list[Report]) -> None:
        """Return when the reports are committed. A batch whose number was committed before is known, and left out;
        where this process does not know of it, the leader sees that each of its tries has ended already."""
        if seq <= self._kept.get(session, 0) or not reports:
            return
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(_Batch(session, seq, reports, done))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        await done

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
        try:
            await asyncio.to_thread(self._commit, reports)
        except Exception as error:
            for batch in batches:
                if not batch.done.done():
                    batch.done.set_exception(error)
            return
        for batch in batches:
            self._kept[batch.session] = max(batch.seq, self._kept.pop(batch.session, 0))
            if not batch.done.done():
                batch.done.set_result(None)
        while len(self._kept) > _MOST:
            self._kept.popitem(last=False)
