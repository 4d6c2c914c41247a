"""Makes the context of a try out of its Work."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from airloom.model.errors import InvalidRequest
from airloom.model.wire import GetPreviousRun
from airloom.model.work import RunInfo, Work
from airloom.sdk import macros
from airloom.sdk.client import TaskClient
from airloom.sdk.connection import ConnectionAccessor
from airloom.sdk.context import Context
from airloom.sdk.dates import DATE_TEXTS
from airloom.sdk.exceptions import ParamValidationError
from airloom.sdk.params import ParamsDict, run_params
from airloom.sdk.task_instance import DagRun, TaskInstance, moment
from airloom.sdk.variable import VariableAccessors

if TYPE_CHECKING:
    from airloom.sdk.operator import BaseOperator


def context_of(task: "BaseOperator", work: Work, ti: TaskInstance, client: TaskClient) -> Context:
    """Everything that the task can use by name. Raises ParamValidationError if the run's conf breaks a schema."""
    run = ti.dag_run
    dates = _dates(run.logical_date) if run.logical_date is not None else {}
    return Context(
        {
            "conn": ConnectionAccessor(),
            "dag": task.dag,
            "dag_run": run,
            "data_interval_end": run.data_interval_end,
            "data_interval_start": run.data_interval_start,
            "expanded_ti_count": work.map_size,
            "macros": macros,
            "map_index": work.map_index,
            "params": _params(task, run),
            "run_id": run.run_id,
            "task": task,
            "task_instance": ti,
            "task_instance_key_str": f"{ti.dag_id}__{ti.task_id}__{dates.get('ds_nodash', run.run_id)}",
            "templates_dict": None,
            "test_mode": False,
            "ti": ti,
            "try_number": ti.try_number,
            "var": VariableAccessors(),
            **dates,
        },
        _previous_success(client),
    )


def _dates(date: datetime) -> dict[str, Any]:
    return {"logical_date": date, **{name: text(date) for name, text in DATE_TEXTS.items()}}


def _params(task: "BaseOperator", run: DagRun) -> dict[str, Any]:
    merged = ParamsDict()
    for params in (task.dag.params if task.dag is not None else ParamsDict(), task.params):
        for name in params:
            merged[name] = params.get_param(name)
    try:
        return run_params(merged.dump(), run.conf)
    except InvalidRequest as error:
        raise ParamValidationError(str(error)) from None


class _PreviousSuccess:
    """The last successful run before this one; the server is asked for it once, when a date of it is wanted."""

    def __init__(self, client: TaskClient) -> None:
        self._client = client
        self._found: RunInfo | None = None
        self._asked = False

    def date(self, field: str) -> datetime | None:
        if not self._asked:
            found = self._client.ask(GetPreviousRun(state="success"))
            self._found = None if found is None else msgspec.convert(found, RunInfo, from_attributes=True)
            self._asked = True
        return moment(getattr(self._found, field, None))


def _previous_success(client: TaskClient) -> dict[str, Callable[[], Any]]:
    run = _PreviousSuccess(client)
    return {
        "prev_data_interval_start_success": lambda: run.date("data_interval_start"),
        "prev_data_interval_end_success": lambda: run.date("data_interval_end"),
        "prev_start_date_success": lambda: run.date("started_at"),
    }
