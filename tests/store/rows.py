"""Rows and plans for the tests of the store, with as little said as each test needs."""

from collections.abc import Callable, Iterable
from typing import Any

from airloom.model.loading import ParsedFile
from airloom.model.plan import Plan, TIChange
from airloom.model.report import TryKey
from airloom.model.run import RunRow, RunType, TIRow, TryRow, XComRow
from airloom.model.spec import DagSpec, TaskSpec
from airloom.model.states import RunState, TIState
from airloom.store.dags import save_file
from airloom.store.database import Database
from airloom.store.leadership import acquire
from airloom.store.plans import apply_plan

NOW = 1_700_000_000.0


def lead(db: Database, holder: str = "test") -> int:
    """Become the leader; the epoch."""
    with db.transaction() as conn:
        epoch = acquire(conn, holder, NOW, 60.0)
    assert epoch is not None
    return epoch


def commit(db: Database, plan: Plan, epoch: int) -> None:
    """Apply a plan in a transaction of its own."""
    with db.transaction() as conn:
        apply_plan(conn, plan, epoch, NOW)


def read(db: Database, function: Callable[..., Any], *args: Any) -> Any:
    """What a reading function of the store says."""
    with db.reading() as conn:
        return function(conn, *args)


def write(db: Database, function: Callable[..., Any], *args: Any) -> Any:
    """What a writing function of the store says, committed."""
    with db.transaction() as conn:
        return function(conn, *args)


def spec(dag_id: str = "sales", *task_ids: str) -> DagSpec:
    """A DAG of independent tasks."""
    return DagSpec(dag_id=dag_id, tasks=tuple(TaskSpec(task_id=name) for name in task_ids or ("a", "b")))


def parsed(rel_path: str, *dags: DagSpec, file_hash: str = "h1", **rest: Any) -> ParsedFile:
    """A DAG file that was parsed."""
    return ParsedFile(rel_path=rel_path, file_hash=file_hash, dags=dags, **rest)


def save_dag(db: Database, dag: DagSpec) -> None:
    """A dag in a file of its own."""
    write(db, save_file, "dags", parsed(f"{dag.dag_id}.py", dag), "source", NOW)


def run(number: int, dag_id: str = "sales", state: RunState = RunState.RUNNING, **rest: Any) -> RunRow:
    """A run named after its number."""
    fields: dict[str, Any] = {"version_id": 1, "run_type": RunType.MANUAL, "run_after": NOW + number, **rest}
    return RunRow(id=number, dag_id=dag_id, run_id=f"run_{number}", state=state, **fields)


def tis(run_key: int, numbers: Iterable[int], **rest: Any) -> dict[int, TIRow]:
    """TIs named after their numbers."""
    return {number: TIRow(id=number, run_id=run_key, task_id=f"task_{number}", **rest) for number in numbers}


def new_run(number: int, ti_numbers: Iterable[int], **rest: Any) -> Plan:
    """A plan that makes a run and its TIs."""
    return Plan(new_runs={number: run(number, **rest)}, new_tis=tis(number, ti_numbers))


def queued(ti_numbers: Iterable[int], attempt: int = 1) -> Plan:
    """A plan that queues TIs that have not run."""
    numbers = list(ti_numbers)
    values = {"try_number": attempt, "queued_at": NOW, "executor": "local"}
    return Plan(
        ti_changes={
            number: TIChange(id=number, expected=TIState.NONE, state=TIState.QUEUED, values=values)
            for number in numbers
        },
        new_tries={
            TryKey(number, attempt): TryRow(
                ti_id=number,
                try_number=attempt,
                state=TIState.QUEUED,
                executor="local",
                queue="default",
                queued_at=NOW,
            )
            for number in numbers
        },
    )


def ended(ti_numbers: Iterable[int], attempt: int = 1, value: bytes = b"1") -> Plan:
    """A plan that ends queued TIs well, with a returned value."""
    numbers = list(ti_numbers)
    return Plan(
        ti_changes={
            number: TIChange(id=number, expected=TIState.QUEUED, state=TIState.SUCCESS, values={"ended_at": NOW})
            for number in numbers
        },
        try_changes={
            TryKey(number, attempt): {"state": TIState.SUCCESS, "ended_at": NOW, "exit_code": 0} for number in numbers
        },
        xcoms={(number, "return_value"): XComRow(ti_id=number, key="return_value", value=value) for number in numbers},
    )


def finished_run(db: Database, epoch: int, number: int, ti_numbers: Iterable[int], ended_at: float) -> None:
    """A run that has been through everything."""
    numbers = list(ti_numbers)
    commit(db, new_run(number, numbers), epoch)
    commit(db, queued(numbers), epoch)
    plan = ended(numbers)
    plan.run_changes = {number: {"state": RunState.SUCCESS, "ended_at": ended_at}}
    commit(db, plan, epoch)
