"""What charts of a dag's past are made from: the grid, durations, days, the tries of a run."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, CursorResult, Select, bindparam, func, select, text

from airloom.model.run import RunType
from airloom.model.states import RunState, TIState
from airloom.store.dag_lists import RUN_HEAD_COLUMNS, RunHead
from airloom.store.rows import to_structs
from airloom.store.tables import dag_run, task_instance, task_try

DAY = 86400.0

#: (run, task id, state)
Cell = tuple[int, str, str]
#: (run, task id, state, how many instances)
MappedCell = tuple[int, str, str, int]

_CELLS = text("SELECT run_id, task_id, state FROM task_instance WHERE run_id IN :runs AND map_index < 0").bindparams(
    bindparam("runs", expanding=True)
)
_MAPPED_CELLS = text(
    "SELECT run_id, task_id, state, count(*) FROM task_instance WHERE run_id IN :runs AND map_index >= 0 "
    "GROUP BY run_id, task_id, state"
).bindparams(bindparam("runs", expanding=True))


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """A try on the time line of a run."""

    task_id: str
    map_index: int
    try_number: int
    state: TIState
    queued_at: float
    started_at: float | None = None
    ended_at: float | None = None


def run_heads_query(
    dag_id: str, limit: int, before: int | None, run_type: RunType | None, states: Sequence[RunState]
) -> Select[Any]:
    """The statement of `run_heads`."""
    query = select(*RUN_HEAD_COLUMNS).where(dag_run.c.dag_id == dag_id)
    if before is not None:
        query = query.where(dag_run.c.id < before)
    if run_type is not None:
        query = query.where(dag_run.c.run_type == run_type.value)
    if states:
        query = query.where(dag_run.c.state.in_([state.value for state in states]))
    return query.order_by(dag_run.c.id.desc()).limit(limit)


def run_heads(
    conn: Connection,
    dag_id: str,
    limit: int,
    before: int | None = None,
    run_type: RunType | None = None,
    states: Sequence[RunState] = (),
) -> list[RunHead]:
    """Runs of a dag, newest first. before: only those with a lower number."""
    return to_structs(RunHead, conn.execute(run_heads_query(dag_id, limit, before, run_type, states)))


def _bare(result: CursorResult[Any]) -> Any:
    """The driver's own rows: a list of tuples, without what SQLAlchemy makes of each."""
    cursor: Any = result.cursor
    return cursor.fetchall()


def cells(conn: Connection, runs: Sequence[int]) -> list[Cell]:
    """The state of each TI of these runs that is not mapped. Bare rows: there may be 100,000 of them."""
    found: list[Cell] = _bare(conn.execute(_CELLS, {"runs": list(runs)}))
    return found


def mapped_cells(conn: Connection, runs: Sequence[int]) -> list[MappedCell]:
    """How many TIs of each mapped task of these runs are in each state."""
    found: list[MappedCell] = _bare(conn.execute(_MAPPED_CELLS, {"runs": list(runs)}))
    return found


def task_seconds(conn: Connection, runs: Sequence[int], task_ids: Sequence[str]) -> dict[tuple[int, str], float]:
    """How long each of these tasks took in each run, from the first start to the last end of its instances."""
    query = (
        select(
            task_instance.c.run_id,
            task_instance.c.task_id,
            func.max(task_instance.c.ended_at) - func.min(task_instance.c.started_at),
        )
        .where(task_instance.c.run_id.in_(list(runs)), task_instance.c.task_id.in_(list(task_ids)))
        .group_by(task_instance.c.run_id, task_instance.c.task_id)
    )
    return {(run, task): seconds for run, task, seconds in conn.execute(query) if seconds is not None}


def days_query(dag_id: str, start: float, end: float) -> Select[Any]:
    """The statement of `days`."""
    day = func.floor(dag_run.c.run_after / DAY)
    return (
        select(day, dag_run.c.state, func.count())
        .where(dag_run.c.dag_id == dag_id, dag_run.c.run_after >= start, dag_run.c.run_after < end)
        .group_by(day, dag_run.c.state)
    )


def days(conn: Connection, dag_id: str, start: float, end: float) -> list[tuple[int, RunState, int]]:
    """(day since the epoch in UTC, state, number of runs that were due then)."""
    return [(int(day), RunState(state), count) for day, state, count in conn.execute(days_query(dag_id, start, end))]


def bars_query(run: int, limit: int) -> Select[Any]:
    """The statement of `bars`."""
    names = ("try_number", "state", "queued_at", "started_at", "ended_at")
    return (
        select(task_instance.c.task_id, task_instance.c.map_index, *(task_try.c[name] for name in names))
        .join_from(task_instance, task_try, task_try.c.ti_id == task_instance.c.id)
        .where(task_instance.c.run_id == run)
        .limit(limit)
    )


def bars(conn: Connection, run: int, limit: int) -> list[Bar]:
    """Tries of a run."""
    return to_structs(Bar, conn.execute(bars_query(run, limit)))


def spans(conn: Connection, run: int) -> list[tuple[str, int, float | None, float | None]]:
    """(task, map index, start, end) of each TI of a run."""
    c = task_instance.c
    query = select(c.task_id, c.map_index, c.started_at, c.ended_at).where(c.run_id == run)
    found: list[tuple[str, int, float | None, float | None]] = _bare(conn.execute(query))
    return found
