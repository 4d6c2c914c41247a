"""Where a runner takes work from processes of its own machine: a Celery worker's, a pod's. A Unix socket in the home.

They send Submit, CancelTries, Slots and Stop, framed as model/wire.py says. They hear whether work is taken at all,
what of theirs was granted or refused, and how that ended.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from airloom.executors.unix_socket import Listener
from airloom.model.report import Ended, Report, Started, TryKey
from airloom.model.wire import STARTING, Claimed, FrameError, FromIntake, Reports, Standing, Submit, ToIntake
from airloom.runtime.channel import Channel, Closed
from airloom.runtime.loop import Loop


class Intake:
    """Listens at `path`. `ordered` is called with each order, `gone` with the tries of someone who has gone; `live`
    gives the tries in hand. Raises Conflict if another runner listens there."""

    def __init__(
        self,
        loop: Loop,
        path: str,
        ordered: Callable[[ToIntake], None],
        gone: Callable[[Iterable[TryKey]], None],
        live: Callable[[], Iterable[TryKey]],
    ) -> None:
        self._loop = loop
        self._ordered = ordered
        self._gone = gone
        self._live = live
        self._listener = Listener(path)
        self._channels: set[Channel[ToIntake]] = set()
        #: who submitted a try, and is to hear of its end
        self._askers: dict[TryKey, Channel[ToIntake]] = {}
        self._standing = Standing(taking=False, why=STARTING)
        #: since when nobody has been there (monotonic)
        self.alone_since: float | None = time.monotonic()
        loop.watch(self._listener.sock.fileno(), self._accept)

    @property
    def visited(self) -> bool:
        """Whether someone is connected."""
        return bool(self._channels)

    def stand(self, standing: Standing) -> None:
        """Whether work is taken; told when it changes, and at first to whoever comes."""
        if standing != self._standing:
            self._standing = standing
            for channel in list(self._channels):
                self._send(channel, standing)

    def sign(self) -> None:
        """Give whoever is there a sign of life."""
        for channel in list(self._channels):
            try:
                channel.sign()
            except Closed:
                self._drop(channel)

    def answer(self, claimed: Claimed) -> None:
        """Tell those who submitted them which tries were granted and refused."""
        told: dict[Channel[ToIntake], tuple[list[TryKey], list[Any]]] = {}
        for key in claimed.granted:
            if key in self._askers:
                told.setdefault(self._askers[key], ([], []))[0].append(key)
        for refusal in claimed.refused:
            if refusal.key in self._askers:
                told.setdefault(self._askers.pop(refusal.key), ([], []))[1].append(refusal)
        for channel, (granted, refused) in told.items():
            self._send(channel, Claimed(granted=tuple(granted), refused=tuple(refused)))

    def tell(self, reports: list[Report]) -> None:
        """Pass on the ends of tries, without their XComs, to whom submitted them."""
        told: dict[Channel[ToIntake], list[Report]] = {}
        for report in reports:
            channel = self._askers.pop(report.key, None) if not isinstance(report, Started) else None
            if channel is not None:
                if isinstance(report, Ended):
                    report = msgspec.structs.replace(report, xcoms=())
                told.setdefault(channel, []).append(report)
        for channel, ends in told.items():
            self._send(channel, Reports(seq=0, reports=tuple(ends)))

    def close(self) -> None:
        """Listen no more."""
        for channel in list(self._channels):
            self._drop(channel)
        self._loop.unwatch(self._listener.sock.fileno())
        self._listener.close()

    def _accept(self) -> None:
        sock = self._listener.accept()
        if sock is not None:
            channel: Channel[ToIntake] = Channel(sock, ToIntake)
            # Who comes when nobody is there has taken the place of one that died: what that one began is now its own.
            inherited = () if self._channels else tuple(self._live())
            self._askers.update(dict.fromkeys(inherited, channel))
            self._channels.add(channel)
            self.alone_since = None
            self._loop.serve(channel, lambda: self._read(channel))
            self._send(channel, self._standing)
            if inherited:
                self._send(channel, Claimed(granted=inherited))

    def _read(self, channel: Channel[ToIntake]) -> None:
        try:
            orders = channel.receive()
        except (Closed, FrameError):
            self._drop(channel)
            return
        for order in orders:
            if isinstance(order, Submit):
                self._askers.update((work.key, channel) for work in order.works)
            self._ordered(order)

    def _send(self, channel: Channel[ToIntake], message: FromIntake) -> None:
        if channel in self._channels:
            try:
                channel.send(message)
            except Closed:
                self._drop(channel)

    def _drop(self, channel: Channel[ToIntake]) -> None:
        """Its process has gone: what it submitted goes on, but for what was not granted yet."""
        if channel in self._channels:
            self._channels.remove(channel)
            if not self._channels:
                self.alone_since = time.monotonic()
            self._loop.unwatch(channel.fileno())
            channel.close()
            theirs = [key for key, asker in self._askers.items() if asker is channel]
            for key in theirs:
                del self._askers[key]
            self._gone(theirs)
