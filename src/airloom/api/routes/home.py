"""The first page."""

from fastapi import APIRouter, Request, Response

from airloom.api.access import By
from airloom.api.conditional import NOT_CHANGED, conditional
from airloom.api.live import Lively
from airloom.api.routes.tasks import ti_of
from airloom.api.schemas import home
from airloom.operations.health import in_brief
from airloom.operations.overview import overview_of

router = APIRouter(tags=["home"])


@router.get("/home", response_model=home.Home, responses=NOT_CHANGED)
def get_home(request: Request, caller: By, live: Lively) -> Response:
    """What is to be known at a glance, of the dags that the caller sees."""
    found = overview_of(caller.ops, None if caller.sees_all else caller.sees)
    health = live.examiner.examine()
    body = home.Home(
        dags=found.dags,
        paused=found.paused,
        import_errors=found.import_errors,
        runs=found.runs,
        instances=found.instances,
        running=[ti_of(card) for card in found.running],
        failed=[home.DagRun.model_validate(run) for run in found.failed],
        waiting=[home.Waiting.model_validate(entry) for entry in found.waiting],
        ahead=[home.Planned.model_validate(entry) for entry in found.ahead],
        health=home.Health.model_validate(health if caller.sees_all else in_brief(health)),
    )
    return conditional(request, body)
