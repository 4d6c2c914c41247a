"""The feed: one row for each commit that changed something people see, in the order in which they become visible.

A reader that has seen a row never meets an older one later: on PostgreSQL writers take a lock before they get a number.
"""

import time
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, delete, func, select

from airloom.store.dialects import dialect_of
from airloom.store.tables import feed


class FeedRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one commit changed. data: JSON of decide.feed.Changes."""

    id: int
    at: float
    data: bytes


def write(conn: Connection, data: bytes, now: float) -> None:
    """Add a row. It has to be the last thing that the transaction does: others that write wait for its end."""
    conn.connection.cursor().execute(dialect_of(conn).add_to_feed, (now, data))


def tell(conn: Connection, *topics: str) -> None:
    """Tell that something changed which the scheduler does not decide about: variables, connections, import_errors,
    accounts, processes. As `write`, the last thing of its transaction."""
    write(conn, msgspec.json.encode({"topics": topics}), time.time())


def after_query(position: int, limit: int) -> Select[Any]:
    """The statement of `after`."""
    return select(feed.c.id, feed.c.at, feed.c.data).where(feed.c.id > position).order_by(feed.c.id).limit(limit)


def after(conn: Connection, position: int, limit: int) -> list[FeedRow]:
    """The rows that follow the one of that number, oldest first."""
    rows = conn.execute(after_query(position, limit))
    return [FeedRow(id=row.id, at=row.at, data=bytes(row.data)) for row in rows]


def bounds(conn: Connection) -> tuple[int, int]:
    """The numbers of the oldest and the newest row; (0, 0) if there is none."""
    # Two statements: each is one step in the index, both at once would read it all on SQLite.
    oldest = conn.execute(select(func.min(feed.c.id))).scalar()
    newest = conn.execute(select(func.max(feed.c.id))).scalar()
    return (oldest or 0, newest or 0)


def first_query(since: float) -> Select[Any]:
    """The number of the oldest row that is not older than `since`; it looks at those that are, and at no other."""
    return select(feed.c.id).where(feed.c.at >= since).order_by(feed.c.id).limit(1)


def trim(conn: Connection, before: float) -> int:
    """Delete the rows older than `before`, but never the newest one; how many there were."""
    first = conn.execute(first_query(before)).scalar()
    if first is None:
        first = bounds(conn)[1]
    return conn.execute(delete(feed).where(feed.c.id < first)).rowcount
