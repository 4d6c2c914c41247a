"""GET routes of a dag's past: grid, durations, calendar; and the time line of a run."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import StringConstraints

from airloom.api.access import By
from airloom.api.conditional import NOT_CHANGED, conditional
from airloom.api.paging import Cursor, RowNumber, decode_cursor, encode_cursor
from airloom.api.routes.dags import groups_of
from airloom.api.routes.parameters import NO_NUL
from airloom.api.routes.plain import bar, moment
from airloom.api.schemas import dags, runs
from airloom.model.errors import InvalidRequest
from airloom.model.run import RunType
from airloom.model.states import RunState
from airloom.operations import history

router = APIRouter(tags=["history"])

_EPOCH = date(1970, 1, 1)
#: days that a calendar may have
_MOST_DAYS = 800

TaskId = Annotated[str, StringConstraints(max_length=250, pattern=NO_NUL)]
Columns = Annotated[int, Query(ge=1, le=365, description="How many runs at most.")]


@router.get("/dags/{dag_id}/grid", response_model=dags.Grid, responses=NOT_CHANGED)
def get_grid(
    request: Request,
    caller: By,
    dag_id: str,
    limit: Columns = 30,
    cursor: Cursor = None,
    run_type: RunType | None = None,
    state: Annotated[list[RunState], Query(description="Only runs in these states.")] = [],  # noqa: B006
) -> Response:
    """Runs by tasks, newest run first."""
    view = history.grid(caller.ops, dag_id, limit, decode_cursor(cursor, RowNumber), run_type, state)
    body = {
        "tasks": view.rows,
        "groups": groups_of(view.spec),
        "runs": [
            {
                **bar(column.run),
                "id": column.run.id,
                "version": column.version,
                "cells": column.cells,
                "mapped": column.mapped,
            }
            for column in view.columns
        ],
        "letters": history.LETTERS,
        "next": None if view.next is None else encode_cursor(view.next),
    }
    return conditional(request, msgspec.json.encode(body))


@router.get("/dags/{dag_id}/durations")
def get_durations(
    caller: By,
    dag_id: str,
    task_id: Annotated[list[TaskId], Query(max_length=50, description="Tasks whose times are wanted too.")] = [],  # noqa: B006
    limit: Columns = 50,
) -> dags.Durations:
    """How long the newest runs took, oldest first."""
    found, tasks = history.durations(caller.ops, dag_id, task_id, limit)
    return dags.Durations(
        runs=[dags.RunBar.model_validate(run) for run in found],
        seconds=[_between(run.started_at, run.ended_at) for run in found],
        queued=[_between(run.run_after, run.started_at) for run in found],
        tasks=tasks,
    )


@router.get("/dags/{dag_id}/calendar")
def get_calendar(
    caller: By,
    dag_id: str,
    start: Annotated[date | None, Query(alias="from", description="First day (UTC). Default: 180 days ago.")] = None,
    end: Annotated[date | None, Query(alias="to", description="Last day (UTC). Default: in 30 days.")] = None,
) -> dags.Calendar:
    """The runs of each day, by state, and those that the schedule will make (the first 1,000 ahead)."""
    today = datetime.fromtimestamp(caller.ops.now(), UTC).date()
    first = start or _later(end or today, -180)
    last = end or _later(max(first, today), 30)
    length = (last - first).days + 1
    if not 1 <= length <= _MOST_DAYS:
        raise InvalidRequest(f"the days from {first} to {last} are {max(length, 0)}: ask for 1 to {_MOST_DAYS}")
    begin = (first - _EPOCH).days
    found = history.calendar(caller.ops, dag_id, begin * 86400.0, (begin + length) * 86400.0)
    days = [
        dags.CalendarDay(day=str(_EPOCH + timedelta(days=day)), counts=counts, planned=planned)
        for day, counts, planned in found
    ]
    return dags.Calendar(days=days)


def _later(day: date, days: int) -> date:
    """The day so many days after, or the last or first one that there is."""
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return date.max if days > 0 else date.min


@router.get("/dags/{dag_id}/runs/{run_id}/gantt", response_model=runs.Gantt, responses=NOT_CHANGED)
def get_gantt(request: Request, caller: By, dag_id: str, run_id: str) -> Response:
    """When the tries of a run ran, and its critical path."""
    view = history.gantt(caller.ops, dag_id, run_id)
    body = {
        "bars": [
            {
                "task_id": one.task_id,
                "map_index": one.map_index,
                "try_number": one.try_number,
                "state": one.state,
                "queued_at": moment(one.queued_at),
                "started_at": moment(one.started_at),
                "ended_at": moment(one.ended_at),
            }
            for one in view.bars
        ],
        "critical_path": [task if index < 0 else f"{task}[{index}]" for task, index in view.path],
        "truncated": view.truncated,
    }
    return conditional(request, msgspec.json.encode(body))


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else max(0.0, end - start)
