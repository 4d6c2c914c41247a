"""What the task API asks about tries: which are live, which are wanted, where their logs belong."""

from collections.abc import Collection, Iterable

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, select

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
    return _those(conn, keys, wanted=False)


def wanted_tries(conn: Connection, keys: Iterable[TryKey]) -> set[TryKey]:
    """Those of the tries that have not ended, and whose end nobody has asked for."""
    return _those(conn, keys, wanted=True)


def unwanted_tries(conn: Connection, runners: Collection[str]) -> list[tuple[str, TryKey]]:
    """The live tries that these runners have said to have started and that are to end, each with its runner."""
    query = (
        select(task_try.c.runner, task_try.c.ti_id, task_try.c.try_number)
        .join(task_instance, task_instance.c.id == task_try.c.ti_id)
        .join(dag_run, dag_run.c.id == task_instance.c.run_id)
        .where(task_try.c.ended_at.is_(None), task_try.c.runner.in_(runners), ~_goes_on())
    )
    return [(row.runner, TryKey(row.ti_id, row.try_number)) for row in conn.execute(query)]


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


def _those(conn: Connection, keys: Iterable[TryKey], *, wanted: bool) -> set[TryKey]:
    asked = set(keys)
    numbers = sorted({key.ti_id for key in asked})
    found: set[TryKey] = set()
    for start in range(0, len(numbers), _KEYS):
        query = select(task_try.c.ti_id, task_try.c.try_number).where(
            task_try.c.ti_id.in_(numbers[start : start + _KEYS]), task_try.c.ended_at.is_(None)
        )
        if wanted:
            query = (
                query.join(task_instance, task_instance.c.id == task_try.c.ti_id)
                .join(dag_run, dag_run.c.id == task_instance.c.run_id)
                .where(_goes_on())
            )
        found.update(TryKey(row.ti_id, row.try_number) for row in conn.execute(query))
    return found & asked


def _goes_on() -> ColumnElement[bool]:
    return and_(
        task_instance.c.state.in_(_GOES_ON),
        task_instance.c.try_number == task_try.c.try_number,
        dag_run.c.cancelled_at.is_(None),
    )
