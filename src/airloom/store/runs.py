"""Reading runs, task instances and tries, by the names that users give them."""

from typing import Any

from sqlalchemy import Connection, Select, func, select, text

from airloom.model.run import RunRow, RunType, TIRow, TryRow
from airloom.model.states import RUN_FINISHED, RunState
from airloom.store.rows import to_run, to_structs, to_ti
from airloom.store.tables import RUN_IS_LIVE, TRY_IS_LIVE, dag_run, task_instance, task_try


def find_run(conn: Connection, dag_id: str, run_id: str) -> RunRow | None:
    """A run by its name."""
    row = conn.execute(select(dag_run).where(dag_run.c.dag_id == dag_id, dag_run.c.run_id == run_id)).one_or_none()
    return None if row is None else to_run(row)


def run_with_logical_date(conn: Connection, dag_id: str, logical_date: float) -> RunRow | None:
    """The newest run of a dag with that logical date."""
    query = select(dag_run).where(dag_run.c.dag_id == dag_id, dag_run.c.logical_date == logical_date)
    row = conn.execute(query.order_by(dag_run.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else to_run(row)


def list_runs_query(dag_id: str | None, state: RunState | None, limit: int, before: int | None) -> Select[Any]:
    """The statement of `list_runs`."""
    query = select(dag_run).order_by(dag_run.c.id.desc()).limit(limit)
    if dag_id is not None:
        query = query.where(dag_run.c.dag_id == dag_id)
    if state is not None:
        # Written out, not bound: a partial index serves only what it can be proved to hold.
        query = query.where(text(f"state = '{state.value}'"))
        if state not in RUN_FINISHED:
            query = query.where(text(RUN_IS_LIVE))
    if before is not None:
        query = query.where(dag_run.c.id < before)
    return query


def list_runs(
    conn: Connection,
    dag_id: str | None = None,
    state: RunState | None = None,
    limit: int = 50,
    before: int | None = None,
) -> list[RunRow]:
    """Runs, newest first. `before`: only those older than the run of that number, for the next page."""
    return to_structs(RunRow, conn.execute(list_runs_query(dag_id, state, limit, before)))


def list_tis_query(run_key: int, task_id: str | None = None) -> Select[Any]:
    """The statement of `list_tis`."""
    query = select(task_instance).where(task_instance.c.run_id == run_key).order_by(task_instance.c.id)
    return query if task_id is None else query.where(task_instance.c.task_id == task_id)


def list_tis(conn: Connection, run_key: int, task_id: str | None = None) -> list[TIRow]:
    """The TIs of a run by its number, or those of one of its tasks, in the order in which they were made."""
    return to_structs(TIRow, conn.execute(list_tis_query(run_key, task_id)))


def count_tis(conn: Connection, run_keys: list[int]) -> dict[int, dict[str, int]]:
    """How many TIs of each run are in each state."""
    counts: dict[int, dict[str, int]] = {key: {} for key in run_keys}
    query = (
        select(task_instance.c.run_id, task_instance.c.state, func.count())
        .where(task_instance.c.run_id.in_(run_keys))
        .group_by(task_instance.c.run_id, task_instance.c.state)
    )
    for run_key, state, number in conn.execute(query):
        counts[run_key][state] = number
    return counts


def get_ti(conn: Connection, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> TIRow | None:
    """One TI by its names."""
    query = (
        select(task_instance)
        .join(dag_run, dag_run.c.id == task_instance.c.run_id)
        .where(
            dag_run.c.dag_id == dag_id,
            dag_run.c.run_id == run_id,
            task_instance.c.task_id == task_id,
            task_instance.c.map_index == map_index,
        )
    )
    row = conn.execute(query).one_or_none()
    return None if row is None else to_ti(row)


def run_and_ti(conn: Connection, ti_id: int) -> tuple[RunRow, TIRow] | None:
    """A TI by its number, and its run; None if they are deleted, or are being deleted."""
    ti = conn.execute(select(task_instance).where(task_instance.c.id == ti_id)).one_or_none()
    if ti is None:
        return None
    run = conn.execute(select(dag_run).where(dag_run.c.id == ti.run_id)).one_or_none()
    return None if run is None else (to_run(run), to_ti(ti))


def list_tries(conn: Connection, ti_id: int) -> list[TryRow]:
    """The tries of a TI, first to last."""
    query = select(task_try).where(task_try.c.ti_id == ti_id).order_by(task_try.c.try_number)
    return to_structs(TryRow, conn.execute(query))


def live_tries_query() -> Select[Any]:
    """The statement of `live_tries`."""
    return select(task_try).where(text(TRY_IS_LIVE)).order_by(task_try.c.ti_id)


def live_tries(conn: Connection) -> list[TryRow]:
    """The tries that have not ended: what is queued and running now, on every executor."""
    return to_structs(TryRow, conn.execute(live_tries_query()))


def previous_run(
    conn: Connection,
    dag_id: str,
    logical_date: float,
    state: RunState | None = None,
    run_type: RunType | None = None,
) -> RunRow | None:
    """The newest run of a dag before `logical_date`, of that state and type where they are given."""
    query = select(dag_run).where(dag_run.c.dag_id == dag_id, dag_run.c.logical_date < logical_date)
    if state is not None:
        query = query.where(dag_run.c.state == state.value)
    if run_type is not None:
        query = query.where(dag_run.c.run_type == run_type.value)
    row = conn.execute(query.order_by(dag_run.c.logical_date.desc(), dag_run.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else to_run(row)
