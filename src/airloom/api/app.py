"""Puts the API together: routers, authorisation, errors."""

import contextlib
import importlib.metadata
from collections.abc import AsyncIterator

from fastapi import APIRouter, FastAPI

from airloom.api import problems
from airloom.api.access import authorise
from airloom.api.hub import Hub
from airloom.api.routes import (
    actions,
    audit,
    connections,
    events,
    explain,
    notes,
    pools,
    queues,
    session,
    tokens,
    users,
    variables,
)
from airloom.api.security.known import Guards
from airloom.api.state import Api

PREFIX = "/api/v1"
#: seconds that the thread that follows the feed has to end
_JOIN = 5.0

#: the routers of the public API
ROUTERS: tuple[APIRouter, ...] = (
    events.router,
    session.router,
    users.router,
    tokens.router,
    audit.router,
    actions.router,
    notes.router,
    explain.router,
    pools.router,
    queues.router,
    variables.router,
    connections.router,
)


def make_app(api: Api) -> FastAPI:
    """The ASGI application of one API server."""
    hub = Hub(api.ops.db, api.settings.core.home)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        hub.start()
        yield
        hub.close()
        hub.join(_JOIN)

    app = FastAPI(
        title="Airloom",
        version=importlib.metadata.version("airloom"),
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
        generate_unique_id_function=lambda route: route.name,
        lifespan=lifespan,
    )
    app.state.api = api
    app.state.guards = Guards()
    app.state.hub = hub
    problems.install(app)
    public = APIRouter(prefix=PREFIX, dependencies=[authorise], responses=problems.RESPONSES)
    for router in ROUTERS:
        public.include_router(router)
    app.include_router(public)
    return app
