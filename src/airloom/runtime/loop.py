"""The event loop of the runner and of the parser: woken by descriptors and timers, never by polling."""

import contextlib
import heapq
import selectors
import time
from collections.abc import Callable
from typing import Protocol

from airloom.runtime.channel import Closed


class Served(Protocol):
    """A connection that `Loop.serve` can watch: it says when it has more to send than the socket takes."""

    on_blocked: Callable[[], None]

    @property
    def blocked(self) -> bool:
        """Whether something waits to be sent."""

    def flush(self) -> None:
        """Send as much as goes. Raises Closed."""

    def fileno(self) -> int:
        """What to watch."""


class Timer:
    """A call that is due at `at` (monotonic seconds), until it is cancelled."""

    __slots__ = ("_loop", "at", "call")

    def __init__(self, loop: "Loop", at: float, call: Callable[[], object]) -> None:
        self._loop = loop
        self.at = at
        self.call: Callable[[], object] | None = call

    def __lt__(self, other: "Timer") -> bool:
        return self.at < other.at

    def cancel(self) -> None:
        """Forget the call. May be called at any time, also after it was made."""
        if self.call is not None:
            self.call = None
            self._loop.timer_cancelled()


class Loop:
    """Descriptors to watch and timers; `turn` waits for one of them and calls whoever asked for it."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[Timer] = []
        self._cancelled = 0

    def watch(self, fd: int, call: Callable[[], object]) -> None:
        """Call `call` whenever `fd` has something to read."""
        self._selector.register(fd, selectors.EVENT_READ, (call, _nothing))

    def unwatch(self, fd: int) -> None:
        """Stop watching, if it is watched; must come before `fd` is closed."""
        with contextlib.suppress(KeyError):
            self._selector.unregister(fd)

    def serve(self, channel: Served, on_readable: Callable[[], object]) -> None:
        """Watch a channel, and send what its socket did not take at once as soon as there is room again."""
        fd = channel.fileno()

        def on_writable() -> None:
            try:
                channel.flush()
            except Closed:
                on_readable()
                return
            if not channel.blocked:
                self._selector.modify(fd, selectors.EVENT_READ, (on_readable, _nothing))

        def on_blocked() -> None:
            both = selectors.EVENT_READ | selectors.EVENT_WRITE
            self._selector.modify(fd, both, (on_readable, on_writable))

        channel.on_blocked = on_blocked
        self._selector.register(fd, selectors.EVENT_READ, (on_readable, _nothing))

    def later(self, seconds: float, call: Callable[[], object]) -> Timer:
        """Call once, in so many seconds."""
        timer = Timer(self, time.monotonic() + seconds, call)
        heapq.heappush(self._timers, timer)
        return timer

    def timer_cancelled(self) -> None:
        """Told by a timer. Cancelled timers leave the heap when they are the most, so that it stays small."""
        self._cancelled += 1
        if self._cancelled > 64 and self._cancelled > len(self._timers) // 2:
            self._timers = [timer for timer in self._timers if timer.call is not None]
            heapq.heapify(self._timers)
            self._cancelled = 0

    def turn(self) -> None:
        """Wait until something happens, and make the calls that it asks for."""
        timers = self._timers
        while timers and timers[0].call is None:
            heapq.heappop(timers)
            self._cancelled -= 1
        timeout = max(0.0, timers[0].at - time.monotonic()) if timers else None
        for key, events in self._selector.select(timeout):
            if self._selector.get_map().get(key.fd) is not key:
                continue  # an earlier call of this turn closed it, or changed what it is watched for
            on_readable, on_writable = key.data
            if events & selectors.EVENT_WRITE:
                on_writable()
            else:
                on_readable()
        self._call_due()

    def close(self) -> None:
        """Free the selector; the descriptors are their owners'."""
        self._selector.close()

    def _call_due(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0].at <= now:
            timer = heapq.heappop(self._timers)
            if timer.call is None:
                self._cancelled -= 1
                continue
            call, timer.call = timer.call, None
            call()


def _nothing() -> None:
    return
