"""The runner's line to its server: connects, connects again, and loses no report in between."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from airloom.model.report import Ended, Report, Started, TryKey
from airloom.model.wire import Ack, FrameError, FromRunner, Reports, ToRunner
from airloom.model.work import Work
from airloom.runtime.channel import Closed
from airloom.runtime.journal import Journal
from airloom.runtime.loop import Loop, Timer
from airloom.runtime.transport import Transport

_FIRST_WAIT, _LONGEST_WAIT = 0.02, 1.0
#: about so many bytes in one message, what is more comes in the next one; and in a report, without what varies most
_BATCH_BYTES = 16 * 1024 * 1024
_REPORT_BYTES = 500


class Link:
    """Sends to the server, and calls `heard` with what it says. What is sent while there is no connection:

    reports are kept, in the journal too, until they are acknowledged; anything else is said anew by `greeting`, which
    gives the messages with which a connection begins (the first one, Hello, is given what is pending).
    """

    def __init__(
        self,
        loop: Loop,
        journal: Journal,
        connect: Callable[[], Transport],
        greeting: Callable[[tuple[TryKey, ...]], list[FromRunner]],
        heard: Callable[[ToRunner], None],
        live_starts: Callable[[], list[Started]],
    ) -> None:
        self._loop = loop
        self._journal = journal
        self._connect = connect
        self._greeting = greeting
        self._heard = heard
        self._live_starts = live_starts
        self._transport: Transport | None = None
        self._wait = _FIRST_WAIT
        self._timer: Timer | None = None
        self._seq = 0
        self._unacked: deque[Reports] = deque()
        self._opened_at = self._lost_at = time.monotonic()

    @property
    def away_since(self) -> float | None:
        """When the server went away (monotonic), None while it is there."""
        return None if self._transport is not None and self._transport.reached else self._lost_at

    @property
    def settled(self) -> bool:
        """Whether the server has acknowledged everything."""
        return not self._unacked

    def untold(self) -> dict[TryKey, str]:
        """The tries whose end the server has not acknowledged, with their tokens."""
        reports = (report for message in self._unacked for report in message.reports)
        return {report.key: report.token for report in reports if not isinstance(report, Started)}

    @property
    def sent(self) -> bool:
        """Whether everything that can be sent now has left this process."""
        return self._transport is None or not self._transport.blocked

    def open(self) -> None:
        """Connect; go on trying until it works."""
        self._timer = None
        try:
            transport = self._connect()
        except OSError:
            self._timer = self._loop.later(self._wait, self.open)
            self._wait = min(self._wait * 2, _LONGEST_WAIT)
            return
        self._transport, self._opened_at = transport, time.monotonic()
        self._loop.serve(transport, self._readable)
        greeting = self._greeting(tuple(self.untold()))
        for message in (greeting[0], *self._unacked, *greeting[1:]):
            self.send(message)

    def send(self, message: FromRunner) -> None:
        """Send a message that needs not be kept."""
        self._send([message])

    def report(self, reports: Iterable[Report], before: Sequence[FromRunner] = ()) -> None:
        """Send reports, and keep them until the server has them. before: what need not be kept and is to be there when
        they are; they share a request."""
        together = list(before)
        for batch in _batches(reports):
            self._seq += 1
            message = Reports(seq=self._seq, reports=batch)
            self._unacked.append(message)
            self._journal.append(message)
            together.append(message)
        if together:
            self._send(together)

    def begin(self, work: Work) -> None:
        """Note on disk that a try is this runner's, which the server knows: should this process be killed before the
        try's start is told, the next one still tells that it is lost."""
        self._journal.append(Reports(seq=0, reports=(Started(key=work.key, at=time.time(), token=work.token),)))

    def close(self) -> None:
        """Close the connection, and the journal, which is removed if nothing in it is needed."""
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._loop.unwatch(self._transport.fileno())
            self._transport.close()
        self._journal.close(remove=self.settled)

    def _send(self, messages: Sequence[FromRunner]) -> None:
        if self._transport is not None:
            try:
                self._transport.send_together(messages)
            except Closed:
                self._lost()

    def _readable(self) -> None:
        if self._transport is None:
            return
        try:
            messages = self._transport.receive()
        except (Closed, FrameError):
            self._lost()
            return
        for message in messages:
            if isinstance(message, Ack):
                self._acknowledged(message.seq)
            else:
                self._heard(message)

    def _acknowledged(self, seq: int) -> None:
        if not self._unacked:
            return
        while self._unacked and self._unacked[0].seq <= seq:
            self._unacked.popleft()
        self._journal.acknowledged(seq, self._unacked, self._live_starts)

    def _lost(self) -> None:
        if self._transport is not None:
            self._loop.unwatch(self._transport.fileno())
            self._transport.close()
            if self._transport.reached:
                self._lost_at = time.monotonic()
                if self._lost_at - self._opened_at > _LONGEST_WAIT:
                    self._wait = _FIRST_WAIT
            self._transport = None
            self._timer = self._loop.later(self._wait, self.open)
            self._wait = min(self._wait * 2, _LONGEST_WAIT)


def _batches(reports: Iterable[Report]) -> list[tuple[Report, ...]]:
    batches: list[list[Report]] = []
    size = _BATCH_BYTES
    for report in reports:
        if size >= _BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(report)
        size += _REPORT_BYTES
        if isinstance(report, Ended):
            size += len(report.detail or "") + sum(len(value.value) for value in report.xcoms)
    return [tuple(batch) for batch in batches]
