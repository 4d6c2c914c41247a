"""Why a task instance is not running."""

from typing import Annotated

from fastapi import APIRouter, Query

from airloom.api.access import By
from airloom.api.schemas.runs import Explanation
from airloom.api.state import Served
from airloom.operations import explain

router = APIRouter(tags=["explain"])


@router.get("/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/explain", response_model=list[Explanation])
def explain_task(
    dag_id: str,
    run_id: str,
    task_id: str,
    api: Served,
    caller: By,
    map_index: Annotated[int | None, Query(ge=-1, description="Which instance; without it, the first 50.")] = None,
) -> list[Explanation]:
    """Everything that holds each instance of a task in a run, in words."""
    found = explain.explain(caller.ops, dag_id, run_id, task_id, map_index, config=api.world_config)
    return [Explanation.model_validate(one) for one in found]
