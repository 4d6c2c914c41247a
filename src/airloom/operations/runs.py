"""Verbs about runs."""

from collections.abc import Mapping
from typing import Any

import msgspec

from airloom.model.errors import Conflict, InvalidRequest
from airloom.model.events import CancelRun, ClearTasks, TriggerRun
from airloom.model.run import RunRow
from airloom.model.states import RUN_FINISHED, RunState
from airloom.operations.asking import ask
from airloom.operations.lookup import find_dag, find_run, find_tis
from airloom.operations.ops import Ops
from airloom.sdk.params import run_params
from airloom.store import runs

_LONGEST_RUN_ID = 250


def trigger(
    ops: Ops,
    dag_id: str,
    *,
    conf: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    logical_date: float | None = None,
    run_after: float | None = None,
) -> str:
    """Make a run of a dag; its run id.

    Raises NotFound (no such dag), InvalidRequest (a bad run id, a conf that breaks the dag's params), Conflict (the run
    id or the logical date is taken, or the dag is gone from its file), NoAnswer.
    """
    with ops.db.reading() as conn:
        dag = find_dag(conn, dag_id)
        if not dag.active:
            raise Conflict(f"dag {dag_id} is gone from {dag.rel_path}; bring it back there to run it again")
        run_params(dag.spec.params, conf or {})
        if run_id is not None:
            _check_run_id(run_id)
            if runs.find_run(conn, dag_id, run_id) is not None:
                raise Conflict(f"dag {dag_id} has a run {run_id!r} already; give the new one another id")
        if logical_date is not None:
            other = runs.run_with_logical_date(conn, dag_id, logical_date)
            if other is not None:
                raise Conflict(f"run {other.run_id} of dag {dag_id} has this logical date already")
    command = TriggerRun(
        dag_id=dag_id,
        run_id=run_id,
        logical_date=logical_date,
        run_after=run_after,
        conf=dict(conf or {}),
        by=ops.by,
    )
    return str(ask(ops, command)["run_id"])


def list_runs(ops: Ops, *, dag_id: str | None = None, state: RunState | None = None, limit: int = 50) -> list[RunRow]:
    """The newest runs first. Raises NotFound when there is no such dag."""
    with ops.db.reading() as conn:
        if dag_id is not None:
            find_dag(conn, dag_id)
        return runs.list_runs(conn, dag_id=dag_id, state=state, limit=limit)


def get_run(ops: Ops, dag_id: str, run_id: str) -> RunRow:
    """One run, by its id, by `latest` or by the beginning of its id. Raises NotFound, InvalidRequest."""
    with ops.db.reading() as conn:
        return find_run(conn, dag_id, run_id)


def cancel(ops: Ops, dag_id: str, run_id: str) -> str:
    """End a run as failed: live tries are cancelled, the rest never starts. The whole run id is returned.

    Raises NotFound, Conflict (it has ended already), NoAnswer.
    """
    run = get_run(ops, dag_id, run_id)
    if run.state in RUN_FINISHED:
        raise Conflict(f"run {run.run_id} of dag {dag_id} has ended already, as {run.state.value}")
    ask(ops, CancelRun(dag_id=dag_id, run_id=run.run_id, by=ops.by))
    return run.run_id


def clear(ops: Ops, wanted: ClearTasks) -> list[str]:
    """Let tasks of a run run again; "task" or "task[index]" of each that was cleared (or would be, with `dry_run`).

    The run may be named as `find_run` takes it. Raises NotFound, InvalidRequest, NoAnswer.
    """
    if wanted.map_index is not None and len(wanted.task_ids or ()) != 1:
        raise InvalidRequest("a map index needs exactly one task")
    with ops.db.reading() as conn:
        run = find_run(conn, wanted.dag_id, wanted.run_id)
        for task_id in wanted.task_ids or ():
            find_tis(conn, run, task_id, wanted.map_index)
    return list(ask(ops, msgspec.structs.replace(wanted, run_id=run.run_id))["cleared"])


def _check_run_id(run_id: str) -> None:
    if not run_id.strip() or len(run_id) > _LONGEST_RUN_ID or not run_id.isprintable() or "/" in run_id:
        raise InvalidRequest(
            f"{run_id[:60]!r} cannot be a run id: it has 1 to {_LONGEST_RUN_ID} printable characters and no slash"
        )
