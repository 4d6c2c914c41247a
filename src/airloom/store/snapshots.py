"""What the scheduler's memory is rebuilt from: everything live, and single runs that come back to life."""

from typing import Any

from sqlalchemy import Connection, Row, Select, func, select, text

from airloom.model.run import DagRow, LiveRun, PoolRow, RunRow, Snapshot, TIRow, VersionRow
from airloom.store.rows import Specs, to_run, to_structs
from airloom.store.tables import RUN_IS_LIVE, dag, dag_run, dag_version, leader, pool, task_instance

VERSION_COLUMNS = [dag_version.c[name] for name in VersionRow.__struct_fields__]
DAG_COLUMNS = [dag_version.c.spec if name == "spec" else dag.c[name] for name in DagRow.__struct_fields__]
_LIVE_RUNS = select(dag_run).where(text(RUN_IS_LIVE))


def live_tis_query() -> Select[Any]:
    """The TIs of all unfinished runs, run by run."""
    live = select(dag_run.c.id).where(text(RUN_IS_LIVE))
    return select(task_instance).where(task_instance.c.run_id.in_(live))


def live_runs_query() -> Select[Any]:
    """The unfinished runs."""
    return _LIVE_RUNS.order_by(dag_run.c.id)


def load_snapshot(conn: Connection) -> Snapshot:
    """Everything live. Read it in one `reading()`, so that it is of one moment.

    `versions`: those of unfinished runs and the current ones of dags.
    """
    specs = Specs()
    dags = tuple(
        specs.dag(row)
        for row in conn.execute(
            select(*DAG_COLUMNS).join(dag_version, dag_version.c.id == dag.c.version_id).order_by(dag.c.dag_id)
        )
    )
    wanted = select(dag_run.c.version_id).where(text(RUN_IS_LIVE)).union(select(dag.c.version_id))
    versions = tuple(
        specs.version(row)
        for row in conn.execute(select(*VERSION_COLUMNS).where(dag_version.c.id.in_(wanted)).order_by(dag_version.c.id))
    )
    runs = to_structs(RunRow, conn.execute(live_runs_query()))
    tis = _by_run(to_structs(TIRow, conn.execute(live_tis_query())))
    pools = to_structs(PoolRow, conn.execute(select(pool).order_by(pool.c.name)))
    next_run, next_ti = next_numbers(conn)
    return Snapshot(
        dags=dags,
        versions=versions,
        runs=tuple(LiveRun(run=run, tis=tis.get(run.id, ())) for run in runs),
        pools=tuple(pools),
        next_run=next_run,
        next_ti=next_ti,
    )


def _by_run(tis: list[TIRow]) -> dict[int, tuple[TIRow, ...]]:
    groups: dict[int, list[TIRow]] = {}
    for ti in sorted(tis, key=lambda ti: ti.id):
        groups.setdefault(ti.run_id, []).append(ti)
    return {run_id: tuple(group) for run_id, group in groups.items()}


def next_numbers(conn: Connection) -> tuple[int, int]:
    """The first numbers that no run and no TI ever had, deleted ones included."""
    last_run, last_ti = conn.execute(select(leader.c.last_run, leader.c.last_ti)).one()
    run = conn.execute(select(func.max(dag_run.c.id))).scalar() or 0
    ti = conn.execute(select(func.max(task_instance.c.id))).scalar() or 0
    return max(last_run, run) + 1, max(last_ti, ti) + 1


def load_run(conn: Connection, dag_id: str, run_id: str) -> tuple[LiveRun, VersionRow] | None:
    """A run in any state with its TIs and its version; None if there is no such run."""
    found = conn.execute(select(dag_run).where(dag_run.c.dag_id == dag_id, dag_run.c.run_id == run_id)).one_or_none()
    if found is None:
        return None
    run = to_run(found)
    tis = to_structs(
        TIRow,
        conn.execute(select(task_instance).where(task_instance.c.run_id == run.id).order_by(task_instance.c.id)),
    )
    version: Row[Any] = conn.execute(select(*VERSION_COLUMNS).where(dag_version.c.id == run.version_id)).one()
    return LiveRun(run=run, tis=tuple(tis)), Specs().version(version)
