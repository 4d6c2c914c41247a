"""operations/runs.py on a server elsewhere."""

from collections.abc import Mapping, Sequence
from typing import Any

from airloom.cli.remote.server import Server, path_of, seconds
from airloom.cli.times import iso
from airloom.model.events import ClearTasks, MarkTasks
from airloom.model.run import RunRow, RunType
from airloom.model.states import RunState


def trigger(
    ops: Server,
    dag_id: str,
    *,
    conf: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    logical_date: float | None = None,
    run_after: float | None = None,
) -> str:
    """As operations.runs.trigger."""
    body = {
        "run_id": run_id,
        "logical_date": iso(logical_date),
        "run_after": iso(run_after),
        "conf": dict(conf or {}),
    }
    return str(ops.send("POST", path_of("dags", dag_id, "runs"), body)["run_id"])


def list_runs(
    ops: Server, *, dag_id: str | None = None, state: RunState | None = None, limit: int = 50
) -> list[RunRow]:
    """As operations.runs.list_runs."""
    path = "/runs" if dag_id is None else path_of("dags", dag_id, "runs")
    return [_row(data) for data in ops.pages(path, limit, state=None if state is None else state.value)]


def get_run(ops: Server, dag_id: str, run_id: str) -> RunRow:
    """As operations.runs.get_run."""
    return _row(ops.get(path_of("dags", dag_id, "runs", run_id)))


def cancel(ops: Server, dag_id: str, run_id: str) -> str:
    """As operations.runs.cancel."""
    return str(ops.send("POST", path_of("dags", dag_id, "runs", run_id, "cancel"))["run_id"])


def clear(ops: Server, wanted: ClearTasks) -> list[str]:
    """As operations.runs.clear."""
    run = get_run(ops, wanted.dag_id, wanted.run_id)
    body = {**_choice(wanted, [run.run_id]), "only_failed": wanted.only_failed}
    return _of_one_run(ops.send("POST", path_of("dags", wanted.dag_id, "clear"), body))


def mark_tasks(ops: Server, wanted: MarkTasks, run_ids: Sequence[str]) -> list[str]:
    """As operations.runs.mark_tasks."""
    body = {**_choice(wanted, run_ids), "state": wanted.state.value}
    return list(ops.send("POST", path_of("dags", wanted.dag_id, "mark"), body)["instances"])


def mark_run(ops: Server, dag_id: str, run_id: str, state: RunState, *, dry_run: bool = False) -> list[str]:
    """As operations.runs.mark_run."""
    body = {"state": state.value, "dry_run": dry_run}
    return _of_one_run(ops.send("POST", path_of("dags", dag_id, "runs", run_id, "mark"), body))


def get_note(ops: Server, dag_id: str, run_id: str) -> str | None:
    """As operations.runs.get_note."""
    note = ops.get(path_of("dags", dag_id, "runs", run_id))["note"]
    return None if note is None else str(note["text"])


def _choice(wanted: ClearTasks | MarkTasks, run_ids: Sequence[str]) -> dict[str, Any]:
    return {
        "runs": list(run_ids),
        "tasks": None if wanted.task_ids is None else list(wanted.task_ids),
        "map_index": wanted.map_index,
        "upstream": wanted.upstream,
        "downstream": wanted.downstream,
        "dry_run": wanted.dry_run,
    }


def _of_one_run(touched: dict[str, Any]) -> list[str]:
    """The names without the run's id, which is the same in all."""
    return [name.partition("/")[2] for name in touched["instances"]]


def _row(data: dict[str, Any]) -> RunRow:
    return RunRow(
        id=data["id"],
        dag_id=data["dag_id"],
        run_id=data["run_id"],
        version_id=data["version"],
        run_type=RunType(data["run_type"]),
        state=RunState(data["state"]),
        run_after=seconds(data["run_after"]) or 0.0,
        logical_date=seconds(data["logical_date"]),
        data_interval_start=seconds(data["data_interval_start"]),
        data_interval_end=seconds(data["data_interval_end"]),
        conf=data["conf"],
        triggered_by=data["triggered_by"],
        queued_at=seconds(data["queued_at"]),
        started_at=seconds(data["started_at"]),
        ended_at=seconds(data["ended_at"]),
        cancelled_at=seconds(data["cancelled_at"]),
        bundle_version=data.get("commit"),
    )
