"""Following the feed: what has changed since a place in it."""

import msgspec

from airloom.decide.feed import Changes, decode, merge
from airloom.store import feed
from airloom.store.database import Database
from airloom.store.feed import FeedRow

#: rows that are taken at once; who has missed more than that fetches everything anew
MOST = 2_000


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What has changed up to a place in the feed, and when the last of it was committed."""

    position: int
    at: float
    changes: Changes


def newest(db: Database) -> int:
    """The place behind all that has happened. Raises StoreError."""
    with db.reading() as conn:
        return feed.bounds(conn)[1]


def since(db: Database, position: int) -> News | None:
    """What has happened since, as far as one look takes; None if nothing has. Raises StoreError."""
    with db.reading() as conn:
        rows = feed.after(conn, position, MOST)
    return _news(rows) if rows else None


def missed(db: Database, last: int) -> tuple[int, News | None, bool]:
    """What somebody has missed who knows everything up to `last`: the place behind it, the news if there are any, and
    whether all of it can still be told. Raises StoreError."""
    with db.reading() as conn:
        oldest, newest = feed.bounds(conn)
        known = oldest - 1 <= last <= newest
        rows = feed.after(conn, last, MOST) if known else []
    try:
        return newest, _news(rows) if rows else None, known and len(rows) < MOST
    except msgspec.MsgspecError:
        # A row of another version of Airloom.
        return newest, None, False


def _news(rows: list[FeedRow]) -> News:
    return News(position=rows[-1].id, at=rows[-1].at, changes=merge(decode(row.data) for row in rows))
