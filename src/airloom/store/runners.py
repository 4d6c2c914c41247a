"""What the task API asks about tries: which are live, which are wanted, whose they are, where their logs belong."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, or_, select, tuple_, update

from airloom.model.report import TryKey
from airloom.model.states import TIState
from airloom.store.tables import dag_run, task_instance, task_try

#: keys in one statement
_KEYS = 500
#: of a TI whose live try is to go on
_GOES_ON = (TIState.QUEUED.value, TIState.RUNNING.value)


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
    """The statement of `ends_at`. Of very many runners it gives those of others as well: few tries are to end."""
    few = len(runners) <= _KEYS
    return _with_reason.add_columns(task_try.c.runner).where(
        task_try.c.runner.in_(runners) if few else task_try.c.runner.is_not(None),
        or_(
            task_instance.c.state.not_in(_GOES_ON),
            task_instance.c.try_number != task_try.c.try_number,
            dag_run.c.cancelled_at.is_not(None),
        ),
    )


def ends_at(conn: Connection, runners: Collection[str]) -> list[tuple[str, TryKey, str]]:
    """The live tries which these runners have said to have started and that are to end: runner, try and reason."""
    rows = conn.execute(ends_at_query(runners))
    return [(row.runner, TryKey(row.ti_id, row.try_number), _reason(row)) for row in rows if row.runner in runners]


def claim(conn: Connection, runner: str, keys: Iterable[TryKey]) -> set[TryKey]:
    """Those of the tries that are this runner's from now on: live and wanted, not started, and no other runner's."""
    asked = sorted(set(keys))
    granted: set[TryKey] = set()
    for start in range(0, len(asked), _KEYS):
        statement = _claim.where(tuple_(task_try.c.ti_id, task_try.c.try_number).in_(asked[start : start + _KEYS]))
        taken = conn.execute(statement.where(_free(runner)).values(runner=runner))
        granted.update(TryKey(row.ti_id, row.try_number) for row in taken)
    return granted


def claimed_by(conn: Connection, runner: str, keys: Collection[TryKey]) -> set[TryKey]:
    """Those of the tries that are live and this runner's."""
    mine = select(task_try.c.ti_id, task_try.c.try_number).where(
        task_try.c.runner == runner, task_try.c.ended_at.is_(None)
    )
    asked = sorted(keys)
    found: set[TryKey] = set()
    for start in range(0, len(asked), _KEYS):
        part = tuple_(task_try.c.ti_id, task_try.c.try_number).in_(asked[start : start + _KEYS])
        found.update(TryKey(*row) for row in conn.execute(mine.where(part)))
    return found


def why_not(conn: Connection, runner: str, keys: Collection[TryKey]) -> dict[TryKey, str]:
    """For each of the tries that this runner was not given, the reason."""
    reasons = dict.fromkeys(keys, "it has ended, or is not known")
    for rows in _live(conn, keys):
        reasons |= rows
    numbers = sorted({key.ti_id for key, why in reasons.items() if not why})
    for start in range(0, len(numbers), _KEYS):
        taken = select(task_try.c.ti_id, task_try.c.try_number, task_try.c.runner)
        for row in conn.execute(taken.where(task_try.c.ti_id.in_(numbers[start : start + _KEYS]))):
            key = TryKey(row.ti_id, row.try_number)
            if reasons.get(key) == "":
                other = f"the runner {row.runner} has it"
                reasons[key] = "this runner has started it already" if row.runner == runner else other
    return reasons


def end_of(conn: Connection, name: tuple[str, str, str, int], try_number: int) -> tuple[TryKey, float | None] | None:
    """The key of a try, and when it ended; None if there is no such try. name: its dag, run, task and map index."""
    query = (
        select(task_try.c.ti_id, task_try.c.ended_at)
        .join(task_instance, task_instance.c.id == task_try.c.ti_id)
        .join(dag_run, dag_run.c.id == task_instance.c.run_id)
        .where(
            dag_run.c.dag_id == name[0],
            dag_run.c.run_id == name[1],
            task_instance.c.task_id == name[2],
            task_instance.c.map_index == name[3],
            task_try.c.try_number == try_number,
        )
    )
    row = conn.execute(query).one_or_none()
    return None if row is None else (TryKey(row.ti_id, try_number), row.ended_at)


def _live(conn: Connection, keys: Iterable[TryKey]) -> Iterator[dict[TryKey, str]]:
    """Those of the tries that have not ended, each with the reason why it is to end; "" if it is not."""
    asked = set(keys)
    numbers = sorted({key.ti_id for key in asked})
    for start in range(0, len(numbers), _KEYS):
        query = _with_reason.where(task_try.c.ti_id.in_(numbers[start : start + _KEYS]))
        found = {TryKey(row.ti_id, row.try_number): _reason(row) for row in conn.execute(query)}
        yield {key: why for key, why in found.items() if key in asked}


def _free(runner: str) -> ColumnElement[bool]:
    """Of a try that nobody has, or that this runner was given and has not started: it may not have heard of that."""
    return or_(task_try.c.runner.is_(None), and_(task_try.c.runner == runner, task_try.c.started_at.is_(None)))


_claim = (
    update(task_try)
    .where(
        task_try.c.ended_at.is_(None),
        task_instance.c.id == task_try.c.ti_id,
        task_instance.c.try_number == task_try.c.try_number,
        task_instance.c.state.in_(_GOES_ON),
        dag_run.c.id == task_instance.c.run_id,
        dag_run.c.cancelled_at.is_(None),
    )
    .returning(task_try.c.ti_id, task_try.c.try_number)
)

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
