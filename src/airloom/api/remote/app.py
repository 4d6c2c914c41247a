"""Puts the task API together: an application of its own, served beside the public one or at a port of its own."""

from fastapi import FastAPI

from airloom.api.state import Api

PREFIX = "/task-api/v1"


def make_task_app(api: Api) -> FastAPI:
    """The ASGI application that runners talk to."""
    app = FastAPI(title="Airloom task API", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.api = api
    return app
