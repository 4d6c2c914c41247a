"""Whose the live tries of an executor are, and taking back those that are nobody's."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Select, or_, select, text, tuple_, update

from airloom.model.report import TryKey
from airloom.store.tables import TRY_IS_LIVE, task_try

#: keys in one statement
_KEYS = 500


def claims_query(executor: str) -> Select[Any]:
    """The statement of `claims`."""
    return select(task_try.c.ti_id, task_try.c.try_number, task_try.c.runner).where(
        text(TRY_IS_LIVE), task_try.c.executor == executor
    )


def claims(conn: Connection, executor: str) -> dict[TryKey, str]:
    """All live tries of an executor, each with the runner that has claimed it, or ""."""
    rows = conn.execute(claims_query(executor))
    return {TryKey(ti_id, number): runner or "" for ti_id, number, runner in rows}


def withdraw(conn: Connection, keys: Collection[TryKey], name: str) -> set[TryKey]:
    """Claim in this name those of the live tries that are nobody's: nobody else can claim them any more. Those that
    were claimed in it before count as well."""
    asked = sorted(set(keys))
    taken: set[TryKey] = set()
    for start in range(0, len(asked), _KEYS):
        rows = conn.execute(
            update(task_try)
            .where(
                tuple_(task_try.c.ti_id, task_try.c.try_number).in_(asked[start : start + _KEYS]),
                task_try.c.ended_at.is_(None),
                or_(task_try.c.runner.is_(None), task_try.c.runner == name),
            )
            .values(runner=name)
            .returning(task_try.c.ti_id, task_try.c.try_number)
        )
        taken.update(TryKey(row.ti_id, row.try_number) for row in rows)
    return taken
