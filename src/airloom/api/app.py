"""Puts the API together: routers, authorisation, errors."""

import importlib
import importlib.metadata

from fastapi import APIRouter, FastAPI

from airloom.api import problems
from airloom.api.access import authorise
from airloom.api.live import Live
from airloom.api.metrics import Measured
from airloom.api.routes import (
    actions,
    audit,
    connections,
    dags,
    events,
    explain,
    health,
    history,
    home,
    logs,
    notes,
    oidc,
    pools,
    queues,
    runs,
    session,
    tasks,
    tokens,
    users,
    variables,
    workers,
)
from airloom.api.security.gate import Gate
from airloom.api.security.headers import SecureHeaders
from airloom.api.security.known import Guards
from airloom.api.security.provider import Provider
from airloom.api.state import Api
from airloom.api.static import Pages
from airloom.sections import OidcSection

PREFIX = "/api/v1"

#: the routers of the public API
ROUTERS: tuple[APIRouter, ...] = (
    events.router,
    home.router,
    health.router,
    workers.router,
    session.router,
    oidc.router,
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
    dags.router,
    runs.router,
    tasks.router,
    history.router,
    logs.router,
)


def make_app(api: Api) -> FastAPI:
    """The ASGI application of one API server."""
    live = Live(api)
    app = FastAPI(
        title="Airloom",
        version=importlib.metadata.version("airloom"),
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
        generate_unique_id_function=lambda route: route.name,
        lifespan=live.lifespan,
    )
    app.state.api = api
    app.state.guards = Guards(provider=_provider(api.settings.oidc))
    app.state.live = live
    problems.install(app)
    problems.document(app)
    public = APIRouter(prefix=PREFIX, dependencies=[authorise], responses=problems.RESPONSES)
    for router in ROUTERS:
        public.include_router(router)
    app.include_router(public)
    app.include_router(health.outside)
    app.router.default = Pages(app.router.not_found)
    # Around all else, so that answers about defects are guarded too.
    guarded = SecureHeaders(Gate(app.build_middleware_stack(), api.settings), api.settings)
    app.middleware_stack = Measured(guarded, live.requests)
    return app


def _provider(section: OidcSection) -> Provider | None:
    """The provider that the settings name, if they name one."""
    if not section.issuer:
        return None
    # An HTTP client and signatures take 7 MB that most installations have no use for.
    provider: Provider = importlib.import_module("airloom.api.security.oidc").OpenIdProvider(section)
    return provider
