"""operations/explain.py on a server elsewhere."""

from typing import Any

from airloom.cli.remote.runs import get_run
from airloom.cli.remote.server import Server, path_of, seconds
from airloom.decide.state import WorldConfig
from airloom.model.reasons import Explanation, Reason, ReasonKind


def explain(
    ops: Server, dag_id: str, run_id: str, task_id: str, map_index: int | None = None, *, config: WorldConfig
) -> list[Explanation]:
    """As operations.explain.explain; the server knows its own `config`."""
    run = get_run(ops, dag_id, run_id)
    path = path_of("dags", run.dag_id, "runs", run.run_id, "tasks", task_id, "explain")
    return [_explanation(data) for data in ops.get(path, map_index=map_index)]


def _explanation(data: dict[str, Any]) -> Explanation:
    return Explanation(
        dag_id=data["dag_id"],
        run_id=data["run_id"],
        task_id=data["task_id"],
        map_index=data["map_index"],
        state=data["state"],
        try_number=data["try_number"],
        reasons=tuple(_reason(reason) for reason in data["reasons"]),
    )


def _reason(data: dict[str, Any]) -> Reason:
    return Reason(
        kind=ReasonKind(data["kind"]),
        text=data["text"],
        holders=tuple(data["holders"]),
        place=data["place"],
        of=data["of"],
        until=seconds(data["until"]),
    )
