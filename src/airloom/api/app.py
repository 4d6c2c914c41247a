"""Puts the API together: routers, authorisation, errors."""

import importlib.metadata

from fastapi import APIRouter, FastAPI

from airloom.api import problems
from airloom.api.access import authorise
from airloom.api.state import Api

PREFIX = "/api/v1"

#: the routers of the public API
ROUTERS: tuple[APIRouter, ...] = ()


def make_app(api: Api) -> FastAPI:
    """The ASGI application of one API server."""
    app = FastAPI(
        title="Airloom",
        version=importlib.metadata.version("airloom"),
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.api = api
    problems.install(app)
    public = APIRouter(prefix=PREFIX, dependencies=[authorise], responses=problems.RESPONSES)
    for router in ROUTERS:
        public.include_router(router)
    app.include_router(public)
    return app
