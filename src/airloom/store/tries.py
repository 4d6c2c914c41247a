"""The run that a live try belongs to: what a running task asks for is answered in its name."""

from sqlalchemy import Connection, select

from airloom.model.report import TryKey
from airloom.model.run import RunRow
from airloom.store.rows import to_run
from airloom.store.tables import dag_run, task_instance, task_try


def run_of_live_try(conn: Connection, key: TryKey) -> RunRow | None:
    """The run of a try that has not ended; None if it has, or if there is no such try."""
    query = (
        select(dag_run)
        .join(task_instance, task_instance.c.run_id == dag_run.c.id)
        .join(task_try, task_try.c.ti_id == task_instance.c.id)
        .where(task_try.c.ti_id == key.ti_id, task_try.c.try_number == key.try_number, task_try.c.ended_at.is_(None))
    )
    row = conn.execute(query).one_or_none()
    return None if row is None else to_run(row)
