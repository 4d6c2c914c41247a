"""GET routes of dags: the list, tags, one dag, its versions, code and structure, import errors."""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from airloom.api.access import By, Caller
from airloom.api.conditional import NOT_CHANGED, conditional
from airloom.api.paging import Cursor, Limit, decode_cursor, encode_cursor
from airloom.api.routes.parameters import Number
from airloom.api.routes.plain import bar, moment
from airloom.api.schemas import admin, dags
from airloom.api.schemas.base import Page
from airloom.model.access import Role
from airloom.model.spec import DagSpec, schedule_text
from airloom.model.states import RunState
from airloom.operations import dag_lists
from airloom.operations.dag_lists import DagCard, DagChoice
from airloom.store.dag_lists import VersionHead

router = APIRouter(tags=["dags"])

#: in a cursor
_VERSION: Any = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


def _choice(
    search: Annotated[str, Query(max_length=250, description="Words in id, name, description or tags.")] = "",
    tag: Annotated[list[str], Query(max_length=50, description="Dags that have all of these.")] = [],  # noqa: B006
    paused: bool | None = None,
    active: Annotated[bool | None, Query(description="true: only those whose file still defines them.")] = None,
    last_run_state: Annotated[list[RunState], Query(description="States of the newest run.")] = [],  # noqa: B006
    order_by: Literal["dag_id", "-last_run", "next_run"] = "dag_id",
) -> DagChoice:
    return DagChoice(
        search=search,
        tags=tuple(tag),
        paused=paused,
        active=active,
        last_run_state=tuple(last_run_state),
        order=order_by,
    )


@router.get("/dags", response_model=Page[dags.Dag], responses=NOT_CHANGED)
def list_dags(
    request: Request,
    caller: By,
    choice: Annotated[DagChoice, Depends(_choice)],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Dags with their newest runs and their next one."""
    part = dag_lists.list_dags(caller.ops, choice, caller.sees, decode_cursor(cursor, tuple[float, str]), limit)
    following = None if part.next is None else encode_cursor(part.next)
    body = {"items": [_fields(card, caller) for card in part.cards], "next": following}
    return conditional(request, msgspec.json.encode(body))


@router.get("/tags")
def list_tags(caller: By) -> list[dags.Tag]:
    """The tags of active dags."""
    return [dags.Tag(name=name, dags=count) for name, count in dag_lists.list_tags(caller.ops, caller.sees)]


@router.get("/dags/{dag_id}", response_model=dags.DagDetails, responses=NOT_CHANGED)
def get_dag(request: Request, caller: By, dag_id: str) -> Response:
    """Everything about a dag but its tasks."""
    card = dag_lists.get_dag(caller.ops, dag_id)
    spec = card.spec
    names = ("doc", "params", "start_date", "end_date", "catchup", "max_active_runs", "max_active_tasks")
    values = {name: getattr(spec, name) for name in names}
    values |= {name: getattr(card.head, name) for name in ("first_seen", "file_hash")}
    return conditional(request, dags.DagDetails.model_validate({**_fields(card, caller), **values}))


@router.get("/dags/{dag_id}/versions")
def list_versions(caller: By, dag_id: str, limit: Limit = 50, cursor: Cursor = None) -> Page[dags.Version]:
    """The versions of a dag, newest first."""
    found, following = dag_lists.list_versions(caller.ops, dag_id, decode_cursor(cursor, _VERSION), limit)
    return Page(
        items=[_version(head, tasks) for head, tasks in found],
        next=None if following is None else encode_cursor(following),
    )


@router.get("/dags/{dag_id}/versions/{number}/code")
def get_code(caller: By, dag_id: str, number: Number) -> dags.Code:
    """The DAG file of a version."""
    head, source = dag_lists.get_code(caller.ops, dag_id, number)
    return dags.Code(version=head.number, rel_path=head.rel_path, file_hash=head.file_hash, source=source)


@router.get("/dags/{dag_id}/structure", response_model=dags.Structure, responses=NOT_CHANGED)
def get_structure(
    request: Request,
    caller: By,
    dag_id: str,
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Default: the current one.")] = None,
) -> Response:
    """The graph of a version."""
    number, spec = dag_lists.get_structure(caller.ops, dag_id, version)
    return conditional(request, msgspec.json.encode(_structure(number, spec)))


@router.get("/import-errors")
def list_import_errors(caller: By) -> list[admin.ImportError_]:
    """What is wrong with DAG files now."""
    found = dag_lists.import_errors(caller.ops, None if caller.sees_all else caller.sees)
    return [admin.ImportError_.model_validate(error) for error in found]


def _fields(card: DagCard, caller: Caller) -> dict[str, Any]:
    """dags.Dag, as plain data."""
    head, spec = card.head, card.spec
    return {
        "dag_id": head.dag_id,
        "display_name": spec.display_name,
        "description": spec.description,
        "tags": list(spec.tags),
        "owner": spec.owner,
        "bundle": head.bundle,
        "rel_path": head.rel_path,
        "version": head.version,
        "paused": head.paused,
        "active": head.active,
        "schedule": schedule_text(spec.schedule),
        "timezone": spec.timezone,
        "next_run_after": moment(card.next_run_after),
        "task_count": card.task_count,
        "has_import_errors": card.has_import_errors,
        "last_runs": [bar(run) for run in card.last_runs],
        "can_edit": caller.may(Role.EDITOR, head.dag_id),
    }


def _version(head: VersionHead, tasks: int) -> dags.Version:
    names = dags.Version.model_fields.keys() - {"task_count"}
    return dags.Version.model_validate({**{name: getattr(head, name) for name in names}, "task_count": tasks})


_OF_TASK = tuple(dags.TaskNode.model_fields.keys() - {"mapped"})
_OF_GROUP = tuple(dags.GroupNode.model_fields)


def _structure(number: int, spec: DagSpec) -> dict[str, Any]:
    """dags.Structure, as plain data: there may be 10,000 tasks."""
    return {
        "version": number,
        "tasks": [
            {**{name: getattr(task, name) for name in _OF_TASK}, "mapped": task.map is not None} for task in spec.tasks
        ],
        "groups": groups_of(spec),
        "edge_labels": spec.edge_labels,
    }


def groups_of(spec: DagSpec) -> list[dict[str, Any]]:
    """The task groups of a version, each a dags.GroupNode as plain data."""
    return [{name: getattr(group, name) for name in _OF_GROUP} for group in spec.groups]
