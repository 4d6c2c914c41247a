"""GET routes of task instances: lists, one with its tries, XComs."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import TypeAdapter

from airloom.api.access import By
from airloom.api.conditional import NOT_CHANGED, conditional
from airloom.api.paging import Cursor, Limit, RowNumber, decode_cursor, encode_cursor
from airloom.api.routes.parameters import NO_NUL, Id, MapIndex, RunName, visible
from airloom.api.schemas import runs
from airloom.api.schemas.base import Page
from airloom.model.errors import NotFound
from airloom.model.run import TIRow
from airloom.model.states import TIState
from airloom.operations import browsing
from airloom.operations.browsing import TICard
from airloom.store.ti_lists import TIChoice

router = APIRouter(tags=["tasks"])

States = Annotated[list[TIState], Query(description="Any of these.")]
#: in a cursor
MapNumber = Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 1)]
TaskName = Annotated[str, msgspec.Meta(pattern=NO_NUL)]

_TRIES = TypeAdapter(list[runs.Try])


@router.get("/task-instances", response_model=Page[runs.TaskInstance], responses=NOT_CHANGED)
def list_task_instances(
    request: Request,
    caller: By,
    state: States = [],  # noqa: B006
    dag_id: Id = None,
    task_id: Id = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Task instances of all dags, newest first. A page may be short, or empty, although `next` leads to more."""
    if dag_id is not None and not caller.sees(dag_id):
        raise NotFound(f"there is no dag {dag_id!r}")
    states = tuple(dict.fromkeys(state))
    choice = TIChoice(states=states, dag_id=dag_id, dag_ids=visible(caller), task_id=task_id)
    after = decode_cursor(cursor, tuple[RowNumber, TaskName, MapNumber])
    found, following = browsing.list_tis(caller.ops, choice, after, limit)
    return _page(request, found, following)


@router.get("/dags/{dag_id}/runs/{run_id}/tasks", response_model=Page[runs.TaskInstance], responses=NOT_CHANGED)
def list_tasks(
    request: Request,
    caller: By,
    name: RunName,
    state: States = [],  # noqa: B006
    task_id: Id = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """The task instances of a run, in the order of the dag's tasks and by map index."""
    after = decode_cursor(cursor, tuple[RowNumber, MapNumber])
    found, following = browsing.list_tis_of_run(caller.ops, name, tuple(state), task_id, after, limit)
    return _page(request, found, following)


@router.get("/dags/{dag_id}/runs/{run_id}/tasks/{task_id}", response_model=runs.TaskInstance, responses=NOT_CHANGED)
def get_task(request: Request, caller: By, name: RunName, task_id: str, map_index: MapIndex = -1) -> Response:
    """One task instance."""
    return conditional(request, ti_of(browsing.get_ti(caller.ops, name, task_id, map_index)))


@router.get("/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/tries", response_model=list[runs.Try], responses=NOT_CHANGED)
def list_tries(request: Request, caller: By, name: RunName, task_id: str, map_index: MapIndex = -1) -> Response:
    """The tries of a task instance, first to last."""
    _, _, tries = browsing.list_tries(caller.ops, name, task_id, map_index)
    return conditional(request, _TRIES.dump_json([runs.Try.model_validate(one) for one in tries]))


@router.get("/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/xcoms")
def list_xcoms(caller: By, name: RunName, task_id: str, map_index: MapIndex = -1) -> list[runs.XCom]:
    """The XComs of a task instance, without their values."""
    return [runs.XCom(key=key, size=size) for key, size in browsing.list_xcoms(caller.ops, name, task_id, map_index)]


@router.get("/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/xcoms/{key:path}")
def get_xcom(caller: By, name: RunName, task_id: str, key: str, map_index: MapIndex = -1) -> runs.XCom:
    """One XCom. Of a value above 1 MB the beginning is given."""
    size, data = browsing.get_xcom(caller.ops, name, task_id, map_index, key)
    return runs.XCom(key=key, size=size, value=data.decode("utf-8", "ignore"), truncated=size > len(data))


def ti_of(card: TICard) -> runs.TaskInstance:
    """A task instance as the API shows it."""
    ti, task = card.ti, card.task
    names = runs.TaskInstance.model_fields.keys() & set(TIRow.__struct_fields__) - {"run_id"}
    values = {name: getattr(ti, name) for name in names}
    if task is not None:
        values |= {name: getattr(task, name) for name in ("operator", "pool", "queue", "priority_weight")}
    note = None if card.note is None else runs.Note.model_validate(card.note)
    return runs.TaskInstance(**values, dag_id=card.dag_id, run_id=card.run_id, note=note)


def _page(request: Request, cards: list[TICard], following: object) -> Response:
    items = [ti_of(card) for card in cards]
    body = Page[runs.TaskInstance](items=items, next=None if following is None else encode_cursor(following))
    return conditional(request, body)
