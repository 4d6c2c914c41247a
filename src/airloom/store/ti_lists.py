"""Lists of task instances, in pages that go on behind a place, each statement along one index."""

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, select, text, tuple_

from airloom.model.run import TIRow
from airloom.model.states import LIVE_TRY, TIState
from airloom.store.rows import to_structs
from airloom.store.tables import TI_IS_REMARKABLE, TRY_IS_LIVE, dag_run, task_instance, task_try

#: the states that a partial index has
REMARKABLE = frozenset({TIState.FAILED, TIState.UPSTREAM_FAILED, TIState.SKIPPED, TIState.REMOVED})
#: rows that one request looks at for a filter without an index
STRETCH = 5_000


class TIView(TIRow, frozen=True, kw_only=True):
    """A task instance with the names of its run."""

    dag_id: str
    run_name: str
    version_id: int


class TIChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Which task instances are wanted; None or empty: any. dag_ids: the only dags that may be shown."""

    states: tuple[TIState, ...] = ()
    dag_id: str | None = None
    dag_ids: tuple[str, ...] | None = None
    task_id: str | None = None


_VIEW = select(task_instance, dag_run.c.dag_id, dag_run.c.run_id.label("run_name"), dag_run.c.version_id).join_from(
    task_instance, dag_run, dag_run.c.id == task_instance.c.run_id
)

#: The dag of a TI, in a way that has no database begin with all runs of that dag.
_RUN = dag_run.alias("run")
_dag_of: Any = (
    select(_RUN.c.dag_id).where(_RUN.c.id == task_instance.c.run_id).correlate(task_instance).scalar_subquery()
)


def tis_of_run_query(
    run: int, task_ids: Collection[str], states: Collection[TIState], after: tuple[str, int] | None, limit: int
) -> Select[Any]:
    """The statement of `tis_of_run`."""
    query = select(task_instance).where(task_instance.c.run_id == run)
    if task_ids:
        query = query.where(task_instance.c.task_id.in_(list(task_ids)))
    if after is not None:
        query = query.where(tuple_(task_instance.c.task_id, task_instance.c.map_index) > tuple_(*after))
    if states:
        query = query.where(task_instance.c.state.in_([state.value for state in states]))
    return query.order_by(task_instance.c.task_id, task_instance.c.map_index).limit(limit)


def tis_of_run(
    conn: Connection,
    run: int,
    task_ids: Collection[str],
    states: Collection[TIState],
    after: tuple[str, int] | None,
    limit: int,
) -> list[TIRow]:
    """TIs of a run, by task id and map index. task_ids, states: only these; empty: any. after: only those behind it."""
    return to_structs(TIRow, conn.execute(tis_of_run_query(run, task_ids, states, after, limit)))


def tasks_in_query(run: int, states: Collection[TIState]) -> Select[Any]:
    """The statement of `tasks_in`."""
    query = select(task_instance.c.task_id).where(task_instance.c.run_id == run).distinct()
    return query.where(task_instance.c.state.in_([state.value for state in states]))


def tasks_in(conn: Connection, run: int, states: Collection[TIState]) -> set[str]:
    """The tasks of a run of which an instance is in one of these states."""
    return set(conn.execute(tasks_in_query(run, states)).scalars())


def one_ti(conn: Connection, run: int, task_id: str, map_index: int) -> TIRow | None:
    """One TI of a run."""
    query = select(task_instance).where(
        task_instance.c.run_id == run, task_instance.c.task_id == task_id, task_instance.c.map_index == map_index
    )
    found = to_structs(TIRow, conn.execute(query))
    return found[0] if found else None


def live_query(choice: TIChoice, before: int | None, limit: int) -> Select[Any]:
    """TIs that have a live try, newest first."""
    query = _VIEW.join(task_try, task_try.c.ti_id == task_instance.c.id).where(text(f"task_try.{TRY_IS_LIVE}"))
    states = [state.value for state in choice.states if state in LIVE_TRY]
    query = query.where(task_instance.c.state.in_(states), *_dag_and_task(choice))
    if before is not None:
        query = query.where(task_try.c.ti_id < before)
    return query.order_by(task_try.c.ti_id.desc()).limit(limit)


def live_tis(conn: Connection, choice: TIChoice, before: int | None, limit: int) -> tuple[list[TIView], int | None]:
    """TIs that have a live try, newest first; and the number of the last one looked at, if there may be more."""
    found = to_structs(TIView, conn.execute(live_query(choice, before, limit)))
    return found, found[-1].id if len(found) == limit else None


def remarkable_query(
    choice: TIChoice, state: TIState, before: int | None, floor: int | None, limit: int
) -> Select[Any]:
    """TIs in a state that is rare and looked for, newest first."""
    query = _VIEW.where(*_remarkable(state, before), *_dag_and_task(choice))
    if floor is not None:
        query = query.where(task_instance.c.id >= floor)
    return query.order_by(task_instance.c.id.desc()).limit(limit)


def remarkable_floor_query(state: TIState, before: int | None, length: int) -> Select[Any]:
    """The number of the last TI of a stretch."""
    query = select(task_instance.c.id).where(*_remarkable(state, before))
    return query.order_by(task_instance.c.id.desc()).limit(1).offset(length - 1)


def _remarkable(state: TIState, before: int | None) -> list[ColumnElement[bool]]:
    # Written out, not bound: a partial index serves only what it can be proved to hold, word for word.
    where: list[Any] = [text(f"task_instance.{TI_IS_REMARKABLE}"), text(f"task_instance.state = '{state.value}'")]
    if before is not None:
        where.append(task_instance.c.id < before)
    return where


def remarkable_tis(
    conn: Connection, choice: TIChoice, state: TIState, before: int | None, limit: int
) -> tuple[list[TIView], int | None]:
    """TIs in a state of REMARKABLE, newest first; and the number of the last one looked at, if there may be more."""
    floor = None
    if _dag_and_task(choice):
        floor = conn.execute(remarkable_floor_query(state, before, STRETCH)).scalar()
    found = to_structs(TIView, conn.execute(remarkable_query(choice, state, before, floor, limit)))
    return found, found[-1].id if len(found) == limit else floor


def _dag_and_task(choice: TIChoice) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if choice.dag_id is not None:
        where.append(_dag_of == choice.dag_id)
    elif choice.dag_ids is not None:
        where.append(_dag_of.in_(choice.dag_ids))
    if choice.task_id is not None:
        where.append(task_instance.c.task_id == choice.task_id)
    return where
