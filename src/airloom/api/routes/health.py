"""Whether Airloom works, for load balancers and people; and its metrics."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from airloom.api.live import Live, Lively
from airloom.api.metrics import exposition
from airloom.api.problems import Refused
from airloom.api.schemas import home
from airloom.api.security.authentication import CHALLENGE, authenticate
from airloom.api.state import Served
from airloom.model.access import Identity
from airloom.operations import dag_lists
from airloom.operations.health import DOWN, in_brief, read

router = APIRouter(tags=["health"])
#: beside /api/v1, where such programs look for them
outside = APIRouter()

_DOWN: dict[int | str, dict[str, Any]] = {503: {"model": home.Health, "description": "What is needed does not work"}}


@router.get("/health", response_model=home.Health, responses=_DOWN)
def get_health(live: Lively) -> Response:
    """Whether the kinds of parts work. 503: the database does not answer, or no scheduler leads."""
    return _health(live)


@outside.get("/health", include_in_schema=False)
def health(live: Lively) -> Response:
    """The same."""
    return _health(live)


def _health(live: Live) -> Response:
    found = live.examiner.examine()
    body = home.Health.model_validate(in_brief(found))
    status = 503 if found.status == DOWN else 200
    return JSONResponse(body.model_dump(mode="json"), status, headers={"Cache-Control": "no-store"})


@outside.get("/metrics", include_in_schema=False)
def metrics(api: Served, live: Lively, identity: Annotated[Identity | None, Depends(authenticate)]) -> Response:
    """The metrics of the whole, and of this server's requests."""
    if not api.settings.api.public_metrics:
        if identity is None:
            detail = "metrics need the API token of a user who sees all dags, or [api] public_metrics"
            raise Refused(401, "Nobody is logged in", detail, CHALLENGE)
        if identity.everywhere is None:
            raise Refused(403, "Not allowed", "this needs the role viewer; ask an administrator for it")
    known = read(api.ops)
    errors = len(dag_lists.import_errors(api.ops, None))
    text = exposition(live.requests, known, errors, live.hub.clients, api.now())
    return Response(text, media_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})
