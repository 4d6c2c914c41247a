"""Fills a database with live runs, through the store: as if a scheduler had brought them so far."""

import time
from collections.abc import Sequence

from airloom.model.loading import ParsedFile
from airloom.model.plan import Plan
from airloom.model.report import TryKey
from airloom.model.run import PoolRow, RunRow, RunType, TIRow, TryRow
from airloom.model.spec import DagSpec, TaskSpec
from airloom.model.states import RunState, TIState
from airloom.store import dags, plans, snapshots
from airloom.store.database import Database


def wide_dag(dag_id: str, tasks: int, pool: str = "default_pool") -> DagSpec:
    """A dag of tasks that do not depend on each other."""
    specs = tuple(
        TaskSpec(task_id=f"task_{number:05}", operator="PythonOperator", pool=pool) for number in range(tasks)
    )
    return DagSpec(
        dag_id=dag_id, tasks=specs, max_active_tasks=0, max_active_runs=1_000_000, is_paused_upon_creation=False
    )


def save_dag(db: Database, spec: DagSpec) -> int:
    """Store a dag as the loader does. Returns its version's number."""
    parsed = ParsedFile(rel_path=f"{spec.dag_id}.py", file_hash=spec.dag_id, dags=(spec,))
    with db.transaction() as conn:
        dags.save_file(conn, "dags", parsed, "", time.time())
        row = dags.dag_row(conn, spec.dag_id)
    assert row is not None
    return row.version_id


def add_run(db: Database, epoch: int, spec: DagSpec, version: int, states: Sequence[TIState]) -> None:
    """One running run, whose TIs have these states; those that are queued or running have a try."""
    now = time.time()
    with db.transaction() as conn:
        run, ti = snapshots.next_numbers(conn)
        plan = Plan()
        plan.new_runs[run] = RunRow(
            id=run,
            dag_id=spec.dag_id,
            run_id=f"filled-{run}",
            version_id=version,
            run_type=RunType.MANUAL,
            state=RunState.RUNNING,
            run_after=now,
            logical_date=now,
            queued_at=now,
            started_at=now,
        )
        for number, (task, state) in enumerate(zip(spec.tasks, states, strict=True), ti):
            live = state in (TIState.QUEUED, TIState.RUNNING)
            started = now if state is TIState.RUNNING else None
            plan.new_tis[number] = TIRow(
                id=number,
                run_id=run,
                task_id=task.task_id,
                state=state,
                try_number=1,
                scheduled_at=now,
                queued_at=now if live else None,
                started_at=started,
                executor="local" if live else None,
            )
            if live:
                plan.new_tries[TryKey(number, 1)] = TryRow(
                    ti_id=number,
                    try_number=1,
                    state=state,
                    executor="local",
                    queue="default",
                    queued_at=now,
                    started_at=started,
                )
        plans.apply_plan(conn, plan, epoch, now)


def set_pool(db: Database, epoch: int, name: str, slots: int) -> None:
    """Make a pool."""
    plan = Plan()
    plan.set_pools[name] = PoolRow(name=name, slots=slots)
    with db.transaction() as conn:
        plans.apply_plan(conn, plan, epoch, time.time())
