"""Lists of runs: filtered, in pages that go on behind a place, each statement along one index.

A filter that no index knows is applied to a bounded stretch of the index, so that no request reads a whole table: such
a page may be short although there is more behind it.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, select, text, tuple_

from airloom.model.run import RunRow, RunType
from airloom.model.states import RUN_FINISHED, RunState
from airloom.store.merging import merge
from airloom.store.rows import to_structs
from airloom.store.tables import RUN_IS_FAILED, RUN_IS_LIVE, dag_run

#: rows that one request looks at for a filter without an index: some tens of milliseconds
STRETCH = 20_000
#: dags that are read one by one, and merged: their runs may be far apart among those of others
_FEW = 30

#: where a list goes on: the sorted value and the number of the last run
Place = tuple[float, int]

_LIVE = dag_run.alias("live")


class RunChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs are wanted; None or empty: any. dag_ids: the only dags that may be shown. after, before: of run_after,
    in seconds since the epoch. by_time: sorted by run_after, otherwise by number; `ascending`: oldest first."""

    dag_id: str | None = None
    dag_ids: tuple[str, ...] | None = None
    states: tuple[RunState, ...] = ()
    run_type: RunType | None = None
    prefix: str = ""
    after: float | None = None
    before: float | None = None
    by_time: bool = False
    ascending: bool = False


def list_runs(
    conn: Connection, choice: RunChoice, after: Place | None, limit: int, stretch: int = STRETCH
) -> tuple[list[RunRow], Place | None]:
    """Runs from behind the place `after` on, and the place of the last one if there may be more."""
    if choice.dag_id is not None or choice.dag_ids is None or len(choice.dag_ids) > _FEW:
        return _list_runs(conn, choice, after, limit, stretch)
    each = stretch // max(1, len(choice.dag_ids))
    parts = [
        _list_runs(conn, msgspec.structs.replace(choice, dag_id=dag_id), after, limit, each)
        for dag_id in choice.dag_ids
    ]
    return merge(parts, lambda run: place_of(choice, run), limit, ascending=choice.ascending)


def place_of(choice: RunChoice, run: RunRow) -> Place:
    """Where a run is in the list."""
    return run.run_after if choice.by_time else run.id, run.id


def _list_runs(
    conn: Connection, choice: RunChoice, after: Place | None, limit: int, stretch: int
) -> tuple[list[RunRow], Place | None]:
    floor = None
    if _unindexed(choice):
        found = conn.execute(stretch_query(choice, after, stretch)).one_or_none()
        floor = None if found is None else (found[0], found[1])
    runs = to_structs(RunRow, conn.execute(runs_query(choice, after, floor, limit + 1)))
    if len(runs) > limit:
        return runs[:limit], place_of(choice, runs[limit - 1])
    return runs, floor


def runs_query(choice: RunChoice, after: Place | None, floor: Place | None, limit: int) -> Select[Any]:
    """The statement that reads a page."""
    query = select(dag_run).where(*_along(choice, after), *_unindexed(choice))
    if floor is not None:
        query = query.where(_beyond(choice, floor, inclusive=True))
    return query.order_by(*_order(choice)).limit(limit)


def stretch_query(choice: RunChoice, after: Place | None, length: int) -> Select[Any]:
    """The statement that finds the end of a stretch of the index; no row: it ends with the index."""
    columns = (dag_run.c.run_after if choice.by_time else dag_run.c.id, dag_run.c.id)
    query = select(columns[0].label("value"), columns[1].label("number")).where(*_along(choice, after))
    return query.order_by(*_order(choice)).limit(1).offset(length - 1)


def _order(choice: RunChoice) -> list[ColumnElement[Any]]:
    columns: list[ColumnElement[Any]] = [dag_run.c.run_after, dag_run.c.id] if choice.by_time else [dag_run.c.id]
    return columns if choice.ascending else [column.desc() for column in columns]


def _beyond(choice: RunChoice, place: Place, *, inclusive: bool = False) -> ColumnElement[bool]:
    """Before that place in the list (with it, if `inclusive`), or behind it."""
    value, number = place
    left: Any = tuple_(dag_run.c.run_after, dag_run.c.id) if choice.by_time else dag_run.c.id
    right: Any = tuple_(value, number) if choice.by_time else number
    found: ColumnElement[bool]
    if inclusive:
        found = left <= right if choice.ascending else left >= right
    else:
        found = left > right if choice.ascending else left < right
    return found


def _along(choice: RunChoice, after: Place | None) -> Sequence[ColumnElement[bool]]:
    """What the index that the list is read along knows."""
    where: list[Any] = []
    states = set(choice.states)
    if choice.dag_id is not None:
        where.append(dag_run.c.dag_id == choice.dag_id)
    # Written out, not bound: a partial index serves only what it can be proved to hold.
    if states and not states & RUN_FINISHED:
        where.append(dag_run.c.id.in_(select(_LIVE.c.id).where(text(f"live.{RUN_IS_LIVE}"))))
    elif states == {RunState.FAILED} and choice.dag_id is None and not choice.by_time:
        where.append(text(RUN_IS_FAILED))
    if choice.by_time and choice.after is not None:
        where.append(dag_run.c.run_after >= choice.after)
    if choice.by_time and choice.before is not None:
        where.append(dag_run.c.run_after < choice.before)
    if after is not None:
        where.append(_beyond(choice, after))
    return where


def _unindexed(choice: RunChoice) -> list[ColumnElement[bool]]:
    """What has to be looked for row by row."""
    where: list[ColumnElement[bool]] = []
    if choice.states:
        where.append(dag_run.c.state.in_([state.value for state in choice.states]))
    if choice.dag_id is None and choice.dag_ids is not None:
        where.append(dag_run.c.dag_id.in_(choice.dag_ids))
    if choice.run_type is not None:
        where.append(dag_run.c.run_type == choice.run_type.value)
    if choice.prefix:
        where.append(and_(dag_run.c.run_id >= choice.prefix, dag_run.c.run_id < choice.prefix + "\U0010ffff"))
    if not choice.by_time and choice.after is not None:
        where.append(dag_run.c.run_after >= choice.after)
    if not choice.by_time and choice.before is not None:
        where.append(dag_run.c.run_after < choice.before)
    return where
