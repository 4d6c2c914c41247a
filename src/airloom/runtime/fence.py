"""When a runner that is out of touch ends its tries itself, so that none goes on when the server runs it again."""

import time

#: of the lease: how long the server may be out of reach, and how long the tries then have to end. What is left is for
#: a heartbeat that the server has heard and whose answer was lost, and for a machine that is slow
_PATIENCE, _GRACE = 0.75, 0.125


def now() -> float:
    """Seconds of a clock that nobody sets, and that goes on while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class Fence:
    """Watches the contact with the server. Other threads tell `contact` and `trouble`; times are those of `now`.

    The server takes a try for lost when it has not heard of its runner for `lease` seconds. What counts here is when a
    heartbeat was sent that has renewed the lease, as its answer says: the server has heard it then, or later.
    """

    def __init__(self, lease: float, start: float) -> None:
        self._contact = start
        self._closed_at: float | None = None
        self.patience = lease * _PATIENCE
        #: what keeps the server from being reached, in words; "" while nothing is known to
        self.trouble = ""
        self.grace = lease * _GRACE

    def contact(self, sent: float) -> None:
        """What was sent then has renewed the lease; or the answer was that no lease has run by then, for the server has
        no database and whoever looks has seen that: after that everybody has a fresh period."""
        self._contact = max(self._contact, sent)

    def closes(self, at: float) -> bool:
        """Whether the tries are to be ended now: once for each time that the server is out of reach."""
        contact = self._contact
        if at - contact < self.patience or self._closed_at == contact:
            return False
        self._closed_at = contact
        return True
