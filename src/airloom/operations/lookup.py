"""Finds what a user named, or raises NotFound with the names that come near."""

from collections.abc import Iterable
from typing import Any

from airloom.model.errors import InvalidRequest, NotFound
from airloom.model.run import DagRow, RunRow, TIRow
from airloom.model.spelling import did_you_mean
from airloom.store import dags, runs

LATEST = "latest"
#: how many of a dag's newest runs a shortened run id is looked for in
_RECENT = 1000


def nearest(name: str, names: Iterable[str]) -> str:
    """The end of a sentence, which offers up to three names that come near, or nothing."""
    return did_you_mean(name, names, most=3)


def find_dag(conn: Any, dag_id: str) -> DagRow:
    """The dag. Raises NotFound."""
    row = dags.dag_row(conn, dag_id)
    if row is None:
        names = [dag.dag_id for dag in dags.list_dags(conn, active_only=False)]
        hint = nearest(dag_id, names) or "; `airloom dags list` shows all, `airloom dags errors` what failed to load"
        raise NotFound(f"there is no dag {dag_id!r}{hint}")
    return row


def find_run(conn: Any, dag_id: str, run_id: str) -> RunRow:
    """The run that is named by its id, by `latest`, or by the beginning of one recent run's id.

    Raises NotFound, or InvalidRequest when a beginning fits several runs.
    """
    row = runs.find_run(conn, dag_id, run_id)
    if row is not None:
        return row
    recent = runs.list_runs(conn, dag_id=dag_id, limit=1 if run_id == LATEST else _RECENT)
    if not recent:
        find_dag(conn, dag_id)
        raise NotFound(f"dag {dag_id} has no runs yet")
    fits = recent if run_id == LATEST else [run for run in recent if run_id and run.run_id.startswith(run_id)]
    if not fits:
        hint = nearest(run_id, [run.run_id for run in recent]) or f"; `airloom runs list {dag_id}` shows its runs"
        raise NotFound(f"dag {dag_id} has no run {run_id!r}{hint}")
    if len(fits) > 1:
        some = ", ".join(run.run_id for run in fits[:3])
        raise InvalidRequest(f"{len(fits)} runs of {dag_id} begin with {run_id!r}, such as {some}: write more of it")
    return fits[0]


def find_tis(conn: Any, run: RunRow, task_id: str, map_index: int | None = None) -> list[TIRow]:
    """The TIs of a task in a run: all, or the one with that map index. Raises NotFound."""
    of_task = runs.list_tis(conn, run.id, task_id)
    if not of_task:
        hint = nearest(task_id, {ti.task_id for ti in runs.list_tis(conn, run.id)})
        raise NotFound(f"run {run.run_id} of dag {run.dag_id} has no task {task_id!r}{hint}")
    chosen = [ti for ti in of_task if map_index is None or ti.map_index == map_index]
    if not chosen:
        indexes = [ti.map_index for ti in of_task if ti.map_index >= 0]
        has = f"indexes {min(indexes)} to {max(indexes)}" if indexes else "no map indexes"
        raise NotFound(f"task {task_id} has no map index {map_index} in run {run.run_id}; it has {has}")
    return chosen
