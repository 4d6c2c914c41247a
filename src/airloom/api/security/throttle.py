"""Slows down who guesses passwords: after some wrong ones, each further one makes the wait twice as long."""

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from airloom.api.problems import Refused

#: Users and addresses that are remembered. Beyond that the one that was quiet for longest is forgotten.
_MOST = 10_000
#: seconds after which a wrong password is forgotten
_FORGOTTEN = 3600.0
#: logins at once
_TURNS = 8


@dataclass(frozen=True)
class _Limit:
    """free: wrong ones that cost nothing. longest: seconds of the longest wait."""

    free: int
    longest: float


# A stranger can make a user wait, but not for long; many users may share the address of a proxy.
_USER = _Limit(free=5, longest=30.0)
_ADDRESS = _Limit(free=20, longest=900.0)


@dataclass(frozen=True)
class _Count:
    wrong: int
    last: float


class Throttle:
    """The memory of one API process. Any thread may use it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(_TURNS)
        self._counts: OrderedDict[tuple[str, str], _Count] = OrderedDict()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One of the few logins that are worked on at once: however many come, there are threads left for the rest.

        Raises Refused when there are too many.
        """
        if not self._turns.acquire(blocking=False):
            detail = "very many log in at this moment: try again in a second"
            raise Refused(429, "Too many requests", detail, {"Retry-After": "1"})
        try:
            yield
        finally:
            self._turns.release()

    def attempt(self, username: str | None, address: str | None) -> None:
        """Count an attempt as a wrong one until `succeeded` says otherwise, so that many at once do not slip through.

        Raises Refused with the seconds to wait.
        """
        keys = _keys(username, address)
        with self._lock:
            wait = self._count(keys, self._clock())
        if wait > 0:
            seconds = int(wait) + 1
            raise Refused(
                429,
                "Too many requests",
                f"too many logins have failed: try again in {seconds} s",
                {"Retry-After": str(seconds)},
            )

    def succeeded(self, username: str | None, address: str | None) -> None:
        """Take the last attempt back. The user's count is over; the address's other wrong ones stay."""
        with self._lock:
            for key, limit in _keys(username, address):
                count = self._counts.pop(key, None)
                if count is not None and limit is _ADDRESS and count.wrong > 1:
                    self._counts[key] = replace(count, wrong=count.wrong - 1)

    def _count(self, keys: "_Keys", now: float) -> float:
        """Count an attempt, unless there is a time to wait: then return that."""
        wait = max((self._wait(key, limit, now) for key, limit in keys), default=0.0)
        if wait > 0:
            return wait
        for key, _ in keys:
            count = self._counts.pop(key, None)
            wrong = count.wrong if count is not None and now - count.last <= _FORGOTTEN else 0
            self._counts[key] = _Count(wrong + 1, now)
        while len(self._counts) > _MOST:
            self._counts.popitem(last=False)
        return 0.0

    def _wait(self, key: tuple[str, str], limit: _Limit, now: float) -> float:
        count = self._counts.get(key)
        if count is None or count.wrong < limit.free or now - count.last > _FORGOTTEN:
            return 0.0
        # The power is bounded: a float has no room for any.
        pause = min(limit.longest, 2.0 ** min(count.wrong - limit.free, 30))
        return count.last + pause - now


_Keys = list[tuple[tuple[str, str], _Limit]]


def _keys(username: str | None, address: str | None) -> _Keys:
    keys: _Keys = []
    if username is not None:
        keys.append((("user", username), _USER))
    if address is not None:
        keys.append((("address", _network(address)), _ADDRESS))
    return keys


def _network(address: str) -> str:
    """An address as it is counted: of IPv6 the part that a provider gives to one customer."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address
