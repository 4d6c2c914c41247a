"""operations/tasks.py on a server elsewhere."""

from typing import Any

from airloom.cli.remote.runs import get_run
from airloom.cli.remote.server import Server, path_of, seconds
from airloom.model.log_lines import LogLine
from airloom.model.report import Cause
from airloom.model.run import RunRow, TIRow, TryRow
from airloom.model.states import TIState

_LINES = 1000


def list_tis(ops: Server, dag_id: str, run_id: str) -> tuple[RunRow, list[TIRow]]:
    """As operations.tasks.list_tis."""
    run = get_run(ops, dag_id, run_id)
    return run, [_ti(run, data) for data in ops.pages(_path(run))]


def get_tis(
    ops: Server, dag_id: str, run_id: str, task_id: str, map_index: int | None = None
) -> tuple[RunRow, list[TIRow]]:
    """As operations.tasks.get_tis."""
    run = get_run(ops, dag_id, run_id)
    if map_index is not None:
        return run, [_ti(run, ops.get(_path(run, task_id), map_index=map_index))]
    tis = [_ti(run, data) for data in ops.pages(_path(run), task_id=task_id)]
    # If there is none, this says what there is instead.
    return run, tis or [_ti(run, ops.get(_path(run, task_id)))]


def list_tries(ops: Server, run: RunRow, ti: TIRow) -> list[TryRow]:
    """As operations.tasks.list_tries."""
    return [_try(ti, data) for data in ops.get(_path(run, ti.task_id, "tries"), map_index=ti.map_index)]


def read_log(ops: Server, run: RunRow, ti: TIRow, number: int, place: Any) -> tuple[list[LogLine], Any, bool]:
    """As operations.tasks.read_log."""
    path = _path(run, ti.task_id, "tries", number, "log")
    page = ops.get(path, map_index=ti.map_index, cursor=place, limit=_LINES)
    lines = [
        LogLine(t=line["time"] or "", level=line["level"] or "", source=line["source"] or "", text=line["text"])
        for line in page["lines"]
    ]
    return lines, page["next"], page["ended"]


def _path(run: RunRow, *rest: object) -> str:
    return path_of("dags", run.dag_id, "runs", run.run_id, "tasks", *rest)


def _ti(run: RunRow, data: dict[str, Any]) -> TIRow:
    return TIRow(
        id=data["id"],
        run_id=run.id,
        task_id=data["task_id"],
        map_index=data["map_index"],
        state=TIState(data["state"]),
        try_number=data["try_number"],
        max_tries=data["max_tries"],
        retry_at=seconds(data["retry_at"]),
        scheduled_at=seconds(data["scheduled_at"]),
        queued_at=seconds(data["queued_at"]),
        started_at=seconds(data["started_at"]),
        ended_at=seconds(data["ended_at"]),
        executor=data["executor"],
        cause=_cause(data),
        detail=data["detail"],
    )


def _try(ti: TIRow, data: dict[str, Any]) -> TryRow:
    return TryRow(
        ti_id=ti.id,
        try_number=data["try_number"],
        state=TIState(data["state"]),
        executor=data["executor"],
        queue=data["queue"],
        queued_at=seconds(data["queued_at"]) or 0.0,
        started_at=seconds(data["started_at"]),
        ended_at=seconds(data["ended_at"]),
        runner=data["runner"],
        host=data["host"],
        pid=data["pid"],
        cause=_cause(data),
        detail=data["detail"],
        exit_code=data["exit_code"],
        signal=data["signal"],
    )


def _cause(data: dict[str, Any]) -> Cause | None:
    return None if data["cause"] is None else Cause(data["cause"])
