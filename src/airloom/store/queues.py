"""What is queued and what runs, by executor and queue."""

from collections.abc import Iterable, Iterator

import msgspec
from sqlalchemy import Connection, func, select, text

from airloom.model.report import TryKey
from airloom.model.states import TIState
from airloom.store.tables import TRY_IS_LIVE, task_try


class Handed(msgspec.Struct, frozen=True, kw_only=True):
    """Where a live try was handed to. runner: the one that has it, if one has."""

    executor: str
    queue: str
    runner: str | None


def count_live(conn: Connection) -> Iterator[tuple[str, str, TIState, int]]:
    """How many live tries there are of each executor and queue in each state: queued or running."""
    which = (task_try.c.executor, task_try.c.queue, task_try.c.state)
    query = select(*which, func.count()).where(text(TRY_IS_LIVE)).group_by(*which)
    for executor, queue, state, count in conn.execute(query):
        yield executor, queue, TIState(state), count


def count_in_hand(conn: Connection) -> dict[str, int]:
    """How many live tries each runner has taken."""
    runner = task_try.c.runner
    query = select(runner, func.count()).where(text(TRY_IS_LIVE), runner.is_not(None)).group_by(runner)
    rows: list[tuple[str, int]] = [(name, number) for name, number in conn.execute(query)]
    return dict(rows)


def handed(conn: Connection, tis: Iterable[int]) -> dict[TryKey, Handed]:
    """Where the live tries of these TIs are."""
    tries = task_try.c
    query = select(tries.ti_id, tries.try_number, tries.executor, tries.queue, tries.runner).where(
        tries.ti_id.in_(list(tis)), tries.ended_at.is_(None)
    )
    return {
        TryKey(row.ti_id, row.try_number): Handed(executor=row.executor, queue=row.queue, runner=row.runner)
        for row in conn.execute(query)
    }
