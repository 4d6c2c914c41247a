"""Why a task instance is not running."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query

from airloom.api.access import By, Caller, dag_is_there
from airloom.api.live import in_turn
from airloom.api.schemas.runs import Explanation
from airloom.api.state import Served
from airloom.model.reasons import Reason, ReasonKind
from airloom.operations import explain

router = APIRouter(tags=["explain"], dependencies=[dag_is_there, in_turn])

#: what tasks of several dags share; its holders are named "dag / run / task"
_SHARED = {ReasonKind.POOL, ReasonKind.PARALLELISM, ReasonKind.CAPACITY}


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
    return [
        Explanation.model_validate(msgspec.structs.replace(one, reasons=tuple(_told(caller, it) for it in one.reasons)))
        for one in found
    ]


def _told(caller: Caller, reason: Reason) -> Reason:
    """A reason without the names of dags that the caller may not know of."""
    if reason.kind not in _SHARED or caller.sees_all:
        return reason
    holders = (name if caller.sees(name.partition(" / ")[0]) else "a task of another dag" for name in reason.holders)
    return msgspec.structs.replace(reason, holders=tuple(holders))
