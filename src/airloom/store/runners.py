"""What the task API asks about tries: which are live, which are wanted, where their logs belong."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, or_, select

from airloom.model.report import TryKey
from airloom.model.states import TIState
from airloom.store.tables import dag_run, task_instance, task_try

#: keys in one statement
_KEYS = 500
#: of a TI whose live try is to go on
_GOES_ON = (TIState.QUEUED.value, TIState.RUNNING.value)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Whose try it is. ended_at None: it is live."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    ended_at: float | None


def live_tries(conn: Connection, keys: Iterable[TryKey]) -> set[TryKey]:
    """Those of the tries that have not ended."""
    return {key for rows in _live(conn, keys) for key in rows}


def ends_of(conn: Connection, keys: Iterable[TryKey]) -> dict[TryKey, str]:
    """Those of the tries that are to end, or have ended as far as the scheduler knows, each with the reason."""
    asked = list(keys)
    live: dict[TryKey, str] = {}
    for rows in _live(conn, asked):
        live |= rows
    return {key: why for key in asked if (why := live.get(key, "nobody has use for this try any more"))}


def ends_at_query(runners: Collection[str]) -> Select[Any]:
    """The statement of `ends_at`."""
    return _with_reason.add_columns(task_try.c.runner).where(
        task_try.c.runner.in_(runners),
        or_(
            task_instance.c.state.not_in(_GOES_ON),
            task_instance.c.try_number != task_try.c.try_number,
            dag_run.c.cancelled_at.is_not(None),
        ),
    )


def ends_at(conn: Connection, runners: Collection[str]) -> list[tuple[str, TryKey, str]]:
    """The live tries which these runners have said to have started and that are to end: runner, try and reason."""
    rows = conn.execute(ends_at_query(runners))
    return [(row.runner, TryKey(row.ti_id, row.try_number), _reason(row)) for row in rows]


def place_of(conn: Connection, key: TryKey) -> Place | None:
    """Whose try it is; None if there is no such try any more."""
    query = (
        select(
            dag_run.c.dag_id,
            dag_run.c.run_id,
            task_instance.c.task_id,
            task_instance.c.map_index,
            task_try.c.ended_at,
        )
        .join(task_instance, task_instance.c.run_id == dag_run.c.id)
        .join(task_try, task_try.c.ti_id == task_instance.c.id)
        .where(task_try.c.ti_id == key.ti_id, task_try.c.try_number == key.try_number)
    )
    row = conn.execute(query).one_or_none()
    return None if row is None else Place(**row._asdict())


def _live(conn: Connection, keys: Iterable[TryKey]) -> Iterator[dict[TryKey, str]]:
    """Those of the tries that have not ended, each with the reason why it is to end; "" if it is not."""
    asked = set(keys)
    numbers = sorted({key.ti_id for key in asked})
    for start in range(0, len(numbers), _KEYS):
        query = _with_reason.where(task_try.c.ti_id.in_(numbers[start : start + _KEYS]))
        found = {TryKey(row.ti_id, row.try_number): _reason(row) for row in conn.execute(query)}
        yield {key: why for key, why in found.items() if key in asked}


_with_reason = (
    select(
        task_try.c.ti_id,
        task_try.c.try_number,
        task_instance.c.state,
        task_instance.c.try_number.label("current"),
        dag_run.c.cancelled_at,
    )
    .join(task_instance, task_instance.c.id == task_try.c.ti_id)
    .join(dag_run, dag_run.c.id == task_instance.c.run_id)
    .where(task_try.c.ended_at.is_(None))
)


def _reason(row: Any) -> str:
    if row.cancelled_at is not None:
        return "the run was cancelled"
    if row.state == TIState.RESTARTING:
        return "it was cleared while it was running"
    if row.state not in _GOES_ON or row.current != row.try_number:
        return f"its task instance is {row.state} by now"
    return ""
