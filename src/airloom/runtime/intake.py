"""Where a runner takes work from processes of its own machine: a Celery worker's, a pod's. A Unix socket in the home.

They send Submit, CancelTries and Stop, framed as model/wire.py says, and hear of the ends of what they submitted.
"""

from collections.abc import Callable

import msgspec

from airloom.executors.unix_socket import Listener
from airloom.model.report import Ended, Report, Started, TryKey
from airloom.model.wire import CancelTries, FrameError, Reports, Stop, Submit
from airloom.runtime.channel import Channel, Closed
from airloom.runtime.loop import Loop

Order = Submit | CancelTries | Stop


class Intake:
    """Listens at `path`. `ordered` is called with each order. Raises Conflict if another runner listens there."""

    def __init__(self, loop: Loop, path: str, ordered: Callable[[Order], None]) -> None:
        self._loop = loop
        self._ordered = ordered
        self._listener = Listener(path)
        self._channels: set[Channel[Order]] = set()
        #: who submitted a try, and is to hear of its end
        self._askers: dict[TryKey, Channel[Order]] = {}
        loop.watch(self._listener.sock.fileno(), self._accept)

    def tell(self, reports: list[Report]) -> None:
        """Pass on the ends of tries, without their XComs, to whom submitted them."""
        for report in reports:
            channel = self._askers.pop(report.key, None) if not isinstance(report, Started) else None
            if channel is not None:
                if isinstance(report, Ended):
                    report = msgspec.structs.replace(report, xcoms=())
                try:
                    channel.send(Reports(seq=0, reports=(report,)))
                except Closed:
                    self._drop(channel)

    def close(self) -> None:
        """Listen no more."""
        for channel in list(self._channels):
            self._drop(channel)
        self._loop.unwatch(self._listener.sock.fileno())
        self._listener.close()

    def _accept(self) -> None:
        sock = self._listener.accept()
        if sock is not None:
            channel: Channel[Order] = Channel(sock, Order)
            self._channels.add(channel)
            self._loop.serve(channel, lambda: self._read(channel))

    def _read(self, channel: Channel[Order]) -> None:
        try:
            orders = channel.receive()
        except (Closed, FrameError):
            self._drop(channel)
            return
        for order in orders:
            if isinstance(order, Submit):
                self._askers.update((work.key, channel) for work in order.works)
            self._ordered(order)

    def _drop(self, channel: Channel[Order]) -> None:
        """Its process has gone: what it submitted goes on."""
        if channel in self._channels:
            self._channels.remove(channel)
            self._loop.unwatch(channel.fileno())
            channel.close()
            self._askers = {key: asker for key, asker in self._askers.items() if asker is not channel}
