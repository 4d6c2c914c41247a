"""Rows of workers and of a scheduler that leads, as they tell of themselves."""

from typing import Any

import msgspec
from sqlalchemy import func, select

from airloom.model.processes import (
    ApiState,
    ExecutorUse,
    Load,
    ProcessKind,
    ProcessRow,
    QueueUse,
    RunnerState,
    SchedulerState,
)
from airloom.model.run import TryRow
from airloom.model.states import TIState
from airloom.operations.ops import Ops
from airloom.store import leadership, processes
from airloom.store.dialects import dialect_of
from airloom.store.rows import to_rows
from airloom.store.tables import task_try

_GB = 2**30


def worker_row(
    name: str,
    now: float,
    *,
    queues: tuple[str, ...] = ("default",),
    executor: str = "celery",
    runner: str = "",
    silent: float = 0.0,
    **state: Any,
) -> ProcessRow:
    """A worker that was heard of `silent` seconds ago. `runner`: its id, if it is not of the first one of that name."""
    told = {"slots": 4, "memory": 8 * _GB, "memory_free": 3 * _GB, "worker": name, **state}
    return ProcessRow(
        id=runner or f"{name}-runner",
        kind=ProcessKind.RUNNER,
        host=f"host-of-{name}",
        pid=7,
        version="1.0",
        started_at=now - 3600.0,
        seen_at=now - silent,
        state=msgspec.to_builtins(RunnerState(executor=executor, queues=queues, **told)),
    )


def api_row(host: str, now: float, **state: Any) -> ProcessRow:
    """An API server."""
    told = msgspec.to_builtins(ApiState(**state))
    return ProcessRow(
        id=f"api-{host}", kind=ProcessKind.API, host=host, pid=8, version="1.0", started_at=now, seen_at=now, state=told
    )


def put(ops: Ops, *rows: ProcessRow) -> None:
    """Have the database tell of these processes, over what it told of them before."""
    with ops.db.transaction() as conn:
        processes.renew(conn, rows)


def occupy(ops: Ops, runner: str, count: int, queue: str = "gpu") -> None:
    """Have a runner run so many tries from that queue, of runs that nobody asks about."""
    with ops.db.transaction() as conn:
        first = conn.execute(select(func.count()).select_from(task_try)).scalar_one()
        rows = [
            TryRow(
                ti_id=1_000_000 + first + number,
                try_number=1,
                state=TIState.RUNNING,
                executor="celery",
                queue=queue,
                queued_at=ops.now(),
                started_at=ops.now(),
                runner=runner,
            )
            for number in range(count)
        ]
        dialect_of(conn).insert(conn, task_try, to_rows(rows))


def scheduler_tells(ops: Ops, *queues: QueueUse, why: str = "", keys: tuple[str, ...] = ()) -> None:
    """The scheduler that leads has a Celery executor with these queues. `why`: that takes nothing."""
    load = Load(executors=(ExecutorUse(name="celery", slots=0 if why else None, used=0, why=why),), queues=queues)
    with ops.db.reading() as conn:
        leader = leadership.current(conn)
    assert leader is not None
    now = ops.now()
    row = ProcessRow(
        id="scheduler",
        kind=ProcessKind.SCHEDULER,
        host=leader.host,
        pid=leader.pid,
        version="1.0",
        started_at=now,
        seen_at=now,
        state=msgspec.to_builtins(SchedulerState(leading=True, epoch=leader.epoch, load=load, keys=keys)),
    )
    put(ops, row)
