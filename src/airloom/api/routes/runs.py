"""GET routes of runs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from airloom.api.access import By, Caller
from airloom.api.conditional import NOT_CHANGED, conditional
from airloom.api.paging import Cursor, Limit, RowNumber, decode_cursor, encode_cursor
from airloom.api.routes.parameters import NO_NUL, Id, seconds, visible
from airloom.api.schemas import runs
from airloom.api.schemas.base import Page
from airloom.model.errors import NotFound
from airloom.model.run import RunType
from airloom.model.states import RunState
from airloom.operations import browsing
from airloom.operations.browsing import RunCard
from airloom.store.run_lists import RunChoice

router = APIRouter(tags=["runs"])


@dataclass(frozen=True)
class Paging:
    """Which part of a list of runs is wanted, and with what."""

    limit: Limit = 50
    cursor: Cursor = None
    counts: Annotated[bool, Query(description="With the task instances of each run by state.")] = False


def _choice(
    state: Annotated[list[RunState], Query(description="Any of these.")] = [],  # noqa: B006
    run_type: RunType | None = None,
    run_id_prefix: Annotated[str, Query(max_length=250, pattern=NO_NUL, description="How the run id begins.")] = "",
    after: Annotated[datetime | None, Query(description="Due then or later (run_after).")] = None,
    before: Annotated[datetime | None, Query(description="Due before then.")] = None,
    order_by: Literal["-id", "id", "-run_after", "run_after"] = "-id",
) -> RunChoice:
    return RunChoice(
        states=tuple(dict.fromkeys(state)),
        run_type=run_type,
        prefix=run_id_prefix,
        after=seconds(after),
        before=seconds(before),
        by_time=order_by.endswith("run_after"),
        ascending=not order_by.startswith("-"),
    )


@router.get("/runs", response_model=Page[runs.Run], responses=NOT_CHANGED)
def list_all_runs(
    request: Request,
    caller: By,
    choice: Annotated[RunChoice, Depends(_choice)],
    options: Annotated[Paging, Depends()],
    dag_id: Id = None,
) -> Response:
    """Runs of all dags. A page may be short, or empty, although `next` leads to more."""
    return _page(request, caller, msgspec.structs.replace(choice, dag_id=dag_id, dag_ids=visible(caller)), options)


@router.get("/dags/{dag_id}/runs", response_model=Page[runs.Run], responses=NOT_CHANGED)
def list_runs(
    request: Request,
    caller: By,
    dag_id: str,
    choice: Annotated[RunChoice, Depends(_choice)],
    options: Annotated[Paging, Depends()],
) -> Response:
    """Runs of a dag. A page may be short, or empty, although `next` leads to more."""
    return _page(request, caller, msgspec.structs.replace(choice, dag_id=dag_id), options)


@router.get("/dags/{dag_id}/runs/{run_id}", response_model=runs.Run, responses=NOT_CHANGED)
def get_run(request: Request, caller: By, dag_id: str, run_id: str) -> Response:
    """A run with its counts and its note. `run_id` may be `latest`, or the beginning of one recent run's id."""
    return conditional(request, run_of(browsing.get_run(caller.ops, dag_id, run_id)))


def run_of(card: RunCard) -> runs.Run:
    """A run as the API shows it."""
    run = card.run
    renamed = ("version_id", "bundle_version")
    values = {name: getattr(run, name) for name in run.__struct_fields__ if name not in renamed}
    note = None if card.note is None else runs.Note.model_validate(card.note)
    return runs.Run.model_validate(
        {**values, "version": card.version, "commit": run.bundle_version, "counts": card.counts, "note": note}
    )


def _page(request: Request, caller: Caller, choice: RunChoice, options: Paging) -> Response:
    after = decode_cursor(options.cursor, tuple[float, RowNumber])
    if choice.dag_id is not None and not caller.sees(choice.dag_id):
        raise NotFound(f"there is no dag {choice.dag_id!r}")
    found, following = browsing.list_runs(caller.ops, choice, after, options.limit, counts=options.counts)
    body = Page[runs.Run](
        items=[run_of(card) for card in found], next=None if following is None else encode_cursor(following)
    )
    return conditional(request, body)
