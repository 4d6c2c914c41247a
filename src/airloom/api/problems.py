"""Errors as the API tells them: application/problem+json (RFC 9457), one sentence that says what to do."""

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from airloom.api.schemas.base import Problem
from airloom.api.schemas.home import Changes
from airloom.model.errors import (
    AirloomError,
    Conflict,
    InvalidRequest,
    LogsAway,
    NoAnswer,
    NotFound,
    Rejected,
    StoreError,
)

log = logging.getLogger("airloom.api")

MEDIA_TYPE = "application/problem+json"


class Refused(AirloomError):
    """A request that is refused for a reason of the API's own, with its HTTP status."""

    def __init__(self, status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.headers = headers or {}


#: the first that fits counts
_STATUSES: tuple[tuple[type[AirloomError], int, str], ...] = (
    (NotFound, 404, "Not found"),
    (Conflict, 409, "Conflict"),
    (InvalidRequest, 422, "Invalid request"),
    (NoAnswer, 503, "No scheduler answered"),
    # What was sent is at fault, such as a text that holds a NUL, which PostgreSQL cannot store.
    (Rejected, 422, "Invalid request"),
    (LogsAway, 503, "The log cannot be read"),
    (StoreError, 503, "The database does not answer"),
)

#: what any route may answer, for the OpenAPI document
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": title, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for status, title in (
        (400, "The request cannot be read"),
        (401, "Nobody is logged in"),
        (403, "Not allowed"),
        (404, "Not found"),
        (409, "Conflict"),
        (413, "Too large"),
        (422, "Invalid request"),
        (429, "Too many requests"),
        (503, "The database or the scheduler does not answer"),
    )
}


def problem(status: int, title: str, detail: str, **more: Any) -> JSONResponse:
    """The answer that says what is wrong."""
    headers = more.pop("headers", None)
    body = Problem(type="about:blank", title=title, status=status, detail=detail, **more)
    return JSONResponse(
        body.model_dump(mode="json", exclude_none=True), status_code=status, headers=headers, media_type=MEDIA_TYPE
    )


def _of_airloom(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, Refused):
        return problem(error.status, error.title, str(error), headers=error.headers)
    for kind, status, title in _STATUSES:
        if isinstance(error, kind):
            return problem(status, title, str(error), headers={"Retry-After": "5"} if status == 503 else None)
    return problem(422, "Invalid request", str(error))


def _of_validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"where": ".".join(str(part) for part in entry["loc"]), "text": str(entry["msg"])} for entry in error.errors()
    ]
    first = f"{errors[0]['where']}: {errors[0]['text']}" if errors else "the request does not fit"
    return problem(422, "Invalid request", first, errors=errors)


def _of_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), str(error.detail), headers=dict(error.headers or {}))


def _of_defect(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(500, "A fault in Airloom", "This is a fault in Airloom; its log says more. Nothing was changed.")


def install(app: Starlette) -> None:
    """Have every error told as a problem."""
    app.add_exception_handler(AirloomError, _of_airloom)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_defect)


def document(app: FastAPI) -> None:
    """Have the OpenAPI document hold the schemas that are named in it, and that no route gives as plain JSON."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        written = made()
        for model in (Problem, Changes):
            written["components"]["schemas"].setdefault(model.__name__, model.model_json_schema())
        return written

    app.openapi = openapi  # type: ignore[method-assign]
