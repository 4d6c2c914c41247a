"""Counts for the first page, from indexes."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, select, text

from airloom.model.states import RunState, TIState
from airloom.store.tables import RUN_IS_LIVE, dag_run, task_instance


def live_runs_query(dag_ids: Sequence[str] | None) -> Select[Any]:
    """How many unfinished runs are in each state."""
    query = select(dag_run.c.state, func.count()).where(text(RUN_IS_LIVE)).group_by(dag_run.c.state)
    return query if dag_ids is None else query.where(dag_run.c.dag_id.in_(dag_ids))


def ended_runs_query(since: float, dag_ids: Sequence[str] | None) -> Select[Any]:
    """How many of the runs that ended since then are in each state."""
    query = select(dag_run.c.state, func.count()).where(dag_run.c.ended_at >= since).group_by(dag_run.c.state)
    return query if dag_ids is None else query.where(dag_run.c.dag_id.in_(dag_ids))


def live_tis_query(dag_ids: Sequence[str] | None) -> Select[Any]:
    """How many TIs of unfinished runs are in each state."""
    live = select(dag_run.c.id).where(text(RUN_IS_LIVE))
    if dag_ids is not None:
        live = live.where(dag_run.c.dag_id.in_(dag_ids))
    tis = task_instance.c
    return select(tis.state, func.count()).where(tis.run_id.in_(live)).group_by(tis.state)


def count_runs(conn: Connection, since: float, dag_ids: Sequence[str] | None = None) -> dict[RunState, int]:
    """Unfinished runs by state, and those that ended since then. dag_ids: of these dags only."""
    counts = {RunState(state): number for state, number in conn.execute(live_runs_query(dag_ids))}
    for state, number in conn.execute(ended_runs_query(since, dag_ids)):
        counts[RunState(state)] = counts.get(RunState(state), 0) + number
    return counts


def count_live_tis(conn: Connection, dag_ids: Sequence[str] | None = None) -> dict[TIState, int]:
    """TIs of unfinished runs by state. dag_ids: of these dags only."""
    return {TIState(state): number for state, number in conn.execute(live_tis_query(dag_ids))}
