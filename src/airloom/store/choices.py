"""What several runs have of what a user named: for commands about many runs at once."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from airloom.model.run import RunRow
from airloom.store.rows import to_structs
from airloom.store.tables import dag_run, task_instance

#: names in one statement: databases have a limit
_BATCH = 500
#: tasks that are looked for together in so many runs
_TASKS = 50


def find_runs(conn: Connection, dag_id: str, run_ids: Sequence[str]) -> dict[str, RunRow]:
    """Those of the runs that there are, by their ids."""
    found: dict[str, RunRow] = {}
    for start in range(0, len(run_ids), _BATCH):
        names = dag_run.c.run_id.in_(run_ids[start : start + _BATCH])
        query = select(dag_run).where(dag_run.c.dag_id == dag_id, names)
        found.update((run.run_id, run) for run in to_structs(RunRow, conn.execute(query)))
    return found


def tasks_of(conn: Connection, run_keys: Sequence[int], task_ids: Sequence[str]) -> dict[int, set[str]]:
    """Which of the tasks each of the runs has, by the run's number; a run that has none of them is left out."""
    found: dict[int, set[str]] = {}
    for first in range(0, len(task_ids), _TASKS):
        names = task_instance.c.task_id.in_(task_ids[first : first + _TASKS])
        for start in range(0, len(run_keys), _BATCH):
            keys = task_instance.c.run_id.in_(run_keys[start : start + _BATCH])
            query = select(task_instance.c.run_id, task_instance.c.task_id).where(keys, names).distinct()
            for run_key, task_id in conn.execute(query):
                found.setdefault(run_key, set()).add(task_id)
    return found
