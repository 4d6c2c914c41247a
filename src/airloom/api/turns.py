"""Requests that wait for the scheduler's answer: a few at a time, so that there are always threads for the others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from airloom.api.problems import Refused

#: of the 40 threads in which routes run, those that may wait for the scheduler at once
_TURNS = 16
#: seconds that a request waits for its turn: as long as no scheduler answers, turns take many seconds
_PATIENCE = 5.0


class Turns:
    """For the event loop of one server. Who waits for a turn takes no thread."""

    def __init__(self, turns: int = _TURNS, patience: float = _PATIENCE) -> None:
        self._free = asyncio.Semaphore(turns)
        self._patience = patience

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One of the turns. Raises Refused when none comes free in time."""
        try:
            async with asyncio.timeout(self._patience):
                await self._free.acquire()
        except TimeoutError:
            raise Refused(
                503,
                "No scheduler answered",
                "very many requests wait for the scheduler already, and nothing was done for this one: try again later",
                {"Retry-After": "5"},
            ) from None
        try:
            yield
        finally:
            self._free.release()
