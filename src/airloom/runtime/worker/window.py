"""How many messages a worker may hold that it has not run yet: none waits here while another worker is idle.

Pure: the clock is an argument.
"""

from collections import deque
from typing import NamedTuple

from airloom.model.report import TryKey

#: seconds that a message may wait here for a slot
PATIENCE = 0.1
#: seconds of work that a worker may have ahead, and over how many seconds its pace is taken
_AHEAD, _LOOK_BACK = 0.1, 0.25
#: seconds that a try may be in hand to count as short
_SHORT = 1.0


class Wish(NamedTuple):
    """prefetch: messages that the broker may have given us without an answer; 0: we take none. give_back: those that
    wait are to go back to the broker. again: when to ask again, if nothing happens until then."""

    prefetch: int
    give_back: bool
    again: float | None


class Window:
    """Follows the free slots: at once when there are more, and when there are fewer, once messages would wait for them.

    at_once: to change it costs nothing at this broker, so it follows downwards at once as well.
    """

    def __init__(self, at_once: bool) -> None:
        self._at_once = at_once
        self._prefetch = 0
        #: since when there has been no room
        self._full_since: float | None = None

    def reset(self) -> None:
        """Nothing is taken from a broker that has just been connected."""
        self._prefetch = 0
        self._full_since = None

    def decide(self, now: float, room: int, waiting_since: float | None) -> Wish:
        """room: slots that no claimed try has, 0 when nothing is taken at all. waiting_since: when the first of the
        messages came that wait for a slot."""
        if room > 0:
            self._full_since = None
        elif self._full_since is None:
            self._full_since = now
        since = [moment for moment in (waiting_since, self._full_since) if moment is not None]
        patient_until = min(since) + PATIENCE if since else None
        out_of_patience = patient_until is not None and now >= patient_until
        if room > self._prefetch or self._at_once or out_of_patience:
            self._prefetch = room
        give_back = out_of_patience and waiting_since is not None
        at_rest = out_of_patience or (waiting_since is None and self._prefetch == 0)
        return Wish(self._prefetch, give_back, None if at_rest else patient_until)


class Pace:
    """How many tries to have beside those that run: as many as will have had their turn within a moment, if it goes on
    as it went. Short tries share requests and commits so; long ones wait at the broker for whoever is free first."""

    def __init__(self) -> None:
        #: when the tries in hand came, and when those that were short have ended
        self._began: dict[TryKey, float] = {}
        self._ends: deque[float] = deque()

    def began(self, key: TryKey, now: float) -> None:
        """A try has come into hand."""
        self._began[key] = now

    def ended(self, key: TryKey, now: float) -> None:
        """It has ended. That many long ones end together does not mean that the next ones are short."""
        if now - self._began.pop(key, -_SHORT) < _SHORT:
            self._ends.append(now)

    def left(self, key: TryKey) -> None:
        """It is out of hand without an end: that it was handed back at once does not mean that it is short."""
        self._began.pop(key, None)

    def reset(self) -> None:
        """All that was in hand is gone."""
        self._began.clear()

    def ahead(self, now: float) -> int:
        """So many."""
        while self._ends and self._ends[0] < now - _LOOK_BACK:
            self._ends.popleft()
        return int(len(self._ends) * _AHEAD / _LOOK_BACK)
