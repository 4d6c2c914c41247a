"""What an API server has beside its requests: the hub of events, its row, its measurements, its look at the health."""

import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

from fastapi import Depends, FastAPI, Request

from airloom.api.hub import Hub
from airloom.api.metrics import Requests
from airloom.api.state import Api
from airloom.api.turns import Turns
from airloom.model.processes import ApiState, ProcessKind
from airloom.operations.health import Examiner
from airloom.services.reporting import Reporting, Told
from airloom.services.service import Bell, Daemon

#: seconds that each thread has to end
_JOIN = 5.0


class Live:
    """Of one server. It lives for as long as the application does: `lifespan`."""

    def __init__(self, api: Api) -> None:
        self.hub = Hub(api.ops.db, api.settings.core.home)
        self.examiner = Examiner(api.ops)
        self.requests = Requests()
        self.turns = Turns()
        #: logs that are being followed; changed in the event loop only
        self.log_streams = 0
        self._address = api.address
        self._reporting = Daemon(Reporting(api.ops.db, self._tell, time.time), Bell())

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
        yield Told(kind=ProcessKind.API, state=ApiState(clients=self.hub.clients, address=self._address))


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
