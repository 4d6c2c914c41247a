"""Runs tries of tasks with a client that keeps what they push and answers from dicts."""

import logging
from pathlib import Path
from typing import Any

from airloom.model.loading import ParsedFile
from airloom.model.report import TryKey, XComValue
from airloom.model.wire import GetConnection, GetPreviousRun, GetVariable, GetXCom, SetVariable
from airloom.model.work import RunInfo, Work
from airloom.sdk.execution import TaskResult, execute
from airloom.sdk.loading import parse_file
from airloom.sdk.operator import BaseOperator
from airloom.sdk.xcom_codec import decode, encode

JANUARY = 1767225600.0  # 2026-01-01T00:00:00Z


class Client:
    """A server of one run: XComs by (task id, key, map index), variables, connections, the run before."""

    def __init__(self) -> None:
        self.xcoms: dict[tuple[str, str, int], bytes] = {}
        self.variables: dict[str, str] = {}
        self.connections: dict[str, dict[str, Any]] = {}
        self.previous: RunInfo | None = None
        self.masked: list[str] = []
        self.pushed: dict[str, Any] = {}
        self.asked: list[Any] = []
        self.rendered: dict[str, str] = {}

    def keep(self, task_id: str, value: Any, key: str = "return_value", map_index: int = -1) -> None:
        """Have an XCom of another task."""
        self.xcoms[task_id, key, map_index] = encode(value)

    def ask(self, request: Any) -> Any:
        """The answer, as the server gives it."""
        self.asked.append(request)
        if isinstance(request, GetXCom):
            return [
                [index, data]
                for (task_id, key, index), data in sorted(self.xcoms.items())
                if (task_id, key) == (request.task_id, request.key) and request.map_index in (None, index)
            ]
        if isinstance(request, GetVariable):
            return self.variables.get(request.key)
        if isinstance(request, SetVariable):
            if request.value is None:
                return self.variables.pop(request.key, None) is not None
            self.variables[request.key] = request.value
            return True
        if isinstance(request, GetConnection):
            return self.connections.get(request.conn_id)
        assert isinstance(request, GetPreviousRun)
        return self.previous

    def show_rendered(self, fields: dict[str, str]) -> None:
        """Keep what people would see."""
        self.rendered = fields

    def push_xcom(self, value: XComValue) -> None:
        """Keep what a task pushes."""
        self.pushed[value.key] = decode(value.value)

    def mask(self, secret: str) -> None:
        """Note what is to be hidden."""
        self.masked.append(secret)


def work_for(task: BaseOperator, **values: Any) -> Work:
    """The work of a task's first try in a run of 2026-01-01."""
    run = {
        "run_id": "manual__2026-01-01",
        "run_type": "manual",
        "run_after": JANUARY,
        "logical_date": JANUARY,
        "data_interval_start": JANUARY,
        "data_interval_end": JANUARY + 86400,
        "conf": values.pop("conf", {}),
    }
    assert task.dag is not None
    given: dict[str, Any] = {
        "key": TryKey(1, values.pop("try_number", 1)),
        "dag_id": task.dag.dag_id,
        "task_id": task.task_id,
        "run": RunInfo(**{**run, **values.pop("run", {})}),
        "run_key": 1,
        "bundle": "dags",
        "rel_path": "dag.py",
        "version_id": 1,
    }
    return Work(**{**given, **values})


def attempt(task: BaseOperator, client: Client | None = None, **values: Any) -> TaskResult:
    """Run one try of a task."""
    return execute(task, work_for(task, **values), client or Client(), logging.getLogger("airloom.task"))


def returned(result: TaskResult) -> dict[str, Any]:
    """The XComs of a try's return value, by key; the try must have succeeded."""
    assert result.outcome == "success", result
    return {xcom.key: decode(xcom.value) for xcom in result.xcoms}


def parse(folder: Path, text: str, name: str = "dags.py") -> ParsedFile:
    """Parse a DAG file that says `text`."""
    path = folder / name
    path.write_text(text)
    return parse_file(str(path), name, "hash")
