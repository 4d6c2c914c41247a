"""Fills a database with live runs and with history, through the store: as if a scheduler had brought them so far."""

import time
from collections.abc import Sequence
from typing import Any

from airloom.model.loading import ParsedFile
from airloom.model.plan import Plan
from airloom.model.report import Cause, TryKey
from airloom.model.run import PoolRow, RunRow, RunType, TIRow, TryRow
from airloom.model.spec import DagSpec, TaskSpec
from airloom.model.states import RunState, TIState
from airloom.store import dags, plans, snapshots
from airloom.store.database import Database

#: rows that one commit writes: a few tenths of a second
_TIS_PER_COMMIT = 20_000


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


def live_tries(db: Database, epoch: int, states: Sequence[TIState]) -> list[TryKey]:
    """The tries of one running run in an empty database, whose TIs have these states: each queued or running."""
    spec = wide_dag("wide", len(states))
    add_run(db, epoch, spec, save_dag(db, spec), states)
    return [TryKey(number, 1) for number in range(1, len(states) + 1)]


def set_pool(db: Database, epoch: int, name: str, slots: int) -> None:
    """Make a pool."""
    plan = Plan()
    plan.set_pools[name] = PoolRow(name=name, slots=slots)
    with db.transaction() as conn:
        plans.apply_plan(conn, plan, epoch, time.time())


def add_history(db: Database, epoch: int, spec: DagSpec, version: int, count: int, *, tries: bool = False) -> None:
    """Finished runs, an hour apart until now; one in fifty failed, at its last task. tries: with the try of each TI."""
    now = time.time()
    per_commit = max(1, _TIS_PER_COMMIT // len(spec.tasks))
    for first in range(0, count, per_commit):
        with db.transaction() as conn:
            run, ti = snapshots.next_numbers(conn)
            plan = Plan()
            for number in range(first, min(count, first + per_commit)):
                due = now - 3600.0 * (count - number)
                _add_finished(plan, spec, version, (run, ti), due, failed=number % 50 == 49)
                run += 1
                ti += len(spec.tasks)
            if not tries:
                plan.new_tries.clear()
            plans.apply_plan(conn, plan, epoch, now)


def _add_finished(
    plan: Plan, spec: DagSpec, version: int, numbers: tuple[int, int], due: float, *, failed: bool
) -> None:
    run, first = numbers
    seconds = 10.0
    plan.new_runs[run] = RunRow(
        id=run,
        dag_id=spec.dag_id,
        run_id=f"scheduled__{run}",
        version_id=version,
        run_type=RunType.SCHEDULED,
        state=RunState.FAILED if failed else RunState.SUCCESS,
        run_after=due,
        logical_date=due,
        queued_at=due,
        started_at=due,
        ended_at=due + seconds,
    )
    for number, task in enumerate(spec.tasks, first):
        bad = failed and task is spec.tasks[-1]
        state = TIState.FAILED if bad else TIState.SUCCESS
        times: dict[str, Any] = {"queued_at": due, "started_at": due + 0.1, "ended_at": due + seconds}
        plan.new_tis[number] = TIRow(
            id=number,
            run_id=run,
            task_id=task.task_id,
            state=state,
            try_number=1,
            scheduled_at=due,
            executor="local",
            cause=Cause.ERROR if bad else None,
            detail="ValueError: no such airport" if bad else None,
            **times,
        )
        plan.new_tries[TryKey(number, 1)] = TryRow(
            ti_id=number, try_number=1, state=state, executor="local", queue="default", **times
        )
