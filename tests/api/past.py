"""A dag with a past: two versions, groups, a mapped task, runs in several states; written as a leader would."""

import time
from typing import Any

from airloom.model.loading import ParsedFile
from airloom.model.plan import Plan
from airloom.model.report import Cause, TryKey
from airloom.model.run import RunRow, RunType, TIRow, TryRow, XComRow
from airloom.model.spec import Cron, DagSpec, GroupSpec, MapSpec, TaskSpec, XComInput
from airloom.model.states import RunState, TIState
from airloom.operations.ops import Ops
from airloom.store import dags, leadership
from airloom.store.plans import apply_plan
from airloom.store.tables import note

NOW = 1_700_000_000.0
DAG = "trips"

FIRST = DagSpec(
    dag_id=DAG,
    description="Taxi trips of the night",
    tags=("city", "taxi"),
    owner="rides",
    schedule=Cron(expression="0 3 * * *"),
    tasks=(
        TaskSpec(task_id="old"),
        TaskSpec(task_id="zones", operator="PythonOperator", queue="fast"),
        TaskSpec(task_id="count", upstream=("zones",), map=MapSpec(inputs=(XComInput(arg="zone", task_id="zones"),))),
        TaskSpec(task_id="load.sum", upstream=("count", "old"), group="load", pool="db"),
    ),
    groups=(GroupSpec(group_id="load", tooltip="<b>into the store</b>"),),
    edge_labels={"count>load.sum": "all zones"},
    is_paused_upon_creation=False,
)
SECOND = DagSpec(
    dag_id=DAG,
    description=FIRST.description,
    tags=FIRST.tags,
    owner="rides",
    schedule=FIRST.schedule,
    tasks=(*FIRST.tasks[1:3], TaskSpec(task_id="load.sum", upstream=("count",), group="load", pool="db")),
    groups=FIRST.groups,
    edge_labels=FIRST.edge_labels,
    is_paused_upon_creation=False,
)

#: run ids hold what people write
ODD = "a+b: ü.% 1"


def save(ops: Ops, *specs: DagSpec, rel_path: str = "trips.py") -> int:
    """Store DAGs of one file as the loader does. Returns the version of the first."""
    parsed = ParsedFile(rel_path=rel_path, file_hash=f"hash of {len(specs[0].tasks)}", dags=specs)
    with ops.db.transaction() as conn:
        dags.save_file(conn, "dags", parsed, f"# {len(specs[0].tasks)} tasks\n", NOW)
        row = dags.dag_row(conn, specs[0].dag_id)
    assert row is not None
    return row.version_id


def commit(ops: Ops, plan: Plan) -> None:
    """Apply a plan as the leader."""
    with ops.db.transaction() as conn:
        epoch = leadership.acquire(conn, "the past", time.time(), 0.0)
        assert epoch is not None
        apply_plan(conn, plan, epoch, NOW)


def run(number: int, version: int, run_id: str, state: RunState, due: float, **rest: object) -> RunRow:
    """A run that took a minute, if it has ended."""
    ended = due + 60 if state in (RunState.SUCCESS, RunState.FAILED) else None
    return RunRow(
        id=number,
        dag_id=DAG,
        run_id=run_id,
        version_id=version,
        run_type=RunType.SCHEDULED,
        state=state,
        run_after=due,
        logical_date=due,
        started_at=None if state is RunState.QUEUED else due + 1,
        ended_at=ended,
        **rest,  # type: ignore[arg-type]
    )


def _ti(number: int, run: int, task: str, state: TIState, index: int = -1, **rest: object) -> TIRow:
    return TIRow(id=number, run_id=run, task_id=task, map_index=index, state=state, **rest)  # type: ignore[arg-type]


def _tried(ti: TIRow, number: int = 1, start: float = 0.0, seconds: float = 10.0) -> TryRow:
    live = ti.state is TIState.RUNNING
    return TryRow(
        ti_id=ti.id,
        try_number=number,
        state=ti.state,
        executor="local",
        queue="default",
        queued_at=NOW + start,
        started_at=NOW + start,
        ended_at=None if live else NOW + start + seconds,
    )


def write(ops: Ops) -> None:
    """Run 1 (first version, success), run 2 (`ODD`, failed), run 3 (running), each a day after the one before."""
    first, second = save(ops, FIRST), save(ops, SECOND)
    times: dict[str, Any] = {"started_at": NOW, "ended_at": NOW + 20, "try_number": 1}
    rows = [
        _ti(1, 1, "old", TIState.SUCCESS, started_at=NOW, ended_at=NOW + 5, try_number=1),
        _ti(2, 1, "zones", TIState.SUCCESS, **times),
        _ti(3, 1, "count", TIState.SUCCESS, 0, started_at=NOW + 20, ended_at=NOW + 30, try_number=1),
        _ti(4, 1, "count", TIState.SUCCESS, 1, started_at=NOW + 20, ended_at=NOW + 50, try_number=1),
        _ti(5, 1, "load.sum", TIState.SUCCESS, started_at=NOW + 50, ended_at=NOW + 60, try_number=1),
        _ti(6, 2, "zones", TIState.SUCCESS, **times),
        _ti(7, 2, "count", TIState.SUCCESS, 0, **times),
        _ti(
            8,
            2,
            "count",
            TIState.FAILED,
            1,
            cause=Cause.ERROR,
            detail="ValueError: <i>no</i>",
            **{**times, "try_number": 2},
        ),
        _ti(9, 2, "load.sum", TIState.UPSTREAM_FAILED),
        _ti(10, 3, "zones", TIState.RUNNING, started_at=NOW, try_number=1),
        _ti(11, 3, "count", TIState.NONE),
        _ti(12, 3, "load.sum", TIState.NONE),
    ]
    tries = [_tried(ti) for ti in rows if ti.try_number] + [_tried(rows[7], 2, 10.0)]
    day = 86400.0
    plan = Plan(
        new_runs={
            1: run(1, first, "first", RunState.SUCCESS, NOW - 2 * day),
            2: run(2, second, ODD, RunState.FAILED, NOW - day, conf={"zone": [1]}, triggered_by="ada"),
            3: run(3, second, "third", RunState.RUNNING, NOW),
        },
        new_tis={ti.id: ti for ti in rows},
        new_tries={TryKey(one.ti_id, one.try_number): one for one in tries},
        xcoms={
            (2, "return_value"): XComRow(ti_id=2, key="return_value", value=b'["\\u003cscript\\u003e"]'),
            (2, "a/b c"): XComRow(ti_id=2, key="a/b c", value=b"1"),
        },
    )
    commit(ops, plan)
    with ops.db.transaction() as conn:
        conn.execute(note.insert().values(run_id=2, ti_id=0, text="look here", by="ada", at=NOW))
        conn.execute(note.insert().values(run_id=2, ti_id=8, text="again", by="bob", at=NOW))
