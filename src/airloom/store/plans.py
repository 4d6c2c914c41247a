"""The group commit: everything that one turn of the scheduler decided, in one transaction, in few statements.

Changes are grouped by the set of columns that change, so that each group is one batch of one prepared statement.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, select

from airloom.model.errors import NotLeader, StoreError
from airloom.model.plan import Plan
from airloom.model.run import XComRow
from airloom.store.cleanup import delete_dags
from airloom.store.dialects import Match, Rows, dialect_of
from airloom.store.feed import write as write_feed
from airloom.store.pools import delete_pool, set_pool
from airloom.store.rows import to_rows
from airloom.store.tables import dag, dag_run, inbox, inbox_answer, task_instance, task_try, xcom

_TI: Match = (("id", "id"), ("expected", "state"))
_TRY: Match = (("ti_id", "ti_id"), ("try_number", "try_number"))
_RUN: Match = (("id", "id"),)
_DAG: Match = (("dag_id", "dag_id"),)
#: Bytes of XCom values in one statement: values may be large, and a statement has a limit.
_XCOM_BATCH = 16 * 1024 * 1024


def apply_plan(conn: Connection, plan: Plan, epoch: int, now: float) -> None:
    """Write `plan` with `conn`'s transaction, which the caller commits. `now` is when answers are given.

    Raises NotLeader if `epoch` is not the leader's any more, and StoreError if a row is not as the plan expects it (the
    text names the rows); the caller's transaction must then be undone.
    """
    dialect = dialect_of(conn)
    # Locked until the commit: no other process can become the leader between this check and the commit.
    cursor = conn.connection.cursor()
    cursor.execute(dialect.begin_batches)
    current = (cursor.fetchone() or (None,))[0]
    if current != epoch:
        raise NotLeader(f"another scheduler leads now (epoch {current}): what epoch {epoch} decided was not committed")
    dialect.insert(conn, dag_run, to_rows(list(plan.new_runs.values())))
    dialect.insert(conn, task_instance, to_rows(list(plan.new_tis.values())))
    _change_tis(conn, plan)
    dialect.insert(conn, task_try, to_rows(list(plan.new_tries.values())))
    tries = ({**values, "ti_id": key[0], "try_number": key[1]} for key, values in plan.try_changes.items())
    _change(conn, task_try, _TRY, tries)
    _change(conn, dag_run, _RUN, ({**values, "id": key} for key, values in plan.run_changes.items()))
    _change(conn, dag, _DAG, ({**values, "dag_id": key} for key, values in plan.dag_changes.items()))
    dialect.delete(conn, xcom, "ti_id", plan.drop_xcoms)
    for batch in _batches(plan.xcoms.values()):
        dialect.insert(conn, xcom, to_rows(batch), replace=("ti_id", "key"))
    for row in plan.set_pools.values():
        set_pool(conn, row)
    for name in plan.delete_pools:
        delete_pool(conn, name)
    _answer(conn, plan, now)
    delete_dags(conn, plan.delete_dags)
    if plan.feed is not None:
        write_feed(conn, plan.feed, now)


def _change_tis(conn: Connection, plan: Plan) -> None:
    rows = (
        {"state": change.state, **change.values, "id": change.id, "expected": change.expected}
        for change in plan.ti_changes.values()
    )
    _change(conn, task_instance, _TI, rows)


def _change(conn: Connection, table: Table, match: Match, rows: Iterable[dict[str, Any]]) -> None:
    """Update rows that end with the keys of `match`; every one of them must be there."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row), []).append(row)
    dialect = dialect_of(conn)
    for names, group in groups.items():
        if len(names) == len(match):
            continue
        ready = to_rows(group)
        if dialect.update(conn, table, match, ready) != len(ready):
            raise StoreError(_misfits(conn, table, match, ready))


def _misfits(conn: Connection, table: Table, match: Match, rows: Rows) -> str:
    """Which of `rows` the database does not have as expected. Their new values may be written already."""
    keys = [column for name, column in match if name == column]
    wanted = {tuple(row[column] for column in keys): row for row in rows}
    shown = [table.c[column] for column in keys] + ([table.c.state] if "state" in table.c else [])
    values = sorted({key[0] for key in wanted})
    states: dict[tuple[Any, ...], Any] = {}
    for start in range(0, len(values), 500):
        query = select(*shown).where(shown[0].in_(values[start : start + 500]))
        states.update((tuple(found[: len(keys)]), found[-1]) for found in conn.execute(query))
    wrong = []
    for key, row in wanted.items():
        name = "/".join(map(str, key))
        if key not in states:
            wrong.append(f"{name} is missing")
        elif "expected" in row and states[key] not in (row["expected"], row["state"]):
            wrong.append(f"{name} is {states[key]}, not {row['expected']}")
    if not wrong:
        # They have the state that they were to get; whether by this plan or before it, the rows do not tell.
        wrong = [f"{'/'.join(map(str, key))} may have changed before" for key in wanted]
    what = "; ".join(wrong[:10]) + (f"; and {len(wrong) - 10} more" if len(wrong) > 10 else "")
    return f"the database is not as the scheduler remembers it, nothing was committed: {table.name} {what}"


def _batches(values: Iterable[XComRow]) -> Iterable[list[XComRow]]:
    batch: list[XComRow] = []
    size = 0
    for value in values:
        if batch and size + len(value.value) > _XCOM_BATCH:
            yield batch
            batch, size = [], 0
        batch.append(value)
        size += len(value.value)
    if batch:
        yield batch


def _answer(conn: Connection, plan: Plan, now: float) -> None:
    if not plan.answers:
        return
    dialect = dialect_of(conn)
    ids = list(plan.answers)
    if dialect.delete(conn, inbox, "id", ids) != len(ids):
        raise StoreError(f"commands of the inbox are gone that were to be answered, nothing was committed: {ids}")
    rows = [
        {"id": key, "answer": msgspec.json.encode(answer), "answered_at": now}
        for key, answer in plan.answers.items()
        if answer is not None
    ]
    dialect.insert(conn, inbox_answer, rows)
