"""operations/dags.py on a server elsewhere."""

from typing import Any

from airloom.cli.remote.server import Server, path_of, seconds
from airloom.model.run import DagRow
from airloom.model.spec import Cron, DagSpec, LiteralInput, MapSpec, Never, Schedule, TaskSpec, TriggerRule
from airloom.store.dags import ImportErrorRow


def list_dags(ops: Server, *, gone: bool = False) -> list[DagRow]:
    """As operations.dags.list_dags; of the tasks, only how many there are is known."""
    found = ops.pages("/dags", active=None if gone else True)
    return [_row(data, tuple(TaskSpec(task_id=str(number)) for number in range(data["task_count"]))) for data in found]


def get_dag(ops: Server, dag_id: str) -> DagRow:
    """As operations.dags.get_dag."""
    data = ops.get(path_of("dags", dag_id))
    structure = ops.get(path_of("dags", dag_id, "structure"))
    return _row(data, tuple(_task(task) for task in structure["tasks"]))


def import_errors(ops: Server) -> list[ImportErrorRow]:
    """As operations.dags.import_errors."""
    return [
        ImportErrorRow(
            bundle=data["bundle"],
            rel_path=data["rel_path"],
            text=data["text"],
            found_at=seconds(data["found_at"]) or 0.0,
            dag_id=data["dag_id"],
            line=data["line"],
            traceback=data["traceback"],
        )
        for data in ops.get("/import-errors")
    ]


def set_paused(ops: Server, dag_id: str, paused: bool) -> None:
    """As operations.dags.set_paused."""
    ops.send("PATCH", path_of("dags", dag_id), {"paused": paused})


def delete_dag(ops: Server, dag_id: str) -> None:
    """As operations.dags.delete_dag."""
    ops.send("DELETE", path_of("dags", dag_id))


def _row(data: dict[str, Any], tasks: tuple[TaskSpec, ...]) -> DagRow:
    spec = DagSpec(
        dag_id=data["dag_id"],
        tasks=tasks,
        schedule=_schedule(data["schedule"]),
        start_date=seconds(data.get("start_date")),
        end_date=seconds(data.get("end_date")),
        timezone=data["timezone"],
        catchup=data.get("catchup", False),
        max_active_tasks=data.get("max_active_tasks", 0),
        max_active_runs=data.get("max_active_runs", 0),
        params=data.get("params", {}),
        description=data["description"],
        display_name=data["display_name"],
        tags=tuple(data["tags"]),
        owner=data["owner"],
    )
    return DagRow(
        dag_id=data["dag_id"],
        version_id=data["version"],
        spec=spec,
        bundle=data["bundle"],
        rel_path=data["rel_path"],
        file_hash=data.get("file_hash", ""),
        paused=data["paused"],
        first_seen=seconds(data.get("first_seen")) or 0.0,
        active=data["active"],
    )


def _schedule(text: str) -> Schedule:
    """A schedule of which only the words are known; it is good for showing them."""
    return Never() if text == "when triggered" else Cron(expression=text)


def _task(data: dict[str, Any]) -> TaskSpec:
    return TaskSpec(
        task_id=data["task_id"],
        operator=data["operator"],
        upstream=tuple(data["upstream"]),
        trigger_rule=TriggerRule(data["trigger_rule"]),
        map=MapSpec(inputs=(LiteralInput(arg="", length=0),)) if data["mapped"] else None,
        retries=data["retries"],
        pool=data["pool"],
        queue=data["queue"],
        group=data["group"],
    )
