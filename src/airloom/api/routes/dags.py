"""GET routes of dags: the list, tags, one dag, its versions, code and structure, import errors."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from airloom.api.access import By, Caller
from airloom.api.conditional import conditional
from airloom.api.paging import Cursor, Limit, decode_cursor, encode_cursor
from airloom.api.schemas import admin, dags
from airloom.api.schemas.base import Page
from airloom.model.access import Role
from airloom.model.spec import DagSpec, GroupSpec, TaskSpec
from airloom.model.states import RunState
from airloom.operations import dag_lists
from airloom.operations.dag_lists import DagCard, DagChoice

router = APIRouter(tags=["dags"])

DagOrder = Literal["dag_id", "-last_run", "next_run"]


@router.get("/dags", response_model=Page[dags.Dag])
def list_dags(
    request: Request,
    caller: By,
    choice: Annotated[dags.DagFilter, Query()],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Dags with their newest runs and their next one."""
    wanted = DagChoice(
        search=choice.search,
        tags=tuple(choice.tag),
        paused=choice.paused,
        active=choice.active,
        last_run_state=tuple(choice.last_run_state),
        order=choice.order_by,
    )
    after = decode_cursor(cursor, tuple[float, str])
    part = dag_lists.list_dags(caller.ops, wanted, caller.sees, after, limit)
    following = None if part.next is None else encode_cursor(part.next)
    return conditional(request, Page(items=[dag_of(card, caller) for card in part.cards], next=following))
