"""Memory limits of tries: what a try's processes use is looked at twice a second, for tries with a limit only."""

import contextlib
import os
from collections.abc import Callable
from typing import Any

from airloom.runtime.loop import Loop, Timer
from airloom.runtime.process import processes

_EVERY = 0.5


class MemoryWatch:
    """Calls `over` with the try and the bytes it uses when that is more than its limit."""

    def __init__(self, loop: Loop, over: Callable[[Any, int], None]) -> None:
        self._loop = loop
        self._over = over
        self._limits: dict[int, tuple[Any, int]] = {}  # by session
        self._timer: Timer | None = None

    def add(self, session: int, attempt: Any, limit: int) -> None:
        """Watch the processes of a session, which is a try's."""
        self._limits[session] = (attempt, limit)
        if self._timer is None:
            self._timer = self._loop.later(_EVERY, self._look)

    def remove(self, session: int) -> None:
        """Watch it no more."""
        self._limits.pop(session, None)

    def _look(self) -> None:
        self._timer = None
        if not self._limits:
            return
        used = dict.fromkeys(self._limits, 0)
        for pid in processes():
            with contextlib.suppress(OSError):
                session = os.getsid(pid)
                if session in used:
                    used[session] += proportional_memory(pid)
        for session, size in used.items():
            attempt, limit = self._limits[session]
            if size > limit:
                del self._limits[session]
                self._over(attempt, size)
        self._timer = self._loop.later(_EVERY, self._look)


def proportional_memory(pid: int) -> int:
    """The bytes of memory that a process uses; what it shares with others is divided among them."""
    with open(f"/proc/{pid}/smaps_rollup", "rb") as file:  # noqa: PTH123 -- done often
        for line in file:
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return 0
