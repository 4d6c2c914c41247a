"""What is queued and what runs, by queue, and who serves the queues."""

from collections.abc import Iterator

from sqlalchemy import Connection, func, select, text

from airloom.model.states import TIState
from airloom.store.tables import TRY_IS_LIVE, task_try


def count_live(conn: Connection) -> Iterator[tuple[str, TIState, int]]:
    """How many live tries there are of each queue in each state: queued or running."""
    query = (
        select(task_try.c.queue, task_try.c.state, func.count())
        .where(text(TRY_IS_LIVE))
        .group_by(task_try.c.queue, task_try.c.state)
    )
    for queue, state, count in conn.execute(query):
        yield queue, TIState(state), count
