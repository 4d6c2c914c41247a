"""What an API server has beside its requests: the hub of events, its row, its measurements, its look at the health."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool

from airloom.api.hub import Hub
from airloom.api.metrics import Requests
from airloom.api.state import Api
from airloom.api.turns import Turns
from airloom.model.errors import AirloomError
from airloom.model.processes import ApiState, ProcessKind
from airloom.model.report import TryKey
from airloom.operations.health import Examiner
from airloom.operations.ops import Ops
from airloom.operations.secret_key import fingerprints
from airloom.operations.try_logs import Seen, TryLog, look
from airloom.services.reporting import Reporting, Told
from airloom.services.service import Bell, Daemon

#: seconds that each thread has to end
_JOIN = 5.0
#: seconds between two looks at the logs that are followed
_LOOK = 0.1


class LogLooks:
    """Looks at the logs that are followed: all who do wait for the same look, however many they are."""

    def __init__(self, ops: Ops) -> None:
        self._ops = ops
        self._wanted: dict[TryKey, TryLog] = {}
        self._next: asyncio.Task[dict[TryKey, Seen]] | None = None

    async def at(self, log: TryLog) -> Seen | None:
        """How a log is in a moment; None if its try is gone, or the database is away."""
        self._wanted[log.key] = log
        if self._next is None:
            self._next = asyncio.create_task(self._look())
        # One who goes away does not take the look from the others.
        return (await asyncio.shield(self._next)).get(log.key)

    async def _look(self) -> dict[TryKey, Seen]:
        await asyncio.sleep(_LOOK)
        wanted, self._wanted, self._next = self._wanted, {}, None
        try:
            return await run_in_threadpool(look, self._ops, wanted.values())
        except AirloomError:
            return {}


class Live:
    """Of one server. It lives for as long as the application does: `lifespan`."""

    def __init__(self, api: Api) -> None:
        self.hub = Hub(api.ops.db, api.settings.core.home)
        self.examiner = Examiner(api.ops)
        self.requests = Requests()
        self.turns = Turns()
        #: logs that are being followed; changed in the event loop only
        self.log_streams = 0
        self.log_looks = LogLooks(api.ops)
        self._api = api
        self._presence = Reporting(api.ops.db, self._tell, time.time)
        self._reporting = Daemon(self._presence, Bell())

    @property
    def away(self) -> float:
        """For how many seconds this server has been without the database, as far as others can see."""
        return self._presence.away

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        """Begin, and end. Raises AirloomError when it cannot begin."""
        self.hub.start()
        self._reporting.start()
        try:
            yield
        finally:
            self.hub.close()
            self._reporting.stop()
            self.hub.join(_JOIN)
            self._reporting.join(_JOIN)
            self.examiner.close()

    def _tell(self, _inbox: int) -> Iterator[Told]:
        api = self._api
        state = ApiState(
            clients=self.hub.clients,
            address=api.address,
            listens=api.listens,
            outage=api.settings.api.outage,
            keys=fingerprints(api.ops.secrets()),
        )
        yield Told(kind=ProcessKind.API, state=state)


def live_of(request: Request) -> Live:
    """That of the server which a request came to."""
    live: Live = request.app.state.live
    return live


Lively = Annotated[Live, Depends(live_of)]


async def _in_turn(live: Lively) -> AsyncIterator[None]:
    async with live.turns.turn():
        yield


#: on routes that ask the scheduler; a client that reads its answer slowly has had its turn
in_turn = Depends(_in_turn, scope="function")
