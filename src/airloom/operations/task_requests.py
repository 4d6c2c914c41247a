"""What a running task asks for: XComs, variables, connections, the run before its own. Only a live try is answered."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from airloom.model.errors import AirloomError, InvalidRequest
from airloom.model.report import TryKey
from airloom.model.run import RunRow
from airloom.model.states import RunState
from airloom.model.wire import GetConnection, GetPreviousRun, GetVariable, GetXCom, SetVariable, TaskRequest
from airloom.model.work import RunInfo
from airloom.operations import connections, variables
from airloom.operations.ops import Ops
from airloom.store import runs, xcoms
from airloom.store.tries import run_of_live_try


def answer(ops: Ops, key: TryKey, request: TaskRequest) -> Any:
    """The answer to a try's request, as model/wire.py says for each. Raises AirloomError with a text for the task."""
    with ops.db.reading() as conn:
        run = run_of_live_try(conn, key)
    if run is None:
        raise AirloomError(f"try {key.try_number} of task instance {key.ti_id} is not running any more")
    return _ANSWERS[type(request)](ops, run, request)


def _xcoms(ops: Ops, run: RunRow, request: GetXCom) -> list[tuple[int, bytes]]:
    with ops.db.reading() as conn:
        return xcoms.get_xcoms(
            conn,
            request.dag_id or run.dag_id,
            request.run_id or run.run_id,
            request.task_id,
            request.key,
            request.map_index,
        )


def _variable(ops: Ops, run: RunRow, request: GetVariable) -> str | None:
    return variables.find_variable(ops, request.key)


def _set_variable(ops: Ops, run: RunRow, request: SetVariable) -> bool:
    ops = replace(ops, by=f"dag:{run.dag_id}", via="task")
    if request.value is not None:
        variables.set_variable(ops, request.key, request.value, request.description)
        return True
    return variables.drop_variable(ops, request.key)


def _connection(ops: Ops, run: RunRow, request: GetConnection) -> dict[str, Any] | None:
    row = connections.find_connection(ops, request.conn_id)
    return None if row is None else msgspec.structs.asdict(row)


def _previous_run(ops: Ops, run: RunRow, request: GetPreviousRun) -> RunInfo | None:
    if run.logical_date is None:
        return None
    try:
        state = None if request.state is None else RunState(request.state)
    except ValueError:
        raise InvalidRequest(f"{request.state!r} is no state of a run: {', '.join(RunState)}") from None
    with ops.db.reading() as conn:
        found = runs.previous_run(conn, run.dag_id, run.logical_date, state, request.run_type)
    return None if found is None else _info(found)


def _info(run: RunRow) -> RunInfo:
    return RunInfo(
        run_id=run.run_id,
        run_type=run.run_type.value,
        run_after=run.run_after,
        logical_date=run.logical_date,
        data_interval_start=run.data_interval_start,
        data_interval_end=run.data_interval_end,
        started_at=run.started_at,
        conf=run.conf,
        triggered_by=run.triggered_by,
    )


_ANSWERS: dict[type, Callable[[Ops, RunRow, Any], Any]] = {
    GetXCom: _xcoms,
    GetVariable: _variable,
    SetVariable: _set_variable,
    GetConnection: _connection,
    GetPreviousRun: _previous_run,
}
