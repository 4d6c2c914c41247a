"""What executors and runners were last seen doing: for people, and for processes that are not the scheduler."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, delete, select

from airloom.store.dialects import dialect_of
from airloom.store.rows import to_rows, to_structs
from airloom.store.tables import executor_state, runner


class ExecutorState(msgspec.Struct, frozen=True, kw_only=True):
    """An executor of the leading scheduler. slots None: it takes any number of tries."""

    name: str
    slots: int | None
    in_use: int
    seen_at: float


class RunnerState(msgspec.Struct, frozen=True, kw_only=True):
    """A process that supervises tries."""

    id: str
    executor: str
    host: str
    pid: int
    seen_at: float


def save_executors(conn: Connection, states: Sequence[ExecutorState]) -> None:
    """Make `states` what is known of executors; others are forgotten."""
    conn.execute(delete(executor_state))
    dialect_of(conn).insert(conn, executor_state, to_rows(states))


def list_executors(conn: Connection) -> list[ExecutorState]:
    """What is known of executors, by name."""
    return to_structs(ExecutorState, conn.execute(select(executor_state).order_by(executor_state.c.name)))


def save_runners(conn: Connection, states: Sequence[RunnerState]) -> None:
    """Add runners, or renew what is known of them."""
    dialect_of(conn).insert(conn, runner, to_rows(states), replace=("id",))


def forget_runners(conn: Connection, ids: Sequence[str]) -> None:
    """Remove runners that are gone."""
    dialect_of(conn).delete(conn, runner, "id", ids)


def list_runners(conn: Connection) -> list[RunnerState]:
    """The runners that are known, by id."""
    return to_structs(RunnerState, conn.execute(select(runner).order_by(runner.c.id)))
