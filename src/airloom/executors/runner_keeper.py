"""Sees to it that there is a runner: waits for one that lives, starts one if none does, kills one that says nothing."""

from collections.abc import Callable

from airloom.executors.runner_process import RunnerProcess
from airloom.model.errors import AirloomError

#: how often to look whether a runner that is not connected still lives: at first, and at last
_LOOK, _SELDOM = 0.01, 0.25
#: a living runner connects again within a second; one that has just been started within this, or it is killed
CONNECT_TIMEOUT = 20.0
_LONGEST_PAUSE = 5.0


class RunnerKeeper:
    """For whoever works through the runner; `trouble` is called with why none can be had. Times are monotonic."""

    def __init__(self, process: RunnerProcess, trouble: Callable[[str], None]) -> None:
        self._process = process
        self._trouble = trouble
        self._connect_by: float | None = None
        self._pause = 0.0
        self._start_at = 0.0
        self._look = _LOOK

    def connected(self) -> None:
        """A runner is there."""
        self._connect_by = None

    def well(self) -> None:
        """And it is one to work with."""
        self._pause = self._start_at = 0.0

    def lost(self) -> None:
        """It is gone."""
        self._look = _LOOK

    def look(self, now: float) -> float:
        """While none is connected: see what can be done about it. Gives when to look again."""
        if self._process.alive():
            again = now + self._look
            self._look = min(2 * self._look, _SELDOM)
            if self._connect_by is None:
                self._connect_by = now + CONNECT_TIMEOUT
            elif now > self._connect_by:
                self._process.kill()
                self._connect_by = None
            return again
        if now < self._start_at:
            return self._start_at
        self._look = _LOOK
        if self._pause > 0:
            self._trouble(f"the runner does not start; {self._process.log} says why")
        self._pause = min(self._pause * 2 or 0.1, _LONGEST_PAUSE)
        self._start_at = now + self._pause
        self._connect_by = now + CONNECT_TIMEOUT
        try:
            self._process.start()
        except AirloomError as error:
            self._trouble(str(error))
        return now + self._look
